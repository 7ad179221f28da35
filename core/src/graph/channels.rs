//! Channels that may change their order: which dimensions of which tensors hold the same ones.
//!
//! The walk follows every width from the nodes that write it to those that read it. Permuting all
//! dimensions of one [`Channels`] alike leaves what the largest network computes unchanged.

use super::{Graph, Size};

/// A width that is bound to choices, with every dimension of a stored tensor that has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Channels {
    /// The width.
    pub size: Size,
    /// All dimensions that hold these channels: name of the tensor and dimension.
    pub dims: Vec<(String, usize)>,
    /// Those of them along which a layer reads the channels; their weights tell how much each
    /// channel counts.
    pub read: Vec<(String, usize)>,
}

/// What becomes of the channels that a node is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// Its output has the channels of all its inputs.
    Kept,
    /// It reads them and writes channels of its own.
    Made,
    /// It reads them and writes channels whose order matters.
    Ordered,
    /// Its inputs have the same channels, and the order of what it writes matters.
    Tied,
    /// The order of its inputs' channels matters, and that of its own.
    Fixed,
}

/// Which channels a dimension of a node's tensor holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    /// Those that it reads.
    Read,
    /// Those of its output.
    Written,
    /// Some within the node, written.
    Inner,
    /// The same, read.
    InnerRead,
}

/// A dimension of a tensor of a node, by what follows the node's name.
pub(super) type At = (&'static str, usize, Axis);

#[derive(Debug, Default)]
struct Group {
    /// The group that it was joined to.
    joined: Option<usize>,
    fixed: bool,
    /// Tensor, dimension, its size, and whether it is read along it.
    dims: Vec<(String, usize, Size, bool)>,
}

#[derive(Debug, Default)]
struct Groups(Vec<Group>);

impl Groups {
    fn open(&mut self, fixed: bool) -> usize {
        self.0.push(Group { fixed, ..Group::default() });
        self.0.len() - 1
    }

    fn root(&self, mut at: usize) -> usize {
        while let Some(next) = self.0[at].joined {
            at = next;
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) -> usize {
        let (a, b) = (self.root(a), self.root(b));
        if a != b {
            self.0[b].joined = Some(a);
            let dims = std::mem::take(&mut self.0[b].dims);
            self.0[a].dims.extend(dims);
            self.0[a].fixed |= self.0[b].fixed;
        }
        a
    }

    fn fix(&mut self, at: usize) {
        let root = self.root(at);
        self.0[root].fixed = true;
    }
}

impl Graph {
    /// The widths whose channels may be permuted, in the order of the nodes that write them.
    #[must_use]
    pub fn channels(&self) -> Vec<Channels> {
        let mut groups = Groups::default();
        let mut written: Vec<usize> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let kind = node.op.kind();
            let inputs: Vec<usize> = node.inputs.iter().map(|input| written[*input]).collect();
            let joined = |groups: &mut Groups| {
                let all = inputs.iter().copied();
                all.reduce(|a, b| groups.join(a, b)).unwrap_or_else(|| groups.open(true))
            };
            let own = match kind.flow() {
                Flow::Kept => joined(&mut groups),
                Flow::Made => groups.open(false),
                Flow::Ordered => groups.open(true),
                Flow::Tied => {
                    joined(&mut groups);
                    groups.open(true)
                }
                Flow::Fixed => {
                    inputs.iter().for_each(|input| groups.fix(*input));
                    groups.open(true)
                }
            };
            let (inner, params) = (groups.open(false), node.params());
            for (name, dim, axis) in kind.axes() {
                let name = format!("{}.{name}", node.name);
                let Some(param) = params.iter().find(|param| param.name == name) else { continue };
                let group = match axis {
                    Axis::Read => inputs[0],
                    Axis::Written => own,
                    Axis::Inner | Axis::InnerRead => inner,
                };
                let read = matches!(axis, Axis::Read | Axis::InnerRead);
                let root = groups.root(group);
                groups.0[root].dims.push((name, dim, param.dims[dim].size.clone(), read));
            }
            written.push(own);
        }
        groups.fix(written[self.output]);
        groups.0.into_iter().filter_map(movable).collect()
    }
}

/// What may be permuted: an elastic width, the same in all tensors.
fn movable(group: Group) -> Option<Channels> {
    let size = group.dims.first().map(|(_, _, size, _)| size.clone())?;
    let elastic = !size.choices().is_empty();
    let same = group.dims.iter().all(|(_, _, other, _)| *other == size);
    let read: Vec<(String, usize)> = group
        .dims
        .iter()
        .filter(|(.., read)| *read)
        .map(|(name, dim, ..)| (name.clone(), *dim))
        .collect();
    if group.fixed || !elastic || !same || read.is_empty() {
        return None;
    }
    let dims = group.dims.into_iter().map(|(name, dim, ..)| (name, dim)).collect();
    Some(Channels { size, dims, read })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::DataShape;
    use crate::spaces;
    use crate::spec::Sharing;

    fn channels(preset: &str) -> Vec<Channels> {
        let preset = spaces::find(preset).unwrap();
        let shape = DataShape { classes: 10, ..preset.shape };
        spaces::build(&(preset.defaults)(), shape, Sharing::Entangled).unwrap().channels()
    }

    fn names(all: &[(String, usize)]) -> Vec<String> {
        all.iter().map(|(name, dim)| format!("{name}:{dim}")).collect()
    }

    #[test]
    fn a_bottleneck_moves_as_a_whole() {
        let all = channels("mobilenet-v3");
        // One width a block, and one within each of the twelve blocks that excite.
        assert_eq!(all.len(), 20 + 12);
        let middle = all.iter().find(|one| one.dims[0].0.starts_with("stage1.block0")).unwrap();
        assert_eq!(
            names(&middle.dims),
            [
                "stage1.block0.expand.weight:0",
                "stage1.block0.bn1.weight:0",
                "stage1.block0.bn1.bias:0",
                "stage1.block0.bn1.running_mean:0",
                "stage1.block0.bn1.running_var:0",
                "stage1.block0.dw.weight:0",
                "stage1.block0.bn2.weight:0",
                "stage1.block0.bn2.bias:0",
                "stage1.block0.bn2.running_mean:0",
                "stage1.block0.bn2.running_var:0",
                "stage1.block0.se.reduce.weight:1",
                "stage1.block0.se.expand.weight:0",
                "stage1.block0.se.expand.bias:0",
                "stage1.block0.project.weight:1",
            ]
        );
        assert_eq!(names(&middle.read), ["stage1.block0.project.weight:1"]);
        let squeezed = all.iter().find(|one| one.dims[0].0.ends_with("se.reduce.weight")).unwrap();
        assert_eq!(names(&squeezed.read), ["stage1.block0.se.expand.weight:1"]);
    }

    #[test]
    fn a_convolution_s_channels_are_read_by_the_next() {
        let all = channels("conv-macro");
        let read: Vec<Vec<String>> = all.iter().map(|one| names(&one.read)).collect();
        assert_eq!(
            read,
            [["conv2.weight:1"], ["conv3.weight:1"], ["conv4.weight:1"], ["conv5.weight:1"]]
        );
        assert_eq!(names(&all[0].dims), ["conv1.weight:0", "conv1.bias:0", "conv2.weight:1"]);
    }

    /// A transformer's tokens run through every block; heads keep their order.
    #[test]
    fn tokens_and_hidden_widths_move_and_heads_do_not() {
        for (preset, layers, table) in
            [("autoformer-t", 14, "patch.proj.weight"), ("language", 7, "wte.weight")]
        {
            let all = channels(preset);
            assert_eq!(all.len(), 1 + layers, "{preset}");
            assert!(all[0].dims.iter().any(|(name, _)| name == table), "{:?}", all[0]);
            let qkv = |(name, dim): &(String, usize)| {
                (name.ends_with("qkv.weight") || name.ends_with("c_attn.weight")) && *dim == 0
            };
            assert!(!all.iter().any(|one| one.dims.iter().any(qkv)));
        }
    }

    #[test]
    fn operations_have_nothing_to_move() {
        for preset in ["toy-cell", "nas-bench-201", "darts"] {
            assert_eq!(channels(preset), [], "{preset}");
        }
    }
}
