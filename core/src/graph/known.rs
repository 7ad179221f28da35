//! What nodes cost under the options that their sizes hang on, each worked out once.

use std::collections::{BTreeSet, HashMap};

use super::cost::{Cost, node_cost};
use super::timing::{Part, Parts};
use super::{Graph, GraphError, NodeId, Op, Shape};
use crate::choice::{Architecture, ChoiceId};

/// What nodes cost, as far as it was asked for.
pub(super) struct KnownCosts<'a> {
    graph: &'a Graph,
    /// For every node the choices that the sizes of what it computes hang on.
    pub(super) bound: Vec<BTreeSet<ChoiceId>>,
    costs: HashMap<(NodeId, Vec<usize>), Cost>,
    parts: Parts,
}

impl<'a> KnownCosts<'a> {
    /// Nothing yet; `all` if nodes without sizes will be asked for too.
    pub(super) fn of(graph: &'a Graph, all: bool) -> Result<Self, GraphError> {
        let (costs, parts) = (HashMap::new(), Parts::default());
        Ok(Self { graph, bound: graph.bound_sizes(all)?, costs, parts })
    }

    /// What a node costs in an architecture that keeps it.
    pub(super) fn of_node(
        &mut self,
        id: NodeId,
        architecture: &Architecture,
    ) -> Result<Cost, GraphError> {
        let Self { graph, bound, costs, parts } = self;
        let key = |id: NodeId| (id, bound[id].iter().map(|at| architecture.0[*at]).collect());
        if let Some(cost) = costs.get(&key(id)) {
            return Ok(*cost);
        }
        graph.visit(architecture, |id, node, inputs, shape| {
            parts.meet(node, inputs);
            costs.insert(key(id), node_cost(node, inputs, shape, &graph.timings));
        })?;
        Ok(costs.get(&key(id)).copied().unwrap_or_default())
    }

    /// Every different node that was met.
    pub(super) fn into_parts(self) -> Vec<Part> {
        self.parts.into_vec()
    }
}

impl Graph {
    /// For every node the choices that the sizes of what it computes hang on: its own, or, if it
    /// has no sizes and all nodes are asked for, those of the shapes that it reads.
    fn bound_sizes(&self, all: bool) -> Result<Vec<BTreeSet<ChoiceId>>, GraphError> {
        let shaped = if all { self.shaped_by()? } else { vec![BTreeSet::new(); self.nodes.len()] };
        let bound = self.nodes.iter().map(|node| {
            if node.op.sizes().is_empty() {
                node.inputs.iter().flat_map(|input| shaped[*input].iter().copied()).collect()
            } else {
                node.op.bound_choices().into_iter().collect()
            }
        });
        Ok(bound.collect())
    }

    /// For every node the choices that the shape of its output hangs on: those that change it, one
    /// by one, in the architecture that uses most nodes.
    fn shaped_by(&self) -> Result<Vec<BTreeSet<ChoiceId>>, GraphError> {
        let full = self.fullest();
        let usual = self.shapes_in(&full)?;
        let mut shaped = vec![BTreeSet::new(); self.nodes.len()];
        let mut other = full.clone();
        for (id, choice) in self.choices.iter().enumerate() {
            for option in 0..choice.options.len() {
                other.0[id] = option;
                let shapes = self.shapes_in(&other)?.into_iter().zip(&usual);
                for (at, (shape, usual)) in shapes.enumerate() {
                    if shape.is_some() && usual.is_some() && shape != *usual {
                        shaped[at].insert(id);
                    }
                }
            }
            other.0[id] = full.0[id];
        }
        // What stands for others in an architecture has the shape of any of them.
        for (id, node) in self.nodes.iter().enumerate() {
            if matches!(node.op, Op::Mix(_) | Op::Add(_)) {
                let of_inputs: BTreeSet<ChoiceId> =
                    node.inputs.iter().flat_map(|input| shaped[*input].iter().copied()).collect();
                shaped[id].extend(of_inputs);
            }
        }
        Ok(shaped)
    }

    /// Shapes of the nodes that an architecture keeps.
    fn shapes_in(&self, architecture: &Architecture) -> Result<Vec<Option<Shape>>, GraphError> {
        let mut shapes = vec![None; self.nodes.len()];
        self.visit(architecture, |id, _, _, shape| shapes[id] = Some(shape.clone()))?;
        Ok(shapes)
    }
}
