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
use crate::search::progressive::Progressive;
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
    /// Where the search stands, if the walk has a part of the space's channels only.
    progressive: Option<Progressive>,
}

impl Supernet {
    /// A supernet of its parts.
    #[must_use]
    pub fn new(exec: Executor, store: Store, alphas: Alphas, compute: Compute) -> Self {
        Self { exec, store, alphas, compute, progressive: None }
    }

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
        let progressive = Progressive::of(spec, shape, &graph);
        let graph = progressive.as_ref().map_or(Ok(graph), Progressive::graph)?;
        // Nobody asks for the weights where nothing is searched.
        let store = if spec.search.optimizer.searches() {
            Store::initialised(&graph, compute, spec.seed, Stream::Weights)?
        } else {
            Store::zeroed(&graph, compute)
        };
        let alphas = Alphas::initialised(&graph.choices, compute.device, spec.seed);
        let exec = executor(graph, spec, compute)?;
        Ok(Self { progressive, ..Self::new(exec, store, alphas, compute) })
    }

    /// The space.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        self.progressive.as_ref().map_or(self.exec.graph(), |progressive| &progressive.space)
    }

    /// Where a search of partial channels stands.
    #[must_use]
    pub fn progressive(&self) -> Option<&Progressive> {
        self.progressive.as_ref()
    }

    /// Goes over to another half of a search of partial channels, with weights of zero, and gives
    /// the weights so far.
    ///
    /// # Errors
    /// - [`EngineError::Graph`] if the graph cannot be built.
    pub fn go_over(&mut self, to: Progressive, spec: &RunSpec) -> Result<Store, EngineError> {
        let graph = to.graph()?;
        let store = Store::zeroed(&graph, self.compute);
        self.exec = executor(graph, spec, self.compute)?;
        match to.kept() {
            Some(kept) => self.alphas.keep(kept),
            None => self.alphas.keep_all(),
        }
        self.progressive = Some(to);
        Ok(std::mem::replace(&mut self.store, store))
    }
}

/// The walk that a specification asks for.
fn executor(graph: Graph, spec: &RunSpec, compute: Compute) -> Result<Executor, EngineError> {
    let mut exec = Executor::new(graph, spec.search.weights, spec.search.fidelity, compute)?;
    exec.recompute(spec.resources.keep_activations)?;
    Ok(exec)
}
