//! What may be asked of a finished run.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use skein_core::spec::Measure;
use utoipa::ToSchema;

/// What is done to an architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Training {
    /// It is measured with inherited weights, recalibrated.
    Inherit,
    /// It is trained on from them.
    FineTune,
    /// It is trained from fresh weights.
    FromScratch,
}

/// An architecture of a run, to be trained in another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainingAsked {
    /// What is done to it.
    pub preset: Training,
    /// Which, in any form that a specification takes; what the run found unless told otherwise.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub architecture: Option<Value>,
    /// Epochs of the training; as in the run, or 10 of a fine-tuning and 100 from scratch.
    #[serde(default)]
    pub epochs: Option<u64>,
    /// Name of the new run.
    #[serde(default)]
    pub name: Option<String>,
}

/// Other budgets for a trained supernet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FrontAsked {
    /// What accuracy is traded for: `params`, `macs` or `latency`.
    #[schema(value_type = String)]
    pub cost: Measure,
}
