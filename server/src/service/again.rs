//! A trained supernet that is searched again by another run.
//!
//! The checkpoints of the run that trained it are linked into the new run's folder, which therefore
//! stays self-contained, takes no more room, and outlives the deletion of the first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use skein_core::folder;
use skein_core::spec::{RunSpec, Violation};

use super::entry::Entry;
use super::runs::Runs;
use crate::domain::ids::RunId;
use crate::domain::run::RunStatus;

/// Where a trained supernet lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trained {
    /// Folder of the attempt that ended the run that trained it.
    attempt: PathBuf,
}

impl Runs {
    /// The trained supernet that a specification asks for, if it asks for one.
    ///
    /// # Errors
    /// - every field that is wrong: the run is not there, has not succeeded or keeps no checkpoint,
    ///   or was trained differently.
    pub(super) fn trained(&self, spec: &RunSpec) -> Result<Option<Trained>, Vec<Violation>> {
        let Some(run) = &spec.search.from_run else { return Ok(None) };
        let wrong = |detail: &str| {
            let (field, detail) = ("search.from_run".to_owned(), detail.to_owned());
            vec![Violation { field, detail }]
        };
        let Some(entry) = RunId::parse(run).and_then(|id| self.entry(id).ok()) else {
            return Err(wrong(&format!("there is no run `{run}` on this server")));
        };
        let status = entry.status();
        if status != RunStatus::Succeeded {
            return Err(wrong(&format!("must be a run that has succeeded; `{run}` is {status}")));
        }
        let unlike = spec.unlike(&entry.spec);
        if !unlike.is_empty() {
            return Err(unlike);
        }
        newest(&entry).map(Some).ok_or_else(|| wrong(&format!("`{run}` keeps no checkpoint")))
    }
}

/// The last attempt that keeps a checkpoint.
fn newest(entry: &Entry) -> Option<Trained> {
    let attempt = entry.state().record.attempt;
    let mut attempts = (1..=attempt).rev().map(|at| folder::attempt(&entry.folder, at));
    let attempt = attempts.find(|attempt| !checkpoints(attempt).is_empty())?;
    Some(Trained { attempt })
}

fn checkpoints(attempt: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(attempt.join(folder::CHECKPOINTS)).into_iter().flatten().flatten();
    let known = |path: &PathBuf| {
        path.file_name().and_then(|n| n.to_str()).and_then(folder::checkpoint_step).is_some()
    };
    entries.map(|entry| entry.path()).filter(known).collect()
}

impl Trained {
    /// Links it into a run's folder.
    ///
    /// # Errors
    /// - a file can be neither linked nor copied.
    pub(super) fn link(&self, run: &Path) -> io::Result<()> {
        let target = run.join(folder::SUPERNET);
        fs::create_dir(&target)?;
        for checkpoint in checkpoints(&self.attempt) {
            let own = target.join(checkpoint.file_name().unwrap_or_default());
            fs::create_dir(&own)?;
            for entry in fs::read_dir(&checkpoint)? {
                let entry = entry?;
                link(&entry.path(), &own.join(entry.file_name()))?;
            }
        }
        let tokenizer = self.attempt.join(folder::TOKENIZER);
        if tokenizer.exists() { link(&tokenizer, &target.join(folder::TOKENIZER)) } else { Ok(()) }
    }
}

/// Files of a checkpoint never change, so that one copy serves both runs.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop))
}
