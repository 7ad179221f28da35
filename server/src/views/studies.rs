//! JSON shapes of studies.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use skein_core::study::report::Report;
use utoipa::ToSchema;

/// A study as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = StudyInList)]
pub struct StudyView {
    /// `UUIDv7`.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// UTC, RFC 3339.
    pub created_at: String,
    /// Preset of the space.
    pub space: String,
    /// Id of the data set.
    pub dataset: String,
    /// Name of the table when the study was created; it keeps a copy.
    pub table: String,
    /// Names of the methods.
    pub methods: Vec<String>,
    /// Names of the budgets; empty if there is one for all.
    pub budgets: Vec<String>,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// How many runs have which state.
    pub progress: StudyProgress,
    /// Why runs cannot be created at present.
    pub problem: Option<String>,
}

/// How many runs of a study have which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct StudyProgress {
    /// All.
    pub runs: usize,
    /// Not created yet.
    pub planned: usize,
    /// Waiting for a device.
    pub queued: usize,
    /// At work, stopping or paused.
    pub working: usize,
    /// Found a network.
    pub succeeded: usize,
    /// Failed.
    pub failed: usize,
    /// Cancelled.
    pub cancelled: usize,
    /// Deleted since, or never created because the study was cancelled.
    pub gone: usize,
}

impl StudyProgress {
    /// How many will do no more.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.succeeded + self.failed + self.cancelled + self.gone
    }

    /// Whether all have ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ended() == self.runs
    }
}

/// A page of studies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StudyList {
    /// All of them, newest first.
    pub studies: Vec<StudyView>,
}

/// A study with what it has found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Study)]
pub struct StudyDetail {
    /// The study.
    #[serde(flatten)]
    pub study: StudyView,
    /// What was asked for.
    #[schema(value_type = Object)]
    pub spec: Value,
    /// What it has found.
    #[schema(value_type = Object)]
    pub report: Report,
}
