//! The network of an architecture as the trainings after the search train it.

use super::darts::head;
use crate::graph::{FixedNetwork, Graph, GraphError, NodeId};
use crate::spec::{AfterSpec, SpaceSpec};

/// A network with what takes part in its training only: drop path, and perhaps a second output.
///
/// Its nodes and tensors are those of the network and more; its output is the network's, which
/// does not depend on the rest outside training.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedGraph {
    /// The network and the rest.
    pub graph: Graph,
    /// The class scores of the auxiliary head.
    pub auxiliary: Option<NodeId>,
}

/// What a training of a space's network executes.
///
/// # Errors
/// - [`GraphError`] if the auxiliary head does not fit; [`head::fault`] tells it before a search.
pub fn trained(
    fixed: &FixedNetwork,
    space: &SpaceSpec,
    after: &AfterSpec,
) -> Result<TrainedGraph, GraphError> {
    let graph = fixed.with_drop_path(after.drop_path.unwrap_or(0.0))?;
    match space {
        SpaceSpec::Darts(options) if after.auxiliary.unwrap_or(0.0) > 0.0 => {
            head::attach(options, graph)
        }
        _ => Ok(TrainedGraph { graph, auxiliary: None }),
    }
}
