//! What the doctor found in a data set: counts, sizes, faults, and what it suggests.

use serde::{Deserialize, Serialize};

/// Version of `report.json`.
pub const FORMAT: u32 = 1;
/// Most names of files that a finding lists.
pub const MOST_EXAMPLES: usize = 20;

/// A report on one prepared version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Version of this schema.
    pub format: u32,
    /// What was uploaded, in words.
    pub source: String,
    /// Files that were looked at.
    pub files: u64,
    /// Their bytes, unpacked.
    pub bytes: u64,
    /// Every split, with its images by class in the order of [`super::Facts::classes`].
    pub splits: Vec<Split>,
    /// Sides of the images as they came; absent for a text.
    pub sizes: Option<Sizes>,
    /// How many images came in which mode, most frequent first: `RGB, 8 bit`.
    pub modes: Vec<Mode>,
    /// What a person should know, worst first.
    pub findings: Vec<Finding>,
    /// What fits the data.
    pub suggestion: Option<Suggestion>,
}

/// Images of one split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// `train`, `valid` or `test`.
    pub name: String,
    /// Images in all; of a text, characters.
    pub images: u64,
    /// Images of each class.
    pub per_class: Vec<u64>,
}

/// Sides of images, in pixels: `[width, height]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// The smallest width and the smallest height.
    pub smallest: [u32; 2],
    /// The median of both.
    pub median: [u32; 2],
    /// The largest width and the largest height.
    pub largest: [u32; 2],
    /// Different sizes.
    pub different: u64,
}

/// How pixels were stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mode {
    /// In words: `grey, 16 bit`.
    pub name: String,
    /// Images of it.
    pub images: u64,
}

/// One thing that a person should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// One word for programs: `duplicates_across_splits`.
    pub code: String,
    /// A sentence or two for people.
    pub message: String,
    /// How many files it is about.
    pub count: u64,
    /// Some of them, by name; at most [`MOST_EXAMPLES`].
    pub examples: Vec<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Results will be wrong or misleading, as where test images are training images too.
    Problem,
    /// Results may be worse than they could be.
    Warning,
    /// Good to know.
    Note,
}

/// What fits the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suggestion {
    /// Side of the images that a network should read, in pixels.
    pub size: u32,
    /// Channels of them.
    pub channels: u32,
    /// Mean of the training pixels, scaled to `0..1`, per channel.
    pub mean: Vec<f64>,
    /// Standard deviation of the training pixels, scaled to `0..1`, per channel.
    pub std: Vec<f64>,
    /// The first layers, in words: `one convolution that keeps the size`.
    pub stem: String,
    /// Specification fields that suit the data, with their values: `dataset.flip`, `true`.
    pub augmentation: Vec<Setting>,
}

/// A field of a specification and a value for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Dotted path of the field.
    pub field: String,
    /// The value.
    pub value: serde_json::Value,
    /// Why.
    pub why: String,
}
