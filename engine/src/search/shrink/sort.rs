//! Channels in the order of what they count for, so that the first ones are kept.
//!
//! Before a width shrinks, its channels are sorted by the L1 norm of the weights that read them.
//! Everything that holds them moves alike: weights, statistics, and what the optimizer keeps. Only
//! channels between two sizes that were trained already change places, so that no network trained
//! so far computes anything else.

use skein_core::graph::{Channels, Size};
use skein_core::shrink::Stage;
use tch::{Kind, Tensor};

use crate::EngineError;
use crate::optim::weights::WeightOptimizer;
use crate::search::supernet::Supernet;
use crate::store::Flat;

/// Sorts the channels of every width that a stage admits more sizes of than the one before.
///
/// # Errors
/// - [`EngineError`] if libtorch refuses.
pub fn sort(
    (net, optimizer): (&Supernet, &WeightOptimizer),
    channels: &[Channels],
    (before, stage): (&Stage, &Stage),
) -> Result<(), EngineError> {
    let (weights, stats) = (&net.store.weights, &net.store.stats);
    let kept = optimizer.save().into_values();
    let states: Vec<Tensor> =
        kept.filter(|state| state.size() == weights.buffer().size()).collect();
    for one in channels {
        let shrinks = |choice: &usize| before.smallest[*choice] != stage.smallest[*choice];
        if !one.size.choices().iter().any(shrinks) {
            continue;
        }
        let order = order(&importance(weights, one)?, &trained(&one.size, before));
        let order = Tensor::from_slice(&order).to_device(net.compute.device);
        for (name, dim) in &one.dims {
            if weights.get(name).is_err() {
                permute(stats, stats.buffer(), (name, *dim), &order)?;
                continue;
            }
            for flat in states.iter().chain([weights.buffer()]) {
                permute(weights, flat, (name, *dim), &order)?;
            }
        }
    }
    Ok(())
}

/// The L1 norm of all weights that read each channel.
fn importance(weights: &Flat, channels: &Channels) -> Result<Vec<f64>, EngineError> {
    let mut sum: Option<Tensor> = None;
    for (name, dim) in &channels.read {
        let weight = weights.part_of(weights.buffer(), name)?;
        let others: Vec<i64> =
            (0..).take(weight.dim()).filter(|at| usize::try_from(*at) != Ok(*dim)).collect();
        let own = weight.abs().sum_dim_intlist(others.as_slice(), false, Kind::Double);
        sum = Some(sum.map_or_else(|| own.shallow_clone(), |sum| sum + &own));
    }
    let sum = sum.ok_or_else(|| EngineError::Bug("channels that nothing reads".to_owned()))?;
    Ok(Vec::<f64>::try_from(sum.to_device(tch::Device::Cpu))?)
}

/// The sizes that a stage admits, smallest first, the largest among them.
fn trained(size: &Size, stage: &Stage) -> Vec<i64> {
    let admitted = size.values().into_iter().filter_map(|(options, size)| {
        options.iter().all(|(choice, option)| stage.admits(*choice, *option)).then_some(size)
    });
    let mut sizes: Vec<i64> = admitted.chain([size.largest()]).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// For every place the channel that comes there: the most important first, but none beyond a size
/// that it was within. Of equals, the first comes first.
fn order(importance: &[f64], sizes: &[i64]) -> Vec<i64> {
    let count = i64::try_from(importance.len()).unwrap_or(0);
    let mut order: Vec<i64> = (0..count).collect();
    let of = |channel: &i64| importance[usize::try_from(*channel).unwrap_or(0)];
    let mut first = 0;
    for end in sizes.iter().filter_map(|size| usize::try_from(*size).ok()) {
        order[first..end].sort_by(|a, b| of(b).total_cmp(&of(a)));
        first = end;
    }
    order
}

/// Reorders one dimension of a tensor's part of a flat tensor.
fn permute(
    layout: &Flat,
    flat: &Tensor,
    (name, dim): (&str, usize),
    order: &Tensor,
) -> Result<(), EngineError> {
    tch::no_grad(|| {
        let mut part = layout.part_of(flat, name)?;
        let moved = part.f_index_select(i64::try_from(dim).unwrap_or(0), order)?;
        part.f_copy_(&moved)?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use skein_core::shrink::Stages;
    use skein_core::spec::{Fidelity, WeightOptimizerSpec};

    use super::*;
    use crate::certify::shrinking::{network, outputs, shake, sub_nets};
    use crate::device::Compute;
    use crate::optim::weights::Decay;

    /// An optimizer whose states are the weights themselves.
    fn twin(net: &Supernet, spec: &WeightOptimizerSpec) -> WeightOptimizer {
        let mut optimizer = WeightOptimizer::new(spec, Decay::all(0.0));
        optimizer.load(|name| {
            Some(match name {
                "steps" => Tensor::from(3_i64),
                _ => net.store.weights.buffer().copy(),
            })
        });
        optimizer
    }

    #[track_caller]
    fn assert_sorted(net: &Supernet, one: &Channels, sizes: &[i64]) {
        let importance = importance(&net.store.weights, one).unwrap();
        let mut first = 0;
        for end in sizes.iter().map(|size| usize::try_from(*size).unwrap()) {
            let part = &importance[first..end];
            assert!(part.is_sorted_by(|a, b| a >= b), "{:?}: {part:?}", one.dims[0]);
            first = end;
        }
    }

    /// Through all stages: what was trained computes what it did, and what shrinks is in order.
    #[rstest]
    fn sorting_changes_no_network_that_was_trained(
        #[values("mobilenet-v3", "conv-macro", "autoformer-t", "language", "language-char")]
        preset: &str,
        #[values(Fidelity::Corrected, Fidelity::Reference)] fidelity: Fidelity,
        #[values(
            WeightOptimizerSpec::Sgd { momentum: 0.9, nesterov: true },
            WeightOptimizerSpec::Adam { beta1: 0.9, beta2: 0.99 }
        )]
        spec: WeightOptimizerSpec,
    ) {
        let (mut net, x) = network(preset, fidelity, Compute::exact()).unwrap();
        let graph = net.graph().clone();
        let channels = graph.channels();
        let stages = Stages::over(&graph.choices, 100).unwrap();
        let mut sorted = 0;
        for (pair, seed) in stages.all().windows(2).zip(1..) {
            shake(&mut net.store, seed).unwrap();
            let optimizer = twin(&net, &spec);
            let paths = sub_nets(&graph, &stages, &pair[0]);
            let before = outputs(&net, &x, &paths).unwrap();
            let weights = net.store.weights.buffer().copy();
            sort((&net, &optimizer), &channels, (&pair[0], &pair[1])).unwrap();
            let after = outputs(&net, &x, &paths).unwrap();
            let error = (after - &before).abs().max().double_value(&[]);
            let scale = before.abs().max().double_value(&[]);
            assert!(error < 1e-11 * scale.max(1.0), "{preset}: {error} of {scale}");
            let shrinking = channels.iter().filter(|one| {
                let changes = |id: &usize| pair[0].smallest[*id] != pair[1].smallest[*id];
                one.size.choices().iter().any(changes)
            });
            let mut moves = false;
            for one in shrinking {
                assert_sorted(&net, one, &trained(&one.size, &pair[0]));
                moves = true;
            }
            sorted += usize::from(moves);
            assert_eq!(weights != *net.store.weights.buffer(), moves, "{preset}");
            for (name, state) in optimizer.save() {
                let moved = name == "steps" || &state == net.store.weights.buffer();
                assert!(moved, "{preset}: {name} stayed behind");
            }
        }
        assert!(sorted > 0, "{preset}");
    }

    /// Channels stay within the sizes that were trained, and equals keep their order.
    #[test]
    fn the_first_channels_are_the_important_ones() {
        assert_eq!(order(&[1.0, 3.0, 2.0, 3.0], &[4]), [1, 3, 2, 0]);
        assert_eq!(order(&[1.0, 3.0, 2.0, 3.0], &[1, 3, 4]), [0, 1, 2, 3]);
        assert_eq!(order(&[1.0, 2.0, 3.0, 4.0, 5.0], &[3, 5]), [2, 1, 0, 4, 3]);
    }
}
