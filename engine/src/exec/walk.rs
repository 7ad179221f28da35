//! One forward pass under way: the values so far and what they share.

use std::collections::HashMap;

use skein_core::graph::NodeId;
use tch::Tensor;

use super::{Pass, Plan};
use crate::EngineError;
use crate::store::Store;

/// One forward pass under way.
pub(super) struct Walk<'a> {
    pub(super) store: &'a Store,
    pub(super) plan: Plan<'a>,
    pub(super) pass: Pass,
    pub(super) values: Vec<Option<Tensor>>,
    /// ReLUs of a value are the same value: the input, and its ReLU.
    pub(super) relus: HashMap<NodeId, Tensor>,
    /// Masks by factor: all tensors of a group share them.
    pub(super) masks: Vec<Option<Tensor>>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        store: &'a Store,
        plan: Plan<'a>,
        pass: Pass,
        (nodes, factors): (usize, usize),
    ) -> Self {
        let empty = |count| std::iter::repeat_with(|| None).take(count).collect();
        let relus = HashMap::new();
        Self { store, plan, pass, values: empty(nodes), relus, masks: empty(factors) }
    }

    pub(super) fn get(&self, id: NodeId) -> Result<Tensor, EngineError> {
        let value = self.values[id].as_ref().map(Tensor::shallow_clone);
        value.ok_or_else(|| EngineError::Bug(format!("node {id} is read before it is computed")))
    }

    pub(super) fn take(mut self, id: NodeId) -> Result<Tensor, EngineError> {
        self.values[id]
            .take()
            .ok_or_else(|| EngineError::Bug("the output was not computed".to_owned()))
    }

    pub(super) fn all(&self, ids: &[NodeId]) -> Result<Vec<Tensor>, EngineError> {
        ids.iter().map(|id| self.get(*id)).collect()
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

pub(super) fn sum(terms: Vec<Tensor>) -> Result<Tensor, EngineError> {
    let total = terms.into_iter().reduce(|total, term| total + term);
    total.ok_or_else(|| EngineError::Bug("nothing to add".to_owned()))
}
