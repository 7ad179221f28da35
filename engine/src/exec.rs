//! The walk that computes a graph: superposed, along one path, or standalone.
//!
//! Superposition is done by masks on the largest weight (see [`crate::entangle`]), never by padded
//! copies. A fixed network is a graph without choices, executed along the empty architecture.

mod attention;
mod layers;
mod mix;
mod order;
mod segments;
mod tape;
mod token;
mod walk;
mod weights;

use skein_core::choice::{Architecture, ChoiceId};
use skein_core::graph::{Activation, Graph, NodeId, Op, Size};
use skein_core::spec::{Fidelity, Sharing};
use tch::Tensor;

use crate::EngineError;
use crate::device::Compute;
use crate::nodes::norm::Statistics;
use crate::nodes::{dropout, pool};
use crate::store::Store;
use order::Order;
pub use tape::Tape;
use walk::{Walk, sum};
use weights::Weights;

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
    /// How far probabilities that rise while training have risen, `0..=1`.
    pub risen: f64,
}

impl Pass {
    /// Evaluation with running statistics.
    pub const EVALUATE: Self = Self { statistics: Statistics::Running, dropout: None, risen: 0.0 };
    /// Evaluation with the batch's own statistics, which are not kept.
    pub const BATCH: Self = Self { statistics: Statistics::Batch, dropout: None, risen: 0.0 };

    /// Training with this dropout seed.
    #[must_use]
    pub fn train(dropout: u64) -> Self {
        Self { statistics: Statistics::Train, dropout: Some(dropout), risen: 0.0 }
    }

    /// The same once probabilities that rise while training have come to this share of their end.
    #[must_use]
    pub fn risen(self, risen: f64) -> Self {
        Self { risen, ..self }
    }
}

/// Executes one graph.
#[derive(Debug)]
pub struct Executor {
    graph: Graph,
    sharing: Sharing,
    fidelity: Fidelity,
    weights: Weights,
    /// For every node the choice whose option it depends on inside its branch.
    bound: Vec<Option<ChoiceId>>,
    /// For every norm whose scale stands for its branch's weight, the choice and its options.
    scaled: Vec<Option<(ChoiceId, Vec<usize>)>>,
    /// The ReLUs that their readers compute.
    passed_on: Vec<bool>,
    /// Where recorded passes are cut.
    cuts: Vec<NodeId>,
    compute: Compute,
}

impl Executor {
    /// Prepares a graph for execution.
    ///
    /// # Errors
    /// - [`EngineError::Bug`] if a tensor's sizes hang on choices in a way that no space needs.
    pub fn new(
        graph: Graph,
        sharing: Sharing,
        fidelity: Fidelity,
        compute: Compute,
    ) -> Result<Self, EngineError> {
        let weights = Weights::new(&graph, (sharing, fidelity), compute)?;
        let mut bound: Vec<Option<ChoiceId>> = Vec::with_capacity(graph.nodes.len());
        for node in &graph.nodes {
            let from_inputs = || node.inputs.iter().find_map(|input| bound[*input]);
            let own = node.op.sizes().into_iter().flat_map(Size::choices).next();
            bound.push(match &node.op {
                Op::Mix(_) => None,
                _ => own.or_else(from_inputs),
            });
        }
        let scaled = mix::scaled_norms(&graph, sharing, fidelity);
        let passed_on = layers::passed_on(&graph, compute);
        let cuts = vec![];
        Ok(Self { graph, sharing, fidelity, weights, bound, scaled, passed_on, cuts, compute })
    }

    /// Lets recorded passes keep about this share of what their backward pass needs, and compute
    /// the rest again. Paths are cut where the whole is.
    ///
    /// # Errors
    /// - [`EngineError::Graph`] if the graph does not fit itself.
    pub fn recompute(&mut self, keep: f64) -> Result<(), EngineError> {
        self.cuts = if keep < 1.0 { self.find_cuts(keep)? } else { vec![] };
        Ok(())
    }

    /// Into how many segments recorded passes are cut.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.cuts.len() + 1
    }

    fn find_cuts(&self, keep: f64) -> Result<Vec<NodeId>, EngineError> {
        let order = self.order(Plan::Superposed(&[]), &[self.graph.output]);
        let copies = |id: NodeId| match self.bound[id] {
            Some(choice) if self.sharing == Sharing::EntangledOutputs => {
                self.graph.choices[choice].options.len()
            }
            _ => 1,
        };
        Ok(segments::cut(&self.graph, &order, copies, keep)?.ends)
    }

    /// A fixed network's executor.
    ///
    /// # Errors
    /// - as [`Executor::new`].
    pub fn fixed(graph: Graph, compute: Compute) -> Result<Self, EngineError> {
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
        let order = self.order(plan, &[self.graph.output]);
        let known = [(0, x.shallow_clone())];
        let walk = Walk::new(store, plan, pass, &known, self.sizes());
        let walk = self.run(walk, &order, (0, order.end()))?;
        Ok(self.widened(walk.get(self.graph.output)?))
    }

    /// When the values of a pass come and go.
    fn order(&self, plan: Plan<'_>, ends: &[NodeId]) -> Order {
        let used = match plan {
            Plan::Superposed(_) => vec![true; self.graph.nodes.len()],
            Plan::Path(architecture, _) => self.graph.reachable_from(ends, architecture),
        };
        // Branches whose outputs are mixed run once per option, inside the mix.
        let outputs =
            matches!(plan, Plan::Superposed(_)) && self.sharing == Sharing::EntangledOutputs;
        Order::new(&self.graph, &used, |id| outputs && self.bound[id].is_some(), ends)
    }

    /// Numbers of nodes and of factors.
    fn sizes(&self) -> (usize, usize) {
        (self.graph.nodes.len(), self.weights.factors())
    }

    /// Computes the values of the times after the first until the second, and keeps those that are
    /// read afterwards.
    fn run<'a>(
        &self,
        mut walk: Walk<'a>,
        order: &Order,
        (from, to): (NodeId, NodeId),
    ) -> Result<Walk<'a>, EngineError> {
        self.compute.arithmetic.within(self.compute.device, || {
            for id in from + 1..=to {
                if order.computed(id) == Some(id) {
                    walk.values[id] = Some(self.compute(id, &mut walk, None)?);
                }
                walk.forget(order.dying(id));
            }
            Ok(walk)
        })
    }

    /// What leaves the walk is as wide as the weights.
    fn widened(&self, value: Tensor) -> Tensor {
        if value.is_floating_point() { value.to_kind(self.compute.kind) } else { value }
    }

    /// A node's value; `picked` is the option that a branch is computed for.
    fn compute(
        &self,
        id: NodeId,
        walk: &mut Walk<'_>,
        picked: Option<(ChoiceId, usize)>,
    ) -> Result<Tensor, EngineError> {
        let node = &self.graph.nodes[id];
        if matches!(node.op, Op::Input(_)) {
            return walk.get(0);
        }
        let x = walk.get(node.inputs[0]);
        Ok(match &node.op {
            Op::Input(_) => x?,
            Op::Conv2d(spec) => self.conv(id, spec, &x?, walk, picked)?,
            Op::BatchNorm(spec) => self.batch_norm(id, spec, &x?, walk, picked)?,
            Op::LayerNorm(spec) => self.layer_norm(id, spec, &x?, walk)?,
            Op::SqueezeExcite(_) => self.squeeze_excite(id, &x?, walk)?,
            Op::PatchEmbed(spec) => self.patch_embed(id, spec, &x?, walk)?,
            Op::Embedding(_) => self.embedding(id, &x?, walk)?,
            Op::Positions(_) => self.positions(id, &x?, walk)?,
            Op::TokenMean(_) => self.token_mean(id, &x?, walk)?,
            Op::TiedLinear(_) => self.tied_linear(id, node.inputs[1], x?, walk)?,
            Op::Qkv(spec) => self.qkv(id, spec, &x?, walk)?,
            Op::RelativeAttention(spec) => self.relative_attention(id, spec, &x?, walk)?,
            Op::CausalAttention(spec) => self.causal_attention(id, spec, &x?, walk)?,
            Op::Activation(Activation::Relu) if self.passed_on[id] => x?,
            Op::Activation(Activation::Relu) => walk.relu(node.inputs[0])?,
            Op::Activation(Activation::Hswish) => x?.hardswish(),
            Op::Activation(Activation::Gelu) => x?.gelu("none"),
            Op::Activation(Activation::GeluTanh) => x?.gelu("tanh"),
            Op::MaxPool(_) | Op::AvgPool(_) => walk.pooled(node.inputs[0], &node.op)?,
            Op::GlobalAvgPool(_) => pool::global_average(&x?),
            Op::Dropout(spec) => match walk.pass.dropout {
                Some(seed) => {
                    let spec = spec.at(walk.pass.risen);
                    dropout::forward(&spec, &x?, seed.wrapping_add(id as u64))
                }
                None => x?,
            },
            Op::Flatten(_) => x?.flatten(1, -1),
            Op::Shift(_) => pool::shift(&x?),
            Op::Narrow(spec) => pool::narrow(spec, &x?),
            Op::Shuffle(spec) => pool::shuffle(spec, &x?),
            Op::Resize(spec) => pool::resize(spec, &x?),
            Op::Zero(spec) => pool::zero(spec, &x?),
            Op::Concat(_) => pool::concat(&walk.all(&node.inputs)?),
            Op::Add(_) => sum(walk.all(&node.inputs)?)?,
            Op::Linear(spec) => self.linear(id, spec, &x?, walk, picked)?,
            Op::Mix(mix) => self.mix(mix, &node.inputs, walk)?,
        })
    }
}
