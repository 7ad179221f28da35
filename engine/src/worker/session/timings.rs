//! What nodes take, kept with the attempt: a resumed run goes on with the same numbers.

use std::fs;
use std::path::{Path, PathBuf};

use skein_core::folder;
use skein_core::graph::{Graph, Timings};

use crate::EngineError;
use crate::error::IoContext;

/// What the latest of these attempts measured; a torn file of one that died is passed over.
pub(super) fn known(attempts: &[PathBuf]) -> Timings {
    let kept = attempts.iter().rev().map(|attempt| attempt.join(folder::LATENCY));
    let read = |path: PathBuf| serde_json::from_slice(&fs::read(path).ok()?).ok();
    kept.into_iter().find_map(read).unwrap_or_default()
}

/// Keeps what is known in the attempt's folder.
pub(super) fn keep(graph: &Graph, attempt: &Path) -> Result<(), EngineError> {
    if graph.timings.is_empty() {
        return Ok(());
    }
    let text = serde_json::to_string_pretty(&graph.timings)
        .map_err(|error| EngineError::Bug(error.to_string()))?;
    let path = attempt.join(folder::LATENCY);
    fs::write(&path, text).at(&path)
}
