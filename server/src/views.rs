//! JSON shapes of the API; separate from what is stored and from what a worker says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use skein_core::event::{ArchitectureNow, Failure, Progress, Summary, Warning};
use skein_core::number::Num;

/// A run as the API and the pages show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    /// `UUIDv7`.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// A plain lower-case word, see `domain::run`.
    pub status: String,
    /// Why it is in this state, where that needs saying: what it waits for, how it was lost.
    pub reason: Option<String>,
    /// Preset of the space.
    pub space: String,
    /// Kind of the optimizer.
    pub optimizer: String,
    /// Id of the data set.
    pub dataset: String,
    /// How candidates share weights.
    pub weights: String,
    /// `corrected` or `reference`.
    pub fidelity: String,
    /// Device it runs on or asked for.
    pub device: String,
    /// UTC, RFC 3339.
    pub created_at: String,
    /// UTC, RFC 3339; of the first attempt.
    pub started_at: Option<String>,
    /// UTC, RFC 3339.
    pub ended_at: Option<String>,
    /// The newest attempt; 0 before the first.
    pub attempt: u32,
    /// How far it is.
    pub progress: Option<Progress>,
    /// The newest value of every metric, by `phase.name`, for example `search.valid_accuracy`.
    pub latest: BTreeMap<String, Num>,
    /// Validation accuracy per epoch, for a sparkline.
    pub sparkline: Vec<Num>,
    /// The architecture that would be derived now.
    pub architecture: Option<ArchitectureNow>,
    /// What the worker warned of, newest last.
    pub warnings: Vec<Warning>,
    /// What it found, if it succeeded.
    pub summary: Option<Summary>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

/// A page of runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunList {
    /// The runs.
    pub runs: Vec<RunView>,
    /// Pass as `cursor` to get the next page; absent on the last.
    pub next: Option<String>,
}

/// A run with its specification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunDetail {
    /// The run.
    pub run: RunView,
    /// The specification, every default filled in.
    pub spec: Value,
}
