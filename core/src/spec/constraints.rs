//! Limits and prices on what a network costs.

use serde::{Deserialize, Serialize};

/// What the network that is searched may cost.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConstraintsSpec {
    /// Most trained numbers; any if absent.
    pub max_params: Option<u64>,
    /// Most multiply-accumulates per image; any if absent.
    pub max_macs: Option<u64>,
    /// Weight of the expected cost's logarithm in the loss of the rows; 0 for none.
    pub penalty: f64,
    /// Which cost that is.
    pub penalty_on: Measure,
}

impl ConstraintsSpec {
    /// The limit on a cost, if there is one.
    #[must_use]
    pub fn limit(&self, measure: Measure) -> Option<u64> {
        match measure {
            Measure::Params => self.max_params,
            Measure::Macs => self.max_macs,
        }
    }
}

/// A cost of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Trained numbers.
    #[default]
    Params,
    /// Multiply-accumulates per image.
    Macs,
}
