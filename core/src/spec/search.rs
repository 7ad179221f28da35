//! How a space is searched.

use serde::{Deserialize, Serialize};

use super::{SecondStageSpec, WarmupSpec, WeightOptimizerSpec};

/// How the space is searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchSpec {
    /// How rows are learned.
    pub optimizer: OptimizerSpec,
    /// How candidates share weights.
    pub weights: Sharing,
    /// Whether the published code's faults are repeated.
    pub fidelity: Fidelity,
    /// Passes over the weight split; none where no supernet is trained.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub epochs: u64,
    /// Images per step.
    pub batch_size: u64,
    /// Share of the training images that train weights; the rest trains rows.
    pub train_portion: f64,
    /// Side of a square at a random place that is blanked in each training image; 0 for none.
    pub cutout: u64,
    /// Magnitude of `RandAugment` on each training image; 0 for none.
    pub rand_augment: f64,
    /// Strength of random changes of brightness, contrast and saturation; 0 for none.
    #[serde(default)]
    pub color_jitter: f64,
    /// Probability with which a random rectangle of a training image is erased.
    #[serde(default)]
    pub random_erasing: f64,
    /// How weights follow their gradient.
    pub weight_optimizer: WeightOptimizerSpec,
    /// Learning rate of the weights at the start (cosine schedule per epoch).
    pub weight_lr: f64,
    /// Learning rate of the weights at the end.
    pub weight_lr_min: f64,
    /// How the weights' learning rate rises before it falls.
    pub warmup: WarmupSpec,
    /// Decay of the weights.
    pub weight_decay: f64,
    /// Whether norms' scales and shifts and all biases decay too.
    pub decay_all: bool,
    /// Largest norm of the weights' gradient.
    pub clip: f64,
    /// Learning rate of the rows (Adam).
    pub arch_lr: f64,
    /// First decay rate of the rows' Adam.
    pub arch_beta1: f64,
    /// Second decay rate of the rows' Adam.
    pub arch_beta2: f64,
    /// L2 decay of the rows.
    pub arch_weight_decay: f64,
    /// Images of the architecture split on which the supernet is validated after each epoch.
    pub valid_limit: u64,
    /// What happens when a loss is no number.
    pub on_nonfinite: OnNonfinite,
    /// Epochs without a change of rows and architecture after which the search ends; 0 for never.
    pub patience_epochs: u64,
    /// Run whose trained weights are used; none if they are trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_run: Option<String>,
    /// What a given architecture inherits of that run; absent where one is searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inherit: Option<Inherit>,
    /// Whether what tells the classes starts afresh; likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_head: Option<bool>,
    /// How architectures are compared on the trained supernet.
    pub second_stage: SecondStageSpec,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What a given architecture inherits of another run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inherit {
    /// Slices of its supernet.
    Supernet,
    /// The weights of its packaged network.
    Result,
    /// Nothing.
    None,
}

/// What happens when a loss is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNonfinite {
    /// The run fails.
    Stop,
    /// Back to the last checkpoint with half the learning rates, a few times.
    Rollback,
}

/// How rows are learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum OptimizerSpec {
    /// Dirichlet concentrations, pathwise gradients (DrNAS, arXiv:2006.10355).
    Drnas {
        /// Weight of the distance to the uniform distribution; above 0 it replaces the L2 decay.
        kl_scale: f64,
        /// Epochs at the start in which only the weights are trained.
        #[serde(default)]
        frozen_epochs: u64,
    },
    /// The same in two halves, of which each trains a supernet of partial channels: the second has
    /// fewer operations, which see more channels (arXiv:2006.10355, section 3.3). In the space
    /// `darts` only.
    #[serde(rename = "drnas-progressive")]
    DrnasProgressive {
        /// In the first half an operation sees one channel in so many.
        part_start: u64,
        /// In the second half an operation sees one channel in so many.
        part_end: u64,
        /// Operations that an edge keeps for the second half.
        operations: u64,
        /// Epochs at the start in which only the weights are trained.
        frozen_epochs: u64,
    },
    /// A continuous relaxation (DARTS, arXiv:1806.09055).
    Darts {
        /// How a row becomes weights.
        projection: Projection,
        /// 1, or 2 for the unrolled gradient.
        order: u64,
        /// Epochs at the start in which only the weights are trained.
        #[serde(default)]
        frozen_epochs: u64,
    },
    /// Straight-through Gumbel-softmax samples (GDAS, arXiv:1910.04465).
    Gdas {
        /// Temperature in the first epoch; falls linearly to `tau_end`.
        tau_start: f64,
        /// Temperature in the last epoch.
        tau_end: f64,
        /// Epochs at the start in which only the weights are trained.
        #[serde(default)]
        frozen_epochs: u64,
    },
    /// Uniform single paths; rows are not learned, the architecture comes from the second stage
    /// (SPOS, arXiv:1904.00420).
    Spos,
    /// Progressive shrinking: the largest network first, then ever smaller ones that it teaches;
    /// the architecture comes from the second stage (Once-for-all, arXiv:1908.09791).
    Ofa {
        /// Most sub-nets whose gradients make one step.
        sub_nets: u64,
        /// Weight of the largest network's predictions in the loss.
        kd_ratio: f64,
    },
    /// None: random architectures are trained for a short time, and the best goes on.
    Random,
    /// None: one given architecture is measured and trained.
    Fixed {
        /// Its text form.
        architecture: String,
    },
}

impl OptimizerSpec {
    /// The kind as it is written in JSON.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Drnas { .. } => "drnas",
            Self::DrnasProgressive { .. } => "drnas-progressive",
            Self::Darts { .. } => "darts",
            Self::Gdas { .. } => "gdas",
            Self::Spos => "spos",
            Self::Ofa { .. } => "ofa",
            Self::Random => "random",
            Self::Fixed { .. } => "fixed",
        }
    }

    /// Whether it trains a supernet.
    #[must_use]
    pub fn searches(&self) -> bool {
        !matches!(self, Self::Random | Self::Fixed { .. })
    }

    /// Whether rows are learned, which tell an architecture.
    #[must_use]
    pub fn learns_rows(&self) -> bool {
        self.searches() && !matches!(self, Self::Spos | Self::Ofa { .. })
    }

    /// Epochs at the start in which rows that are learned rest.
    #[must_use]
    pub fn frozen_epochs(&self) -> u64 {
        match self {
            Self::Drnas { frozen_epochs, .. }
            | Self::DrnasProgressive { frozen_epochs, .. }
            | Self::Darts { frozen_epochs, .. }
            | Self::Gdas { frozen_epochs, .. } => *frozen_epochs,
            Self::Spos | Self::Ofa { .. } | Self::Random | Self::Fixed { .. } => 0,
        }
    }

    /// Whether it trains a supernet of which networks can have slices.
    #[must_use]
    pub fn lends_weights(&self) -> bool {
        self.searches() && !matches!(self, Self::DrnasProgressive { .. })
    }

    /// The text form of the architecture, if one is given and nothing is searched.
    #[must_use]
    pub fn given(&self) -> Option<&str> {
        match self {
            Self::Fixed { architecture } => Some(architecture),
            _ => None,
        }
    }
}

/// How DARTS turns a row into weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Projection {
    /// Exponentials, normalised.
    Softmax,
    /// The nearest point of the simplex; what the published code uses on entangled weights.
    Sparsemax,
}

/// How candidates share weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sharing {
    /// Candidates are slices of one weight, and the weights are mixed: one operation per group.
    Entangled,
    /// Candidates are slices of one weight, and their outputs are mixed: one operation each.
    EntangledOutputs,
    /// Every candidate has weights of its own, and their outputs are mixed.
    Shared,
}

/// Whether the published code's faults are repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fidelity {
    /// The numbers of the published code.
    Reference,
    /// A group's weight scales its output instead of vanishing in batch norm.
    Corrected,
}
