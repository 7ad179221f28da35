//! What a worker says: one JSON object a line in `events.jsonl`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::graph::Cost;
use crate::number::Num;
use crate::spec::Measure;

/// One line of an attempt's `events.jsonl`.
///
/// `(attempt, seq)` is unique within a run and ordered; consumers de-duplicate by it. Within one
/// curve a later attempt supersedes the points of an earlier one from its first step on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Position within the attempt, from 1.
    pub seq: u64,
    /// The attempt, from 1.
    pub attempt: u32,
    /// When it was said, UTC, RFC 3339.
    pub at: String,
    /// What was said.
    #[serde(flatten)]
    pub body: EventBody,
}

/// The kinds of event with their payloads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "payload", rename_all = "snake_case")]
pub enum EventBody {
    /// The attempt has begun.
    Started(Started),
    /// A new part of the run begins.
    Phase(Phase),
    /// How far the run is.
    Progress(Progress),
    /// Numbers of a step or an epoch.
    Metrics(Metrics),
    /// The rows as probabilities.
    Rows(Rows),
    /// The architecture that would be derived now.
    Architecture(ArchitectureNow),
    /// The trade-offs that were found so far.
    Front(Front),
    /// How the finalists have done so far.
    Finalists(Finalists),
    /// A checkpoint is on disk.
    Checkpoint(Checkpoint),
    /// Something a person should know; the run goes on.
    Warning(Warning),
    /// A line for the log.
    Log(Log),
    /// The run has succeeded.
    Finished(Summary),
    /// The run has failed.
    Failed(Failure),
}

impl EventBody {
    /// The kind as it is written in JSON.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Started(_) => "started",
            Self::Phase(_) => "phase",
            Self::Progress(_) => "progress",
            Self::Metrics(_) => "metrics",
            Self::Rows(_) => "rows",
            Self::Architecture(_) => "architecture",
            Self::Front(_) => "front",
            Self::Finalists(_) => "finalists",
            Self::Checkpoint(_) => "checkpoint",
            Self::Warning(_) => "warning",
            Self::Log(_) => "log",
            Self::Finished(_) => "finished",
            Self::Failed(_) => "failed",
        }
    }
}

/// The attempt has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// Version of the worker.
    pub version: String,
    /// Process id of the worker.
    pub pid: u32,
    /// Name of the machine.
    pub host: String,
    /// Device that computes, for example `cpu` or `cuda:0`.
    pub device: String,
    /// Threads of the CPU.
    pub threads: usize,
    /// Step (all phases together) of the checkpoint that the attempt goes on from, if any.
    pub resumed_from: Option<u64>,
    /// Steps of the whole search.
    pub total_steps: u64,
}

/// Parts of a run, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseName {
    /// Rows and weights are trained in turn.
    Search,
    /// Architectures are compared on the trained supernet; a step is one architecture.
    Select,
    /// The likeliest architectures are trained from scratch for a short time; steps of all
    /// trainings count on.
    Finalists,
    /// The derived network is measured with the weights of the supernet.
    Inherit,
    /// The derived network is trained on, from the weights of the supernet.
    FineTune,
    /// The derived network is trained from scratch.
    Fit,
    /// The result package is written.
    Package,
}

impl PhaseName {
    /// The name as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Select => "select",
            Self::Finalists => "finalists",
            Self::Inherit => "inherit",
            Self::FineTune => "fine_tune",
            Self::Fit => "fit",
            Self::Package => "package",
        }
    }
}

/// A new part of the run begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Which part.
    pub name: PhaseName,
    /// Steps of the part; 0 if it is not counted.
    pub total_steps: u64,
}

/// How far the run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Which part.
    pub phase: PhaseName,
    /// Steps done in the part.
    pub step: u64,
    /// Steps of the part.
    pub total_steps: u64,
    /// Epochs done in the part.
    pub epoch: u64,
    /// Epochs of the part.
    pub epochs: u64,
    /// Share of the whole run that is done, `0..=1`.
    pub fraction: Num,
    /// Images per second, of the last few seconds.
    pub images_per_s: Num,
    /// Seconds that remain of the whole run, once they can be told.
    pub remaining_s: Option<Num>,
}

/// Numbers of a step or an epoch. Losses are in nats (of a text: per token), accuracies in `0..=1`
/// (of a text: of the next token).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Which part; curves of different parts have steps of their own.
    pub phase: PhaseName,
    /// The step within the part after which they hold.
    pub step: u64,
    /// The epoch within the part, from 0.
    pub epoch: u64,
    /// Name to number, for example `weight_loss`; those in [`MACHINE`] tell of the machine.
    pub values: BTreeMap<String, Num>,
}

/// Metrics that tell of the machine and not of the search: equal runs differ in them.
///
/// - `cpu_busy`: the processor's time over that of the run's threads, 1 if all are at work;
/// - `gpu_busy`: the share of time in which the GPU computed something;
/// - `gpu_memory_mb`: the most that tensors have had of the GPU's memory so far;
/// - `input_wait`: the share of time in which steps waited for their examples;
/// - `memory_mb`: resident memory of the worker.
///
/// Shares and means are of the time since they were last told.
pub const MACHINE: [&str; 5] = ["cpu_busy", "gpu_busy", "gpu_memory_mb", "input_wait", "memory_mb"];

/// The rows as probabilities, in the order of the space's choices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    /// The search step after which they hold.
    pub step: u64,
    /// The epoch, from 0.
    pub epoch: u64,
    /// One row per choice.
    pub rows: Vec<Vec<Num>>,
}

/// The architecture that would be derived now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArchitectureNow {
    /// The search step after which it holds; architectures compared after the search count too.
    pub step: u64,
    /// The epoch, from 0; generations of a second stage count on from the search's epochs.
    pub epoch: u64,
    /// One option per choice.
    pub choices: Vec<usize>,
    /// One-line text form.
    pub text: String,
    /// What it costs.
    pub cost: Cost,
    /// Accuracy that the attached benchmark tells, `0..=1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub true_accuracy: Option<Num>,
    /// Its rank in the attached benchmark, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub true_rank: Option<u64>,
}

/// The trade-offs of accuracy against cost that were found so far: no candidate was as accurate
/// for less.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Front {
    /// Candidates that were compared.
    pub step: u64,
    /// The generation after which it holds, from 0.
    pub generation: u64,
    /// What accuracy is traded for.
    pub cost: Measure,
    /// By rising cost.
    pub points: Vec<FrontPoint>,
}

/// An architecture of a front.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrontPoint {
    /// One option per choice.
    pub choices: Vec<usize>,
    /// One-line text form.
    pub text: String,
    /// Validation accuracy with inherited weights, `0..=1`.
    pub accuracy: Num,
    /// Validation loss, nats.
    pub loss: Num,
    /// What it costs.
    pub cost: Cost,
}

/// How the finalists have done so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finalists {
    /// Steps of all their trainings together that are done.
    pub step: u64,
    /// Rounds that have begun.
    pub rounds: u64,
    /// Whether the last training has ended.
    pub over: bool,
    /// Those of the first round, the likeliest first.
    pub finalists: Vec<Finalist>,
}

/// An architecture that is trained for a short time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finalist {
    /// One option per choice.
    pub choices: Vec<usize>,
    /// One-line text form.
    pub text: String,
    /// What it costs.
    pub cost: Cost,
    /// What it reached in each round that it has ended.
    pub scores: Vec<FinalistScore>,
    /// Whether it has left.
    pub out: bool,
}

/// What a finalist reached in a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FinalistScore {
    /// Epochs of the training.
    pub epochs: u64,
    /// Validation accuracy after it, `0..=1`.
    pub accuracy: Num,
    /// Validation loss, nats.
    pub loss: Num,
}

/// A checkpoint is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Steps done in all phases together when it was taken.
    pub step: u64,
    /// Folder name below `checkpoints/`.
    pub folder: String,
}

/// Something a person should know; the run goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Short stable name, for example `checkpoint_damaged`.
    pub code: String,
    /// What happened and what it means for the run.
    pub message: String,
}

/// A line for the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// `info` or `debug`.
    pub level: String,
    /// The line.
    pub message: String,
}

/// What a run that succeeded found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// One-line text form.
    pub architecture: String,
    /// One option per choice.
    pub choices: Vec<usize>,
    /// What it costs.
    pub cost: Cost,
    /// Milliseconds that the whole network takes for one example, where latency was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<Num>,
    /// Accuracies and losses of the derived network, each with the weights it was measured with.
    pub ladder: Vec<Rung>,
    /// The rung whose weights are in the package.
    pub packaged: String,
    /// Validation accuracy of the packaged network, `0..=1`.
    pub valid_accuracy: Num,
    /// Test accuracy of the packaged network, `0..=1`.
    pub test_accuracy: Num,
    /// Seconds that all attempts worked.
    pub duration_s: Num,
}

/// The derived network, measured with one set of weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// `inherited`, `recalibrated`, `fine_tuned` or `from_scratch`; the latter two also with
    /// `_ema`, for the average of the weights.
    pub weights: String,
    /// Loss on the validation (architecture) split, nats.
    pub valid_loss: Num,
    /// Accuracy on the validation (architecture) split, `0..=1`.
    pub valid_accuracy: Num,
    /// Loss on the test set, nats.
    pub test_loss: Num,
    /// Accuracy on the test set, `0..=1`.
    pub test_accuracy: Num,
    /// Of a text: perplexity per token on the test text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_perplexity: Option<Num>,
    /// Of a text: bits per character on the test text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_bits_per_character: Option<Num>,
}

/// Who or what a failure is due to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The specification or the data is wrong.
    User,
    /// Memory or disk ran out.
    Resource,
    /// The machine, a file system, a driver.
    Infrastructure,
    /// Skein itself.
    Bug,
}

/// The run has failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Who or what it is due to.
    pub class: FailureClass,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_flat_line_with_kind_and_payload() {
        let values = [("weight_loss".to_owned(), Num(f64::NAN))].into();
        let body =
            EventBody::Metrics(Metrics { phase: PhaseName::Search, step: 3, epoch: 0, values });
        let event = Event { seq: 7, attempt: 2, at: "2026-01-01T00:00:00Z".to_owned(), body };
        let text = serde_json::to_string(&event).unwrap();
        insta::assert_snapshot!(text, @r#"{"seq":7,"attempt":2,"at":"2026-01-01T00:00:00Z","kind":"metrics","payload":{"phase":"search","step":3,"epoch":0,"values":{"weight_loss":"NaN"}}}"#);
        let back: Event = serde_json::from_str(&text).unwrap();
        assert_eq!(back.body.kind(), "metrics");
        assert_eq!(serde_json::to_string(&back).unwrap(), text);
    }
}
