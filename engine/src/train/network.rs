//! A fixed network with its weights.

use skein_core::choice::Architecture;
use skein_core::graph::{FixedNetwork, Graph};
use tch::Tensor;

use crate::EngineError;
use crate::data::Examples;
use crate::device::Compute;
use crate::exec::{Executor, Pass, Plan};
use crate::nodes::norm::Statistics;
use crate::state::seed::Stream;
use crate::store::Store;
use crate::train::evaluate::{Score, evaluate};

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

    /// A copy with weights of its own.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn copied(&self) -> Result<Self, EngineError> {
        let mut copy = self.emptied()?;
        copy.store.weights.load(self.store.weights.buffer())?;
        copy.store.stats.load(self.store.stats.buffer())?;
        Ok(copy)
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
        evaluate(images, positions, batch, |batch, _| self.forward(&batch.x, Pass::EVALUATE))
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
        if self.store.stats.params().is_empty() {
            return Ok(());
        }
        let _guard = tch::no_grad_guard();
        for (positions, index) in positions.chunks(batch).zip(1..) {
            let pass = Pass { statistics: Statistics::Estimate(index), dropout: None };
            let _ = self.forward(&images.batch(positions)?.x, pass)?;
        }
        Ok(())
    }
}
