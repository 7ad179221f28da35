//! One forward pass under way: values so far, and the arithmetic of rows.

use std::collections::HashMap;

use skein_core::choice::ChoiceId;
use skein_core::graph::NodeId;
use tch::{Kind, Tensor};

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
    /// Ring masks by choice and options: all convolutions of a group share them.
    pub(super) rings: HashMap<(ChoiceId, Vec<usize>), Tensor>,
}

impl<'a> Walk<'a> {
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

    pub(super) fn param(&self, node: &str, suffix: &str) -> Result<&'a Tensor, EngineError> {
        self.store.get(&format!("{node}.{suffix}"))
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

/// The entries of a row at `options`.
pub(super) fn take(row: &Tensor, options: &[usize]) -> Tensor {
    let entries = options.iter().map(|option| row.get(i64::try_from(*option).unwrap_or(0)));
    Tensor::stack(&entries.collect::<Vec<_>>(), 0)
}

/// The sum of a row's entries at `options`.
pub(super) fn mass(row: &Tensor, options: &[usize]) -> Tensor {
    match options {
        [only] => row.get(i64::try_from(*only).unwrap_or(0)),
        _ => take(row, options).sum(Kind::Double).to_kind(row.kind()),
    }
}

/// A group that is switched off has no ratio; its kernel is then zero, as its output.
pub(super) fn held_above_zero(mass: &Tensor) -> Tensor {
    mass.clamp_min(1e-12)
}

pub(super) fn sum(terms: Vec<Tensor>) -> Result<Tensor, EngineError> {
    let total = terms.into_iter().reduce(|total, term| total + term);
    total.ok_or_else(|| EngineError::Bug("nothing to add".to_owned()))
}
