//! Numbers of the last few steps, still on the device.
//!
//! Reading a number waits for the device; so steps only push, and every few steps one packed copy
//! brings the means to the host.

use std::collections::BTreeMap;

use skein_core::number::Num;
use tch::{Device, Kind, Tensor};

use crate::EngineError;

/// Numbers since the last report: one vector a step.
#[derive(Debug)]
pub struct Pending {
    names: &'static [&'static str],
    steps: Vec<Tensor>,
}

impl Pending {
    /// Nothing so far; `names` label the entries of each step's vector.
    #[must_use]
    pub fn new(names: &'static [&'static str]) -> Self {
        Self { names, steps: vec![] }
    }

    /// Adds a step's numbers, in the order of the names.
    pub fn push(&mut self, numbers: &[&Tensor]) {
        let flat: Vec<Tensor> = numbers
            .iter()
            .map(|number| number.detach().to_kind(Kind::Double).reshape([1]))
            .collect();
        self.steps.push(Tensor::cat(&flat, 0));
    }

    /// Means since the last report, which begins anew.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if the copy fails.
    pub fn take(&mut self) -> Result<BTreeMap<String, Num>, EngineError> {
        if self.steps.is_empty() {
            return Ok(BTreeMap::new());
        }
        let all = Tensor::stack(&std::mem::take(&mut self.steps), 0);
        let host = Vec::<f64>::try_from(
            &all.mean_dim([0_i64].as_slice(), false, Kind::Double).to_device(Device::Cpu),
        )?;
        Ok(self
            .names
            .iter()
            .zip(host)
            .map(|(name, value)| ((*name).to_owned(), Num(value)))
            .collect())
    }

    /// For a checkpoint; absent if there is nothing.
    #[must_use]
    pub fn save(&self) -> Option<Tensor> {
        (!self.steps.is_empty()).then(|| Tensor::stack(&self.steps, 0))
    }

    /// Back from a checkpoint.
    pub fn load(&mut self, saved: Option<&Tensor>) {
        self.steps = saved.map_or_else(Vec::new, |saved| saved.unbind(0));
    }
}
