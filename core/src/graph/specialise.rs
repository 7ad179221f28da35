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
    /// The network of one architecture: unused nodes dropped, sizes fixed, mixes resolved, and
    /// zeros left out of sums.
    ///
    /// # Errors
    /// - [`GraphError`] if the architecture does not belong to the graph.
    pub fn specialise(&self, architecture: &Architecture) -> Result<FixedNetwork, GraphError> {
        architecture.check(&self.choices)?;
        let used = self.reachable(architecture);
        let mut place: Vec<NodeId> = vec![0; self.nodes.len()];
        let mut nodes: Vec<Node> = Vec::new();
        let mut inherited = Vec::new();
        for (id, node) in self.nodes.iter().enumerate().filter(|(id, _)| used[*id]) {
            if let Op::Mix(mix) = &node.op {
                let branch = mix.branch_of(architecture.0[mix.choice]).unwrap_or(0);
                place[id] = place[node.inputs[branch]];
                continue;
            }
            let mut inputs: Vec<NodeId> = node.inputs.iter().map(|input| place[*input]).collect();
            if matches!(node.op, Op::Add(_)) {
                without_zeros(&mut inputs, &nodes);
                if let [only] = inputs[..] {
                    place[id] = only;
                    continue;
                }
            }
            let fixed = Node { name: node.name.clone(), op: fix(&node.op, architecture), inputs };
            inherited.extend(node.params().into_iter().map(|stored| Inherited {
                slices: stored.slices(architecture),
                name: stored.name,
            }));
            place[id] = nodes.len();
            nodes.push(fixed);
        }
        let graph = Graph { nodes, choices: vec![], prunings: vec![], output: place[self.output] };
        let graph = graph.without_unused(&mut inherited);
        graph.validate()?;
        Ok(FixedNetwork { graph, inherited })
    }

    /// Drops nodes that nothing reads, such as zeros that sums left out.
    fn without_unused(self, inherited: &mut Vec<Inherited>) -> Self {
        let used = self.reachable(&Architecture(vec![]));
        if used.iter().all(|used| *used) {
            return self;
        }
        let mut place: Vec<NodeId> = vec![0; self.nodes.len()];
        let mut nodes = Vec::new();
        for (id, mut node) in self.nodes.into_iter().enumerate() {
            // The input stays, whatever reads it.
            if !used[id] && id > 0 {
                let dropped = node.params();
                inherited.retain(|kept| dropped.iter().all(|param| param.name != kept.name));
                continue;
            }
            node.inputs.iter_mut().for_each(|input| *input = place[*input]);
            place[id] = nodes.len();
            nodes.push(node);
        }
        Self { nodes, output: place[self.output], ..self }
    }
}

/// Leaves zeros out of a sum, unless there is nothing else.
fn without_zeros(inputs: &mut Vec<NodeId>, nodes: &[Node]) {
    let is_zero = |input: &NodeId| matches!(nodes[*input].op, Op::Zero(_));
    if inputs.iter().all(is_zero) {
        inputs.truncate(1);
    } else {
        inputs.retain(|input| !is_zero(input));
    }
}

/// The operation with every size as the architecture decides it.
fn fix(op: &Op, architecture: &Architecture) -> Op {
    let mut op = op.clone();
    for size in op.kind_mut().sizes_mut() {
        *size = Size::Fixed(size.at(architecture).unwrap_or_else(|| size.largest()));
    }
    op
}
