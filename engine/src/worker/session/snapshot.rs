//! What a checkpoint of a run holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skein_core::event::Rung;
use tch::Tensor;

use crate::EngineError;
use crate::optim::weights::WeightOptimizer;
use crate::search::run::Search;
use crate::state::checkpoint::Snapshot;
use crate::train::fit::Fit;

/// Named tensors.
pub(super) type Tensors = BTreeMap<String, Tensor>;

/// Everything that is not a tensor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    /// Steps of the search that are done.
    pub(super) search_step: u64,
    /// Steps of the training from scratch that are done.
    pub(super) fit_step: u64,
    /// Steps of the rows' Adam.
    pub(super) arch_steps: u64,
    /// Seconds that all attempts worked.
    pub(super) worked_s: f64,
    /// What was derived, once the search is done and measured.
    pub(super) derived: Option<Derived>,
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

/// A checkpoint; `fit` once its training has begun.
pub(super) fn take(
    search: &Search,
    derived: Option<&Derived>,
    fit: Option<&Fit>,
    worked_s: f64,
) -> Result<Snapshot, EngineError> {
    let state = State {
        search_step: search.step,
        fit_step: fit.map_or(0, |fit| fit.step),
        arch_steps: search.bilevel.arch.steps,
        worked_s,
        derived: derived.cloned(),
    };
    let (net, bilevel) = (&search.net, &search.bilevel);
    let mut weights: Tensors = [
        ("supernet.weights", net.store.weights.buffer()),
        ("supernet.statistics", net.store.stats.buffer()),
        ("alpha", net.alphas.buffer()),
    ]
    .map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()))
    .into();
    let mut optimizer = Tensors::new();
    keep_all(&mut optimizer, "supernet", &bilevel.weight);
    keep(&mut optimizer, "alpha.first", bilevel.arch.means.as_ref().map(|means| &means.0));
    keep(&mut optimizer, "alpha.second", bilevel.arch.means.as_ref().map(|means| &means.1));
    keep(&mut optimizer, "search.pending", search.pending.save().as_ref());
    if let Some(fit) = fit {
        keep(&mut weights, "fit.weights", Some(fit.network.store.weights.buffer()));
        keep(&mut weights, "fit.statistics", Some(fit.network.store.stats.buffer()));
        keep(&mut optimizer, "fit.velocity", fit.sgd.velocity.as_ref());
        keep(&mut optimizer, "fit.pending", fit.pending.save().as_ref());
    }
    let state =
        serde_json::to_value(&state).map_err(|error| EngineError::Bug(error.to_string()))?;
    Ok(Snapshot { step: search.step + fit.map_or(0, |fit| fit.step), state, weights, optimizer })
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

/// Brings a search back.
pub(super) fn load_search(
    search: &mut Search,
    snapshot: &Snapshot,
    state: &State,
) -> Result<(), EngineError> {
    let need = |name: &str| {
        snapshot.weights.get(name).ok_or_else(|| EngineError::Missing(name.to_owned()))
    };
    search.net.store.weights.load(need("supernet.weights")?)?;
    search.net.store.stats.load(need("supernet.statistics")?)?;
    search.net.alphas.load(need("alpha")?)?;
    let kept = |name: &str| snapshot.optimizer.get(name).map(Tensor::copy);
    search.bilevel.weight.load(|name| kept(&format!("supernet.{name}")));
    search.bilevel.arch.means = kept("alpha.first").zip(kept("alpha.second"));
    search.bilevel.arch.steps = state.arch_steps;
    search.pending.load(snapshot.optimizer.get("search.pending"));
    search.step = state.search_step;
    Ok(())
}

/// Tensors of the training from scratch among the weights.
pub(super) fn fit_weights(snapshot: &Snapshot) -> Tensors {
    of_fit(&snapshot.weights)
}

/// Tensors of the training from scratch among the optimizer's.
pub(super) fn fit_optimizer(snapshot: &Snapshot) -> Tensors {
    of_fit(&snapshot.optimizer)
}

fn of_fit(tensors: &Tensors) -> Tensors {
    let fit = tensors.iter().filter(|(name, _)| name.starts_with("fit."));
    fit.map(|(name, tensor)| (name.clone(), tensor.copy())).collect()
}

/// Brings a training back, unless its checkpoint was taken before its first step.
pub(super) fn load_fit(
    fit: &mut Fit,
    step: u64,
    (weights, optimizer): &(Tensors, Tensors),
) -> Result<(), EngineError> {
    let (Some(content), Some(statistics)) =
        (weights.get("fit.weights"), weights.get("fit.statistics"))
    else {
        return Ok(());
    };
    fit.network.store.weights.load(content)?;
    fit.network.store.stats.load(statistics)?;
    fit.sgd.velocity = optimizer.get("fit.velocity").map(Tensor::copy);
    fit.pending.load(optimizer.get("fit.pending"));
    fit.step = step;
    Ok(())
}
