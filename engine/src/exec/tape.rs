//! A pass that is differentiated afterwards, cut into segments.
//!
//! Forward, only the values that cross a cut are kept. Backward, each segment but the last one runs
//! a second time from them, now with gradients, and hands the gradients of what it read on to the
//! segments before. Both runs compute the same numbers: rows are drawn once, dropout is seeded by
//! the pass and the node, and only the first run moves running statistics.

use std::collections::HashMap;

use skein_core::graph::NodeId;
use tch::Tensor;

use super::order::Order;
use super::walk::Walk;
use super::{Executor, Pass, Plan};
use crate::EngineError;
use crate::store::{Gradient, GradientSum, Store};

/// What a pass leaves for its backward pass.
#[derive(Debug)]
pub struct Tape<'a> {
    exec: &'a Executor,
    store: &'a Store,
    plan: Plan<'a>,
    pass: Pass,
    order: Order,
    /// The segments that are run again, in order.
    again: Vec<Segment>,
    /// What the last segment read of those before, and what was asked for of them.
    leaves: Vec<(NodeId, Tensor)>,
}

/// A part of a pass.
#[derive(Debug)]
struct Segment {
    /// It computes at the times after the first until the second.
    times: (NodeId, NodeId),
    /// The values from before that it reads; those of floating point can be differentiated.
    reads: Vec<(NodeId, Tensor)>,
}

/// What a backward pass is for.
#[derive(Debug, Clone, Copy)]
struct Toward {
    weights: bool,
    rows: bool,
}

/// Gradients on their way back.
struct Backward<'a> {
    weights: Option<GradientSum<'a>>,
    /// The rows that are learned, and their gradients so far.
    rows: Vec<(Tensor, Option<Tensor>)>,
    /// Of the values that cross cuts.
    values: HashMap<NodeId, Tensor>,
}

impl Executor {
    /// Computes the values of some nodes in one pass that is differentiated afterwards, keeping as
    /// much of it as [`Executor::recompute`] says.
    ///
    /// # Errors
    /// - [`EngineError`] if the store lacks a tensor.
    pub fn record<'a>(
        &'a self,
        store: &'a Store,
        x: &Tensor,
        (plan, pass): (Plan<'a>, Pass),
        ends: &[NodeId],
    ) -> Result<(Vec<Tensor>, Tape<'a>), EngineError> {
        let order = self.order(plan, ends);
        let mut kept: HashMap<NodeId, Tensor> = HashMap::from([(0, x.shallow_clone())]);
        let mut again = Vec::new();
        let mut from = 0;
        for to in self.cuts.iter().copied().filter(|cut| *cut < order.end()) {
            let segment =
                Segment { times: (from, to), reads: self.reads(&order, (from, to), &kept) };
            let walk = Walk::new(store, plan, pass, &segment.reads, self.sizes());
            let walk = tch::no_grad(|| self.run(walk, &order, segment.times))?;
            for id in order.alive_after(to).filter(|id| order.within(*id, segment.times)) {
                kept.insert(id, leaf(&walk.get(id)?));
            }
            again.push(segment);
            from = to;
        }
        let mut leaves = self.reads(&order, (from, order.end()), &kept);
        let asked = ends.iter().filter(|end| order.computed(**end).is_some_and(|at| at <= from));
        for end in asked {
            if leaves.iter().any(|(id, _)| id == end) {
                continue;
            }
            leaves.extend(kept.get(end).map(|value| (*end, value.shallow_clone())));
        }
        let walk = Walk::new(store, plan, pass, &leaves, self.sizes());
        let values = self.run(walk, &order, (from, order.end()))?.all(ends)?;
        let values = values.into_iter().map(|value| self.widened(value)).collect();
        Ok((values, Tape { exec: self, store, plan, pass, order, again, leaves }))
    }

    /// The kept values that a part of a pass reads.
    fn reads(
        &self,
        order: &Order,
        times: (NodeId, NodeId),
        kept: &HashMap<NodeId, Tensor>,
    ) -> Vec<(NodeId, Tensor)> {
        let nodes = self.graph.nodes.iter().enumerate();
        let inside = nodes.filter(|(id, _)| order.within(*id, times));
        let mut read: Vec<NodeId> = inside.flat_map(|(_, node)| node.reads()).copied().collect();
        read.sort_unstable();
        read.dedup();
        let values = read.into_iter().filter_map(|id| Some((id, kept.get(&id)?.shallow_clone())));
        values.collect()
    }

    /// Which nodes' values change with what a backward pass is for.
    fn depends(&self, toward: Toward) -> Vec<bool> {
        let mut depends: Vec<bool> = Vec::with_capacity(self.graph.nodes.len());
        for (id, node) in self.graph.nodes.iter().enumerate() {
            let params = node.params();
            let choices = !node.op.bound_choices().is_empty()
                || self.scaled[id].is_some()
                || params.iter().any(|param| !param.choices().is_empty() || !param.also.is_empty());
            let own = (toward.rows && choices) || (toward.weights && !params.is_empty());
            depends.push(own || node.reads().iter().any(|input| depends[*input]));
        }
        depends
    }
}

/// A value without its history that can be differentiated, if it is no number of a token.
fn leaf(value: &Tensor) -> Tensor {
    let value = value.detach();
    if value.is_floating_point() { value.set_requires_grad(true) } else { value }
}

impl Tape<'_> {
    /// Number of segments.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.again.len() + 1
    }

    /// The gradient of a loss, which is made of the values, for the weights.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if the loss does not depend on them.
    pub fn weights(self, loss: &Tensor) -> Result<Gradient, EngineError> {
        if self.again.is_empty() {
            return self.store.weights.gradient(loss);
        }
        let (gradient, _) = self.backward(loss, Toward { weights: true, rows: false })?;
        gradient.ok_or_else(|| EngineError::Bug("no gradient of the weights".to_owned()))
    }

    /// A number whose gradient for what the rows were drawn from is that of a loss; what else that
    /// loss is made of may be added to it.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if the loss does not depend on the rows.
    pub fn rows(self, loss: &Tensor) -> Result<Tensor, EngineError> {
        if self.again.is_empty() {
            return Ok(loss.shallow_clone());
        }
        Ok(self.backward(loss, Toward { weights: false, rows: true })?.1)
    }

    /// Both in one backward pass.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if the loss depends on neither.
    pub fn both(self, loss: &Tensor) -> Result<(Gradient, Tensor), EngineError> {
        let (gradient, rows) = self.backward(loss, Toward { weights: true, rows: true })?;
        let gradient =
            gradient.ok_or_else(|| EngineError::Bug("no gradient of the weights".to_owned()))?;
        Ok((gradient, rows))
    }

    fn backward(
        mut self,
        loss: &Tensor,
        toward: Toward,
    ) -> Result<(Option<Gradient>, Tensor), EngineError> {
        let depends = self.exec.depends(toward);
        let rows = match self.plan {
            Plan::Superposed(rows) | Plan::Path(_, Some(rows)) if toward.rows => rows,
            _ => &[],
        };
        let learned = rows.iter().filter(|row| row.requires_grad());
        let mut back = Backward {
            weights: toward.weights.then(|| self.store.weights.sum()),
            rows: learned.map(|row| (row.shallow_clone(), None)).collect(),
            values: HashMap::new(),
        };
        back.take(loss, std::mem::take(&mut self.leaves), &depends)?;
        while let Some(Segment { times, reads }) = self.again.pop() {
            let known: Vec<(NodeId, Tensor)> =
                back.values.extract_if(|id, _| self.order.within(*id, times)).collect();
            if known.is_empty() {
                continue;
            }
            let pass = Pass { statistics: self.pass.statistics.again(), ..self.pass };
            let walk = Walk::new(self.store, self.plan, pass, &reads, self.exec.sizes());
            let walk = self.exec.run(walk, &self.order, times)?;
            let mut sum: Option<Tensor> = None;
            for (id, gradient) in known {
                let term = (walk.get(id)? * gradient).sum(None);
                sum = Some(sum.map_or_else(|| term.shallow_clone(), |sum| sum + &term));
            }
            drop(walk);
            if let Some(sum) = sum {
                back.take(&sum, reads, &depends)?;
            }
        }
        let number = back.number(loss);
        Ok((back.weights.map(GradientSum::finish), number))
    }
}

impl Backward<'_> {
    /// Takes up the gradients of one segment.
    fn take(
        &mut self,
        loss: &Tensor,
        reads: Vec<(NodeId, Tensor)>,
        depends: &[bool],
    ) -> Result<(), EngineError> {
        let reads: Vec<(NodeId, Tensor)> =
            reads.into_iter().filter(|(id, x)| depends[*id] && x.requires_grad()).collect();
        let weights = self.weights.as_ref().map_or(&[][..], |sum| sum.views());
        let mut inputs: Vec<&Tensor> = weights.iter().collect();
        inputs.extend(self.rows.iter().map(|(row, _)| row));
        inputs.extend(reads.iter().map(|(_, x)| x));
        let mut gradients = Tensor::f_run_backward(&[loss], &inputs, false, false)?;
        let of_reads = gradients.split_off(weights.len() + self.rows.len());
        let of_rows = gradients.split_off(weights.len());
        for ((id, _), gradient) in reads.iter().zip(of_reads).filter(|(_, g)| g.defined()) {
            let sum = match self.values.remove(id) {
                Some(sum) => sum + gradient,
                None => gradient,
            };
            self.values.insert(*id, sum);
        }
        for ((_, sum), gradient) in self.rows.iter_mut().zip(of_rows).filter(|(_, g)| g.defined()) {
            *sum = Some(match sum.take() {
                Some(sum) => sum + gradient,
                None => gradient,
            });
        }
        if let Some(weights) = &mut self.weights {
            weights.add(gradients)?;
        }
        Ok(())
    }

    /// The sum of the rows, each times its gradient.
    fn number(&self, loss: &Tensor) -> Tensor {
        let known = self.rows.iter().filter_map(|(row, sum)| Some((row, sum.as_ref()?)));
        let (rows, sums): (Vec<&Tensor>, Vec<&Tensor>) = known.unzip();
        if rows.is_empty() {
            return loss.zeros_like();
        }
        Tensor::cat(&rows, 0).dot(&Tensor::cat(&sums, 0))
    }
}
