//! A space's largest network with its rows.

use skein_core::dataset::DataShape;
use skein_core::graph::Graph;
use skein_core::spaces;
use skein_core::spec::RunSpec;

use crate::EngineError;
use crate::device::Compute;
use crate::exec::Executor;
use crate::rows::Alphas;
use crate::state::seed::Stream;
use crate::store::Store;

/// Weights, rows and the walk that uses them.
#[derive(Debug)]
pub struct Supernet {
    /// The walk.
    pub exec: Executor,
    /// The weights.
    pub store: Store,
    /// The rows.
    pub alphas: Alphas,
    /// Where it lives.
    pub compute: Compute,
}

impl Supernet {
    /// A supernet as a run starts with it.
    ///
    /// # Errors
    /// - [`EngineError::Graph`] if the space does not fit the data.
    pub fn initialised(
        spec: &RunSpec,
        shape: DataShape,
        compute: Compute,
    ) -> Result<Self, EngineError> {
        let graph = spaces::build(&spec.space, shape, spec.search.weights)?;
        let store = Store::initialised(&graph, compute, spec.seed, Stream::Weights)?;
        let alphas = Alphas::initialised(&graph.choices, compute.device, spec.seed);
        let exec = Executor::new(graph, spec.search.weights, spec.search.fidelity, compute)?;
        Ok(Self { exec, store, alphas, compute })
    }

    /// The space.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        self.exec.graph()
    }
}
