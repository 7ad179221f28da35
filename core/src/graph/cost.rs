//! The walk that counts parameters, multiply-accumulates and activations.

use serde::{Deserialize, Serialize};

use super::nodes::count;
use super::{CostTable, Graph, GraphError, Node, NodeId, Shape, Timings};
use crate::choice::Architecture;
use crate::spec::Measure;

/// What one forward pass over one image costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// Trained numbers.
    pub params: u64,
    /// Multiply-accumulates of convolutions and linear layers.
    pub macs: u64,
    /// Numbers written by all nodes together.
    pub activations: u64,
    /// Nanoseconds that the nodes take one by one, where they were measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ns: Option<u64>,
}

impl Cost {
    /// One of the costs.
    #[must_use]
    pub fn of(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Params => self.params,
            Measure::Macs => self.macs,
            Measure::Latency => self.latency_ns.unwrap_or(0),
        }
    }
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.params += other.params;
        self.macs += other.macs;
        self.activations += other.activations;
        self.latency_ns = match (self.latency_ns, other.latency_ns) {
            (Some(own), Some(more)) => Some(own + more),
            (own, more) => own.or(more),
        };
    }
}

/// The cost of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeCost {
    /// The node's name.
    pub name: String,
    /// What it costs.
    pub cost: Cost,
    /// Shape of its output, without the batch dimension.
    pub shape: Shape,
}

/// Smallest and largest value over all architectures of a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostRange {
    /// Of the cheapest architecture.
    pub min: Cost,
    /// Of the dearest one.
    pub max: Cost,
}

impl Graph {
    /// Cost of every node that `architecture` uses.
    ///
    /// # Errors
    /// - [`GraphError`] if the architecture does not belong to the graph.
    pub fn node_costs(&self, architecture: &Architecture) -> Result<Vec<NodeCost>, GraphError> {
        let mut costs = Vec::new();
        self.visit(architecture, |_, node, inputs, shape| {
            let cost = node_cost(node, inputs, shape, &self.timings);
            costs.push(NodeCost { name: node.name.clone(), cost, shape: shape.clone() });
        })?;
        Ok(costs)
    }

    /// Shows every node of an architecture's network, with its place in this graph and the shapes
    /// that it reads and writes.
    pub(super) fn visit(
        &self,
        architecture: &Architecture,
        mut show: impl FnMut(NodeId, &Node, &[&Shape], &Shape),
    ) -> Result<(), GraphError> {
        let fixed = self.specialise(architecture)?.graph;
        let shapes = fixed.shapes()?;
        let kept = self.resolve(architecture).kept;
        let ids = (0..kept.len()).filter(|id| kept[*id]);
        for ((id, node), shape) in ids.zip(&fixed.nodes).zip(&shapes) {
            let inputs: Vec<&Shape> = node.inputs.iter().map(|at| &shapes[*at]).collect();
            show(id, node, &inputs, shape);
        }
        Ok(())
    }

    /// Cost of the network that `architecture` describes.
    ///
    /// # Errors
    /// - [`GraphError`] if the architecture does not belong to the graph.
    pub fn cost(&self, architecture: &Architecture) -> Result<Cost, GraphError> {
        let mut total = Cost::default();
        self.node_costs(architecture)?.into_iter().for_each(|node| total += node.cost);
        Ok(total)
    }

    /// Numbers that the supernet stores and trains (rows not counted).
    #[must_use]
    pub fn stored_params(&self) -> u64 {
        let trained = self.params().into_iter().filter(|param| param.role.is_trained());
        trained.map(|param| count(&param.shape)).sum()
    }

    /// Smallest and largest cost, by parameters.
    ///
    /// Costs add up over choices, so each choice can be settled alone while the others stand at
    /// their first option; a second pass settles choices that depend on one another.
    ///
    /// # Errors
    /// - [`GraphError`] if the graph cannot be walked.
    pub fn cost_range(&self) -> Result<CostRange, GraphError> {
        // Where lists of sizes are very long there are no tables.
        let tables = self.cost_tables().ok();
        let min = self.extreme(tables.as_deref(), |candidate, best| candidate < best)?;
        let max = self.extreme(tables.as_deref(), |candidate, best| candidate > best)?;
        Ok(CostRange { min: self.cost(&min)?, max: self.cost(&max)? })
    }

    /// The architecture with most parameters.
    ///
    /// # Errors
    /// - [`GraphError`] if the graph cannot be walked.
    pub fn largest(&self) -> Result<Architecture, GraphError> {
        let tables = self.cost_tables().ok();
        self.extreme(tables.as_deref(), |candidate, best| candidate > best)
    }

    fn extreme(
        &self,
        tables: Option<&[CostTable]>,
        better: impl Fn(u64, u64) -> bool,
    ) -> Result<Architecture, GraphError> {
        let params = |of: &Architecture| match tables {
            Some(tables) => Ok(tables.iter().map(|table| table.params[table.entry(of)]).sum()),
            None => self.cost(of).map(|cost| cost.params),
        };
        let mut architecture = Architecture(vec![0; self.choices.len()]);
        let mut best = params(&architecture)?;
        for _pass in 0..2 {
            for (id, choice) in self.choices.iter().enumerate() {
                let mut kept = architecture.0[id];
                for option in 0..choice.options.len() {
                    architecture.0[id] = option;
                    let cost = params(&architecture)?;
                    if better(cost, best) {
                        (best, kept) = (cost, option);
                    }
                }
                architecture.0[id] = kept;
            }
        }
        Ok(architecture)
    }
}

/// The cost of a node whose sizes are fixed.
pub(super) fn node_cost(node: &Node, inputs: &[&Shape], output: &Shape, timings: &Timings) -> Cost {
    let trained = node.params().into_iter().filter(|param| param.role.is_trained());
    Cost {
        params: trained.map(|param| count(&param.shape)).sum(),
        macs: node.op.kind().macs(inputs, output),
        activations: count(output),
        latency_ns: if timings.is_empty() { None } else { timings.of(node, inputs) },
    }
}

#[cfg(test)]
mod tests {
    use crate::spaces::{self, conv_macro};
    use crate::spec::{Sharing, SpaceSpec};

    /// A hundred and thirty widths after as many make more combinations than a table has entries.
    #[test]
    fn a_space_of_very_long_lists_has_a_range_too() {
        let SpaceSpec::ConvMacro(mut options) = (conv_macro::PRESET.defaults)() else {
            panic!("another space")
        };
        options.widths = vec![(1..=130).collect(), (1..=130).collect()];
        (options.kernels, options.pools) = (vec![3], vec![]);
        let space = SpaceSpec::ConvMacro(options);
        let graph = spaces::build(&space, conv_macro::PRESET.shape, Sharing::Entangled).unwrap();
        assert!(graph.cost_tables().is_err());
        let range = graph.cost_range().unwrap();
        let at = |option: usize| {
            let last = |choice: &crate::choice::Choice| option.min(choice.options.len() - 1);
            let picked = graph.choices.iter().map(last).collect();
            graph.cost(&crate::choice::Architecture(picked)).unwrap()
        };
        assert_eq!((range.min, range.max), (at(0), at(129)));
    }
}
