//! A network while it is trained: with drop path, and perhaps an auxiliary head.

use skein_core::graph::{FixedNetwork, Graph, NodeId};
use skein_core::spaces::trained::{TrainedGraph, trained};
use skein_core::spec::RunSpec;
use tch::Tensor;

use super::ema::Ema;
use super::network::Network;
use crate::EngineError;
use crate::device::Compute;
use crate::exec::{Pass, Tape};
use crate::state::seed::Stream;

/// A network while it is trained.
#[derive(Debug)]
pub struct Trainee {
    /// The network with the rest: its weights are what is trained and what a checkpoint holds.
    pub network: Network,
    /// The network alone.
    bare: Graph,
    /// The head's class scores.
    auxiliary: Option<NodeId>,
}

/// A pass of a training.
#[derive(Debug)]
pub struct Recorded<'a> {
    /// Class scores of the network.
    pub scores: Tensor,
    /// Class scores of the head.
    pub auxiliary: Option<Tensor>,
    /// What the backward pass needs.
    pub tape: Tape<'a>,
}

impl Trainee {
    /// A network that starts from fresh weights.
    ///
    /// # Errors
    /// - [`EngineError`] if the auxiliary head does not fit, or libtorch refuses.
    pub fn fresh(
        fixed: FixedNetwork,
        spec: &RunSpec,
        seed: u64,
        compute: Compute,
    ) -> Result<Self, EngineError> {
        let TrainedGraph { graph, auxiliary } = trained(&fixed, &spec.space, &spec.after)?;
        let network = Network::fresh(graph, compute, seed)?;
        Ok(Self { network, bare: fixed.graph, auxiliary })
    }

    /// A network that starts from given weights; a head has none of them and starts afresh.
    ///
    /// # Errors
    /// - as [`Trainee::fresh`].
    pub fn tuned(
        fixed: FixedNetwork,
        start: &Network,
        spec: &RunSpec,
    ) -> Result<Self, EngineError> {
        let TrainedGraph { graph, auxiliary } = trained(&fixed, &spec.space, &spec.after)?;
        let network = start.within(graph, Some((spec.seed, Stream::FineTuneHead)), &[])?;
        Ok(Self { network, bare: fixed.graph, auxiliary })
    }

    /// Whether there is an auxiliary head.
    #[must_use]
    pub fn has_head(&self) -> bool {
        self.auxiliary.is_some()
    }

    /// Class scores of the network and, if there is one, of the head, in a pass that is
    /// differentiated afterwards.
    ///
    /// # Errors
    /// - [`EngineError`] if the store lacks a tensor.
    pub fn record(&self, x: &Tensor, pass: Pass) -> Result<Recorded<'_>, EngineError> {
        let output = self.network.graph().output;
        let ends: Vec<NodeId> = std::iter::once(output).chain(self.auxiliary).collect();
        let (values, tape) = self.network.record(&ends, x, pass)?;
        let mut values = values.into_iter();
        let scores = values.next();
        let scores = scores.ok_or_else(|| EngineError::Bug("no class scores".to_owned()))?;
        Ok(Recorded { scores, auxiliary: values.next(), tape })
    }

    /// What comes out of the training: the network alone, with weights of its own.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn result(&self) -> Result<Network, EngineError> {
        self.network.within(self.bare.clone(), None, &[])
    }

    /// The same with the average of its weights.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn averaged(&self, ema: &Ema) -> Result<Network, EngineError> {
        let mut network = self.network.emptied()?;
        ema.write(&mut network.store)?;
        network.within(self.bare.clone(), None, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::bilevel::cross_entropy;
    use serde_json::json;
    use skein_core::choice::Architecture;
    use skein_core::spaces;
    use tch::{Device, Kind};

    /// A network of eight small cells, all edges of which are separable convolutions.
    fn start(auxiliary: f64) -> (RunSpec, FixedNetwork) {
        let spec = RunSpec::parse(&json!({
            "dataset": {"id": "cifar-10"},
            "space": {"preset": "darts", "channels": 2, "cells": 8, "nodes": 1},
            "search": {"optimizer": {"kind": "drnas"}},
            "after": {"auxiliary": auxiliary}
        }));
        let spec = spec.unwrap();
        let graph = spaces::build(&spec.space, spec.shape(), spec.search.weights).unwrap();
        let all = Architecture(vec![4; graph.choices.len()]);
        let fixed = graph.specialise(&all).unwrap();
        (spec, fixed)
    }

    fn fresh(auxiliary: f64) -> Trainee {
        let (spec, fixed) = start(auxiliary);
        Trainee::fresh(fixed, &spec, spec.seed, Compute::exact()).unwrap()
    }

    fn images() -> (Tensor, Tensor) {
        let images = crate::state::seed::seeded(3, Device::Cpu, || {
            Tensor::randn([6, 3, 32, 32], (Kind::Double, Device::Cpu))
        });
        (images, Tensor::from_slice(&[0_i64, 1, 2, 3, 4, 5]))
    }

    /// Names of the trained tensors that a loss has a gradient for.
    fn reached(trainee: &Trainee, loss: &Tensor) -> Vec<String> {
        let weights = &trainee.network.store.weights;
        let parts = Tensor::run_backward(&[loss], weights.views(), true, false);
        let nonzero = |part: &Tensor| part.defined() && part.abs().max().double_value(&[]) > 0.0;
        let named = weights.params().iter().zip(&parts).filter(|(_, part)| nonzero(part));
        named.map(|(param, _)| param.name.clone()).collect()
    }

    #[test]
    fn the_heads_loss_trains_the_head_and_the_cells_before_it() {
        let trainee = fresh(0.4);
        let (x, y) = images();
        let Recorded { scores, auxiliary, .. } = trainee.record(&x, Pass::train(1)).unwrap();
        let auxiliary = auxiliary.unwrap();
        assert_eq!((scores.size(), auxiliary.size()), (vec![6, 10], vec![6, 10]));
        let by_head = reached(&trainee, &cross_entropy(&auxiliary, &y));
        let by_network = reached(&trainee, &cross_entropy(&scores, &y));
        let any = |names: &[String], of: &str| names.iter().any(|name| name.starts_with(of));
        for part in [
            "stem.",
            "cell0.",
            "cell4.",
            "cell5.",
            "auxiliary.conv1",
            "auxiliary.conv2",
            "auxiliary.classifier",
        ] {
            assert!(any(&by_head, part), "{part}: {by_head:?}");
        }
        for part in ["cell6.", "cell7.", "head."] {
            assert!(!any(&by_head, part), "{part}: {by_head:?}");
            assert!(any(&by_network, part), "{part}: {by_network:?}");
        }
        assert!(!any(&by_network, "auxiliary."));
    }

    /// The head reads a cell in the middle, so its scores come from an early segment.
    #[test]
    fn a_training_that_computes_again_has_the_same_gradients() {
        let (x, y) = images();
        let gradient = |keep: f64| {
            let mut trainee = fresh(0.4);
            trainee.network.recompute(keep).unwrap();
            let Recorded { scores, auxiliary, tape } = trainee.record(&x, Pass::train(1)).unwrap();
            let loss = cross_entropy(&scores, &y) + cross_entropy(&auxiliary.unwrap(), &y) * 0.4;
            (tape.segments(), tape.weights(&loss).unwrap().flat, loss)
        };
        let (whole, cut) = (gradient(1.0), gradient(0.0));
        assert!(whole.0 == 1 && cut.0 > 2, "{} segments", cut.0);
        assert_eq!(whole.2, cut.2);
        let scale = whole.1.abs().max().double_value(&[]);
        let error = (&whole.1 - &cut.1).abs().max().double_value(&[]) / scale;
        assert!(error < 1e-12, "{error:e}");
    }

    /// The published head, written down with libtorch's functions alone.
    #[test]
    fn the_head_computes_what_the_published_one_does() {
        let trainee = fresh(0.4);
        let (x, _) = images();
        let scores = trainee.record(&x, Pass::train(1)).unwrap().auxiliary;
        let network = &trainee.network;
        let cell = network.graph().nodes.iter().position(|node| node.name == "cell5.out").unwrap();
        let map = network.record(&[cell], &x, Pass::train(1)).unwrap().0.remove(0);
        assert_eq!(map.size(), [6, 8, 8, 8]);
        let get = |name: &str| network.store.get(&format!("auxiliary.{name}")).unwrap();
        let norm = |x: Tensor, scale: &str, shift: &str| {
            let nothing = None::<Tensor>;
            let (scale, shift) = (Some(get(scale)), Some(get(shift)));
            x.batch_norm(scale, shift, nothing.as_ref(), None, true, 0.1, 1e-5, true)
        };
        let x = map.relu().avg_pool2d(5, 3, 0, false, false, None);
        let x = x.conv2d(get("conv1.weight"), None::<Tensor>, 1, 0, 1, 1);
        let x = norm(x, "bn1.weight", "bn1.bias").relu();
        let x = x.conv2d(get("conv2.weight"), None::<Tensor>, 1, 0, 1, 1);
        let x = norm(x, "bn2.weight", "bn2.bias").relu();
        assert_eq!(x.size(), [6, 768, 1, 1]);
        let by_hand =
            x.view([6, -1]).linear(get("classifier.weight"), Some(get("classifier.bias")));
        let error = (by_hand - scores.unwrap()).abs().max().double_value(&[]);
        assert!(error < 1e-12, "{error:e}");
    }

    #[test]
    fn the_network_itself_knows_nothing_of_its_head() {
        let (with, without) = (fresh(0.4), fresh(0.0));
        assert!(with.has_head() && !without.has_head());
        let (x, _) = images();
        let scores = |network: &Network, pass| network.forward(&x, pass).unwrap();
        for pass in [Pass::EVALUATE, Pass::BATCH, Pass::train(1)] {
            assert_eq!(scores(&with.network, pass), scores(&without.network, pass));
        }
        let result = with.result().unwrap();
        assert_eq!(result.graph(), without.network.graph());
        assert_eq!(result.store.weights.buffer(), without.network.store.weights.buffer());
        assert_eq!(result.store.stats.buffer(), without.network.store.stats.buffer());
        let mut ema = Ema::new(0.5, &with.network.store);
        ema.weights = ema.weights.full_like(3.0);
        let averaged = with.averaged(&ema).unwrap();
        assert_eq!(averaged.graph(), without.network.graph());
        for weight in averaged.store.weights.views() {
            assert_eq!(weight, &weight.full_like(3.0));
        }
    }

    #[test]
    fn a_fine_tuning_keeps_the_weights_and_draws_a_head() {
        let bare = fresh(0.0).network;
        let (spec, fixed) = start(0.4);
        let tuned = Trainee::tuned(fixed, &bare, &spec).unwrap();
        let kept = tuned.result().unwrap();
        assert_eq!(kept.store.weights.buffer(), bare.store.weights.buffer());
        assert_eq!(kept.store.stats.buffer(), bare.store.stats.buffer());
        let drawn = tuned.network.store.get("auxiliary.conv2.weight").unwrap();
        // Uniform in ±1/√(128·2·2).
        let (largest, bound) = (drawn.abs().max().double_value(&[]), 512_f64.sqrt().recip());
        assert!(largest <= bound && largest > 0.99 * bound, "{largest}");
    }
}
