//! The walk that counts parameters, multiply-accumulates and activations.

use serde::{Deserialize, Serialize};

use super::{Graph, GraphError, Node, Op, Shape};
use crate::choice::Architecture;

/// What one forward pass over one image costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// Trained numbers.
    pub params: u64,
    /// Multiply-accumulates of convolutions and linear layers.
    pub macs: u64,
    /// Numbers written by all nodes together.
    pub activations: u64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.params += other.params;
        self.macs += other.macs;
        self.activations += other.activations;
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
        architecture.check(&self.choices)?;
        let shapes = self.shapes()?;
        let used = self.reachable(architecture);
        let nodes = self.nodes.iter().zip(shapes).zip(used);
        Ok(nodes
            .filter(|(_, used)| *used)
            .map(|((node, shape), _)| NodeCost {
                name: node.name.clone(),
                cost: node_cost(node, &shape, architecture),
                shape,
            })
            .collect())
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
        let (_, min) = self.extreme(|candidate, best| candidate.params < best.params)?;
        let (_, max) = self.extreme(|candidate, best| candidate.params > best.params)?;
        Ok(CostRange { min, max })
    }

    /// The architecture with most parameters.
    ///
    /// # Errors
    /// - [`GraphError`] if the graph cannot be walked.
    pub fn largest(&self) -> Result<Architecture, GraphError> {
        self.extreme(|candidate, best| candidate.params > best.params).map(|(largest, _)| largest)
    }

    fn extreme(
        &self,
        better: impl Fn(Cost, Cost) -> bool,
    ) -> Result<(Architecture, Cost), GraphError> {
        let mut architecture = Architecture(vec![0; self.choices.len()]);
        let mut best = self.cost(&architecture)?;
        for _pass in 0..2 {
            for (id, choice) in self.choices.iter().enumerate() {
                let mut kept = architecture.0[id];
                for option in 0..choice.options.len() {
                    architecture.0[id] = option;
                    let cost = self.cost(&architecture)?;
                    if better(cost, best) {
                        (best, kept) = (cost, option);
                    }
                }
                architecture.0[id] = kept;
            }
        }
        Ok((architecture, best))
    }
}

fn node_cost(node: &Node, shape: &Shape, architecture: &Architecture) -> Cost {
    let activations = count(shape);
    match &node.op {
        Op::Conv2d(conv) => {
            let kernel = conv.kernel.at(architecture).unwrap_or_else(|| conv.kernel.largest());
            let inner = conv.in_channels / conv.groups();
            let weights = count(&[conv.out_channels, inner, kernel, kernel]);
            let bias = if conv.bias { count(&[conv.out_channels]) } else { 0 };
            Cost { params: weights + bias, macs: weights * count(&shape[1..]), activations }
        }
        Op::Linear(linear) => {
            let weights = count(&[linear.in_features, linear.out_features]);
            Cost { params: weights + count(&[linear.out_features]), macs: weights, activations }
        }
        Op::BatchNorm(norm) if norm.affine => {
            Cost { params: 2 * count(&[norm.channels]), macs: 0, activations }
        }
        // Only passes on what its selected input wrote.
        Op::Mix(_) => Cost::default(),
        _ => Cost { activations, ..Cost::default() },
    }
}

fn count(shape: &[i64]) -> u64 {
    shape.iter().map(|size| size.unsigned_abs()).product()
}
