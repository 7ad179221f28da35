//! The catalogue of operations on the edges of cells, and how an edge is built of them.
//!
//! Entangled, the kernel sizes of one kind share the weights of the largest (a *group*); otherwise
//! every operation has weights of its own.

use crate::choice::{Choice, ChoiceId, Site};
use crate::graph::{
    BatchNorm, Builder, Concat, Conv2d, Elastic, Mix, NodeId, Op, Pool, Shift, Size, Zero,
};
use crate::spec::Sharing;

/// A candidate operation of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// No connection.
    None,
    /// The identity; at stride 2 two offset 1×1 convolutions side by side.
    Skip,
    /// 3×3 max-pooling.
    MaxPool,
    /// 3×3 average pooling.
    AvgPool,
    /// ReLU, k×k convolution, norm.
    Conv(i64),
    /// Twice: ReLU, depth-wise k×k, point-wise, norm.
    Sep(i64),
    /// ReLU, depth-wise k×k at dilation 2, point-wise, norm.
    Dil(i64),
}

/// Names of the operations without a kernel size, as they are written in JSON.
const PLAIN: [(&str, Operation); 4] = [
    ("none", Operation::None),
    ("skip", Operation::Skip),
    ("maxpool", Operation::MaxPool),
    ("avgpool", Operation::AvgPool),
];

impl Operation {
    /// Every name that a specification may use.
    pub const NAMES: &'static [&'static str] = &[
        "none", "skip", "maxpool", "avgpool", "conv1", "conv3", "conv5", "conv7", "sep3", "sep5",
        "sep7", "dil3", "dil5", "dil7",
    ];

    /// Reads a name such as `sep5`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if !Self::NAMES.contains(&name) {
            return None;
        }
        if let Some((_, plain)) = PLAIN.iter().find(|(known, _)| *known == name) {
            return Some(*plain);
        }
        let kernel = name.get(name.len() - 1..)?.parse().ok()?;
        Some(match name.get(..name.len() - 1)? {
            "conv" => Self::Conv(kernel),
            "sep" => Self::Sep(kernel),
            _ => Self::Dil(kernel),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> String {
        match self.kernel() {
            Some(kernel) => format!("{}{kernel}", self.group()),
            None => self.group().to_owned(),
        }
    }

    /// Operations of one group are slices of the largest.
    fn group(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Skip => "skip",
            Self::MaxPool => "maxpool",
            Self::AvgPool => "avgpool",
            Self::Conv(_) => "conv",
            Self::Sep(_) => "sep",
            Self::Dil(_) => "dil",
        }
    }

    fn kernel(self) -> Option<i64> {
        match self {
            Self::Conv(kernel) | Self::Sep(kernel) | Self::Dil(kernel) => Some(kernel),
            _ => None,
        }
    }
}

/// The operations of a space and how their layers are built.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// Candidates in row order.
    pub operations: Vec<Operation>,
    /// How candidates share weights.
    pub sharing: Sharing,
    /// Whether norms learn a scale and a shift.
    pub affine: bool,
    /// Whether a norm follows pooling.
    pub pool_norm: bool,
    /// Whether dense convolutions have a bias.
    pub conv_bias: bool,
}

/// An edge to be built.
#[derive(Debug)]
pub struct Edge {
    /// Name of its mix node.
    pub name: String,
    /// The choice that decides it.
    pub choice: ChoiceId,
    /// Channels read and written.
    pub channels: i64,
    /// Stride.
    pub stride: i64,
}

impl Catalogue {
    /// A choice among the operations for an edge of a cell.
    #[must_use]
    pub fn choice(&self, cell: &str, label: &str, (from, to): (usize, usize)) -> Choice {
        Choice {
            tensor: cell.to_owned(),
            label: label.to_owned(),
            options: self.operations.iter().map(|operation| operation.name()).collect(),
            site: Site::Edge { cell: cell.to_owned(), from, to },
            when: None,
        }
    }

    /// A norm of this catalogue.
    #[must_use]
    pub fn norm(&self, channels: i64) -> Op {
        Op::BatchNorm(BatchNorm { channels: channels.into(), affine: self.affine })
    }

    /// Adds an edge with all its candidates.
    pub fn edge(&self, builder: &mut Builder, edge: &Edge, x: NodeId) -> NodeId {
        let all: Vec<usize> = (0..self.operations.len()).collect();
        self.edge_of(builder, edge, &all, x)
    }

    /// Adds an edge with only some of its candidates; the others give zeros.
    pub fn edge_of(&self, builder: &mut Builder, edge: &Edge, kept: &[usize], x: NodeId) -> NodeId {
        let mut inputs = Vec::new();
        let mut branches = Vec::new();
        for (first, options) in self.groups(kept) {
            let label = match self.sharing {
                Sharing::Shared => first.name(),
                Sharing::Entangled | Sharing::EntangledOutputs => first.group().to_owned(),
            };
            let sized = options.iter().filter(|_| first.kernel().is_some());
            let sizes = sized.filter_map(|at| Some((*at, self.operations[*at].kernel()?)));
            let sizes: Vec<(usize, i64)> = sizes.collect();
            let kernel = match sizes[..] {
                [(_, size)] => Size::Fixed(size),
                _ => Size::Elastic(Elastic { choice: edge.choice, sizes }),
            };
            let name = format!("{}.{label}", edge.name);
            inputs.push(self.operation(builder, first, &name, (edge, &kernel), x));
            branches.push(options);
        }
        builder.add(edge.name.as_str(), Op::Mix(Mix { choice: edge.choice, branches }), &inputs)
    }

    /// Options that share weights, in the order of their first, which stands before them; those
    /// that are not kept are no connection.
    fn groups(&self, kept: &[usize]) -> Vec<(Operation, Vec<usize>)> {
        let mut groups: Vec<(Operation, Vec<usize>)> = Vec::new();
        for (at, operation) in self.operations.iter().enumerate() {
            let operation = if kept.contains(&at) { *operation } else { Operation::None };
            let shares = operation == Operation::None
                || (self.sharing != Sharing::Shared && operation.kernel().is_some());
            let together = groups.iter_mut().find(|(first, _)| first.group() == operation.group());
            match together.filter(|_| shares) {
                Some((_, group)) => group.push(at),
                None => groups.push((operation, vec![at])),
            }
        }
        groups
    }

    fn operation(
        &self,
        builder: &mut Builder,
        operation: Operation,
        name: &str,
        (edge, kernel): (&Edge, &Size),
        x: NodeId,
    ) -> NodeId {
        let (c, stride) = (edge.channels, edge.stride);
        match operation {
            Operation::None => builder.add(name, Op::Zero(Zero { stride }), &[x]),
            Operation::Skip if stride == 1 => x,
            Operation::Skip => self.reduce(builder, name, (c, c), x),
            Operation::MaxPool => {
                self.pool(builder, name, (Op::MaxPool(Pool::three(stride)), c), x)
            }
            Operation::AvgPool => {
                self.pool(builder, name, (Op::AvgPool(Pool::three(stride)), c), x)
            }
            Operation::Conv(_) => {
                let conv = Conv2d::dense(c, c, kernel.clone()).strided(stride);
                let conv = Conv2d { bias: self.conv_bias, ..conv };
                self.relu_conv_norm(builder, name, conv, x)
            }
            Operation::Sep(_) => {
                let first = Conv2d::depthwise(c, kernel.clone(), stride, 1);
                let half = self.separable(builder, name, ("1", first, c), x);
                let second = Conv2d::depthwise(c, kernel.clone(), 1, 1);
                self.separable(builder, name, ("2", second, c), half)
            }
            Operation::Dil(_) => {
                let dilated = Conv2d::depthwise(c, kernel.clone(), stride, 2);
                self.separable(builder, name, ("", dilated, c), x)
            }
        }
    }

    fn pool(&self, builder: &mut Builder, name: &str, (pool, c): (Op, i64), x: NodeId) -> NodeId {
        let x = builder.add(format!("{name}.pool"), pool, &[x]);
        if self.pool_norm {
            return builder.add(format!("{name}.bn"), self.norm(c), &[x]);
        }
        x
    }

    /// ReLU, depth-wise convolution, point-wise convolution, norm.
    fn separable(
        &self,
        builder: &mut Builder,
        name: &str,
        (part, conv, channels): (&str, Conv2d, i64),
        x: NodeId,
    ) -> NodeId {
        let x = builder.add(format!("{name}.relu{part}"), Op::RELU, &[x]);
        let x = builder.add(format!("{name}.dw{part}"), Op::Conv2d(conv), &[x]);
        let pointwise = Op::Conv2d(Conv2d::pointwise(channels, channels));
        let x = builder.add(format!("{name}.pw{part}"), pointwise, &[x]);
        builder.add(format!("{name}.bn{part}"), self.norm(channels), &[x])
    }

    /// ReLU, convolution, norm.
    pub fn relu_conv_norm(
        &self,
        builder: &mut Builder,
        name: &str,
        conv: Conv2d,
        x: NodeId,
    ) -> NodeId {
        let channels = conv.out_channels.largest();
        let x = builder.add(format!("{name}.relu"), Op::RELU, &[x]);
        let x = builder.add(format!("{name}.conv"), Op::Conv2d(conv), &[x]);
        builder.add(format!("{name}.bn"), self.norm(channels), &[x])
    }

    /// Halves a map: ReLU, two offset 1×1 convolutions of stride 2 side by side, norm.
    pub fn reduce(
        &self,
        builder: &mut Builder,
        name: &str,
        (read, written): (i64, i64),
        x: NodeId,
    ) -> NodeId {
        let half = written / 2;
        let x = builder.add(format!("{name}.relu"), Op::RELU, &[x]);
        let first = Conv2d::pointwise(read, half).strided(2);
        let first = builder.add(format!("{name}.conv_1"), Op::Conv2d(first), &[x]);
        let moved = builder.add(format!("{name}.shift"), Op::Shift(Shift), &[x]);
        let second = Conv2d::pointwise(read, written - half).strided(2);
        let second = builder.add(format!("{name}.conv_2"), Op::Conv2d(second), &[moved]);
        let both = builder.add(format!("{name}.cat"), Op::Concat(Concat), &[first, second]);
        builder.add(format!("{name}.bn"), self.norm(written), &[both])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for name in Operation::NAMES {
            assert_eq!(Operation::parse(name).map(Operation::name).as_deref(), Some(*name));
        }
        for name in ["sep4", "sep", "pool", "", "conv9", "séparable"] {
            assert_eq!(Operation::parse(name), None, "{name}");
        }
    }
}
