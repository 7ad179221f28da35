//! What a checkpoint of a run holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skein_core::event::Rung;
use tch::Tensor;

use crate::EngineError;
use crate::optim::weights::WeightOptimizer;
use crate::search::evolve::Tried;
use crate::search::health::Health;
use crate::search::run::Search;
use crate::search::shrink::Shrink;
use crate::state::checkpoint::Snapshot;
use crate::store::Store;
use crate::train::fit::Fit;
use crate::train::stage::Stage;
use crate::train::tournament::Played;

/// Named tensors.
pub(super) type Tensors = BTreeMap<String, Tensor>;

/// Everything that is not a tensor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    /// Steps of the search that are done.
    pub(super) search_step: u64,
    /// Steps of each training after the search that has begun.
    pub(super) fit_steps: BTreeMap<Stage, u64>,
    /// Steps of the rows' Adam.
    pub(super) arch_steps: u64,
    /// Seconds that all attempts worked.
    pub(super) worked_s: f64,
    /// Signs that the search goes wrong.
    #[serde(default)]
    pub(super) health: Health,
    /// Operations that are left in the second half of a search of partial channels.
    #[serde(default)]
    pub(super) kept: Option<Vec<Vec<usize>>>,
    /// Candidates of the second stage so far.
    #[serde(default)]
    pub(super) tried: Vec<Tried>,
    /// Trainings of finalists that have ended.
    #[serde(default)]
    pub(super) finals: Vec<Played>,
    /// What was derived, once the search is done and measured.
    pub(super) derived: Option<Derived>,
}

/// How far a run is beyond its search.
#[derive(Debug, Default)]
pub(super) struct Done<'a> {
    /// Candidates of the second stage so far.
    pub(super) tried: &'a [Tried],
    /// Trainings of finalists that have ended.
    pub(super) finals: &'a [Played],
    /// What was derived.
    pub(super) derived: Option<&'a Derived>,
    /// The trainings that have begun.
    pub(super) fits: &'a [Fit],
}

/// What a search found, and how it was measured so far.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Derived {
    /// One option per choice.
    pub(super) choices: Vec<usize>,
    /// Measurements with inherited weights.
    pub(super) ladder: Vec<Rung>,
}

impl State {
    pub(super) fn of(snapshot: &Snapshot) -> Result<Self, EngineError> {
        serde_json::from_value(snapshot.state.clone()).map_err(|error| {
            EngineError::Bug(format!("the checkpoint's state cannot be read: {error}"))
        })
    }
}

/// A checkpoint.
pub(super) fn take(
    search: &Search,
    done: &Done<'_>,
    worked_s: f64,
) -> Result<Snapshot, EngineError> {
    let &Done { tried, finals, derived, fits } = done;
    let state = State {
        search_step: search.step,
        fit_steps: fits.iter().map(|fit| (fit.stage, fit.step)).collect(),
        arch_steps: search.bilevel.arch.steps,
        worked_s,
        health: search.health.clone(),
        kept: search.net.progressive().and_then(|halves| halves.kept().cloned()),
        tried: tried.to_vec(),
        finals: finals.to_vec(),
        derived: derived.cloned(),
    };
    let (net, bilevel) = (&search.net, &search.bilevel);
    let mut weights = Tensors::new();
    if search.searches() {
        keep(&mut weights, "supernet.weights", Some(net.store.weights.buffer()));
        keep(&mut weights, "supernet.statistics", Some(net.store.stats.buffer()));
        keep(&mut weights, "alpha", Some(net.alphas.buffer()));
    }
    if let Some(teacher) = search.shrink.as_ref().and_then(Shrink::teacher) {
        // Nothing is taught once the search is over.
        if search.step < search.total_steps() {
            keep(&mut weights, "teacher.weights", Some(teacher.weights.buffer()));
            keep(&mut weights, "teacher.statistics", Some(teacher.stats.buffer()));
        }
    }
    let mut optimizer = Tensors::new();
    keep_all(&mut optimizer, "supernet", &bilevel.weight);
    keep(&mut optimizer, "alpha.first", bilevel.arch.means.as_ref().map(|means| &means.0));
    keep(&mut optimizer, "alpha.second", bilevel.arch.means.as_ref().map(|means| &means.1));
    keep(&mut optimizer, "search.pending", search.pending.save().as_ref());
    for fit in fits {
        let name = |part: &str| format!("{}.{part}", fit.stage.key());
        let store = &fit.trainee.network.store;
        keep(&mut weights, &name("weights"), Some(store.weights.buffer()));
        keep(&mut weights, &name("statistics"), Some(store.stats.buffer()));
        keep(&mut weights, &name("ema.weights"), fit.ema.as_ref().map(|ema| &ema.weights));
        keep(&mut weights, &name("ema.statistics"), fit.ema.as_ref().map(|ema| &ema.stats));
        keep_all(&mut optimizer, fit.stage.key(), &fit.optimizer);
        keep(&mut optimizer, &name("pending"), fit.pending.save().as_ref());
    }
    let state =
        serde_json::to_value(&state).map_err(|error| EngineError::Bug(error.to_string()))?;
    let step = search.step
        + tried.len() as u64
        + finals.iter().map(|played| played.steps).sum::<u64>()
        + fits.iter().map(|fit| fit.step).sum::<u64>();
    Ok(Snapshot { step, state, weights, optimizer })
}

fn keep_all(tensors: &mut Tensors, of: &str, optimizer: &WeightOptimizer) {
    let state = optimizer.save().into_iter();
    tensors.extend(state.map(|(name, tensor)| (format!("{of}.{name}"), tensor)));
}

fn keep(tensors: &mut Tensors, name: &str, tensor: Option<&Tensor>) {
    if let Some(tensor) = tensor {
        tensors.insert(name.to_owned(), tensor.shallow_clone());
    }
}

/// Brings the weights and statistics of a supernet back.
pub(super) fn load_supernet(store: &mut Store, snapshot: &Snapshot) -> Result<(), EngineError> {
    let need = |name: &str| {
        snapshot.weights.get(name).ok_or_else(|| EngineError::Missing(name.to_owned()))
    };
    store.weights.load(need("supernet.weights")?)?;
    store.stats.load(need("supernet.statistics")?)
}

/// Brings a search back.
pub(super) fn load_search(
    search: &mut Search,
    snapshot: &Snapshot,
    state: &State,
) -> Result<(), EngineError> {
    if search.searches() {
        search.go_over(state.kept.clone())?;
        load_supernet(&mut search.net.store, snapshot)?;
        let alpha = snapshot.weights.get("alpha");
        search.net.alphas.load(alpha.ok_or_else(|| EngineError::Missing("alpha".to_owned()))?)?;
    }
    let kept = |name: &str| snapshot.optimizer.get(name).map(Tensor::copy);
    let weights = &search.net.store.weights;
    search.bilevel.weight.load(|name| Some(weights.spread(&kept(&format!("supernet.{name}"))?)));
    search.bilevel.arch.means = kept("alpha.first").zip(kept("alpha.second"));
    search.bilevel.arch.steps = state.arch_steps;
    search.pending.load(snapshot.optimizer.get("search.pending"));
    if let Some(shrink) = &mut search.shrink {
        let kept = |part: &str| snapshot.weights.get(&format!("teacher.{part}"));
        shrink.load_teacher(&search.net, kept("weights").zip(kept("statistics")))?;
    }
    search.step = state.search_step;
    search.health = state.health.clone();
    Ok(())
}

/// What a checkpoint holds of the trainings after the search.
pub(super) struct Kept {
    steps: BTreeMap<Stage, u64>,
    weights: Tensors,
    optimizer: Tensors,
}

impl Kept {
    pub(super) fn of(snapshot: &Snapshot, state: &State) -> Self {
        let steps = state.fit_steps.clone();
        let of_fits = |tensors: &Tensors| -> Tensors {
            let begun = |name: &str| {
                name.split_once('.')
                    .is_some_and(|(first, _)| steps.keys().any(|stage| stage.key() == first))
            };
            let kept = tensors.iter().filter(|(name, _)| begun(name));
            kept.map(|(name, tensor)| (name.clone(), tensor.copy())).collect()
        };
        Self { weights: of_fits(&snapshot.weights), optimizer: of_fits(&snapshot.optimizer), steps }
    }

    /// Brings a training back, unless the checkpoint was taken before its first step.
    pub(super) fn load_fit(&self, fit: &mut Fit) -> Result<(), EngineError> {
        let Some(step) = self.steps.get(&fit.stage) else { return Ok(()) };
        let need = |part: &str| {
            let name = format!("{}.{part}", fit.stage.key());
            self.weights.get(&name).ok_or(EngineError::Missing(name))
        };
        let kept = |part: &str| {
            self.optimizer.get(&format!("{}.{part}", fit.stage.key())).map(Tensor::copy)
        };
        let store = &mut fit.trainee.network.store;
        store.weights.load(need("weights")?)?;
        store.stats.load(need("statistics")?)?;
        if let Some(ema) = &mut fit.ema {
            ema.weights = store.weights.spread(need("ema.weights")?).copy();
            ema.stats = store.stats.spread(need("ema.statistics")?).copy();
        }
        fit.optimizer.load(|part| Some(store.weights.spread(&kept(part)?)));
        fit.pending.load(kept("pending").as_ref());
        fit.step = *step;
        Ok(())
    }
}
