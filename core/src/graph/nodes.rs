//! What the kinds of nodes have in common; each file below is one family of kinds.

pub(super) mod activation;
pub(super) mod attention;
pub(super) mod conv;
pub(super) mod excite;
pub(super) mod join;
pub(super) mod linear;
pub(super) mod norm;
pub(super) mod pool;
pub(super) mod token;

use super::channels::{At, Flow};
use super::{Op, Param, Shape, Size};

/// An input that a node cannot take.
#[derive(Debug)]
pub(super) struct Misfit {
    pub(super) shape: Shape,
    pub(super) reason: String,
}

impl Misfit {
    pub(super) fn of<T>(shape: &Shape, reason: impl Into<String>) -> Result<T, Self> {
        Err(Self { shape: shape.clone(), reason: reason.into() })
    }
}

/// What every walk needs of a node kind.
pub(super) trait Kind {
    /// Output shape for its inputs' shapes (at least one), sizes at their largest.
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit>;

    /// Tensors it stores, trained ones first, named by what follows the node's name.
    fn params(&self) -> Vec<Param> {
        vec![]
    }

    /// What becomes of the channels that it is given.
    fn flow(&self) -> Flow {
        Flow::Fixed
    }

    /// Where its tensors hold channels; tensors that are not stored may be named.
    fn axes(&self) -> Vec<At> {
        vec![]
    }

    /// Multiply-accumulates for inputs of these shapes; sizes are fixed.
    fn macs(&self, _inputs: &[&Shape], _output: &Shape) -> u64 {
        0
    }

    /// Its sizes, fixed and elastic.
    fn sizes(&self) -> Vec<&Size> {
        vec![]
    }

    /// The same, to be changed.
    fn sizes_mut(&mut self) -> Vec<&mut Size> {
        vec![]
    }

    /// What is wrong with its settings.
    fn fault(&self) -> Option<String> {
        None
    }
}

/// Product of a shape's sizes.
pub(super) fn count(shape: &[i64]) -> u64 {
    shape.iter().map(|size| size.unsigned_abs()).product()
}

impl Op {
    pub(super) fn kind(&self) -> &dyn Kind {
        match self {
            Self::Input(kind) => kind,
            Self::Conv2d(kind) => kind,
            Self::BatchNorm(kind) => kind,
            Self::Activation(kind) => kind,
            Self::MaxPool(kind) | Self::AvgPool(kind) => kind,
            Self::GlobalAvgPool(kind) => kind,
            Self::Dropout(kind) => kind,
            Self::Flatten(kind) => kind,
            Self::Shift(kind) => kind,
            Self::Narrow(kind) => kind,
            Self::Shuffle(kind) => kind,
            Self::Zero(kind) => kind,
            Self::Resize(kind) => kind,
            Self::Concat(kind) => kind,
            Self::Add(kind) => kind,
            Self::Linear(kind) => kind,
            Self::LayerNorm(kind) => kind,
            Self::SqueezeExcite(kind) => kind,
            Self::PatchEmbed(kind) => kind,
            Self::Embedding(kind) => kind,
            Self::Positions(kind) => kind,
            Self::TokenMean(kind) => kind,
            Self::TiedLinear(kind) => kind,
            Self::Qkv(kind) => kind,
            Self::RelativeAttention(kind) => kind,
            Self::CausalAttention(kind) => kind,
            Self::Mix(kind) => kind,
        }
    }

    pub(super) fn kind_mut(&mut self) -> &mut dyn Kind {
        match self {
            Self::Input(kind) => kind,
            Self::Conv2d(kind) => kind,
            Self::BatchNorm(kind) => kind,
            Self::Activation(kind) => kind,
            Self::MaxPool(kind) | Self::AvgPool(kind) => kind,
            Self::GlobalAvgPool(kind) => kind,
            Self::Dropout(kind) => kind,
            Self::Flatten(kind) => kind,
            Self::Shift(kind) => kind,
            Self::Narrow(kind) => kind,
            Self::Shuffle(kind) => kind,
            Self::Zero(kind) => kind,
            Self::Resize(kind) => kind,
            Self::Concat(kind) => kind,
            Self::Add(kind) => kind,
            Self::Linear(kind) => kind,
            Self::LayerNorm(kind) => kind,
            Self::SqueezeExcite(kind) => kind,
            Self::PatchEmbed(kind) => kind,
            Self::Embedding(kind) => kind,
            Self::Positions(kind) => kind,
            Self::TokenMean(kind) => kind,
            Self::TiedLinear(kind) => kind,
            Self::Qkv(kind) => kind,
            Self::RelativeAttention(kind) => kind,
            Self::CausalAttention(kind) => kind,
            Self::Mix(kind) => kind,
        }
    }

    /// Its sizes, fixed and elastic.
    #[must_use]
    pub fn sizes(&self) -> Vec<&Size> {
        self.kind().sizes()
    }
}
