//! The walk that tells which choices a node, and a whole architecture, depends on.

use super::{Graph, Op};
use crate::choice::{Architecture, ChoiceId};

impl Op {
    /// The choices that this operation itself is bound to: by its sizes, or as a mix.
    #[must_use]
    pub fn bound_choices(&self) -> Vec<ChoiceId> {
        match self {
            Self::Mix(mix) => vec![mix.choice],
            op => op.sizes().into_iter().flat_map(super::Size::choices).collect(),
        }
    }
}

impl Graph {
    /// Which choices decide anything under an architecture; the others belong to parts of the
    /// network that it does not use.
    #[must_use]
    pub fn deciding(&self, architecture: &Architecture) -> Vec<bool> {
        (0..self.choices.len()).map(|choice| self.is_open(architecture, choice)).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{Builder, Conv2d, Elastic, Mix, Size};
    use super::*;
    use crate::choice::{Choice, Site};

    /// A depth of one or two layers, and a kernel size in each of them.
    pub(in crate::graph) fn deep() -> Graph {
        let mut builder = Builder::new(vec![2, 6, 6]);
        let choice = |tensor: &str, label: &str, options: [&str; 2], when| Choice {
            tensor: tensor.to_owned(),
            label: label.to_owned(),
            options: options.map(str::to_owned).to_vec(),
            site: Site::Edge { cell: "c".to_owned(), from: 0, to: 1 },
            when,
        };
        builder.choice(choice("depth", "stage", ["1", "2"], None));
        builder.choice(choice("kernel", "first", ["3", "5"], None));
        builder.choice(choice("kernel", "second", ["3", "5"], Some((0, vec![1]))));
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
