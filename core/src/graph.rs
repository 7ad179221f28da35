//! The elastic graph: a search space, written once.
//!
//! Nodes stand in topological order. Sizes are fixed or *elastic*, that is, bound to the options
//! of choices; a [`Op::Mix`] node chooses among its inputs. A graph without choices is one fixed
//! network. Everything else about a space is a walk over this graph: [`Graph::shapes`],
//! [`Graph::params`], [`Graph::channels`], [`Graph::cost`], [`Graph::specialise`],
//! [`Graph::derive`] and [`Graph::validate`] here, the three kinds of execution in the engine. What the walks need of a
//! node kind stands in one file below `nodes/`.

mod bound;
mod build;
mod channels;
mod cost;
mod decide;
mod drop_path;
mod effects;
mod known;
mod likeliest;
mod nodes;
mod params;
mod parsimony;
mod resolve;
mod shape;
mod size;
mod specialise;
mod tables;
mod timing;
mod validate;

pub use build::Builder;
pub use channels::Channels;
pub use cost::{Cost, CostRange, NodeCost};
pub use decide::Pruning;
pub use effects::Effects;
pub use nodes::activation::{Activation, Dropout, Unit};
pub use nodes::attention::{CausalAttention, Qkv, RelativeAttention};
pub use nodes::conv::Conv2d;
pub use nodes::excite::SqueezeExcite;
pub use nodes::join::{Add, Concat, Input, Mix};
pub use nodes::linear::Linear;
pub use nodes::norm::{BatchNorm, LayerNorm};
pub use nodes::pool::{Flatten, GlobalAvgPool, Narrow, Pool, Resize, Shift, Shuffle, Zero};
pub use nodes::token::{Embedding, PatchEmbed, Positions, TiedLinear, TokenMean};
pub use params::{Dim, Param, Part, Role};
pub use shape::Shape;
pub use size::{Elastic, Scaled, Size};
pub use specialise::{FixedNetwork, Inherited};
pub use tables::CostTable;
pub use timing::{Part as TimedPart, Timings};

use crate::choice::{Architecture, Choice};

/// Index of a node within its graph.
pub type NodeId = usize;

/// What layer norm adds to the variance.
pub const LAYER_NORM_EPS: f64 = 1e-5;
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
    /// Choices of which only some may keep an operation.
    pub prunings: Vec<Pruning>,
    /// The node whose value is the network's output (class scores).
    pub output: NodeId,
    /// What its nodes were measured to take; empty if they were not.
    pub timings: Timings,
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
    Input(Input),
    /// Two-dimensional convolution.
    Conv2d(Conv2d),
    /// Batch norm over channels with running statistics.
    BatchNorm(BatchNorm),
    /// An elementwise function.
    Activation(Activation),
    /// The largest value of each window.
    MaxPool(Pool),
    /// The mean of each window, padding not counted.
    AvgPool(Pool),
    /// The mean of each channel.
    GlobalAvgPool(GlobalAvgPool),
    /// Zeroes elements, channels or whole examples while training.
    Dropout(Dropout),
    /// All dimensions into one.
    Flatten(Flatten),
    /// The map without its first row and column.
    Shift(Shift),
    /// Some of the channels.
    Narrow(Narrow),
    /// The channels in another order.
    Shuffle(Shuffle),
    /// The map in another size.
    Resize(Resize),
    /// Zeros: the candidate `none`.
    Zero(Zero),
    /// Concatenation along channels.
    Concat(Concat),
    /// Sum of the inputs.
    Add(Add),
    /// Fully connected layer.
    Linear(Linear),
    /// Layer norm.
    LayerNorm(LayerNorm),
    /// Channels scaled by a small network of their means.
    SqueezeExcite(SqueezeExcite),
    /// An image cut into patches: tokens.
    PatchEmbed(PatchEmbed),
    /// Token ids to vectors.
    Embedding(Embedding),
    /// Learned positions, added to the tokens.
    Positions(Positions),
    /// The mean over an image's tokens.
    TokenMean(TokenMean),
    /// A linear layer with the weight of an embedding, its second input.
    TiedLinear(TiedLinear),
    /// Queries, keys and values.
    Qkv(Qkv),
    /// Attention over an image's patches with relative positions.
    RelativeAttention(RelativeAttention),
    /// Attention over the tokens before.
    CausalAttention(CausalAttention),
    /// Weighted sum of the inputs (superposed), or the selected one (in a discrete network).
    Mix(Mix),
}

impl Node {
    /// The nodes whose values it reads; of an embedding whose table it shares only the weight counts.
    #[must_use]
    pub fn reads(&self) -> &[NodeId] {
        match self.op {
            Op::TiedLinear(_) => &self.inputs[..1],
            _ => &self.inputs,
        }
    }

    /// The embedding whose table it shares, if it does.
    #[must_use]
    pub fn table(&self) -> Option<NodeId> {
        match self.op {
            Op::TiedLinear(_) => self.inputs.get(1).copied(),
            _ => None,
        }
    }
}

impl Op {
    /// `max(x, 0)`.
    pub const RELU: Self = Self::Activation(Activation::Relu);
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
        self.reachable_from(&[self.output], architecture)
    }

    /// Which nodes some nodes' values depend on in an architecture, themselves included.
    #[must_use]
    pub fn reachable_from(&self, ends: &[NodeId], architecture: &Architecture) -> Vec<bool> {
        let mut used = vec![false; self.nodes.len()];
        ends.iter().for_each(|end| used[*end] = true);
        for id in (0..self.nodes.len()).rev() {
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
            Some(Op::Input(Input(shape))) => Some(shape.clone()),
            _ => None,
        }
    }
}
