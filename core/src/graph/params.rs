//! The parameters and running statistics that a graph stores, by PyTorch's names.

use super::{Graph, Node, Shape, Size};
use crate::choice::{Architecture, ChoiceId};

/// One stored tensor of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Full name, for example `cell0.pre.conv.weight`.
    pub name: String,
    /// Its shape, every elastic size at its largest.
    pub shape: Shape,
    /// What it is, which decides how it starts.
    pub role: Role,
    /// Its dimensions, elastic ones with what is kept of them.
    pub dims: Vec<Dim>,
    /// Choices besides those of `dims` whose weights it is multiplied with.
    pub also: Vec<ChoiceId>,
}

/// One dimension of a stored tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Dim {
    /// Its size.
    pub size: Size,
    /// Which part a smaller size keeps.
    pub part: Part,
}

/// Which part of the largest a smaller size keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The first entries.
    First,
    /// The centre, for kernels.
    Centre,
}

/// What a stored tensor is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Role {
    /// A kernel or matrix; starts uniform in `±1/√fan_in`.
    Weight {
        /// Inputs that one output reads.
        fan_in: i64,
    },
    /// A bias; starts uniform in `±1/√fan_in` of its layer.
    Bias {
        /// Inputs that one output reads.
        fan_in: i64,
    },
    /// A norm's scale; starts at 1.
    Scale,
    /// A norm's shift; starts at 0.
    Shift,
    /// Running mean of a batch norm: not trained, starts at 0.
    RunningMean,
    /// Running variance of a batch norm: not trained, starts at 1.
    RunningVar,
}

impl Role {
    /// Whether an optimizer changes it.
    #[must_use]
    pub fn is_trained(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVar)
    }
}

impl Dim {
    /// The first entries of a dimension.
    #[must_use]
    pub fn first(size: &Size) -> Self {
        Self { size: size.clone(), part: Part::First }
    }

    /// The centre of a dimension.
    #[must_use]
    pub fn centre(size: &Size) -> Self {
        Self { size: size.clone(), part: Part::Centre }
    }

    /// `(first, length)` under an architecture; all of it where the node is not used.
    #[must_use]
    pub fn slice(&self, architecture: &Architecture) -> (i64, i64) {
        let largest = self.size.largest();
        let length = self.size.at(architecture).unwrap_or(largest);
        match self.part {
            Part::First => (0, length),
            Part::Centre => ((largest - length) / 2, length),
        }
    }
}

impl Param {
    /// A tensor of a node; `name` is what follows the node's name.
    #[must_use]
    pub fn new(name: &str, dims: Vec<Dim>, role: Role) -> Self {
        let shape = dims.iter().map(|dim| dim.size.largest()).collect();
        Self { name: name.to_owned(), shape, role, dims, also: vec![] }
    }

    /// The same, multiplied with the weights of these choices too.
    #[must_use]
    pub fn weighed_by(mut self, choices: impl IntoIterator<Item = ChoiceId>) -> Self {
        let own = self.choices();
        for choice in choices {
            if !own.contains(&choice) && !self.also.contains(&choice) {
                self.also.push(choice);
            }
        }
        self
    }

    /// The choices that decide its sizes, each once, in the order of the dimensions.
    #[must_use]
    pub fn choices(&self) -> Vec<ChoiceId> {
        let mut found = Vec::new();
        for choice in self.dims.iter().flat_map(|dim| dim.size.choices()) {
            if !found.contains(&choice) {
                found.push(choice);
            }
        }
        found
    }

    /// `(first, length)` of every dimension under an architecture.
    #[must_use]
    pub fn slices(&self, architecture: &Architecture) -> Vec<(i64, i64)> {
        self.dims.iter().map(|dim| dim.slice(architecture)).collect()
    }
}

impl Node {
    /// The tensors that this node stores, trained ones first.
    #[must_use]
    pub fn params(&self) -> Vec<Param> {
        let mut params = self.op.kind().params();
        for param in &mut params {
            param.name = format!("{}.{}", self.name, param.name);
        }
        params
    }
}

impl Graph {
    /// All stored tensors, in the order of the nodes.
    #[must_use]
    pub fn params(&self) -> Vec<Param> {
        self.nodes.iter().flat_map(Node::params).collect()
    }
}
