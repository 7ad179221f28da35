//! A space's largest network with its rows.

use skein_core::dataset::DataShape;
use skein_core::graph::{Graph, Timings};
use skein_core::spaces;
use skein_core::spec::RunSpec;

use crate::EngineError;
use crate::device::Compute;
use crate::exec::Executor;
use crate::latency;
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
    /// A supernet as a run starts with it; what its nodes take is measured, if the run needs it.
    ///
    /// # Errors
    /// - [`EngineError::Graph`] if the space does not fit the data.
    pub fn initialised(
        spec: &RunSpec,
        shape: DataShape,
        compute: Compute,
    ) -> Result<Self, EngineError> {
        Self::timed(spec, shape, compute, Timings::default())
    }

    /// The same, with what its nodes are already known to take.
    ///
    /// # Errors
    /// - as [`Supernet::initialised`].
    pub fn timed(
        spec: &RunSpec,
        shape: DataShape,
        compute: Compute,
        known: Timings,
    ) -> Result<Self, EngineError> {
        let mut graph = spaces::build(&spec.space, shape, spec.search.weights)?;
        if spec.needs_timings() {
            graph.timings =
                if known.is_empty() { latency::measure(&graph, compute)? } else { known };
        }
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
