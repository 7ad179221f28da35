//! The walk that finds every node's output shape.

use super::{Graph, GraphError, Node, Op};

/// A shape without the batch dimension: `[channels, height, width]` or `[features]`.
pub type Shape = Vec<i64>;

impl Graph {
    /// Output shape of every node, with every elastic size at its largest.
    ///
    /// # Errors
    /// - [`GraphError::Shape`] if an input does not fit its node.
    pub fn shapes(&self) -> Result<Vec<Shape>, GraphError> {
        let mut shapes: Vec<Shape> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let inputs: Vec<&Shape> = node.inputs.iter().map(|input| &shapes[*input]).collect();
            let shape = output_shape(node, &inputs)?;
            shapes.push(shape);
        }
        Ok(shapes)
    }
}

/// Shape that `node` makes of its inputs' shapes.
pub(super) fn output_shape(node: &Node, inputs: &[&Shape]) -> Result<Shape, GraphError> {
    if inputs.is_empty() && !matches!(node.op, Op::Input(_)) {
        let reason = "no input".to_owned();
        return Err(GraphError::Structure { node: node.name.clone(), reason });
    }
    node.op.kind().shape(inputs).map_err(|misfit| GraphError::Shape {
        node: node.name.clone(),
        shape: misfit.shape,
        reason: misfit.reason,
    })
}
