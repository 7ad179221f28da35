//! What there is to know of a person's own data set once it is prepared.
//!
//! A prepared version is a folder, and it never changes:
//!
//! ```text
//! facts.json           Facts
//! report.json          what the doctor found (see super::report)
//! train.images.npy     uint8 [images, channels, height, width]
//! train.labels.npy     int64 [images]
//! test.images.npy      the same of the test split
//! test.labels.npy
//! files.jsonl          of each image its split, its name and its digest, in the order of the above
//! input.txt test.txt   of a text instead of all arrays
//! ```
//!
//! Training images lie in an order that was shuffled once, so that the first so many of them are a
//! fair sample. Images that came with a validation split are the last of the training images.

use serde::{Deserialize, Serialize};

use super::{DataKind, DataShape, Dataset, Files};

/// Version of `facts.json`.
pub const FORMAT: u32 = 1;
/// The folder of a data set's versions, each called by its version.
pub const VERSIONS: &str = "versions";
/// The file of the facts.
pub const FACTS: &str = "facts.json";
/// The file of the doctor's report.
pub const REPORT: &str = "report.json";
/// Names, splits and digests of all files that are in the arrays.
pub const NAMES: &str = "files.jsonl";
/// The file of a split's pixels.
#[must_use]
pub fn images(split: &str) -> String {
    format!("{split}.images.npy")
}
/// The file of a split's labels.
#[must_use]
pub fn labels(split: &str) -> String {
    format!("{split}.labels.npy")
}

/// Facts of a prepared data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Version of this schema.
    pub format: u32,
    /// SHA-256 of what was prepared and how, in hexadecimal: equal digests, equal bytes.
    pub digest: String,
    /// What it holds.
    pub kind: DataKind,
    /// Shape of one example. Of a text, `classes` is the number of its different characters.
    pub shape: DataShape,
    /// Names of the classes, in the order of their labels; empty for a text.
    pub classes: Vec<String>,
    /// Training images, those of the validation split among them; of a text, bytes.
    pub train: u64,
    /// The last so many of the training images came as a validation split of their own.
    pub valid: u64,
    /// Test images; of a text, bytes.
    pub test: u64,
    /// Where the test images come from.
    pub held_out: HeldOut,
    /// Mean of the training pixels, scaled to `0..1`, per channel.
    pub mean: Vec<f64>,
    /// Standard deviation of the training pixels, scaled to `0..1`, per channel.
    pub std: Vec<f64>,
    /// What was uploaded, in words: `zip of class folders`.
    pub source: String,
    /// Whether images were brought to one size; `false` if all had it.
    pub resized: bool,
}

/// Where the test images of a data set come from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum HeldOut {
    /// They came as a split of their own.
    Given,
    /// So many of each class were drawn out of the training images before anybody saw them.
    Drawn {
        /// Share of each class, `0..1`.
        share: f64,
        /// Seed of the draw.
        seed: u64,
    },
}

impl Facts {
    /// Digits of the digest that tell versions apart.
    #[must_use]
    pub fn version(&self) -> &str {
        self.digest.get(..12).unwrap_or(&self.digest)
    }

    /// The data set as runs see it.
    #[must_use]
    pub fn dataset(&self, id: &str, title: &str) -> Dataset {
        let images = self.kind == DataKind::Images;
        Dataset {
            id: id.to_owned(),
            title: title.to_owned(),
            version: self.version().to_owned(),
            digest: self.digest.clone(),
            kind: self.kind,
            shape: self.shape,
            classes: self.classes.clone(),
            train_images: if images { self.train } else { 0 },
            valid_images: if images { self.valid } else { 0 },
            test_images: if images { self.test } else { 0 },
            mean: self.mean.clone(),
            std: self.std.clone(),
            files: Files::Prepared,
            how_to_get: "upload it again, or let the server prepare it again".to_owned(),
        }
    }
}

/// The file that lists a data set's versions.
pub const SET: &str = "set.json";

/// A data set of a person's own: `set.json` in its folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnSet {
    /// Version of this schema.
    pub format: u32,
    /// Name for people.
    pub title: String,
    /// When it was added (UTC, RFC 3339).
    pub created_at: String,
    /// Its versions, newest last.
    pub versions: Vec<OwnVersion>,
}

/// One content of a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnVersion {
    /// Its name; see [`Facts::version`].
    pub version: String,
    /// When it was prepared (UTC, RFC 3339).
    pub created_at: String,
    /// What was uploaded, by name.
    pub file_name: String,
    /// Bytes of that.
    pub file_bytes: u64,
    /// A folder on the server that was registered in place, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}
