//! Sorting channels before widths shrink changes no network that was trained so far.

use skein_core::choice::Architecture;
use skein_core::graph::Graph;
use skein_core::shrink::{Stage, Stages};
use skein_core::spaces::build;
use skein_core::spec::{Fidelity, Sharing, WeightOptimizerSpec};
use tch::Tensor;

use super::small;
use crate::EngineError;
use crate::device::Compute;
use crate::exec::{Executor, Pass, Plan};
use crate::optim::weights::{Decay, WeightOptimizer};
use crate::rows::Alphas;
use crate::search::shrink::sort::sort;
use crate::search::shrink::sub_net;
use crate::search::supernet::Supernet;
use crate::state::seed::{Stream, generator, seeded};
use crate::store::Store;

/// The space that this is proven in.
pub const SPACE: &str = "mobilenet-v3";
/// Sub-nets that are compared in each stage, beside the largest network.
const SUB_NETS: usize = 6;
/// Epochs that the stages share.
const EPOCHS: u64 = 100;

/// The largest difference of an output before and after the channels are sorted, relative where an
/// output exceeds 1, over sub-nets of each stage.
///
/// # Errors
/// - [`EngineError`] if the space is unknown or cannot shrink, or libtorch refuses.
pub fn largest_error(preset: &str, compute: Compute) -> Result<f64, EngineError> {
    let (mut net, x) = network(preset, Fidelity::Corrected, compute)?;
    let graph = net.graph().clone();
    let channels = graph.channels();
    let stages = Stages::over(&graph.choices, EPOCHS)
        .ok_or_else(|| EngineError::Missing(format!("stages of {preset}")))?;
    let spec = WeightOptimizerSpec::Sgd { momentum: 0.9, nesterov: true };
    let optimizer = WeightOptimizer::new(&spec, Decay::all(0.0));
    let mut worst = 0.0_f64;
    for (pair, seed) in stages.all().windows(2).zip(1..) {
        shake(&mut net.store, seed)?;
        let paths = sub_nets(&graph, &stages, &pair[0]);
        let before = outputs(&net, &x, &paths)?;
        sort((&net, &optimizer), &channels, (&pair[0], &pair[1]))?;
        let error = (outputs(&net, &x, &paths)? - &before).abs().max().f_double_value(&[])?;
        let scale = before.abs().max().f_double_value(&[])?;
        let error = error / scale.max(1.0);
        worst = if error.is_nan() { return Ok(error) } else { worst.max(error) };
    }
    Ok(worst)
}

/// A small supernet, with weights of zero, and an input.
///
/// # Errors
/// - [`EngineError`] if the space is unknown, or libtorch refuses.
pub fn network(
    preset: &str,
    fidelity: Fidelity,
    compute: Compute,
) -> Result<(Supernet, Tensor), EngineError> {
    let (space, shape) = small::space(preset)?;
    let graph = build(&space, shape, Sharing::Entangled)?;
    let store = Store::zeroed(&graph, compute);
    let x = small::noise(&graph, shape.classes, 3, compute)?;
    let alphas = Alphas::zeroed(&graph.choices, compute.device);
    let exec = Executor::new(graph, Sharing::Entangled, fidelity, compute)?;
    Ok((Supernet::new(exec, store, alphas, compute), x))
}

/// Noise in every tensor, so that nothing that must move looks alike.
///
/// # Errors
/// - [`EngineError::Tensor`] if memory runs out.
pub fn shake(store: &mut Store, seed: u64) -> Result<(), EngineError> {
    let noise = |seed, like: &Tensor| seeded(seed, like.device(), || like.detach().f_randn_like());
    let weights = noise(2 * seed, store.weights.buffer())?;
    let stats = noise(2 * seed + 1, store.stats.buffer())?;
    store.weights.load(&(weights * 0.3))?;
    store.stats.load(&(stats.abs() + 0.5))
}

/// What sub-nets compute, by running statistics and by the batch's own.
///
/// # Errors
/// - [`EngineError`] if libtorch refuses.
pub fn outputs(net: &Supernet, x: &Tensor, paths: &[Architecture]) -> Result<Tensor, EngineError> {
    let _guard = tch::no_grad_guard();
    let mut all = Vec::new();
    for path in paths {
        for pass in [Pass::EVALUATE, Pass::BATCH] {
            all.push(net.exec.forward(&net.store, x, Plan::Path(path, None), pass)?);
        }
    }
    Ok(Tensor::f_stack(&all, 0)?)
}

/// The largest network and some others of a stage.
#[must_use]
pub fn sub_nets(graph: &Graph, stages: &Stages, stage: &Stage) -> Vec<Architecture> {
    let options: Vec<usize> = graph.choices.iter().map(|choice| choice.options.len()).collect();
    let mut generator = generator(4, Stream::Candidates, 0);
    let others = (0..SUB_NETS).map(|_| sub_net(stage, &options, &mut generator));
    std::iter::once(stages.largest()).chain(others).collect()
}
