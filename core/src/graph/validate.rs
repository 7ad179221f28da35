//! The walk that checks a graph's structure.

use std::collections::HashSet;

use super::{Graph, GraphError, Node, Op, Size};

impl Graph {
    /// Checks order, names, shapes, kernels, and that every mix covers its choice exactly once.
    ///
    /// # Errors
    /// - [`GraphError::Structure`] or [`GraphError::Shape`], the first one found.
    pub fn validate(&self) -> Result<(), GraphError> {
        let mut names = HashSet::new();
        for (id, node) in self.nodes.iter().enumerate() {
            let wrong = |reason: &str| {
                Err(GraphError::Structure { node: node.name.clone(), reason: reason.to_owned() })
            };
            if !names.insert(&node.name) {
                return wrong("the name is used twice");
            }
            if node.inputs.iter().any(|input| *input >= id) {
                return wrong("an input does not come earlier");
            }
            if matches!(node.op, Op::Input(_)) != (id == 0) {
                return wrong("the input is the first node and no other");
            }
            if let Some(reason) = self.fault(node) {
                return wrong(&reason);
            }
        }
        if self.output >= self.nodes.len() {
            let node = self.output.to_string();
            return Err(GraphError::Structure { node, reason: "no such output".to_owned() });
        }
        self.shapes().map(drop)
    }

    fn fault(&self, node: &Node) -> Option<String> {
        let op = node.op.kind();
        for (options, size) in op.sizes().into_iter().flat_map(Size::values) {
            if options.iter().any(|(choice, option)| !self.has(*choice, *option)) {
                return Some("a size is bound to an option that is not there".to_owned());
            }
            if size < 1 {
                return Some(format!("a size of {size}"));
            }
        }
        if let Op::Mix(mix) = &node.op {
            let Some(choice) = self.choices.get(mix.choice) else {
                return Some("the mix is bound to a choice that is not there".to_owned());
            };
            let mut covered: Vec<usize> = mix.branches.iter().flatten().copied().collect();
            covered.sort_unstable();
            if covered != (0..choice.options.len()).collect::<Vec<_>>()
                || mix.branches.len() != node.inputs.len()
            {
                return Some("the branches do not cover each option once".to_owned());
            }
        }
        op.fault()
    }

    fn has(&self, choice: usize, option: usize) -> bool {
        self.choices.get(choice).is_some_and(|choice| option < choice.options.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Builder, Conv2d, Mix, Node};
    use super::*;
    use crate::choice::{Choice, Site};

    fn graph(mix: Mix, kernel: Size) -> Result<Graph, GraphError> {
        let mut builder = Builder::new(vec![2, 6, 6]);
        builder.choice(Choice {
            tensor: "normal".to_owned(),
            label: "0→1".to_owned(),
            options: vec!["sep3".to_owned(), "sep5".to_owned()],
            site: Site::Edge { cell: "normal".to_owned(), from: 0, to: 1 },
            when: None,
        });
        let conv = builder.add("a", Op::Conv2d(Conv2d::depthwise(2, kernel, 1, 1)), &[0]);
        let out = builder.add("mix", Op::Mix(mix), &[conv]);
        builder.finish(out)
    }

    #[test]
    fn a_mix_must_cover_each_option_once() {
        let mix = |branches| Mix { choice: 0, branches };
        assert!(graph(mix(vec![vec![0, 1]]), Size::Fixed(3)).is_ok());
        for branches in [vec![vec![0]], vec![vec![0, 1, 1]], vec![vec![0], vec![1]]] {
            let error = graph(mix(branches), Size::Fixed(3)).unwrap_err();
            assert!(error.to_string().contains("cover each option once"), "{error}");
        }
    }

    #[test]
    fn an_even_kernel_is_refused() {
        let mix = Mix { choice: 0, branches: vec![vec![0, 1]] };
        let error = graph(mix, Size::Fixed(4)).unwrap_err();
        assert_eq!(error.to_string(), "node `a`: kernel size 4 is not odd");
    }

    #[test]
    fn names_are_unique_and_inputs_come_earlier() {
        let mix = Mix { choice: 0, branches: vec![vec![0, 1]] };
        let mut twice = graph(mix.clone(), Size::Fixed(3)).unwrap();
        twice.nodes[2].name = "a".to_owned();
        assert!(twice.validate().unwrap_err().to_string().contains("used twice"));
        let mut late = graph(mix, Size::Fixed(3)).unwrap();
        late.nodes.insert(1, Node { name: "late".to_owned(), op: Op::RELU, inputs: vec![2] });
        assert!(late.validate().unwrap_err().to_string().contains("come earlier"));
    }
}
