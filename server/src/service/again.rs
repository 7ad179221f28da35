//! What another run trained and this one uses: a supernet that is searched again, or weights that
//! a given architecture inherits.
//!
//! The files of the run that trained them are linked into the new run's folder, which therefore
//! stays self-contained, takes no more room, and outlives the deletion of the first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skein_core::spec::{Inherit, RunSpec, Violation};
use skein_core::{folder, package};

use super::entry::Entry;
use super::runs::Runs;
use crate::domain::ids::RunId;
use crate::domain::run::RunStatus;

/// Where trained weights lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trained {
    /// Folder of the run that trained them.
    run: PathBuf,
    /// Folder of the attempt that ended it.
    attempt: PathBuf,
    /// Whether the packaged network's weights are used, not the supernet's.
    packaged: bool,
}

impl Runs {
    /// The trained weights that a specification asks for, if it asks for any.
    ///
    /// # Errors
    /// - every field that is wrong: the run is not there, has not succeeded or keeps no weights, or
    ///   was trained differently.
    pub(super) fn trained(&self, spec: &RunSpec) -> Result<Option<Trained>, Vec<Violation>> {
        let Some(run) = &spec.search.from_run else { return Ok(None) };
        if spec.search.inherit == Some(Inherit::None) {
            return Ok(None);
        }
        let wrong =
            |field: &str, detail: String| Err(vec![Violation { field: field.to_owned(), detail }]);
        let from = |detail| wrong("search.from_run", detail);
        let Some(entry) = RunId::parse(run).and_then(|id| self.entry(id).ok()) else {
            return from(format!("there is no run `{run}` on this server"));
        };
        let status = entry.status();
        if status != RunStatus::Succeeded {
            return from(format!("must be a run that has succeeded; `{run}` is {status}"));
        }
        let unlike = spec.unlike(&entry.spec);
        if !unlike.is_empty() {
            return Err(unlike);
        }
        let packaged = spec.search.inherit == Some(Inherit::Result);
        let found = entry.view().summary.map(|summary| summary.architecture);
        if packaged && found.as_deref() != spec.search.optimizer.given() {
            let found = found.unwrap_or_default();
            let detail = format!("must be `{found}`, whose weights `{run}` has packaged");
            return wrong("search.optimizer.architecture", detail);
        }
        let files = if packaged { packaged_weights } else { checkpoints };
        match newest(&entry, files) {
            Some(attempt) => Ok(Some(Trained { run: entry.folder.clone(), attempt, packaged })),
            None if packaged => from(format!("`{run}` keeps no packaged weights")),
            None => from(format!("`{run}` keeps no checkpoint")),
        }
    }
}

impl Runs {
    /// The runs that go on from what a run trained, oldest first.
    #[must_use]
    pub fn followers(&self, id: RunId) -> Vec<Arc<Entry>> {
        let id = id.to_string();
        let follows = |entry: &Arc<Entry>| entry.spec.search.from_run.as_ref() == Some(&id);
        self.all().into_iter().filter(follows).collect()
    }
}

/// The last attempt that keeps such files.
fn newest(entry: &Entry, files: fn(&Path) -> Vec<PathBuf>) -> Option<PathBuf> {
    let attempt = entry.state().record.attempt;
    let mut attempts = (1..=attempt).rev().map(|at| folder::attempt(&entry.folder, at));
    attempts.find(|attempt| !files(attempt).is_empty())
}

/// The weights of an attempt's packaged network.
fn packaged_weights(attempt: &Path) -> Vec<PathBuf> {
    let path = attempt.join(folder::ARTIFACTS).join(package::WEIGHTS);
    Some(path).filter(|path| path.exists()).into_iter().collect()
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
        link(&self.run.join(folder::SPEC), &target.join(folder::SPEC))?;
        let tokenizer = self.attempt.join(folder::TOKENIZER);
        if tokenizer.exists() {
            link(&tokenizer, &target.join(folder::TOKENIZER))?;
        }
        if self.packaged {
            let files = packaged_weights(&self.attempt);
            return files.iter().try_for_each(|file| link(file, &target.join(package::WEIGHTS)));
        }
        for checkpoint in checkpoints(&self.attempt) {
            let own = target.join(checkpoint.file_name().unwrap_or_default());
            fs::create_dir(&own)?;
            for entry in fs::read_dir(&checkpoint)? {
                let entry = entry?;
                link(&entry.path(), &own.join(entry.file_name()))?;
            }
        }
        Ok(())
    }
}

/// Files of a run's end never change, so that one copy serves both runs.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop))
}
