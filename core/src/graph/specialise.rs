//! The walk that turns a space and an architecture into one fixed network.

use super::{Graph, GraphError, Node, NodeId, Op, Size};
use crate::choice::Architecture;

/// A network without choices, and what each of its tensors inherits from the supernet.
#[derive(Debug, Clone, PartialEq)]
pub struct FixedNetwork {
    /// The network; names are those of the supernet's nodes.
    pub graph: Graph,
    /// One entry per stored tensor of `graph`, in its order.
    pub inherited: Vec<Inherited>,
}

/// The slice of a supernet tensor that a tensor of a fixed network starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inherited {
    /// Name of the tensor, the same in both networks.
    pub name: String,
    /// `(first, length)` per dimension of the supernet's tensor.
    pub slices: Vec<(i64, i64)>,
}

impl Graph {
    /// The network of one architecture: unused nodes dropped, sizes fixed, mixes resolved.
    ///
    /// # Errors
    /// - [`GraphError`] if the architecture does not belong to the graph.
    pub fn specialise(&self, architecture: &Architecture) -> Result<FixedNetwork, GraphError> {
        architecture.check(&self.choices)?;
        let used = self.reachable(architecture);
        let mut place: Vec<NodeId> = vec![0; self.nodes.len()];
        let mut nodes = Vec::new();
        let mut inherited = Vec::new();
        for (id, node) in self.nodes.iter().enumerate().filter(|(id, _)| used[*id]) {
            if let Op::Mix(mix) = &node.op {
                let branch = mix.branch_of(architecture.0[mix.choice]).unwrap_or(0);
                place[id] = place[node.inputs[branch]];
                continue;
            }
            let fixed = Node {
                name: node.name.clone(),
                op: fix(&node.op, architecture),
                inputs: node.inputs.iter().map(|input| place[*input]).collect(),
            };
            inherited.extend(inherit(node, &fixed));
            place[id] = nodes.len();
            nodes.push(fixed);
        }
        let graph = Graph { nodes, choices: vec![], output: place[self.output] };
        graph.validate()?;
        Ok(FixedNetwork { graph, inherited })
    }
}

fn fix(op: &Op, architecture: &Architecture) -> Op {
    let mut op = op.clone();
    if let Op::Conv2d(conv) = &mut op {
        let kernel = conv.kernel.at(architecture).unwrap_or_else(|| conv.kernel.largest());
        conv.kernel = Size::Fixed(kernel);
    }
    op
}

/// Kernels are centred crops, everything else keeps its first entries.
fn inherit(node: &Node, fixed: &Node) -> Vec<Inherited> {
    let pairs = node.params().into_iter().zip(fixed.params());
    pairs
        .map(|(stored, kept)| {
            let sizes = stored.shape.iter().zip(&kept.shape).enumerate();
            let slices = sizes.map(|(dim, (all, part))| {
                let is_kernel = stored.shape.len() == 4 && dim >= 2;
                (if is_kernel { (all - part) / 2 } else { 0 }, *part)
            });
            Inherited { name: kept.name, slices: slices.collect() }
        })
        .collect()
}
