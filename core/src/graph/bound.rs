//! The walk that tells which choices a node, and a whole architecture, depends on.

use super::{Graph, Op, Size};
use crate::choice::{Architecture, ChoiceId};

impl Op {
    /// The choices that this operation itself is bound to: by its sizes, or as a mix.
    #[must_use]
    pub fn bound_choices(&self) -> Vec<ChoiceId> {
        let of_size = |size: &Size| match size {
            Size::Fixed(_) => None,
            Size::Elastic(elastic) => Some(elastic.choice),
        };
        match self {
            Self::Conv2d(conv) => of_size(&conv.kernel).into_iter().collect(),
            Self::Mix(mix) => vec![mix.choice],
            _ => vec![],
        }
    }
}

impl Graph {
    /// Which choices decide anything under an architecture; the others belong to parts of the
    /// network that it does not use. The architecture must belong to the graph.
    #[must_use]
    pub fn deciding(&self, architecture: &Architecture) -> Vec<bool> {
        let mut decides = vec![false; self.choices.len()];
        for (node, used) in self.nodes.iter().zip(self.reachable(architecture)) {
            if used {
                node.op.bound_choices().into_iter().for_each(|choice| decides[choice] = true);
            }
        }
        decides
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{Builder, Conv2d, Elastic, Mix};
    use super::*;
    use crate::choice::{Choice, Site};

    /// A depth of one or two layers, and a kernel size in each of them.
    pub(in crate::graph) fn deep() -> Graph {
        let mut builder = Builder::new(vec![2, 6, 6]);
        let choice = |tensor: &str, label: &str, options: [&str; 2]| Choice {
            tensor: tensor.to_owned(),
            label: label.to_owned(),
            options: options.map(str::to_owned).to_vec(),
            site: Site::Edge { cell: "c".to_owned(), from: 0, to: 1 },
        };
        builder.choice(choice("depth", "stage", ["1", "2"]));
        builder.choice(choice("kernel", "first", ["3", "5"]));
        builder.choice(choice("kernel", "second", ["3", "5"]));
        let kernel = |choice| Size::Elastic(Elastic { choice, sizes: vec![(0, 3), (1, 5)] });
        let first = Op::Conv2d(Conv2d::depthwise(2, kernel(1), 1, 1));
        let first = builder.add("first", first, &[0]);
        let second = Op::Conv2d(Conv2d::depthwise(2, kernel(2), 1, 1));
        let second = builder.add("second", second, &[first]);
        let exit = Mix { choice: 0, branches: vec![vec![0], vec![1]] };
        let out = builder.add("exit", Op::Mix(exit), &[first, second]);
        builder.finish(out).unwrap()
    }

    #[test]
    fn a_choice_of_a_layer_that_is_left_out_decides_nothing() {
        let graph = deep();
        assert_eq!(graph.deciding(&Architecture(vec![0, 1, 1])), [true, true, false]);
        assert_eq!(graph.deciding(&Architecture(vec![1, 1, 1])), [true, true, true]);
    }
}
