//! JSON shapes of the API; separate from what is stored and from what a worker says.

mod asked;
pub mod cluster;
pub mod datasets;
mod predict;
pub mod stream;
pub mod studies;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use skein_core::event::{ArchitectureNow, Failure, Finalists, Front, Progress, Summary, Warning};
use skein_core::graph::Cost;
use skein_core::number::Num;
use skein_core::spaces::SpaceInfo;
use skein_core::spec::Remark;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::domain::clock;
use crate::executor::Place;

pub use asked::{FrontAsked, Training, TrainingAsked};
pub use datasets::{
    DatasetPatch, DatasetView, IncomingView, NewDataset, SampleList, SampleView, VersionView,
};
pub use predict::{ClassView, PredictionView, PromptBody};

/// A run as lists and streams show it: all but its specification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = RunInList)]
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
    /// What starts its workers: `local` or `slurm`.
    pub executor: String,
    /// Where its job is on a cluster, while it has one.
    pub cluster: Option<ClusterView>,
    /// UTC, RFC 3339.
    pub created_at: String,
    /// UTC, RFC 3339; of the first attempt.
    pub started_at: Option<String>,
    /// UTC, RFC 3339.
    pub ended_at: Option<String>,
    /// The newest attempt; 0 before the first.
    pub attempt: u32,
    /// How far it is.
    #[schema(value_type = Option<Object>)]
    pub progress: Option<Progress>,
    /// The newest value of every metric, by `phase.name`, for example `search.valid_accuracy`.
    #[schema(value_type = Object)]
    pub latest: BTreeMap<String, Num>,
    /// Validation accuracy per epoch, for a sparkline.
    #[schema(value_type = Vec<Object>)]
    pub sparkline: Vec<Num>,
    /// The architecture that would be derived now.
    #[schema(value_type = Option<Object>)]
    pub architecture: Option<ArchitectureNow>,
    /// What the specification or the worker warns of, newest last.
    #[schema(value_type = Vec<Object>)]
    pub warnings: Vec<Warning>,
    /// What it found, if it succeeded.
    #[schema(value_type = Option<Object>)]
    pub summary: Option<Summary>,
    /// Why it failed, if it did.
    #[schema(value_type = Option<Object>)]
    pub failure: Option<Failure>,
}

/// A job on a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ClusterJob)]
pub struct ClusterView {
    /// The job's id there.
    pub job: String,
    /// Its state, as the cluster calls it, for example `PENDING`.
    pub state: String,
    /// Why it waits, in words.
    pub reason: Option<String>,
    /// The node it has.
    pub node: Option<String>,
    /// UTC, RFC 3339: when the cluster expects it to begin.
    pub starts_at: Option<String>,
    /// All but the times, in words.
    pub summary: String,
}

impl ClusterView {
    /// A place as the API shows it.
    #[must_use]
    pub fn of(place: &Place) -> Self {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let at = place.starts.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
        let Place { job, state, reason, node, .. } = place;
        let summary = match (reason.as_str(), node.as_str()) {
            _ if place.trouble.is_some() => place.trouble.clone().unwrap_or_default(),
            ("", "") => format!("Slurm job {job} is {}", state.to_lowercase()),
            ("", node) => format!("Slurm job {job} on node {node}"),
            (reason, _) => format!("Slurm job {job} is queued: {reason}"),
        };
        let (job, state) = (job.clone(), state.clone());
        let (reason, node) = (given(reason), given(node));
        Self { job, state, reason, node, starts_at: at.map(clock::text), summary }
    }
}

/// A page of runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunList {
    /// The runs, without their specifications.
    pub runs: Vec<RunView>,
    /// Pass as `cursor` to get the next page; absent on the last.
    pub next: Option<String>,
}

/// A run with its specification; every answer that is one run has this shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Run)]
pub struct RunDetail {
    /// The run.
    #[serde(flatten)]
    pub run: RunView,
    /// The specification, every default filled in.
    #[schema(value_type = Object)]
    pub spec: Value,
}

/// One thing of the machine that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found, or what is wrong and what to do.
    pub detail: String,
}

/// What a specification would mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Preflight {
    /// The specification, every default filled in.
    #[schema(value_type = Object)]
    pub spec: Value,
    /// The space with these options, for this data.
    #[schema(value_type = Object)]
    pub space: SpaceInfo,
    /// Steps of the search.
    pub steps: u64,
    /// Steps of all trainings of finalists together.
    pub finalist_steps: u64,
    /// How fields were taken, where another thing may be meant.
    #[schema(value_type = Vec<Object>)]
    pub warnings: Vec<Remark>,
    /// The specification as TOML.
    pub toml: String,
    /// The space with these options, every decision open, as SVG.
    pub drawing: String,
}

/// One point of a curve: step, value, attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point(pub u64, pub Num, pub u32);

/// One metric over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Series {
    /// Part of the run; curves of different parts have steps of their own.
    pub phase: String,
    /// Name of the metric.
    pub name: String,
    /// The curve.
    #[schema(value_type = Vec<Object>)]
    pub points: Vec<Point>,
    /// Points of earlier attempts that a later one repeated.
    #[schema(value_type = Vec<Object>)]
    pub superseded: Vec<Point>,
}

/// All metrics of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MetricsView {
    /// One curve a metric.
    pub series: Vec<Series>,
    /// Id of the newest event that they contain; a stream may begin after it. 0 if there is none.
    pub last_event: u64,
}

/// One decision of a space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChoiceView {
    /// Name of the parameter tensor that holds its row.
    pub tensor: String,
    /// What is decided.
    pub label: String,
    /// Names of the options.
    pub options: Vec<String>,
}

/// The rows of a run over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RowsView {
    /// The decisions, in the order of the rows.
    pub choices: Vec<ChoiceView>,
    /// Search steps.
    pub steps: Vec<u64>,
    /// Epoch of each step.
    pub epochs: Vec<u64>,
    /// For each step and each choice the options' probabilities.
    #[schema(value_type = Vec<Vec<Vec<f64>>>)]
    pub rows: Vec<Vec<Vec<Num>>>,
}

/// The architectures that would have been derived.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ArchitectureView {
    /// That of the step asked for, or the newest.
    #[schema(value_type = Option<Object>)]
    pub current: Option<ArchitectureNow>,
    /// All, in the order of steps.
    #[schema(value_type = Vec<Object>)]
    pub history: Vec<ArchitectureNow>,
    /// The newest trade-offs of accuracy against cost, if there are any.
    #[schema(value_type = Option<Object>)]
    pub front: Option<Front>,
    /// How the finalists have done so far, if there are any.
    #[schema(value_type = Option<Object>)]
    pub finalists: Option<Finalists>,
}

/// Why an architecture stands out; also its name in an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArchitectureLabel {
    /// That of the newest epoch.
    Last,
    /// The best by validation accuracy (of a text: by validation loss), the earliest of equals; of
    /// candidates that a second stage compared, if there are any.
    Best,
    /// What the run found in the end.
    Derived,
}

impl ArchitectureLabel {
    /// All labels.
    pub const ALL: [Self; 3] = [Self::Last, Self::Best, Self::Derived];

    /// The label as it is written in JSON and in an address.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Best => "best",
            Self::Derived => "derived",
        }
    }
}

/// The architecture that would have been derived at the end of an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EpochArchitecture {
    /// The epoch, from 0; generations of a second stage and rounds of finalists count on. Null if the run found an
    /// architecture that no epoch had.
    pub epoch: Option<u64>,
    /// The generation of a second stage, from 0.
    pub generation: Option<u64>,
    /// The round of finalists, from 0.
    pub round: Option<u64>,
    /// The step after which it holds.
    pub step: Option<u64>,
    /// Why it stands out.
    pub labels: Vec<ArchitectureLabel>,
    /// One-line text form.
    pub text: String,
    /// One option per choice.
    pub choices: Vec<usize>,
    /// What it costs.
    #[schema(value_type = Object)]
    pub cost: Cost,
    /// Validation accuracy, `0..=1`: of the supernet at the end of the epoch, or of the best
    /// candidate of a second stage, or of the best finalist of a round. Null before the epoch is over.
    #[schema(value_type = Option<f64>)]
    pub valid_accuracy: Option<Num>,
    /// Validation loss, nats, of the same.
    #[schema(value_type = Option<f64>)]
    pub valid_loss: Option<Num>,
    /// Accuracy that the attached benchmark tells, `0..=1`.
    #[schema(value_type = Option<f64>)]
    pub true_accuracy: Option<Num>,
    /// Its rank in the attached benchmark, from 1.
    pub true_rank: Option<u64>,
    /// Choices that differ from the entry before; null for the first. What belongs to a layer that
    /// only one of the two has is not counted, the depth is.
    pub changes: Option<usize>,
    /// Choices that differ from the last epoch's.
    pub changes_to_last: usize,
}

/// The architectures of all epochs, in their order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ArchitecturesView {
    /// One entry an epoch; none before the first architecture was told.
    pub architectures: Vec<EpochArchitecture>,
}

/// A choice in which two architectures differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The choice.
    pub name: String,
    /// The first one's option.
    pub before: String,
    /// The second one's option.
    pub after: String,
}

/// The log of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogView {
    /// Attempts that have a log.
    pub attempts: Vec<u32>,
    /// The attempt shown; 0 if there is none yet.
    pub attempt: u32,
    /// Its last lines.
    pub lines: Vec<String>,
}

/// A file of a result package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileView {
    /// Name.
    pub name: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// What it is for; empty if that is not known.
    #[serde(default)]
    pub about: String,
    /// Where it is downloaded from, relative to the server.
    pub url: String,
}

/// The files of a result package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileList {
    /// The files; none before the package is written.
    pub files: Vec<FileView>,
}
