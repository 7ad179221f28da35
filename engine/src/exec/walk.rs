//! One forward pass under way: the values so far and what they share.

use std::collections::HashMap;

use skein_core::choice::ChoiceId;
use skein_core::graph::{NodeId, Op};
use tch::Tensor;

use super::{Pass, Plan};
use crate::EngineError;
use crate::entangle::mask::mass;
use crate::nodes::pool;
use crate::store::Store;

/// One forward pass under way.
pub(super) struct Walk<'a> {
    pub(super) store: &'a Store,
    pub(super) plan: Plan<'a>,
    pub(super) pass: Pass,
    pub(super) values: Vec<Option<Tensor>>,
    /// ReLUs of a value are the same value: the input, and its ReLU.
    pub(super) relus: HashMap<NodeId, Tensor>,
    /// Pooled values are shared likewise: the input, the pooling, and its result.
    pub(super) pools: Vec<(NodeId, Op, Tensor)>,
    /// Masks by factor: all tensors of a group share them.
    pub(super) masks: Vec<Option<Tensor>>,
    /// What groups of options weigh: edges of several cells follow the same row.
    masses: Vec<((ChoiceId, Vec<usize>), Tensor)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        store: &'a Store,
        plan: Plan<'a>,
        pass: Pass,
        known: &[(NodeId, Tensor)],
        (nodes, factors): (usize, usize),
    ) -> Self {
        let empty = |count| std::iter::repeat_with(|| None).take(count).collect();
        let relus = HashMap::new();
        let (values, masks) = (empty(nodes), empty(factors));
        let (pools, masses) = (vec![], vec![]);
        let mut walk = Self { store, plan, pass, values, relus, pools, masks, masses };
        known.iter().for_each(|(id, value)| walk.values[*id] = Some(value.shallow_clone()));
        walk
    }

    /// Lets go of values that nobody reads any more.
    pub(super) fn forget(&mut self, ids: &[NodeId]) {
        for id in ids {
            self.values[*id] = None;
            self.relus.remove(id);
            self.pools.retain(|(from, ..)| from != id);
        }
    }

    pub(super) fn get(&self, id: NodeId) -> Result<Tensor, EngineError> {
        let value = self.values[id].as_ref().map(Tensor::shallow_clone);
        value.ok_or_else(|| EngineError::Bug(format!("node {id} is read before it is computed")))
    }

    pub(super) fn all(&self, ids: &[NodeId]) -> Result<Vec<Tensor>, EngineError> {
        ids.iter().map(|id| self.get(*id)).collect()
    }

    /// A pooled value, computed once however many nodes ask for it.
    pub(super) fn pooled(&mut self, input: NodeId, op: &Op) -> Result<Tensor, EngineError> {
        let known = self.pools.iter().find(|(from, by, _)| *from == input && by == op);
        if let Some((.., value)) = known {
            return Ok(value.shallow_clone());
        }
        let x = self.get(input)?;
        let value = match op {
            Op::MaxPool(spec) => pool::max(spec, &x),
            Op::AvgPool(spec) => pool::average(spec, &x),
            _ => return Err(EngineError::Bug("not a pooling".to_owned())),
        };
        self.pools.push((input, op.clone(), value.shallow_clone()));
        Ok(value)
    }

    /// The sum of some entries of the row of a choice, computed once.
    pub(super) fn mass(&mut self, choice: ChoiceId, options: &[usize], row: &Tensor) -> Tensor {
        let known = self.masses.iter().find(|((of, by), _)| *of == choice && by == options);
        if let Some((_, value)) = known {
            return value.shallow_clone();
        }
        let value = mass(row, options);
        self.masses.push(((choice, options.to_vec()), value.shallow_clone()));
        value
    }

    pub(super) fn relu(&mut self, input: NodeId) -> Result<Tensor, EngineError> {
        if let Some(known) = self.relus.get(&input) {
            return Ok(known.shallow_clone());
        }
        let value = self.get(input)?.relu();
        self.relus.insert(input, value.shallow_clone());
        Ok(value)
    }
}

/// A term of a weighted sum.
pub(super) enum Term {
    /// As it is.
    Whole(Tensor),
    /// Times a number.
    Weighted(Tensor, Tensor),
}

/// The sum of weighted terms; products are not stored by themselves.
pub(super) fn weighted_sum(mut terms: Vec<Term>) -> Result<Tensor, EngineError> {
    let first = terms.iter().position(|term| matches!(term, Term::Whole(_))).unwrap_or(0);
    if terms.is_empty() {
        return Err(EngineError::Bug("nothing to add".to_owned()));
    }
    let first = match terms.swap_remove(first) {
        Term::Whole(value) => value,
        Term::Weighted(value, weight) => value * weight,
    };
    Ok(terms.into_iter().fold(first, |sum, term| match term {
        Term::Whole(value) => sum + value,
        Term::Weighted(value, weight) => sum.addcmul(&value, &weight),
    }))
}

pub(super) fn sum(terms: Vec<Tensor>) -> Result<Tensor, EngineError> {
    let total = terms.into_iter().reduce(|total, term| total + term);
    total.ok_or_else(|| EngineError::Bug("nothing to add".to_owned()))
}
