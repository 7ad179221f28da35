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
    let bad = |shape: &Shape, reason: String| {
        Err(GraphError::Shape { node: node.name.clone(), shape: shape.clone(), reason })
    };
    if let Op::Input(shape) = &node.op {
        return Ok(shape.clone());
    }
    let Some(&first) = inputs.first() else {
        return Err(GraphError::Structure {
            node: node.name.clone(),
            reason: "no input".to_owned(),
        });
    };
    match &node.op {
        Op::Input(_) | Op::Relu | Op::Dropout(_) => Ok(first.clone()),
        Op::BatchNorm(norm) if first.first() == Some(&norm.channels) => Ok(first.clone()),
        Op::BatchNorm(norm) => bad(first, format!("{} channels expected", norm.channels)),
        Op::Conv2d(conv) => match first[..] {
            [channels, height, width] if channels == conv.in_channels => {
                let kernel = conv.kernel.largest();
                let reach = conv.dilation * (kernel - 1) + 1;
                let side = |side| (side + 2 * conv.padding(kernel) - reach) / conv.stride + 1;
                Ok(vec![conv.out_channels, side(height), side(width)])
            }
            _ => bad(first, format!("{} channels of a map expected", conv.in_channels)),
        },
        Op::MaxPool(window) => match first[..] {
            [channels, height, width] if height >= *window && width >= *window => {
                Ok(vec![channels, height / window, width / window])
            }
            _ => bad(first, format!("a map of at least {window}×{window} expected")),
        },
        Op::Flatten => Ok(vec![first.iter().product()]),
        Op::Concat => {
            if let Some(other) = inputs.iter().find(|other| other[1..] != first[1..]) {
                return bad(other, format!("the first input is {first:?}"));
            }
            let mut shape = first.clone();
            shape[0] = inputs.iter().map(|input| input[0]).sum();
            Ok(shape)
        }
        Op::Add | Op::Mix(_) => match inputs.iter().find(|other| **other != first) {
            Some(other) => bad(other, format!("the first input is {first:?}")),
            None => Ok(first.clone()),
        },
        Op::Linear(linear) if first[..] == [linear.in_features] => Ok(vec![linear.out_features]),
        Op::Linear(linear) => bad(first, format!("{} features expected", linear.in_features)),
    }
}
