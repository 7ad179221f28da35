//! A fixed network with its weights.

use skein_core::choice::Architecture;
use skein_core::graph::{FixedNetwork, Graph, NodeId};
use tch::Tensor;

use crate::EngineError;
use crate::data::Examples;
use crate::device::Compute;
use crate::exec::{Executor, Pass, Plan, Tape};
use crate::nodes::norm::Statistics;
use crate::search::bilevel::Batch;
use crate::state::seed::Stream;
use crate::store::Store;
use crate::train::evaluate::{Score, evaluate_telling};

/// A network without choices.
#[derive(Debug)]
pub struct Network {
    exec: Executor,
    compute: Compute,
    /// Its weights and statistics.
    pub store: Store,
    nothing: Architecture,
}

impl Network {
    /// A network with the weights that it inherits from a supernet.
    ///
    /// # Errors
    /// - [`EngineError`] if it does not stem from that supernet.
    pub fn inherited(
        fixed: FixedNetwork,
        supernet: &Store,
        compute: Compute,
    ) -> Result<Self, EngineError> {
        let store = supernet.inherit(&fixed, compute)?;
        Self::with(fixed.graph, store, compute)
    }

    /// A network with fresh weights.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn fresh(graph: Graph, compute: Compute, seed: u64) -> Result<Self, EngineError> {
        let store = Store::initialised(&graph, compute, seed, Stream::FitWeights)?;
        Self::with(graph, store, compute)
    }

    /// A network with given weights.
    ///
    /// # Errors
    /// - [`EngineError`] if the graph cannot be executed.
    pub fn with(graph: Graph, store: Store, compute: Compute) -> Result<Self, EngineError> {
        let exec = Executor::fixed(graph, compute)?;
        Ok(Self { exec, compute, store, nothing: Architecture(vec![]) })
    }

    /// The same network with zeros for weights.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn emptied(&self) -> Result<Self, EngineError> {
        let (graph, compute) = (self.graph().clone(), self.compute);
        let store = Store::zeroed(&graph, compute);
        Self::with(graph, store, compute)
    }

    /// The same network on the CPU in double precision, which computes products in full.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn exactly(&self) -> Result<Self, EngineError> {
        let compute = Compute::exact();
        let store = Store::zeroed(self.graph(), compute);
        store.take_over(&self.store, &[])?;
        Ok(Self::with(self.graph().clone(), store, compute)?.held())
    }

    /// The network of another graph with this one's tensors, as far as it has them and they are not
    /// among `but`; the others start as `start` draws them, or at zero.
    ///
    /// # Errors
    /// - [`EngineError::Shape`] if two tensors of one name differ.
    pub fn within(
        &self,
        graph: Graph,
        start: Option<(u64, Stream)>,
        but: &[String],
    ) -> Result<Self, EngineError> {
        let store = match start {
            Some((seed, stream)) => Store::initialised(&graph, self.compute, seed, stream)?,
            None => Store::zeroed(&graph, self.compute),
        };
        store.take_over(&self.store, but)?;
        Self::with(graph, store, self.compute)
    }

    /// The same network, through which no gradients flow.
    #[must_use]
    pub fn held(self) -> Self {
        Self { store: self.store.held(), ..self }
    }

    /// The graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        self.exec.graph()
    }

    /// Class scores `[batch, classes]` of images `[batch, channels, height, width]`.
    ///
    /// # Errors
    /// - [`EngineError`] if the store lacks a tensor.
    pub fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor, EngineError> {
        self.exec.forward(&self.store, x, Plan::Path(&self.nothing, None), pass)
    }

    /// The values of some nodes in one pass that is differentiated afterwards.
    ///
    /// # Errors
    /// - [`EngineError`] if the store lacks a tensor.
    pub fn record(
        &self,
        ends: &[NodeId],
        x: &Tensor,
        pass: Pass,
    ) -> Result<(Vec<Tensor>, Tape<'_>), EngineError> {
        self.exec.record(&self.store, x, (Plan::Path(&self.nothing, None), pass), ends)
    }

    /// Lets recorded passes keep about this share of what their backward pass needs.
    ///
    /// # Errors
    /// - [`EngineError::Graph`] if the graph does not fit itself.
    pub fn recompute(&mut self, keep: f64) -> Result<(), EngineError> {
        self.exec.recompute(keep)
    }

    /// Loss and accuracy with running statistics.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn score(
        &self,
        images: &Examples,
        positions: &[i64],
        batch: usize,
    ) -> Result<Score, EngineError> {
        self.score_telling(images, positions, batch, |_| Ok(()))
    }

    /// The same; `tell` hears after each batch how many examples are scored.
    ///
    /// # Errors
    /// - as [`Network::score`], and whatever `tell` returns.
    pub fn score_telling(
        &self,
        images: &Examples,
        positions: &[i64],
        batch: usize,
        tell: impl FnMut(usize) -> Result<(), EngineError>,
    ) -> Result<Score, EngineError> {
        let forward = |batch: &Batch, _| self.forward(&batch.x, Pass::EVALUATE);
        evaluate_telling(images, positions, batch, forward, tell)
    }

    /// Whether it has batch norms, whose statistics can be estimated anew.
    #[must_use]
    pub fn has_statistics(&self) -> bool {
        !self.store.stats.params().is_empty()
    }

    /// Estimates batch norm's statistics anew, as the mean over batches of these images;
    /// a network without any stays as it is.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn recalibrate(
        &mut self,
        images: &Examples,
        positions: &[i64],
        batch: usize,
    ) -> Result<(), EngineError> {
        if !self.has_statistics() {
            return Ok(());
        }
        let _guard = tch::no_grad_guard();
        for (positions, index) in positions.chunks(batch).zip(1..) {
            let pass = Pass { statistics: Statistics::Estimate(index), ..Pass::EVALUATE };
            let _ = self.forward(&images.batch(positions)?.x, pass)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_core::choice::ChoiceId;
    use skein_core::graph::{Add, Builder, Op};
    use skein_core::spaces::cell::{Catalogue, Edge, Operation};
    use skein_core::spec::Sharing;
    use tch::{Device, Kind};

    const P: f64 = 0.4;
    const IMAGES: i64 = 1 << 14;

    /// Two parallel edges from the input, summed; each is the identity or a pooling, which leaves
    /// a map of ones as it is. Drop path rises to [`P`].
    fn sum_of(operations: [usize; 2]) -> Network {
        let catalogue = Catalogue {
            operations: vec![Operation::Skip, Operation::AvgPool],
            sharing: Sharing::Entangled,
            affine: false,
            pool_norm: false,
            conv_bias: false,
        };
        let mut builder = Builder::new(vec![2, 3, 3]);
        let mut edge = |name: &str| {
            let choice: ChoiceId = builder.choice(catalogue.choice("cell", name, (0, 1)));
            let edge = Edge { name: name.to_owned(), choice, channels: 2, stride: 1 };
            let input = builder.input();
            catalogue.edge(&mut builder, &edge, input)
        };
        let terms = [edge("a"), edge("b")];
        let out = builder.add("sum", Op::Add(Add), &terms);
        let fixed = builder.finish(out).unwrap().specialise(&Architecture(operations.to_vec()));
        let graph = fixed.unwrap().with_drop_path(P).unwrap();
        let store = Store::zeroed(&graph, Compute::exact());
        Network::with(graph, store, Compute::exact()).unwrap()
    }

    /// The output on ones, a row an image.
    fn rows(network: &Network, pass: Pass) -> Vec<Vec<f64>> {
        let x = Tensor::ones([IMAGES, 2, 3, 3], (Kind::Double, Device::Cpu));
        let out = network.forward(&x, pass).unwrap();
        Vec::<f64>::try_from(out.reshape([-1])).unwrap().chunks(18).map(<[f64]>::to_vec).collect()
    }

    #[test]
    fn an_operation_is_dropped_for_whole_images_and_scaled_up_for_the_others() {
        let network = sum_of([0, 1]);
        for risen in [0.5, 1.0] {
            let rows = rows(&network, Pass::train(7).risen(risen));
            let p = P * risen;
            let kept = 1.0 + 1.0 / (1.0 - p);
            let mut dropped = 0.0;
            let mut total = 0.0;
            for row in &rows {
                assert!(row.iter().all(|value| value == &row[0]), "one image, two masks: {row:?}");
                // The identity is always there; the probability is a multiple of 2^-16.
                assert!(row[0] == 1.0 || (row[0] - kept).abs() < 1e-4, "{}", row[0]);
                dropped += f64::from(u8::from(row[0] == 1.0));
                total += row[0];
            }
            let (share, mean) = (dropped / rows.len() as f64, total / rows.len() as f64);
            // Four standard errors of 2^14 draws.
            assert!((share - p).abs() < 4.0 * (p * (1.0 - p)).sqrt() / 128.0, "{share}");
            assert!((mean - 2.0).abs() < 4.0 * (p / (1.0 - p)).sqrt() / 128.0, "{mean}");
        }
    }

    #[test]
    fn each_operation_and_each_step_draw_by_themselves() {
        let network = sum_of([1, 1]);
        let draw = |seed| rows(&network, Pass::train(seed).risen(1.0));
        let first = draw(7);
        assert_eq!(first, draw(7));
        assert_ne!(first, draw(8));
        // Both are dropped as often as two independent draws say.
        let none = first.iter().filter(|row| row[0] == 0.0).count() as f64 / first.len() as f64;
        assert!((none - P * P).abs() < 4.0 * (0.16_f64 * 0.84).sqrt() / 128.0, "{none}");
    }

    #[test]
    fn identities_the_first_epoch_and_evaluation_drop_nothing() {
        let all_two = |network: &Network, pass| {
            rows(network, pass).iter().flatten().all(|value| *value == 2.0)
        };
        assert!(all_two(&sum_of([0, 0]), Pass::train(7).risen(1.0)));
        let pooled = sum_of([1, 1]);
        assert!(all_two(&pooled, Pass::train(7)));
        assert!(all_two(&pooled, Pass::EVALUATE.risen(1.0)));
    }
}
