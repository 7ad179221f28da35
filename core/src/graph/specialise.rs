//! The walk that turns a space and an architecture into one fixed network.

use super::resolve::Resolved;
use super::{Graph, GraphError, Node, NodeId, Op, Size, Timings};
use crate::choice::{Architecture, Site};

/// A network without choices, and what each of its tensors inherits from the supernet.
#[derive(Debug, Clone, PartialEq)]
pub struct FixedNetwork {
    /// The network; names are those of the supernet's nodes.
    pub graph: Graph,
    /// One entry per stored tensor of `graph`, in its order.
    pub inherited: Vec<Inherited>,
    /// The last nodes of the operations on cells' edges, each edge's own; an identity has none.
    pub edges: Vec<NodeId>,
}

/// The slice of a supernet tensor that a tensor of a fixed network starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inherited {
    /// Name of the tensor, the same in both networks.
    pub name: String,
    /// For every dimension of the supernet's tensor the parts `(first, length)` that are kept.
    pub kept: Vec<Vec<(i64, i64)>>,
    /// Matrices that lead from the largest kernel to the one that is kept, each with the side of
    /// its result; what is kept is then a part of the last result.
    pub transforms: Vec<(String, i64)>,
}

impl Graph {
    /// The network of one architecture: unused nodes dropped, sizes fixed, mixes resolved, and
    /// zeros left out of sums.
    ///
    /// # Errors
    /// - [`GraphError`] if the architecture does not belong to the graph.
    pub fn specialise(&self, architecture: &Architecture) -> Result<FixedNetwork, GraphError> {
        architecture.check(&self.choices)?;
        let Resolved { stands, kept } = self.resolve(architecture);
        let mut place: Vec<NodeId> = vec![0; self.nodes.len()];
        let mut nodes: Vec<Node> = Vec::new();
        let mut inherited = Vec::new();
        for (id, node) in self.nodes.iter().enumerate().filter(|(id, _)| kept[*id]) {
            let inputs = self.reads(id, &stands).map(|input| place[input]).collect();
            let fixed = Node { name: node.name.clone(), op: fix(&node.op, architecture), inputs };
            inherited.extend(inherit(node, &fixed, architecture));
            place[id] = nodes.len();
            nodes.push(fixed);
        }
        let output = place[stands[self.output]];
        let (choices, prunings, timings) = (vec![], vec![], Timings::default());
        let graph = Graph { nodes, choices, prunings, output, timings };
        graph.validate()?;
        let mixes = 0..self.nodes.len();
        let edges = mixes.filter(|id| kept[stands[*id]] && self.is_operation(*id, stands[*id]));
        let edges = edges.map(|id| place[stands[id]]).collect();
        Ok(FixedNetwork { graph, inherited, edges })
    }

    /// Whether a node is a mix on the edge of a cell, and the one that stands for it the last of an
    /// operation of its own.
    ///
    /// An edge's operations are called after it; an identity gives what the edge reads, which is
    /// not.
    fn is_operation(&self, edge: NodeId, stands: NodeId) -> bool {
        let (edge, stands) = (&self.nodes[edge], &self.nodes[stands]);
        let Op::Mix(mix) = &edge.op else { return false };
        let below = stands.name.strip_prefix(&edge.name);
        matches!(self.choices[mix.choice].site, Site::Edge { .. })
            && below.is_some_and(|rest| rest.starts_with('.'))
            && !matches!(stands.op, Op::Zero(_))
    }
}

/// What the tensors of a fixed node start from.
fn inherit(node: &Node, fixed: &Node, architecture: &Architecture) -> Vec<Inherited> {
    let remaining: Vec<String> = fixed.params().into_iter().map(|param| param.name).collect();
    let stored = node.params().into_iter().filter(|param| remaining.contains(&param.name));
    stored
        .map(|param| {
            let mut inherited =
                Inherited { kept: param.kept(architecture), name: param.name, transforms: vec![] };
            if let (Op::Conv2d(all), Op::Conv2d(one)) = (&node.op, &fixed.op)
                && all.transforms
                && inherited.kept.len() == 4
            {
                inherited.transforms = all.transforms_to(&node.name, one.kernel.largest());
                for range in &mut inherited.kept[2..] {
                    *range = vec![(0, one.kernel.largest())];
                }
            }
            inherited
        })
        .collect()
}

/// The operation with every size as the architecture decides it.
fn fix(op: &Op, architecture: &Architecture) -> Op {
    let mut op = op.clone();
    for size in op.kind_mut().sizes_mut() {
        *size = Size::Fixed(size.at(architecture).unwrap_or_else(|| size.largest()));
    }
    op
}
