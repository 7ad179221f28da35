//! How weights are trained: optimizers of the weights, and what follows the search.

use serde::{Deserialize, Serialize};

/// How weights follow their gradient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum WeightOptimizerSpec {
    /// Gradient descent with momentum; the decay is added to the gradient.
    Sgd {
        /// Momentum.
        momentum: f64,
        /// Whether Nesterov's momentum is used.
        nesterov: bool,
    },
    /// Adam; the decay is added to the gradient (arXiv:1412.6980).
    Adam {
        /// Decay rate of the mean of the gradient.
        beta1: f64,
        /// Decay rate of the mean of its square.
        beta2: f64,
    },
    /// Adam with a decay that does not pass through its means (arXiv:1711.05101).
    Adamw {
        /// Decay rate of the mean of the gradient.
        beta1: f64,
        /// Decay rate of the mean of its square.
        beta2: f64,
    },
}

/// What a length is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Passes over the images.
    Epochs,
    /// Steps.
    Steps,
}

/// A rise of the learning rate at the start, linear per step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmupSpec {
    /// How long; 0 for none.
    pub length: f64,
    /// What that is counted in.
    pub unit: Unit,
}

impl WarmupSpec {
    /// Steps of the rise.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "steps are far below 2^52, and lengths are not negative"
    )]
    pub fn steps(self, per_epoch: u64) -> u64 {
        match self.unit {
            Unit::Epochs => (self.length * per_epoch as f64).round() as u64,
            Unit::Steps => self.length.round() as u64,
        }
    }
}
