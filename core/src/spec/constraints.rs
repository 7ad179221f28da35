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
    /// Most milliseconds for one example on the device of the run; any if absent.
    #[serde(default)]
    pub max_latency_ms: Option<f64>,
    /// Weight of the expected cost's logarithm in the loss of the rows; 0 for none.
    pub penalty: f64,
    /// Of options at least `1 - parsimony` times as likely as the likeliest, the cheapest is derived.
    /// Absent where no rows are learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parsimony: Option<f64>,
    /// Which cost price and parsimony are on.
    pub penalty_on: Measure,
}

impl ConstraintsSpec {
    /// The limit on a cost, if there is one.
    #[must_use]
    pub fn limit(&self, measure: Measure) -> Option<u64> {
        match measure {
            Measure::Params => self.max_params,
            Measure::Macs => self.max_macs,
            Measure::Latency => self.max_latency_ms.map(nanoseconds),
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
    /// Nanoseconds for one example, the sum of what the network's nodes were measured to take.
    Latency,
}

impl Measure {
    /// Every cost.
    pub const ALL: [Self; 3] = [Self::Params, Self::Macs, Self::Latency];

    /// A cost in words.
    #[must_use]
    pub fn say(self, cost: u64) -> String {
        match self {
            Self::Params | Self::Macs => cost.to_string(),
            Self::Latency => format!("{:.4} ms", milliseconds(cost)),
        }
    }
}

/// Nanoseconds in milliseconds.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a network are far below 2^53")]
pub fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be small")]
fn nanoseconds(milliseconds: f64) -> u64 {
    (milliseconds * 1e6) as u64
}
