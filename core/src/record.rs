//! `final.json`: the one record that says how a run ended.

use serde::{Deserialize, Serialize};

use crate::event::{Failure, Summary};

/// Version of the run folder's layout and of `final.json`.
pub const FORMAT_VERSION: u32 = 1;

/// How a run ended. Created once, by whoever comes first; without it nothing has succeeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FinalRecord {
    /// [`FORMAT_VERSION`] of the writer.
    pub version: u32,
    /// The attempt that ended the run; 0 if none had begun.
    pub attempt: u32,
    /// When, UTC, RFC 3339.
    pub at: String,
    /// How.
    pub outcome: Outcome,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Outcome {
    /// It found a network.
    Succeeded {
        /// What it found.
        summary: Summary,
    },
    /// It could not go on.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// A person ended it.
    Cancelled,
}
