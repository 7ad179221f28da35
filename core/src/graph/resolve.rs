//! The walk that says what an architecture leaves of the graph.

use super::{Graph, NodeId, Op};
use crate::choice::Architecture;

/// What is left of a graph: mixes stand for a branch, and zeros are left out of sums.
#[derive(Debug)]
pub(super) struct Resolved {
    /// For every node the one that has its value; itself, unless it is a mix or a sum of one.
    pub(super) stands: Vec<NodeId>,
    /// Whether the network has the node.
    pub(super) kept: Vec<bool>,
}

impl Graph {
    /// What is left of the graph; an option without a branch stands for the first.
    pub(super) fn resolve(&self, architecture: &Architecture) -> Resolved {
        let mut stands: Vec<NodeId> = (0..self.nodes.len()).collect();
        for (id, node) in self.nodes.iter().enumerate() {
            match &node.op {
                Op::Mix(mix) => {
                    let branch = mix.branch_of(architecture.0[mix.choice]).unwrap_or(0);
                    stands[id] = stands[node.inputs[branch]];
                }
                Op::Add(_) => {
                    let all = node.inputs.iter().map(|input| stands[*input]);
                    let mut terms = all.filter(|input| !self.is_zero(*input));
                    stands[id] = match (terms.next(), terms.next()) {
                        (None, _) => stands[node.inputs[0]],
                        (Some(only), None) => only,
                        _ => id,
                    };
                }
                _ => {}
            }
        }
        let mut kept = vec![false; self.nodes.len()];
        // The input stays, whatever reads it.
        (kept[0], kept[stands[self.output]]) = (true, true);
        for id in (0..=self.output).rev().filter(|id| stands[*id] == *id) {
            if kept[id] {
                self.reads(id, &stands).for_each(|input| kept[input] = true);
            }
        }
        Resolved { stands, kept }
    }

    /// What a node that is left reads, once every node is resolved.
    pub(super) fn reads<'a>(
        &'a self,
        id: NodeId,
        stands: &'a [NodeId],
    ) -> impl Iterator<Item = NodeId> + 'a {
        let node = &self.nodes[id];
        let sum = matches!(node.op, Op::Add(_));
        let inputs = node.inputs.iter().map(|input| stands[*input]);
        inputs.filter(move |input| !(sum && self.is_zero(*input)))
    }

    fn is_zero(&self, id: NodeId) -> bool {
        matches!(self.nodes[id].op, Op::Zero(_))
    }
}
