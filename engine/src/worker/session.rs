//! An attempt from beginning to end: search, measure, train, pack.

mod after;
mod again;
mod effects;
mod finals;
mod given;
mod packaged;
mod searching;
mod selecting;
mod snapshot;
mod timings;
mod training;

use std::fs;
use std::path::{Path, PathBuf};

use skein_core::benchmark::Table;
use skein_core::choice::Choice;
use skein_core::dataset::Dataset;
use skein_core::event::{EventBody, Phase, PhaseName, Started, Summary};
use skein_core::folder;
use skein_core::spec::RunSpec;

use super::attempt::Attempt;
use super::events::Events;
use super::load::Load;
use super::meter::{Meter, Plan};
use crate::EngineError;
use crate::data::split::{Pool, Split};
use crate::data::{self, Data};
use crate::device::{self, Compute};
use crate::error::IoContext;
use crate::search::evolve::Tried;
use crate::search::run::Search;
use crate::search::supernet::Supernet;
use crate::state::checkpoint::{Damaged, Snapshot, newest};
use crate::state::stop::Stop;
use crate::train::network::Network;
use crate::train::stage::Stage;
use crate::train::tournament::Played;
use snapshot::{Derived, Kept, State};

/// What an attempt is given.
#[derive(Debug)]
pub struct Session<'a> {
    /// The claim.
    pub attempt: &'a Attempt,
    /// Folder of the data sets.
    pub datasets: &'a Path,
    /// Device instead of the specification's.
    pub device: Option<&'a str>,
    /// The wish to stop.
    pub stop: &'a Stop,
}

/// How an attempt ended without an error.
#[derive(Debug)]
pub enum Ended {
    /// The run is complete.
    Finished(Box<Summary>),
    /// It was asked to stop and left a checkpoint.
    Stopped,
}

/// What all phases use.
struct Context<'a> {
    session: &'a Session<'a>,
    spec: RunSpec,
    dataset: Dataset,
    compute: Compute,
    data: Data,
    events: &'a mut Events,
    meter: Meter,
    load: Load,
    /// What architectures really reach, if a benchmark is attached.
    benchmark: Option<Table>,
    /// Candidates of the second stage so far.
    tried: Vec<Tried>,
    /// Trainings of finalists that have ended.
    finals: Vec<Played>,
    /// What the checkpoint that the attempt goes on from holds of trainings.
    kept: Option<Kept>,
    /// Step of the checkpoint that the search went back to, as long as none was written since.
    gone_back: Option<u64>,
    /// The given architecture's network with the weights that it inherits, if it does.
    start: Option<Network>,
}

/// Works on a run until it is complete or a stop is asked for.
///
/// # Errors
/// - [`EngineError`]; its [`EngineError::failure`] belongs into the final record.
pub fn run(session: &Session<'_>, events: &mut Events) -> Result<Ended, EngineError> {
    let spec = read_spec(&session.attempt.run)?;
    let resources = &spec.resources;
    let compute =
        Compute::choose(session.device.unwrap_or(&resources.device), resources.precision)?;
    let threads = device::set_threads(resources.threads);
    let (dataset, folder) = data::find(session.datasets, &spec.dataset)?;
    let attempts =
        (1..=session.attempt.number).map(|attempt| folder::attempt(&session.attempt.run, attempt));
    let mut kept: Vec<PathBuf> = vec![session.attempt.run.join(folder::SUPERNET)];
    kept.extend(attempts);
    let data = Data::open(&folder, &dataset, &spec, &kept, compute)?;
    let net = Supernet::timed(&spec, data.shape, compute, timings::known(&kept))?;
    timings::keep(net.graph(), &session.attempt.folder)?;
    let split = divided(&spec, &dataset, &data, &session.attempt.folder)?;
    let mut search = Search::over(net, &spec, split)?;
    let (found, damaged) = newest(&session.attempt.run, session.attempt.number, compute.device)?;
    events.say(EventBody::Started(Started {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        device: device::name(compute.device),
        threads,
        resumed_from: found.as_ref().map(|snapshot| snapshot.step),
        total_steps: search.total_steps(),
    }))?;
    warn_of(events, damaged)?;
    events.log(introduction(&dataset, &data, &search))?;
    if let Some(cleaned) = data.text.as_ref().and_then(|text| text.cleaned.as_ref()) {
        events.log(format!(
            "of the text, {cleaned}; `dataset.line_ends = \"kept\"` keeps its bytes"
        ))?;
    }
    let state = found.as_ref().map(State::of).transpose()?;
    let meter =
        Meter::new(plan(&spec, &search), state.as_ref().map_or(0.0, |state| state.worked_s));
    let choices = &search.net.graph().choices;
    let benchmark = read_benchmark(&session.attempt.run, &spec, choices)?;
    let mut context = Context {
        session,
        spec,
        dataset,
        compute,
        data,
        events,
        meter,
        load: Load::begin(compute.device, threads),
        benchmark,
        tried: vec![],
        finals: vec![],
        kept: None,
        gone_back: None,
        start: None,
    };
    let derived = match (found, state) {
        (Some(snapshot), Some(state)) => context.restore(&mut search, &snapshot, state)?,
        _ => None,
    };
    context.finish(search, derived)
}

/// Which examples are for what; the attempt keeps a record of it.
fn divided(
    spec: &RunSpec,
    dataset: &Dataset,
    data: &Data,
    attempt: &Path,
) -> Result<Split, EngineError> {
    let labels = data.train.classes()?;
    let given = usize::try_from(dataset.valid_images).unwrap_or(0);
    let pool = Pool { count: data.train.count(), labels: &labels, given };
    let split = Split::of(spec, pool)?;
    split.keep(&spec.dataset, pool, attempt)?;
    Ok(split)
}

/// What is learned from, and what of.
fn introduction(dataset: &Dataset, data: &Data, search: &Search) -> String {
    let unit = data.text.as_ref().map_or_else(
        || "images".to_owned(),
        |text| format!("windows of a text with {} different tokens", text.vocabulary.size()),
    );
    let (title, test) = (&dataset.title, data.test.count());
    let [weights, graph] = [search.net.exec.graph(), search.net.graph()];
    if !search.searches() {
        let valid = search.valid_positions().len();
        return format!(
            "{title}: {} {unit} to train on, {valid} of them to validate, {test} test",
            data.train.count()
        );
    }
    format!(
        "{title}: {} {unit} train weights, {} train rows, {test} test; {} architectures, {} parameters in the supernet",
        search.weight_images(),
        search.split().architecture.len(),
        graph.count(),
        weights.stored_params(),
    )
}

impl Context<'_> {
    /// Brings a search back to a checkpoint; gives what was derived, if that was done before it.
    fn restore(
        &mut self,
        search: &mut Search,
        snapshot: &Snapshot,
        state: State,
    ) -> Result<Option<Derived>, EngineError> {
        let text = format!("going on from the checkpoint at step {}", snapshot.step);
        self.events.log(text)?;
        snapshot::load_search(search, snapshot, &state)?;
        self.tried = state.tried.clone();
        self.finals = state.finals.clone();
        self.kept = Some(Kept::of(snapshot, &state));
        Ok(state.derived)
    }

    fn finish(
        mut self,
        mut search: Search,
        derived: Option<Derived>,
    ) -> Result<Ended, EngineError> {
        let trained = self.spec.search.from_run.clone().filter(|_| search.step == 0);
        if let Some(architecture) = self.given(search.net.graph())? {
            self.start(&search, &architecture)?;
        } else if let Some(run) = trained {
            self.take_over(&mut search, &run)?;
        } else if derived.is_none() && search.searches() && !self.search(&mut search)? {
            return Ok(Ended::Stopped);
        }
        self.after(&search, derived)
    }

    fn phase(&mut self, name: PhaseName, total_steps: u64) -> Result<(), EngineError> {
        self.events.say(EventBody::Phase(Phase { name, total_steps }))
    }
}

/// Writes a search's checkpoint below a run's folder and brings another search to it, as the next
/// attempt does.
///
/// # Errors
/// - [`EngineError::Io`] if the checkpoint cannot be written, [`EngineError::Missing`] if it
///   cannot be found again.
pub fn hand_over(search: &Search, next: &mut Search, run: &Path) -> Result<(), EngineError> {
    let checkpoints = folder::attempt(run, 1).join(folder::CHECKPOINTS);
    fs::create_dir_all(&checkpoints).at(&checkpoints)?;
    snapshot::take(search, &snapshot::Done::default(), 0.0)?.write(&checkpoints)?;
    let (found, _) = newest(run, 2, next.net.compute.device)?;
    let found = found.ok_or_else(|| EngineError::Missing("checkpoint".to_owned()))?;
    snapshot::load_search(next, &found, &State::of(&found)?)
}

/// Says which checkpoints were passed over.
fn warn_of(events: &mut Events, damaged: Vec<Damaged>) -> Result<(), EngineError> {
    for bad in damaged {
        let text = format!(
            "{} cannot be used: {}; going on from the one before it",
            bad.path.display(),
            bad.reason
        );
        events.warn("checkpoint_damaged", text)?;
    }
    Ok(())
}

fn read_spec(run: &Path) -> Result<RunSpec, EngineError> {
    let path = run.join(folder::SPEC);
    let text = fs::read_to_string(&path).at(&path)?;
    let value = serde_json::from_str(&text)
        .map_err(|error| EngineError::Content { path: path.clone(), reason: error.to_string() })?;
    RunSpec::parse(&value).map_err(EngineError::Spec)
}

/// The table that the server copied into the run's folder.
fn read_benchmark(
    run: &Path,
    spec: &RunSpec,
    choices: &[Choice],
) -> Result<Option<Table>, EngineError> {
    if spec.benchmark.table.is_none() {
        return Ok(None);
    }
    let path = run.join(folder::BENCHMARK);
    let text = fs::read_to_string(&path).at(&path)?;
    let table = Table::read(&text, choices, &spec.benchmark);
    table.map(Some).map_err(|violation| EngineError::Spec(vec![violation]))
}

fn plan(spec: &RunSpec, search: &Search) -> Plan {
    let (after, images) = (&spec.after, search.split().training.len() as u64);
    let steps = |stage: Stage| stage.spec(after).epochs * images.div_ceil(after.batch_size);
    Plan {
        search: search.total_steps(),
        search_batch: spec.search.batch_size,
        select: spec.search.second_stage.candidates(),
        select_images: search.candidate_images(spec.after.recalibrate_images),
        finals: after.finalists.steps(search.weight_images() as u64, after.batch_size),
        fine_tune: steps(Stage::FineTune),
        fit: steps(Stage::FromScratch),
        fit_batch: after.batch_size,
    }
}
