//! The search phase.

use std::collections::BTreeMap;

use skein_core::benchmark::Truth;
use skein_core::choice::Architecture;
use skein_core::event::{ArchitectureNow, Checkpoint, EventBody, Metrics, PhaseName, Rows};
use skein_core::number::Num;
use skein_core::spec::OnNonfinite;

use super::Context;
use super::snapshot::{self, Derived, Done, State};
use crate::EngineError;
use crate::search::health::{MOST_ROLLBACKS, Watched};
use crate::search::run::{Search, entropy};
use crate::search::sampler::Sampler;
use crate::state::checkpoint::{earlier, forget_after, newest_below, newest_in};
use crate::train::fit::Fit;
use crate::worker::meter::Place;

/// Steps between two reports of numbers.
pub(super) const REPORT_EVERY: u64 = 10;
/// Reports of the rows in an epoch.
const ROWS_PER_EPOCH: u64 = 10;

impl Context<'_> {
    /// Searches to the end; false if a stop was asked for.
    pub(super) fn search(&mut self, search: &mut Search) -> Result<bool, EngineError> {
        self.phase(PhaseName::Search, search.total_steps())?;
        if search.step == 0 {
            self.say_rows(search, 0)?;
            if self.goes_back() && search.total_steps() > 0 {
                self.keep(search, None, &[])?;
            }
        }
        while search.step < search.total_steps() {
            match self.step(search) {
                Ok(true) => {}
                Ok(false) => {
                    self.events.log("asked to stop; a checkpoint is on disk")?;
                    return Ok(false);
                }
                Err(error @ EngineError::NotFinite { .. }) => self.roll_back(search, error)?,
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// One iteration with everything that it says; false if a stop was asked for.
    fn step(&mut self, search: &mut Search) -> Result<bool, EngineError> {
        let (epoch, per_epoch) = (search.epoch(), search.steps_per_epoch());
        if search.step.is_multiple_of(per_epoch) {
            let shrinks = search.shrink.as_ref().and_then(|shrink| shrink.told(epoch));
            let widens = search.net.progressive().and_then(|halves| halves.told(epoch));
            shrinks.or(widens).map_or(Ok(()), |text| self.events.log(text))?;
        }
        search.iterate(&self.data.train)?;
        let ends = search.step.is_multiple_of(per_epoch);
        if ends || search.step.is_multiple_of(REPORT_EVERY) {
            let mut values = search.pending.take()?;
            values.extend(self.machine(search.input_wait.take()));
            let loss = |name: &str| values.get(name).map(|value| value.0);
            search.health.note_losses(loss("weight_loss"), loss("arch_loss"));
            self.metrics(PhaseName::Search, search.step, epoch, values)?;
        }
        if ends {
            self.end_epoch(search, epoch)?;
        } else if search.step.is_multiple_of(per_epoch.div_ceil(ROWS_PER_EPOCH)) {
            self.say_rows(search, epoch)?;
            if search.sampler(epoch) != Sampler::Uniform {
                let architecture = search.derive(&self.data, epoch)?;
                self.say_architecture(search, search.step, epoch, &architecture)?;
            }
        }
        let total = search.total_steps();
        let every = self.spec.resources.checkpoint_every;
        let stop = self.session.stop.asked() && search.step < total;
        if stop || search.step == total || search.step.is_multiple_of(every) {
            // A checkpoint must be worth going back to.
            if !search.is_finite() {
                let (what, value, step) = ("largest weight", f64::NAN, search.step);
                return Err(EngineError::NotFinite { what, value, step });
            }
            self.keep(search, None, &[])?;
        }
        if !stop {
            let (step, images) = (search.step, self.spec.search.batch_size * 2);
            let place = Place { phase: PhaseName::Search, step, total, per_epoch, images };
            self.progress(place, step == total)?;
        }
        Ok(!stop)
    }

    fn goes_back(&self) -> bool {
        self.spec.search.on_nonfinite == OnNonfinite::Rollback
    }

    /// Goes back to the newest checkpoint with half the learning rates, or gives the error back. If
    /// that one leads here again, the weights were lost before it: the one before is taken.
    fn roll_back(&mut self, search: &mut Search, error: EngineError) -> Result<(), EngineError> {
        if !self.goes_back() || search.health.rollbacks >= MOST_ROLLBACKS {
            return Err(error);
        }
        let attempt = self.session.attempt;
        let folders = earlier(&attempt.run, attempt.number + 1);
        let below = self.gone_back.unwrap_or(u64::MAX);
        let (mut found, _) = newest_below(&folders, below, self.compute.device)?;
        if found.is_none() {
            found = newest_in(&folders, self.compute.device)?.0;
        }
        let Some(snapshot) = found else { return Err(error) };
        forget_after(&attempt.checkpoints(), snapshot.step);
        self.gone_back = Some(snapshot.step);
        let state = State::of(&snapshot)?;
        let now = search.health.clone();
        snapshot::load_search(search, &snapshot, &state)?;
        let earlier = std::mem::replace(&mut search.health, now);
        search.health.roll_back(earlier);
        self.events.warn(
            "rolled_back",
            format!(
                "{error}: back to the checkpoint at step {} with {} times the learning rates ({} of {MOST_ROLLBACKS})",
                snapshot.step,
                search.health.rate(),
                search.health.rollbacks
            ),
        )
    }

    fn end_epoch(&mut self, search: &mut Search, epoch: u64) -> Result<(), EngineError> {
        let score = search.validate(&self.data, epoch)?;
        let lr = search.weight_lr(search.step.saturating_sub(1));
        let mut values: BTreeMap<String, Num> = named([
            ("valid_loss", score.loss),
            ("valid_accuracy", score.accuracy),
            ("weight_lr", lr),
        ])
        .collect();
        values.extend(self.text_values(score.loss));
        self.events.log(format!(
            "epoch {} of {}: validation accuracy {:.2} %, loss {:.4} nats",
            epoch + 1,
            self.spec.search.epochs,
            100.0 * score.accuracy,
            score.loss
        ))?;
        let sampler = search.sampler(epoch);
        let architecture = search.derive(&self.data, epoch)?;
        if sampler != Sampler::Uniform {
            values.extend(self.examine(search, epoch, &architecture)?);
        }
        values.extend(self.truth_values(&architecture));
        if let Some(penalty) = &search.bilevel.penalty {
            let (name, cost) = penalty.reading(&search.net.alphas)?;
            values.insert(name, Num(cost));
        }
        if let Sampler::Gdas { tau } = sampler {
            values.insert("temperature".to_owned(), Num(tau));
        }
        self.metrics(PhaseName::Search, search.step, epoch, values)?;
        self.say_rows(search, epoch)?;
        self.say_architecture(search, search.step, epoch, &architecture)
    }

    /// Looks for signs that the search goes wrong, or that nothing changes any more.
    fn examine(
        &mut self,
        search: &mut Search,
        epoch: u64,
        architecture: &Architecture,
    ) -> Result<Vec<(String, Num)>, EngineError> {
        let rows = search.probabilities(epoch)?;
        let patience = self.spec.search.patience_epochs;
        let choices = &search.net.graph().choices;
        let watched = Watched { choices, epochs: self.spec.search.epochs, patience };
        let (vitals, warnings) = search.health.end_epoch(watched, epoch, &rows, architecture);
        for warning in warnings {
            self.events.say(EventBody::Warning(warning))?;
        }
        if search.health.is_still(patience) && search.step < search.total_steps() {
            search.health.stopped_at = Some(search.step);
            self.events.log(format!(
                "ending after epoch {}: rows and architecture have not changed for {patience} epochs",
                epoch + 1
            ))?;
        }
        #[expect(clippy::cast_precision_loss, reason = "choices are few")]
        let flips = vitals.flips as f64;
        let mut values = vec![("entropy", entropy(&rows)), ("rank_flips", flips)];
        values.extend(vitals.skips.map(|skips| ("skip_share", skips)));
        values.extend(vitals.gap.map(|gap| ("loss_gap", gap)));
        Ok(named(values).collect())
    }

    pub(super) fn say_rows(&mut self, search: &Search, epoch: u64) -> Result<(), EngineError> {
        self.say_these_rows(search.step, epoch, search.probabilities(epoch)?)
    }

    pub(super) fn say_these_rows(
        &mut self,
        step: u64,
        epoch: u64,
        rows: Vec<Vec<f64>>,
    ) -> Result<(), EngineError> {
        let numbers = |row: Vec<f64>| row.into_iter().map(Num).collect();
        let rows = rows.into_iter().map(numbers).collect();
        self.events.say(EventBody::Rows(Rows { step, epoch, rows }))
    }

    pub(super) fn say_architecture(
        &mut self,
        search: &Search,
        step: u64,
        epoch: u64,
        architecture: &Architecture,
    ) -> Result<(), EngineError> {
        let graph = search.net.graph();
        let truth = self.truth(architecture);
        self.events.say(EventBody::Architecture(ArchitectureNow {
            step,
            epoch,
            choices: architecture.0.clone(),
            text: architecture.to_text(self.spec.space.preset(), &graph.choices),
            cost: graph.cost(architecture)?,
            true_accuracy: truth.map(|truth| Num(truth.accuracy)),
            true_rank: truth.map(|truth| truth.rank),
        }))
    }

    fn truth(&self, architecture: &Architecture) -> Option<Truth> {
        self.benchmark.as_ref().and_then(|table| table.look_up(architecture))
    }

    /// What the attached benchmark says of an architecture, as numbers for a curve.
    pub(super) fn truth_values(&self, architecture: &Architecture) -> Vec<(String, Num)> {
        let Some(truth) = self.truth(architecture) else { return vec![] };
        #[expect(clippy::cast_precision_loss, reason = "tables are far below 2^53")]
        let rank = truth.rank as f64;
        named([("true_accuracy", truth.accuracy), ("true_rank", rank)]).collect()
    }

    /// What a validation loss means for a text.
    pub(super) fn text_values(&self, loss: f64) -> Vec<(String, Num)> {
        let Some(text) = &self.data.text else { return vec![] };
        let (perplexity, bits) = text.measures(loss, false);
        named([("valid_perplexity", perplexity), ("valid_bits_per_character", bits)]).collect()
    }

    /// What is known of the machine since the last report; steps waited for this share of it.
    pub(super) fn machine(
        &mut self,
        input_wait: f64,
    ) -> impl Iterator<Item = (String, Num)> + use<> {
        named(self.load.take().into_iter().chain([("input_wait", input_wait)]))
    }

    /// Says numbers; a loss that is no number ends the run.
    pub(super) fn metrics(
        &mut self,
        phase: PhaseName,
        step: u64,
        epoch: u64,
        values: BTreeMap<String, Num>,
    ) -> Result<(), EngineError> {
        let losses = [
            ("weight_loss", "loss of the weights"),
            ("arch_loss", "loss of the rows"),
            ("loss", "loss"),
        ];
        let bad = losses.into_iter().find_map(|(name, what)| {
            let value = values.get(name)?.0;
            (!value.is_finite()).then_some((what, value))
        });
        self.events.say(EventBody::Metrics(Metrics { phase, step, epoch, values }))?;
        match bad {
            Some((what, value)) => Err(EngineError::NotFinite { what, value, step }),
            None => Ok(()),
        }
    }

    /// Writes a checkpoint.
    pub(super) fn keep(
        &mut self,
        search: &Search,
        derived: Option<&Derived>,
        fits: &[Fit],
    ) -> Result<(), EngineError> {
        self.gone_back = None;
        let done = Done { tried: &self.tried, finals: &self.finals, derived, fits };
        let snapshot = snapshot::take(search, &done, self.meter.worked_s())?;
        let folder = snapshot.write(&self.session.attempt.checkpoints())?;
        self.events.say(EventBody::Checkpoint(Checkpoint { step: snapshot.step, folder }))
    }

    pub(super) fn progress(&mut self, place: Place, always: bool) -> Result<(), EngineError> {
        match self.meter.tick(place, always) {
            Some(progress) => self.events.say(EventBody::Progress(progress)),
            None => Ok(()),
        }
    }
}

/// Numbers under their names, as events have them.
pub(super) fn named<'a>(
    values: impl IntoIterator<Item = (&'a str, f64)>,
) -> impl Iterator<Item = (String, Num)> {
    values.into_iter().map(|(name, value)| (name.to_owned(), Num(value)))
}
