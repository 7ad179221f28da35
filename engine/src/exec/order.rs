//! When the values of a pass are computed, and when they are read for the last time.

use skein_core::graph::{Graph, NodeId};

/// When the values of a pass come and go. Times are ids of nodes, in whose order a pass computes.
#[derive(Debug)]
pub(super) struct Order {
    /// For every node the time at which it is computed; none if it is not.
    computed: Vec<Option<NodeId>>,
    /// For every node the last time at which its value is read, [`NodeId::MAX`] if it is asked for.
    last_read: Vec<NodeId>,
    /// For every time the nodes whose values nobody reads afterwards.
    dying: Vec<Vec<NodeId>>,
    /// The last time at which anything is computed.
    end: NodeId,
}

impl Order {
    /// The order of a pass over the `used` nodes for the values of `ends`. Nodes that are `inner`
    /// are computed by the mix that they lead to.
    pub(super) fn new(
        graph: &Graph,
        used: &[bool],
        inner: impl Fn(NodeId) -> bool,
        ends: &[NodeId],
    ) -> Self {
        let end = ends.iter().max().copied().unwrap_or(0);
        let mut computed = vec![None; graph.nodes.len()];
        let mut last_read = vec![0; graph.nodes.len()];
        ends.iter().for_each(|end| last_read[*end] = NodeId::MAX);
        for id in (0..=end).rev().filter(|id| used[*id]) {
            let time = if inner(id) { last_read[id] } else { id };
            computed[id] = (time >= id).then_some(time);
            last_read[id] = last_read[id].max(time);
            for input in graph.nodes[id].reads() {
                last_read[*input] = last_read[*input].max(time);
            }
        }
        let mut dying = vec![vec![]; end + 1];
        for (id, (computed, last)) in computed.iter().zip(&last_read).enumerate() {
            if computed.is_some() && *last <= end {
                dying[*last].push(id);
            }
        }
        Self { computed, last_read, dying, end }
    }

    /// The last time at which anything is computed.
    pub(super) fn end(&self) -> NodeId {
        self.end
    }

    /// The time at which a node is computed; none if it is not.
    pub(super) fn computed(&self, id: NodeId) -> Option<NodeId> {
        self.computed[id]
    }

    /// The last time at which a node's value is read, [`NodeId::MAX`] if it is asked for.
    pub(super) fn last_read(&self, id: NodeId) -> NodeId {
        self.last_read[id]
    }

    /// Whether a node is computed at a time after `from` and until `to`.
    pub(super) fn within(&self, id: NodeId, (from, to): (NodeId, NodeId)) -> bool {
        self.computed[id].is_some_and(|time| from < time && time <= to)
    }

    /// Nodes whose values are there at the end of a time and read afterwards.
    pub(super) fn alive_after(&self, time: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let all = self.computed.iter().zip(&self.last_read).enumerate();
        all.filter(move |(_, (computed, last))| {
            computed.is_some_and(|computed| computed <= time && time < **last)
        })
        .map(|(id, _)| id)
    }

    /// The nodes whose values nobody reads after a time.
    pub(super) fn dying(&self, time: NodeId) -> &[NodeId] {
        &self.dying[time]
    }
}
