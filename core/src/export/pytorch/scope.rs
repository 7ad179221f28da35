//! Which nodes become a class: those whose names begin alike, if they have one result.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::graph::{Graph, NodeId, Op};

/// A class of the Python, once for every time that it is used.
#[derive(Debug)]
pub(super) struct Scope {
    /// What its nodes' names begin with, a dot at the end; empty for the network.
    pub(super) prefix: String,
    /// What it does, in this order.
    pub(super) items: Vec<Item>,
    /// Values that it reads.
    pub(super) inputs: Vec<NodeId>,
    /// The node whose value it gives.
    pub(super) output: NodeId,
}

/// A line of a `forward`.
#[derive(Debug)]
pub(super) enum Item {
    /// A node.
    Node(NodeId),
    /// A class below.
    Scope(Scope),
}

impl Scope {
    /// Height above the lowest classes.
    pub(super) fn height(&self) -> usize {
        let below = self.items.iter().filter_map(|item| match item {
            Item::Node(_) => None,
            Item::Scope(scope) => Some(1 + scope.height()),
        });
        below.max().unwrap_or(0)
    }
}

impl Item {
    /// The values that it reads.
    pub(super) fn reads<'a>(&'a self, graph: &'a Graph) -> &'a [NodeId] {
        match self {
            Self::Scope(scope) => &scope.inputs,
            Self::Node(id) => graph.nodes[*id].reads(),
        }
    }

    /// The node whose value it gives.
    pub(super) fn gives(&self) -> NodeId {
        match self {
            Self::Node(id) => *id,
            Self::Scope(scope) => scope.output,
        }
    }
}

/// The whole network.
pub(super) fn root(graph: &Graph) -> Scope {
    let items = items(graph, "", 1..graph.nodes.len());
    Scope { prefix: String::new(), items, inputs: vec![0], output: graph.output }
}

/// Cuts consecutive nodes into single ones and classes.
fn items(graph: &Graph, prefix: &str, range: Range<NodeId>) -> Vec<Item> {
    let (mut at, mut found) = (range.start, Vec::new());
    while at < range.end {
        let part = candidates(graph, prefix, at)
            .into_iter()
            .find_map(|candidate| scope(graph, candidate, at, range.end));
        match part {
            Some((scope, end)) => {
                found.push(Item::Scope(scope));
                at = end;
            }
            None => {
                found.push(Item::Node(at));
                at += 1;
            }
        }
    }
    found
}

/// Beginnings of a node's name below `prefix`, the shortest first.
fn candidates<'a>(graph: &'a Graph, prefix: &str, id: NodeId) -> Vec<&'a str> {
    let name = &graph.nodes[id].name;
    let dots = name.match_indices('.').map(|(dot, _)| dot + 1);
    dots.filter(|end| *end > prefix.len()).map(|end| &name[..end]).collect()
}

/// The class of the nodes from `start` on whose names begin with `prefix`, and where it ends.
fn scope(graph: &Graph, prefix: &str, start: NodeId, limit: NodeId) -> Option<(Scope, NodeId)> {
    let within = |id: &NodeId| graph.nodes[*id].name.starts_with(prefix);
    let end = (start..limit).find(|id| !within(id)).unwrap_or(limit);
    let run = start..end;
    let others = || (0..graph.nodes.len()).filter(|id| !run.contains(id));
    let own = prefix.trim_end_matches('.');
    // Nodes further on, or one of just this name, whose module the class would have to be.
    if run.len() < 2 || others().any(|id| within(&id) || graph.nodes[id].name == own) {
        return None;
    }
    let deeper = candidates(graph, prefix, start);
    if deeper.first().is_some_and(|next| run.clone().all(|id| starts(graph, id, next))) {
        // All of it is one class below.
        return None;
    }
    let torn = |id: NodeId| {
        let table = graph.nodes[id].table();
        table.is_some_and(|table| run.contains(&table) != run.contains(&id))
    };
    let stores = |id: NodeId| {
        let node = &graph.nodes[id];
        matches!(node.op, Op::Dropout(_)) || !node.params().is_empty()
    };
    if (0..graph.nodes.len()).any(torn) || !run.clone().any(stores) {
        return None;
    }
    let mut results: BTreeSet<NodeId> =
        others().flat_map(|id| graph.nodes[id].reads()).copied().collect();
    results.insert(graph.output);
    let mut results = results.into_iter().filter(|id| run.contains(id));
    let (Some(output), None) = (results.next(), results.next()) else { return None };
    let mut inputs = Vec::new();
    for input in run.clone().flat_map(|id| graph.nodes[id].reads()) {
        if !run.contains(input) && !inputs.contains(input) {
            inputs.push(*input);
        }
    }
    let items = items(graph, prefix, run);
    Some((Scope { prefix: prefix.to_owned(), items, inputs, output }, end))
}

fn starts(graph: &Graph, id: NodeId, prefix: &str) -> bool {
    graph.nodes[id].name.starts_with(prefix)
}
