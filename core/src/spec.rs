//! What a user asks for.
//!
//! One table ([`fields::FIELDS`]) describes every field of a specification: path, range, default,
//! words for people. [`RunSpec::parse`] checks a JSON value against it and reports every violation
//! at once; the form, the JSON Schema and the documentation read the same table.

mod after;
mod again;
mod check;
mod constraints;
pub mod fields;
mod options;
pub mod reference;
mod schema;
mod stage;
mod train;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dataset::{self, DataKind, DataShape};

pub use after::{AfterSpec, Packaged, Recipe, StageSpec};
pub use again::is_bound;
pub use check::Violation;
pub use constraints::{ConstraintsSpec, Measure, milliseconds};
pub use options::{
    AutoformerOptions, ConvMacroOptions, DartsOptions, LanguageOptions, MobilenetV3Options,
    NasBench201Options, ToyCellOptions,
};
pub use schema::json_schema;
pub use stage::SecondStageSpec;
pub use train::{Unit, WarmupSpec, WeightOptimizerSpec};

/// Everything that decides a run, with every default filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// Name for people.
    pub name: String,
    /// Decides every random draw.
    pub seed: u64,
    /// What is learned from.
    pub dataset: DatasetSpec,
    /// What is searched.
    pub space: SpaceSpec,
    /// How it is searched.
    pub search: SearchSpec,
    /// What the network that is searched may cost.
    pub constraints: ConstraintsSpec,
    /// What happens to the network that was found.
    pub after: AfterSpec,
    /// What architectures really reach, if that is known.
    pub benchmark: BenchmarkSpec,
    /// Where it runs.
    pub resources: ResourcesSpec,
}

/// What is learned from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetSpec {
    /// Id of a known data set.
    pub id: String,
    /// Only the first so many training images; all if absent.
    pub limit: Option<u64>,
    /// Pixels of black by which an image is enlarged on each side before a random part of the
    /// old size is taken; 0 for none.
    pub crop: u64,
    /// Whether images are mirrored at random, left to right.
    pub flip: bool,
    /// What a text is cut into; absent for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// Different byte pairs at most; absent for anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<u64>,
}

/// What a text is cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tokens {
    /// Its characters.
    Characters,
    /// Byte pairs, in the manner of GPT-2.
    Bpe,
}

/// What is searched: a preset with its options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "preset", rename_all = "kebab-case")]
pub enum SpaceSpec {
    /// See [`crate::spaces::toy_cell`].
    ToyCell(ToyCellOptions),
    /// See [`crate::spaces::conv_macro`].
    ConvMacro(ConvMacroOptions),
    /// See [`crate::spaces::nas_bench_201`].
    #[serde(rename = "nas-bench-201")]
    NasBench201(NasBench201Options),
    /// See [`crate::spaces::darts`].
    Darts(DartsOptions),
    /// See [`crate::spaces::autoformer`].
    AutoformerT(AutoformerOptions),
    /// See [`crate::spaces::autoformer`].
    AutoformerS(AutoformerOptions),
    /// See [`crate::spaces::autoformer`].
    AutoformerB(AutoformerOptions),
    /// See [`crate::spaces::mobilenet_v3`].
    MobilenetV3(MobilenetV3Options),
    /// See [`crate::spaces::language`].
    Language(LanguageOptions),
    /// See [`crate::spaces::language`].
    LanguageChar(LanguageOptions),
}

impl SpaceSpec {
    /// What its networks read.
    #[must_use]
    pub fn data(&self) -> DataKind {
        match self {
            Self::Language(_) | Self::LanguageChar(_) => DataKind::Text,
            _ => DataKind::Images,
        }
    }

    /// Id of the preset.
    #[must_use]
    pub fn preset(&self) -> &'static str {
        crate::spaces::preset(self).preset
    }
}

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
    /// Passes over the weight split.
    pub epochs: u64,
    /// Images per step.
    pub batch_size: u64,
    /// Share of the training images that train weights; the rest trains rows.
    pub train_portion: f64,
    /// Side of a square at a random place that is blanked in each training image; 0 for none.
    pub cutout: u64,
    /// Magnitude of `RandAugment` on each training image; 0 for none.
    pub rand_augment: f64,
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
    /// Run whose trained supernet is searched again; none if one is trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_run: Option<String>,
    /// How architectures are compared on the trained supernet.
    pub second_stage: SecondStageSpec,
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
    },
    /// Straight-through Gumbel-softmax samples (GDAS, arXiv:1910.04465).
    Gdas {
        /// Temperature in the first epoch; falls linearly to `tau_end`.
        tau_start: f64,
        /// Temperature in the last epoch.
        tau_end: f64,
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
        }
    }

    /// Whether rows are learned, which tell an architecture.
    #[must_use]
    pub fn learns_rows(&self) -> bool {
        !matches!(self, Self::Spos | Self::Ofa { .. })
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

/// A table of what architectures really reach; see [`crate::benchmark`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BenchmarkSpec {
    /// Name of the file; none if absent.
    pub table: Option<String>,
    /// Columns of the choices, comma-separated; called after the choices if absent.
    pub columns: Option<String>,
    /// Column of the accuracy; the first that is called so if absent.
    pub accuracy: Option<String>,
}

/// Where the run works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourcesSpec {
    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    pub device: String,
    /// Threads on the CPU; 0 for one per core.
    pub threads: u64,
    /// Width of the numbers.
    pub precision: Precision,
    /// Share of what a backward pass needs that is kept for it; the rest is computed again.
    pub keep_activations: f64,
    /// Steps between two checkpoints.
    pub checkpoint_every: u64,
}

/// Width of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Single precision.
    Float32,
    /// Double precision, for checks.
    Float64,
}

impl RunSpec {
    /// Checks a JSON value and fills in every default.
    ///
    /// # Errors
    /// - every [`Violation`] at once: unknown fields, wrong types, values out of range, rules
    ///   across fields.
    pub fn parse(value: &Value) -> Result<Self, Vec<Violation>> {
        let filled = check::check(value)?;
        serde_json::from_value(filled)
            .map_err(|error| vec![Violation { field: String::new(), detail: error.to_string() }])
    }

    /// Shape of the data, as far as the specification alone tells: the vocabulary of a text is a
    /// guess.
    #[must_use]
    pub fn shape(&self) -> DataShape {
        let known = dataset::find(&self.dataset.id).map(|known| known.shape);
        let shape = known.unwrap_or(crate::spaces::toy_cell::PRESET.shape);
        let vocabulary = self.dataset.vocabulary.and_then(|size| i64::try_from(size).ok());
        DataShape { classes: vocabulary.unwrap_or(shape.classes), ..shape }
    }

    /// Whether anything hangs on what the network's nodes take on the device.
    #[must_use]
    pub fn needs_timings(&self) -> bool {
        let priced = self.constraints.penalty > 0.0;
        self.constraints.max_latency_ms.is_some()
            || priced && self.constraints.penalty_on == Measure::Latency
            || matches!(
                self.search.second_stage,
                SecondStageSpec::Pareto { cost: Measure::Latency, .. }
            )
    }

    /// The specification as JSON, every field written out.
    #[must_use]
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}
