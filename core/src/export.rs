//! A fixed network as files that other programs run: walks over a graph without choices.
//!
//! [`pytorch::module`] writes Python that reads like a person's, [`onnx::model`] an ONNX model with
//! the weights in it. What a node kind writes in either stands in one file per family below
//! `nodes/`; both files say the same as the engine's `nodes/` and `exec/`. Nothing of a training is
//! lost in the Python: dropout stands there and is the identity in evaluation. ONNX has only that.

mod nodes;
pub mod onnx;
pub mod pytorch;
#[cfg(test)]
mod tests;

use crate::graph::{Graph, GraphError, Node, Op, Shape};

/// What a file says about the network in it.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The space's name for people.
    pub title: &'a str,
    /// The architecture's text form.
    pub architecture: &'a str,
}

/// Why a network cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The graph is a space, not one network.
    #[error("node `{node}` is still to be decided; only a fixed network can be exported")]
    Open {
        /// A node that depends on a choice.
        node: String,
    },
    /// The graph's shapes do not fit.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A tensor that the network stores was not given.
    #[error("there are no weights for `{name}`")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A tensor has another size than the network says.
    #[error("the weights for `{name}` have {got} bytes instead of {expected}")]
    Length {
        /// Its name.
        name: String,
        /// Bytes that were given.
        got: usize,
        /// Bytes that the network says.
        expected: usize,
    },
}

/// Checks that nothing is open and gives every node's output shape.
fn fixed_shapes(graph: &Graph) -> Result<Vec<Shape>, ExportError> {
    let open = |node: &&Node| {
        let sized = node.op.sizes().into_iter().any(|size| !size.choices().is_empty());
        sized || matches!(node.op, Op::Mix(_))
    };
    if let Some(node) = graph.nodes.iter().find(open) {
        return Err(ExportError::Open { node: node.name.clone() });
    }
    Ok(graph.shapes()?)
}

/// What the network reads: `tokens` if it begins with an embedding, else `images`.
#[must_use]
pub fn input_name(graph: &Graph) -> &'static str {
    let tokens = graph.nodes.iter().any(|node| matches!(node.op, Op::Embedding(_)));
    if tokens { "tokens" } else { "images" }
}
