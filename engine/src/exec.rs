//! The walk that computes a graph: superposed, along one path, or standalone.
//!
//! Superposition is done by masks on the largest weight (see [`crate::entangle`]), never by padded
//! copies. A fixed network is a graph without choices, executed along the empty architecture.

mod walk;

use std::collections::HashMap;

use skein_core::choice::{Architecture, ChoiceId};
use skein_core::graph::{Conv2d, Elastic, Graph, Mix, NodeId, Op, Size};
use skein_core::spec::{Fidelity, Sharing};
use tch::Tensor;

use crate::EngineError;
use crate::device::Compute;
use crate::entangle::ring;
use crate::nodes::norm::Statistics;
use crate::nodes::{conv, dropout, norm};
use crate::store::Store;
use walk::{Walk, held_above_zero, mass, sum, take};

/// Which candidates take part in a pass, and with which weights.
#[derive(Debug, Clone, Copy)]
pub enum Plan<'a> {
    /// All of them, weighted by the rows (one tensor of shape `[options]` per choice).
    Superposed(&'a [Tensor]),
    /// One per choice; with one-hot rows, gradients flow to them (straight-through).
    Path(&'a Architecture, Option<&'a [Tensor]>),
}

/// What a pass does besides computing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pass {
    /// Statistics of the batch norms.
    pub statistics: Statistics,
    /// Seed of this pass's dropout; none outside training.
    pub dropout: Option<u64>,
}

impl Pass {
    /// Evaluation with running statistics.
    pub const EVALUATE: Self = Self { statistics: Statistics::Running, dropout: None };
    /// Evaluation with the batch's own statistics, which are not kept.
    pub const BATCH: Self = Self { statistics: Statistics::Batch, dropout: None };

    /// Training with this dropout seed.
    #[must_use]
    pub fn train(dropout: u64) -> Self {
        Self { statistics: Statistics::Train, dropout: Some(dropout) }
    }
}

/// Executes one graph.
#[derive(Debug)]
pub struct Executor {
    graph: Graph,
    sharing: Sharing,
    fidelity: Fidelity,
    /// Ring masks of every elastic convolution.
    masks: HashMap<NodeId, Tensor>,
    /// For every node the choice whose option it depends on inside its branch.
    bound: Vec<Option<ChoiceId>>,
}

/// Scale of a convolution's kernel, and how its size is found.
enum Kernel<'a> {
    Mixed(&'a [Tensor]),
    Picked(usize, Option<Tensor>),
}

impl Executor {
    /// Prepares a graph for execution.
    #[must_use]
    pub fn new(graph: Graph, sharing: Sharing, fidelity: Fidelity, compute: Compute) -> Self {
        let options = (compute.kind, compute.device);
        let elastic = graph
            .nodes
            .iter()
            .enumerate()
            .filter_map(|(id, node)| elastic_of(&node.op).map(|e| (id, e)));
        let masks = elastic.map(|(id, elastic)| (id, ring::masks(elastic, options))).collect();
        let mut bound: Vec<Option<ChoiceId>> = Vec::with_capacity(graph.nodes.len());
        for node in &graph.nodes {
            let from_inputs = || node.inputs.iter().find_map(|input| bound[*input]);
            bound.push(match &node.op {
                Op::Mix(_) => None,
                op => elastic_of(op).map(|elastic| elastic.choice).or_else(from_inputs),
            });
        }
        Self { graph, sharing, fidelity, masks, bound }
    }

    /// A fixed network's executor.
    #[must_use]
    pub fn fixed(graph: Graph, compute: Compute) -> Self {
        Self::new(graph, Sharing::Entangled, Fidelity::Corrected, compute)
    }

    /// The graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Computes the output.
    ///
    /// # Shapes
    /// - `x`: `[batch, channels, height, width]`; returned: `[batch, classes]`.
    ///
    /// # Errors
    /// - [`EngineError`] if the store lacks a tensor.
    pub fn forward(
        &self,
        store: &Store,
        x: &Tensor,
        plan: Plan<'_>,
        pass: Pass,
    ) -> Result<Tensor, EngineError> {
        let used = match plan {
            Plan::Superposed(_) => vec![true; self.graph.nodes.len()],
            Plan::Path(architecture, _) => self.graph.reachable(architecture),
        };
        let outputs =
            matches!(plan, Plan::Superposed(_)) && self.sharing == Sharing::EntangledOutputs;
        let mut walk = Walk {
            store,
            plan,
            pass,
            values: vec![],
            relus: HashMap::new(),
            rings: HashMap::new(),
        };
        walk.values.resize_with(self.graph.nodes.len(), || None);
        walk.values[0] = Some(x.shallow_clone());
        for (id, used) in used.iter().enumerate().take(self.graph.output + 1).skip(1) {
            // Branches whose outputs are mixed run once per option, inside the mix.
            if *used && !(outputs && self.bound[id].is_some()) {
                walk.values[id] = Some(self.compute(id, &mut walk, None)?);
            }
        }
        walk.take(self.graph.output)
    }

    fn compute(
        &self,
        id: NodeId,
        walk: &mut Walk<'_>,
        option: Option<usize>,
    ) -> Result<Tensor, EngineError> {
        let node = &self.graph.nodes[id];
        let input = |walk: &Walk<'_>, at: usize| walk.get(node.inputs[at]);
        Ok(match &node.op {
            Op::Input(_) => walk.get(0)?,
            Op::Conv2d(spec) => {
                let x = input(walk, 0)?;
                let weight = self.kernel(id, spec, walk, option)?;
                let bias = if spec.bias { Some(walk.param(&node.name, "bias")?) } else { None };
                conv::forward(spec, &x, &weight, bias)
            }
            Op::BatchNorm(spec) => {
                let x = input(walk, 0)?;
                let affine = if spec.affine {
                    (Some(walk.param(&node.name, "weight")?), Some(walk.param(&node.name, "bias")?))
                } else {
                    (None, None)
                };
                let running = (
                    walk.param(&node.name, "running_mean")?,
                    walk.param(&node.name, "running_var")?,
                );
                norm::forward(&x, affine.0, affine.1, running, walk.pass.statistics)
            }
            Op::Relu => walk.relu(node.inputs[0])?,
            Op::MaxPool(window) => input(walk, 0)?.max_pool2d(*window, *window, 0, 1, false),
            Op::Dropout(p) => match walk.pass.dropout {
                Some(seed) => dropout::forward(&input(walk, 0)?, *p, seed.wrapping_add(id as u64)),
                None => input(walk, 0)?,
            },
            Op::Flatten => input(walk, 0)?.flatten(1, -1),
            Op::Concat => Tensor::cat(&walk.all(&node.inputs)?, 1),
            Op::Add => sum(walk.all(&node.inputs)?)?,
            Op::Linear(_) => {
                let (weight, bias) =
                    (walk.param(&node.name, "weight")?, walk.param(&node.name, "bias")?);
                input(walk, 0)?.linear(weight, Some(bias))
            }
            Op::Mix(mix) => self.mix(mix, &node.inputs, walk)?,
        })
    }

    /// The kernel that a convolution uses in this pass.
    fn kernel(
        &self,
        id: NodeId,
        spec: &Conv2d,
        walk: &mut Walk<'_>,
        option: Option<usize>,
    ) -> Result<Tensor, EngineError> {
        let weight = walk.param(&self.graph.nodes[id].name, "weight")?;
        let Size::Elastic(elastic) = &spec.kernel else { return Ok(weight.shallow_clone()) };
        let kernel = match (option, walk.plan) {
            (Some(option), _) => Kernel::Picked(option, None),
            (None, Plan::Superposed(rows)) => Kernel::Mixed(rows),
            (None, Plan::Path(architecture, rows)) => {
                let option = architecture.0[elastic.choice];
                Kernel::Picked(
                    option,
                    rows.and_then(|rows| self.picked_scale(&rows[elastic.choice], option, elastic)),
                )
            }
        };
        match kernel {
            Kernel::Mixed(rows) => {
                let options: Vec<usize> = elastic.sizes.iter().map(|(option, _)| *option).collect();
                let masks = &self.masks[&id];
                let fidelity = self.fidelity;
                let ring = walk.rings.entry((elastic.choice, options)).or_insert_with_key(
                    |(choice, options)| {
                        let weights = take(&rows[*choice], options);
                        let weights = match fidelity {
                            Fidelity::Reference => weights,
                            // Only the ratio matters to the kernel; the mass scales the output.
                            Fidelity::Corrected => {
                                &weights / held_above_zero(&mass(&rows[*choice], options))
                            }
                        };
                        ring::mixture(masks, &weights)
                    },
                );
                Ok(weight * &*ring)
            }
            Kernel::Picked(option, scale) => {
                let size =
                    elastic.sizes.iter().find(|(known, _)| *known == option).map(|(_, size)| *size);
                let size = size.ok_or_else(|| {
                    EngineError::Bug(format!("option {option} does not use node {id}"))
                })?;
                let part = ring::crop(weight, size);
                Ok(scale.map_or_else(|| part.shallow_clone(), |scale| &part * scale))
            }
        }
    }

    /// What a straight-through row multiplies the picked kernel with.
    fn picked_scale(&self, row: &Tensor, option: usize, elastic: &Elastic) -> Option<Tensor> {
        if self.sharing != Sharing::Entangled {
            return None;
        }
        let own = row.get(i64::try_from(option).unwrap_or(0));
        let options: Vec<usize> = elastic.sizes.iter().map(|(option, _)| *option).collect();
        Some(match self.fidelity {
            Fidelity::Reference => own,
            Fidelity::Corrected => own / held_above_zero(&mass(row, &options)),
        })
    }

    fn mix(
        &self,
        mix: &Mix,
        inputs: &[NodeId],
        walk: &mut Walk<'_>,
    ) -> Result<Tensor, EngineError> {
        match walk.plan {
            Plan::Path(architecture, rows) => {
                let option = architecture.0[mix.choice];
                let branch = mix
                    .branch_of(option)
                    .ok_or_else(|| EngineError::Bug(format!("option {option} has no branch")))?;
                let value = walk.get(inputs[branch])?;
                Ok(rows.map_or(value.shallow_clone(), |rows| {
                    self.picked(mix, branch, option, &value, &rows[mix.choice])
                }))
            }
            Plan::Superposed(rows) => {
                let row = &rows[mix.choice];
                let mut terms = Vec::new();
                for (options, input) in mix.branches.iter().zip(inputs) {
                    terms.extend(self.branch(mix.choice, options, *input, row, walk)?);
                }
                sum(terms)
            }
        }
    }

    /// The weighted outputs of one branch.
    fn branch(
        &self,
        choice: ChoiceId,
        options: &[usize],
        input: NodeId,
        row: &Tensor,
        walk: &mut Walk<'_>,
    ) -> Result<Vec<Tensor>, EngineError> {
        if options.len() == 1 {
            return Ok(vec![walk.get(input)? * mass(row, options)]);
        }
        if self.sharing != Sharing::EntangledOutputs {
            let value = walk.get(input)?;
            return Ok(vec![match self.fidelity {
                Fidelity::Reference => value,
                Fidelity::Corrected => value * mass(row, options),
            }]);
        }
        let nodes = self.branch_nodes(choice, input);
        let mut terms = Vec::new();
        for option in options {
            // Values of the option before are computed anew, and so are their ReLUs.
            walk.relus.retain(|from, _| !nodes.contains(from));
            for id in &nodes {
                walk.values[*id] = Some(self.compute(*id, walk, Some(*option))?);
            }
            terms.push(walk.get(input)? * mass(row, &[*option]));
        }
        Ok(terms)
    }

    /// The nodes before `input` that depend on the choice's option, in order.
    fn branch_nodes(&self, choice: ChoiceId, input: NodeId) -> Vec<NodeId> {
        let mut found = vec![false; input + 1];
        found[input] = true;
        for id in (0..=input).rev() {
            if found[id] {
                let inner = self.graph.nodes[id]
                    .inputs
                    .iter()
                    .filter(|from| self.bound[**from] == Some(choice));
                inner.for_each(|from| found[*from] = true);
            }
        }
        (0..=input).filter(|id| found[*id]).collect()
    }

    /// The picked branch's output, through which gradients flow to a straight-through row.
    fn picked(
        &self,
        mix: &Mix,
        branch: usize,
        option: usize,
        value: &Tensor,
        row: &Tensor,
    ) -> Tensor {
        let own = row.get(i64::try_from(option).unwrap_or(0));
        if self.sharing != Sharing::Entangled {
            // The others are scalars of value zero, added to every element.
            let others = row.sum(row.kind()) - &own;
            return value * own + others;
        }
        let options = &mix.branches[branch];
        match self.fidelity {
            _ if options.len() == 1 => value * own,
            Fidelity::Reference => value.shallow_clone(),
            Fidelity::Corrected => value * mass(row, options),
        }
    }
}

fn elastic_of(op: &Op) -> Option<&Elastic> {
    match op {
        Op::Conv2d(Conv2d { kernel: Size::Elastic(elastic), .. }) => Some(elastic),
        _ => None,
    }
}
