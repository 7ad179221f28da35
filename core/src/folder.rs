//! Names within a run's folder, which server and worker share.
//!
//! ```text
//! spec.json                            what the user asked for, every default filled in
//! benchmark.csv                        the table of a benchmark, if one is attached
//! supernet/                            what another run trained and this one uses: checkpoints or
//!                                      packaged weights, with its specification and tokenizer
//! attempts/1/events.jsonl              one event a line
//! attempts/1/worker.log                the worker's standard error
//! attempts/1/lock                      locked for the worker's whole life; names its host and process
//! attempts/1/split.json                which training examples are for what
//! attempts/1/latency.json              what the nodes of the space took, if the run needs to know
//! attempts/1/checkpoints/step-00001200 weights, optimizer and state
//! attempts/1/artifacts/                the result package and its manifest
//! final.json                           how the run ended
//! ```

use std::path::{Path, PathBuf};

/// What the user asked for.
pub const SPEC: &str = "spec.json";
/// How the run ended.
pub const FINAL: &str = "final.json";
/// The table of a benchmark.
pub const BENCHMARK: &str = "benchmark.csv";
/// Folder of what another run trained and this one uses.
pub const SUPERNET: &str = "supernet";
/// Byte pairs of a text; in an attempt those that it uses, in a package those of the network.
pub const TOKENIZER: &str = "tokenizer.json";
/// Characters of a text, in a package.
pub const VOCABULARY: &str = "vocabulary.json";
/// One event a line.
pub const EVENTS: &str = "events.jsonl";
/// The worker's standard error.
pub const LOG: &str = "worker.log";
/// Locked for the worker's whole life.
pub const LOCK: &str = "lock";
/// Which training examples are for what; see [`crate::dataset::split`].
pub const SPLIT: &str = "split.json";
/// What the nodes of the space took, in an attempt that needed to know.
pub const LATENCY: &str = "latency.json";
/// Folder of the checkpoints.
pub const CHECKPOINTS: &str = "checkpoints";
/// Folder of the result package.
pub const ARTIFACTS: &str = "artifacts";
/// The list of the package's files.
pub const MANIFEST: &str = "manifest.json";
/// The whole package.
pub const RESULT_ZIP: &str = "result.zip";

/// The last proofs of `skein certify`, in the data folder.
pub const CERTIFICATE: &str = "certificate.json";

/// Folder of all attempts.
#[must_use]
pub fn attempts(run: &Path) -> PathBuf {
    run.join("attempts")
}

/// Folder of one attempt.
#[must_use]
pub fn attempt(run: &Path, attempt: u32) -> PathBuf {
    attempts(run).join(attempt.to_string())
}

/// Name of a checkpoint's folder.
#[must_use]
pub fn checkpoint(step: u64) -> String {
    format!("step-{step:08}")
}

/// Step of a checkpoint's folder; `None` for a temporary or foreign name.
#[must_use]
pub fn checkpoint_step(name: &str) -> Option<u64> {
    name.strip_prefix("step-")?.parse().ok()
}
