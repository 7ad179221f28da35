//! Data sets as the API shows them.

use serde::{Deserialize, Serialize};
use skein_core::dataset::facts::HeldOut;
use skein_core::dataset::{DataKind, DataShape};
use utoipa::ToSchema;

use crate::service::datasets::incoming::{Incoming, Refused, State};

/// A data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DatasetView {
    /// What runs name it by.
    pub id: String,
    /// Name for people.
    pub title: String,
    /// Whether somebody brought it; the others are known by name, and their files lie in a folder.
    pub own: bool,
    /// `ready`, `absent`, or where it stands on its way: `receiving`, `fetching`, `waiting`,
    /// `preparing`, `failed`.
    pub state: String,
    /// Whether a run can use it now.
    pub present: bool,
    /// What is wrong with it, if anything.
    pub problem: Option<String>,
    /// `images` or `text`; absent before it is known.
    #[schema(value_type = Option<String>)]
    pub kind: Option<DataKind>,
    /// Shape of one example.
    #[schema(value_type = Option<Object>)]
    pub shape: Option<DataShape>,
    /// Names of the classes, in the order of their labels.
    pub classes: Vec<String>,
    /// Training images; of a text of one's own, bytes.
    pub train_images: u64,
    /// The last so many of them came as a validation split.
    pub valid_images: u64,
    /// Test images; of a text of one's own, bytes.
    pub test_images: u64,
    /// Where the test images come from.
    #[schema(value_type = Option<Object>)]
    pub held_out: Option<HeldOut>,
    /// Mean of the training pixels, scaled to `0..1`, per channel.
    pub mean: Vec<f64>,
    /// Their standard deviation.
    pub std: Vec<f64>,
    /// The newest version; empty if it is known by name.
    pub version: String,
    /// SHA-256 of the newest version; empty if it is known by name.
    pub digest: String,
    /// All versions, newest last.
    pub versions: Vec<VersionView>,
    /// Bytes on the disk.
    pub bytes: u64,
    /// When it was added (UTC, RFC 3339).
    pub created_at: Option<String>,
    /// How to get it, if it is not here.
    pub how_to_get: String,
    /// What is on its way to become its newest version.
    pub incoming: Option<IncomingView>,
    /// Runs that use it.
    pub runs: u64,
}

/// One content of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionView {
    /// Its name: the first digits of its digest.
    pub version: String,
    /// When it was prepared (UTC, RFC 3339).
    pub created_at: String,
    /// The file that it was made of.
    pub file_name: String,
    /// Bytes of that.
    pub file_bytes: u64,
    /// The folder on the server that it was made of.
    pub folder: Option<String>,
}

/// What is on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncomingView {
    /// Id of the data set that it becomes.
    pub id: String,
    /// `receiving`, `fetching`, `waiting`, `preparing` or `failed`.
    pub state: String,
    /// Name of the file.
    pub file_name: String,
    /// Bytes that it has.
    pub bytes: u64,
    /// Bytes that are here; the next part begins there.
    pub received: u64,
    /// What a preparation is doing: `reading`, `checking`, `decoding`, `writing`.
    pub stage: Option<String>,
    /// How much of that is done, in bytes or images.
    pub done: u64,
    /// Of how much.
    pub total: u64,
    /// Why it cannot be used.
    pub error: Option<RefusedView>,
}

/// Why something cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusedView {
    /// One word for programs.
    pub code: String,
    /// For people.
    pub message: String,
}

impl IncomingView {
    /// Of the record of a data set.
    #[must_use]
    pub fn of(id: &str, record: &Incoming) -> Self {
        let error = record.error.as_ref().map(|Refused { code, message }| RefusedView {
            code: code.clone(),
            message: message.clone(),
        });
        Self {
            id: id.to_owned(),
            state: state(record.state).to_owned(),
            file_name: record.file_name.clone(),
            bytes: record.bytes,
            received: record.received,
            stage: record.stage.clone(),
            done: record.done,
            total: record.total,
            error,
        }
    }
}

/// The word for a state.
#[must_use]
pub fn state(state: State) -> &'static str {
    match state {
        State::Receiving => "receiving",
        State::Fetching => "fetching",
        State::Waiting => "waiting",
        State::Preparing => "preparing",
        State::Failed => "failed",
    }
}

/// A data set to be added; one of `bytes`, `folder` and `fetch` says where it comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDataset {
    /// Of an own data set that gets another version; a new one is added otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name for people; made of the file's name otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Name of the file that will be sent, with its ending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// Bytes of that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// A folder or file on the server, where its administrator allows that. It is read once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// A public data set that the server fetches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetch: Option<String>,
    /// Side that images are brought to, in pixels; what the report suggests otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// Share of each class that becomes the test split if there is none; 0.2 otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_share: Option<f64>,
}

/// What may be changed of a data set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetPatch {
    /// Another name for people.
    #[serde(default)]
    pub title: Option<String>,
    /// Another side of the images, in pixels: it is prepared again, as a new version.
    #[serde(default)]
    pub size: Option<u32>,
}

/// A few images of a split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SampleList {
    /// `train` or `test`.
    pub split: String,
    /// Images that the split has.
    pub total: u64,
    /// Some of them.
    pub samples: Vec<SampleView>,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SampleView {
    /// Its place in the split, from 0.
    pub index: u64,
    /// Number of its class.
    pub label: i64,
    /// Name of its class.
    pub class: String,
    /// Name of its file.
    pub file: String,
}
