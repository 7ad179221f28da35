//! The elastic graph: a search space, written once.
//!
//! Nodes stand in topological order. Sizes are fixed or *elastic*, that is, bound to the options
//! of a choice; a [`Op::Mix`] node chooses among its inputs. A graph without choices is one fixed
//! network. Everything else about a space is a walk over this graph: [`Graph::shapes`],
//! [`Graph::cost`], [`Graph::specialise`] and [`Graph::validate`] here, the three kinds of
//! execution in the engine.

mod bound;
mod build;
mod cost;
mod params;
mod shape;
mod specialise;
mod tables;
mod validate;

pub use build::Builder;
pub use cost::{Cost, CostRange, NodeCost};
pub use params::{Param, Role};
pub use shape::Shape;
pub use specialise::{FixedNetwork, Inherited};
pub use tables::CostTable;

use crate::choice::{Architecture, Choice, ChoiceId};

/// Index of a node within its graph.
pub type NodeId = usize;

/// Momentum of batch norm's running statistics.
pub const BATCH_NORM_MOMENTUM: f64 = 0.1;
/// What batch norm adds to the variance.
pub const BATCH_NORM_EPS: f64 = 1e-5;

/// A search space, or, without choices, one network.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// Nodes in topological order; node 0 is the input.
    pub nodes: Vec<Node>,
    /// Open decisions, in the order of the rows.
    pub choices: Vec<Choice>,
    /// The node whose value is the network's output (class scores).
    pub output: NodeId,
}

/// One operation with its inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Unique name; parameters are called after it (`cell0.pre.conv` has `cell0.pre.conv.weight`).
    pub name: String,
    /// What the node computes.
    pub op: Op,
    /// Nodes it reads, all of them earlier.
    pub inputs: Vec<NodeId>,
}

/// What a node computes. Shapes are written without the batch dimension.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// The images, `[channels, height, width]`.
    Input(Shape),
    /// Two-dimensional convolution.
    Conv2d(Conv2d),
    /// Batch norm over channels with running statistics.
    BatchNorm(BatchNorm),
    /// `max(x, 0)`.
    Relu,
    /// Square max-pooling without padding; the stride equals the window.
    MaxPool(i64),
    /// Zeroes each element with this probability while training.
    Dropout(f64),
    /// All dimensions into one.
    Flatten,
    /// Concatenation along channels.
    Concat,
    /// Sum of the inputs.
    Add,
    /// Fully connected layer with bias.
    Linear(Linear),
    /// Weighted sum of the inputs (superposed), or the selected one (in a discrete network).
    Mix(Mix),
}

/// A convolution whose padding keeps the map's size at stride 1: `dilation·(kernel − 1)/2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conv2d {
    /// Channels read.
    pub in_channels: i64,
    /// Channels written.
    pub out_channels: i64,
    /// Side of the square kernel, odd.
    pub kernel: Size,
    /// Stride in both directions.
    pub stride: i64,
    /// Spacing of the kernel's points.
    pub dilation: i64,
    /// One filter per channel instead of a dense kernel.
    pub depthwise: bool,
    /// Whether a bias is added.
    pub bias: bool,
}

impl Conv2d {
    /// A 1×1 convolution without bias.
    #[must_use]
    pub fn pointwise(in_channels: i64, out_channels: i64) -> Self {
        let kernel = Size::Fixed(1);
        Self {
            in_channels,
            out_channels,
            kernel,
            stride: 1,
            dilation: 1,
            depthwise: false,
            bias: false,
        }
    }

    /// A depth-wise convolution without bias.
    #[must_use]
    pub fn depthwise(channels: i64, kernel: Size, stride: i64, dilation: i64) -> Self {
        let (in_channels, out_channels) = (channels, channels);
        Self { in_channels, out_channels, kernel, stride, dilation, depthwise: true, bias: false }
    }

    /// Padding on each side for a kernel of side `kernel`.
    #[must_use]
    pub fn padding(&self, kernel: i64) -> i64 {
        self.dilation * (kernel - 1) / 2
    }

    /// Groups in libtorch's sense.
    #[must_use]
    pub fn groups(&self) -> i64 {
        if self.depthwise { self.in_channels } else { 1 }
    }
}

/// Batch norm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchNorm {
    /// Channels.
    pub channels: i64,
    /// Whether a learned scale and shift follow.
    pub affine: bool,
}

/// A fully connected layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linear {
    /// Features read.
    pub in_features: i64,
    /// Features written.
    pub out_features: i64,
}

/// Which input stands for which options of a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    /// The choice that weighs the inputs.
    pub choice: ChoiceId,
    /// For every input the options it serves; more than one where the input's own elastic sizes
    /// tell them apart (an entangled group).
    pub branches: Vec<Vec<usize>>,
}

impl Mix {
    /// Position of the input that serves `option`.
    #[must_use]
    pub fn branch_of(&self, option: usize) -> Option<usize> {
        self.branches.iter().position(|options| options.contains(&option))
    }
}

/// A size that is fixed or bound to a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Size {
    /// Always this.
    Fixed(i64),
    /// The choice's selected option decides.
    Elastic(Elastic),
}

/// A size bound to (some of) the options of a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elastic {
    /// The deciding choice.
    pub choice: ChoiceId,
    /// `(option, size)`, only the options under which the node is used.
    pub sizes: Vec<(usize, i64)>,
}

impl Size {
    /// The largest value: what is stored.
    #[must_use]
    pub fn largest(&self) -> i64 {
        match self {
            Self::Fixed(size) => *size,
            Self::Elastic(elastic) => {
                elastic.sizes.iter().map(|(_, size)| *size).max().unwrap_or(0)
            }
        }
    }

    /// The value under an architecture; `None` if the selected option does not use the node.
    #[must_use]
    pub fn at(&self, architecture: &Architecture) -> Option<i64> {
        match self {
            Self::Fixed(size) => Some(*size),
            Self::Elastic(elastic) => {
                let option = architecture.0.get(elastic.choice)?;
                elastic.sizes.iter().find(|(known, _)| known == option).map(|(_, size)| *size)
            }
        }
    }
}

/// Why a graph cannot be built or walked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// A node's input does not fit.
    #[error("node `{node}` cannot take an input of shape {shape:?}: {reason}")]
    Shape {
        /// The node.
        node: String,
        /// What it was given.
        shape: Vec<i64>,
        /// What it needs.
        reason: String,
    },
    /// The structure is wrong.
    #[error("node `{node}`: {reason}")]
    Structure {
        /// The node.
        node: String,
        /// What is wrong.
        reason: String,
    },
    /// The architecture does not belong to the graph.
    #[error(transparent)]
    Architecture(#[from] crate::choice::ArchitectureError),
}

impl Graph {
    /// Which nodes an architecture uses.
    #[must_use]
    pub fn reachable(&self, architecture: &Architecture) -> Vec<bool> {
        let mut used = vec![false; self.nodes.len()];
        used[self.output] = true;
        for id in (0..self.nodes.len()).rev().filter(|id| *id <= self.output) {
            if !used[id] {
                continue;
            }
            let node = &self.nodes[id];
            match &node.op {
                Op::Mix(mix) => {
                    let option = architecture.0[mix.choice];
                    if let Some(branch) = mix.branch_of(option) {
                        used[node.inputs[branch]] = true;
                    }
                }
                _ => node.inputs.iter().for_each(|input| used[*input] = true),
            }
        }
        used
    }

    /// Shape of the images, `[channels, height, width]`.
    #[must_use]
    pub fn input_shape(&self) -> Option<Shape> {
        match self.nodes.first().map(|node| &node.op) {
            Some(Op::Input(shape)) => Some(shape.clone()),
            _ => None,
        }
    }

    /// Number of architectures, in decimal; saturates far above any space of use.
    #[must_use]
    pub fn count(&self) -> u128 {
        let sizes = self.choices.iter().map(|choice| choice.options.len() as u128);
        sizes.fold(1, u128::saturating_mul)
    }
}
