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
mod search;
mod stage;
mod train;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dataset::split::SplitMethod;
use crate::dataset::{self, DataKind, DataShape};

pub use after::{AfterSpec, FinalistsSpec, Packaged, Recipe, StageSpec};
pub use again::is_bound;
pub use check::{Remark, Violation};
pub use constraints::{ConstraintsSpec, Measure, milliseconds};
pub use options::{
    AutoformerOptions, ConvMacroOptions, DartsOptions, LanguageOptions, MobilenetV3Options,
    NasBench201Options, ToyCellOptions,
};
pub use schema::json_schema;
pub use search::{Fidelity, Inherit, OnNonfinite, OptimizerSpec, Projection, SearchSpec, Sharing};
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
    /// Id of a data set: one that is known by name, or one of a person's own.
    pub id: String,
    /// Which content of a person's own data set; absent for one that is known by name, and so are
    /// the four below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<DataKind>,
    /// Channels, height and width of its images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<[i64; 3]>,
    /// Its classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<i64>,
    /// Its training images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<u64>,
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
    /// What happens to a text's line ends and its byte order mark; absent for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_ends: Option<LineEnds>,
    /// Whether images are mirrored at random, top to bottom.
    #[serde(default)]
    pub flip_vertical: bool,
    /// Smallest share of an image's area of which a random part is scaled to the whole size; 0 for
    /// none.
    #[serde(default)]
    pub resized_crop: f64,
    /// How training examples are divided into those that train weights and those that train rows.
    #[serde(default)]
    pub split: SplitMethod,
    /// Seed of that; absent where nothing is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_seed: Option<u64>,
    /// Of each class only this share of its training images, `0..=1`.
    #[serde(default = "all")]
    pub class_share: f64,
    /// Of each class at most so many training images; all if absent.
    #[serde(default)]
    pub class_limit: Option<u64>,
    /// Only the training images at these positions, as [`dataset::positions::Positions`] are
    /// written; all if absent.
    #[serde(default)]
    pub subset: Option<String>,
    /// The last so many images of a person's own training images came as a validation split; absent
    /// for a data set that is known by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<u64>,
}

fn all() -> f64 {
    1.0
}

impl DatasetSpec {
    /// Shape of a person's own images.
    #[must_use]
    pub fn own_shape(&self) -> Option<DataShape> {
        let ([channels, height, width], classes) = self.shape.zip(self.classes)?;
        Some(DataShape { channels, height, width, classes })
    }
}

/// What happens to a text's line ends, and to a byte order mark at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineEnds {
    /// All of them become `\n`, and the mark is dropped.
    Normalised,
    /// The bytes are taken as they are.
    Kept,
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
    /// What starts the worker.
    #[serde(default)]
    pub executor: ExecutorKind,
    /// What the run asks of a cluster; absent on the server's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slurm: Option<SlurmSpec>,
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

/// What starts workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutorKind {
    /// The server, on its own machine.
    #[default]
    Local,
    /// A Slurm cluster.
    Slurm,
}

/// Resources of a job on a Slurm cluster; what is absent is as the server's settings say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlurmSpec {
    /// Partition.
    pub partition: Option<String>,
    /// Account that pays.
    pub account: Option<String>,
    /// Quality of service.
    pub qos: Option<String>,
    /// Generic resources, for example `gpu:1`.
    pub gres: Option<String>,
    /// Processors.
    pub cpus: Option<u64>,
    /// Memory in MB.
    pub memory_mb: Option<u64>,
    /// Time limit in minutes.
    pub minutes: Option<u64>,
    /// Jobs of one array that work at once at most.
    pub at_once: Option<u64>,
}

/// Width of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Single precision.
    Float32,
    /// Double precision, for checks.
    Float64,
    /// Single precision whose products read their factors rounded to ten bits, on a GPU.
    Tf32,
    /// Weights in single precision, products in `bfloat16` (autocast).
    Bfloat16,
}

impl RunSpec {
    /// Checks a JSON value and fills in every default.
    ///
    /// # Errors
    /// - every [`Violation`] at once: unknown fields, wrong types, values out of range, rules
    ///   across fields.
    pub fn parse(value: &Value) -> Result<Self, Vec<Violation>> {
        Self::read(value).map(|(spec, _)| spec)
    }

    /// The same, with what a person should know about how the value was read.
    ///
    /// # Errors
    /// - those of [`RunSpec::parse`].
    pub fn read(value: &Value) -> Result<(Self, Vec<Remark>), Vec<Violation>> {
        let (filled, remarks) = check::check(value)?;
        let spec = serde_json::from_value(filled)
            .map_err(|error| vec![Violation { field: String::new(), detail: error.to_string() }])?;
        Ok((spec, remarks))
    }

    /// Shape of the data, as far as the specification alone tells: the vocabulary of a text is a
    /// guess.
    #[must_use]
    pub fn shape(&self) -> DataShape {
        let known = dataset::find(&self.dataset.id).map(|known| known.shape);
        let shape = known.or_else(|| self.dataset.own_shape());
        let shape = shape.unwrap_or(crate::spaces::toy_cell::PRESET.shape);
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
