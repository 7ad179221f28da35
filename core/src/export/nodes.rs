//! What the kinds of nodes write into exported files; each file below is one family of kinds, as
//! in `graph/nodes/`.

mod activation;
mod attention;
mod conv;
mod excite;
mod join;
mod linear;
mod norm;
mod pool;
mod token;

use super::{onnx, pytorch};
use crate::graph::Op;

/// What both formats need of a node kind.
pub(super) trait Written {
    /// The node as Python.
    fn pytorch(&self, at: &pytorch::At<'_>) -> pytorch::Layer;

    /// Adds the node to an ONNX graph and gives the name of its value.
    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String;
}

/// The kind of a node; a mix has none, for a fixed network has no mix.
pub(super) fn kind(op: &Op) -> Option<Box<dyn Written>> {
    Some(match op {
        Op::Mix(_) => return None,
        Op::Input(kind) => Box::new(kind.clone()),
        Op::Conv2d(kind) => Box::new(kind.clone()),
        Op::BatchNorm(kind) => Box::new(kind.clone()),
        Op::Activation(kind) => Box::new(*kind),
        Op::MaxPool(kind) => Box::new(pool::Pooling::Max(*kind)),
        Op::AvgPool(kind) => Box::new(pool::Pooling::Average(*kind)),
        Op::GlobalAvgPool(kind) => Box::new(*kind),
        Op::Dropout(kind) => Box::new(*kind),
        Op::Flatten(kind) => Box::new(*kind),
        Op::Shift(kind) => Box::new(*kind),
        Op::Narrow(kind) => Box::new(*kind),
        Op::Shuffle(kind) => Box::new(*kind),
        Op::Zero(kind) => Box::new(*kind),
        Op::Resize(kind) => Box::new(*kind),
        Op::Concat(kind) => Box::new(*kind),
        Op::Add(kind) => Box::new(*kind),
        Op::Linear(kind) => Box::new(kind.clone()),
        Op::LayerNorm(kind) => Box::new(kind.clone()),
        Op::SqueezeExcite(kind) => Box::new(kind.clone()),
        Op::PatchEmbed(kind) => Box::new(kind.clone()),
        Op::Embedding(kind) => Box::new(kind.clone()),
        Op::Positions(kind) => Box::new(kind.clone()),
        Op::TokenMean(kind) => Box::new(kind.clone()),
        Op::TiedLinear(kind) => Box::new(kind.clone()),
        Op::Qkv(kind) => Box::new(kind.clone()),
        Op::RelativeAttention(kind) => Box::new(kind.clone()),
        Op::CausalAttention(kind) => Box::new(kind.clone()),
    })
}
