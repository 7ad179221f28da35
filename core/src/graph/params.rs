//! The parameters and running statistics that a graph stores, by PyTorch's names.

use super::{Graph, Node, Op, Shape};

/// One stored tensor of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Full name, for example `cell0.pre.conv.weight`.
    pub name: String,
    /// Its shape, every elastic size at its largest.
    pub shape: Shape,
    /// What it is, which decides how it starts.
    pub role: Role,
}

/// What a stored tensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl Node {
    /// The tensors that this node stores, trained ones first.
    #[must_use]
    pub fn params(&self) -> Vec<Param> {
        let param = |suffix: &str, shape: Shape, role| Param {
            name: format!("{}.{suffix}", self.name),
            shape,
            role,
        };
        match &self.op {
            Op::Conv2d(conv) => {
                let kernel = conv.kernel.largest();
                let inner = conv.in_channels / conv.groups();
                let fan_in = inner * kernel * kernel;
                let shape = vec![conv.out_channels, inner, kernel, kernel];
                let mut params = vec![param("weight", shape, Role::Weight { fan_in })];
                if conv.bias {
                    params.push(param("bias", vec![conv.out_channels], Role::Bias { fan_in }));
                }
                params
            }
            Op::BatchNorm(norm) => {
                let shape = vec![norm.channels];
                let mut params = Vec::new();
                if norm.affine {
                    params.push(param("weight", shape.clone(), Role::Scale));
                    params.push(param("bias", shape.clone(), Role::Shift));
                }
                params.push(param("running_mean", shape.clone(), Role::RunningMean));
                params.push(param("running_var", shape, Role::RunningVar));
                params
            }
            Op::Linear(linear) => {
                let fan_in = linear.in_features;
                let shape = vec![linear.out_features, linear.in_features];
                let weight = param("weight", shape, Role::Weight { fan_in });
                vec![weight, param("bias", vec![linear.out_features], Role::Bias { fan_in })]
            }
            _ => vec![],
        }
    }
}

impl Graph {
    /// All stored tensors, in the order of the nodes.
    #[must_use]
    pub fn params(&self) -> Vec<Param> {
        self.nodes.iter().flat_map(Node::params).collect()
    }
}
