//! Puts the runs together again when the server starts.
//!
//! The folders are the truth; the index adds what they cannot say (names, places, wishes). A run
//! that the index does not know is rebuilt from its folder.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use skein_core::event::{Failure, FailureClass};
use skein_core::folder;
use skein_core::record::{FinalRecord, Outcome};
use skein_core::spec::RunSpec;

use super::entry::Entry;
use super::hand_over::is_on_cluster;
use super::runs::Runs;
use super::supervise::{STOPPED, supervise};
use super::{ServiceError, final_record, tail};
use crate::domain::ids::RunId;
use crate::domain::run::{RunEvent, RunStatus};
use crate::executor::JobState;
use crate::storage::runs::{RunRecord, Wanted};

impl Runs {
    /// Loads every run and gives those whose worker is still at work.
    ///
    /// # Errors
    /// - the folder of runs or the index cannot be read; a damaged run is only skipped.
    pub fn recover(&self) -> Result<Vec<Arc<Entry>>, ServiceError> {
        let began = Instant::now();
        let (mut alive, mut count) = (Vec::new(), 0_usize);
        for found in fs::read_dir(self.folder.runs())? {
            let path = found?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(id) = name.and_then(RunId::parse) else { continue };
            let Some(entry) = self.load(id, path)? else { continue };
            entry.set_recovering(true);
            if self.settle(&entry) {
                alive.push(Arc::clone(&entry));
            }
            entry.set_recovering(false);
            count += 1;
            let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
            entries.insert(id, entry);
        }
        if count > 0 {
            let (seconds, working) = (began.elapsed().as_secs_f64(), alive.len());
            let runs = if count == 1 { "run" } else { "runs" };
            tracing::info!(
                "{count} {runs} recovered in {seconds:.2} s, workers still at work: {working}"
            );
        }
        Ok(alive)
    }

    /// Follows the workers that were found at work.
    pub fn attach(&self, alive: Vec<Arc<Entry>>) {
        for entry in alive {
            tracing::debug!(run.id = %entry.id, "its worker is still at work");
            self.tracker.spawn(supervise(self.clone(), entry));
        }
    }

    fn load(&self, id: RunId, path: PathBuf) -> Result<Option<Arc<Entry>>, ServiceError> {
        let spec = fs::read(path.join(folder::SPEC)).ok();
        let spec = spec.and_then(|bytes| serde_json::from_slice::<RunSpec>(&bytes).ok());
        let Some(spec) = spec else {
            tracing::error!(path = %path.display(), "the run has no readable spec.json; skipped");
            return Ok(None);
        };
        let known = self.db.run(id)?;
        let record = known.unwrap_or_else(|| {
            // Ids sort by creation, and so do these places.
            let created = id.created_at().unix_timestamp_nanos() / 1_000_000;
            RunRecord::queued(spec.name.clone(), u64::try_from(created).unwrap_or(0))
        });
        let entry = Entry::new(id, path, spec, record);
        if entry.state().record.digest.is_none() || final_record::read(&entry.folder).is_none() {
            read_events(&entry)?;
        }
        Ok(Some(Arc::new(entry)))
    }

    /// Brings a run's state in line with its folder; true if its worker is at work.
    fn settle(&self, entry: &Entry) -> bool {
        let newest = tail::attempts(&entry.folder).last().copied().unwrap_or(0);
        let stale = newest > entry.state().record.attempt;
        if stale {
            let mut state = entry.state();
            (state.record.attempt, state.record.pid) = (newest, None);
        }
        let job = entry.job();
        let executor = self.executors.of(entry.spec.resources.executor);
        let state = if job.attempt > 0 { executor.poll(&job) } else { JobState::Unknown };
        let works = match state {
            JobState::Alive => true,
            JobState::Pending | JobState::Unknown => entry.status().holds_device(),
            // A cluster says how its job ended, which its supervisor sees to.
            JobState::Gone(_) => is_on_cluster(entry) && entry.status().holds_device(),
        };
        if let Some(record) = final_record::read(&entry.folder).filter(|_| !works) {
            self.take_over(entry, record);
            return false;
        }
        if works {
            if state == JobState::Alive {
                self.found_at_work(entry);
            }
            return true;
        }
        self.found_without_worker(entry, stale);
        false
    }

    fn take_over(&self, entry: &Entry, record: FinalRecord) {
        if entry.status().is_ended() {
            entry.state().outcome = Some(record.outcome);
        } else {
            entry.finish(&self.db, record);
        }
    }

    fn found_at_work(&self, entry: &Entry) {
        reopen(entry);
        let began = entry.change(&self.db, RunEvent::Began, |state| {
            if state.record.device.is_none() {
                let started = state.digest.started.as_ref();
                state.record.device = started.map(|started| started.device.clone());
            }
        });
        if let Err(error) = began {
            tracing::error!(run.id = %entry.id, %error, "a worker works on it nevertheless");
        }
    }

    fn found_without_worker(&self, entry: &Entry, stale: bool) {
        if !stale && self.end_again(entry) {
            return;
        }
        reopen(entry);
        let (status, wanted, stopped) = {
            let record = &entry.state().record;
            (record.status, record.wanted, record.reason.as_deref() == Some(STOPPED))
        };
        if wanted == Wanted::Cancel && !status.is_ended() {
            let attempt = entry.state().record.attempt;
            let record = final_record::now(attempt, Outcome::Cancelled);
            match final_record::create(&entry.folder, &record) {
                Ok(record) => entry.finish(&self.db, record),
                Err(error) => tracing::error!(run.id = %entry.id, %error, "cannot cancel it"),
            }
            return;
        }
        let reason = "its worker was gone when the server started".to_owned();
        let changed = match status {
            RunStatus::Pausing => entry.change(&self.db, RunEvent::Stopped, |state| {
                state.record.wanted = Wanted::Work;
            }),
            // It was asked to stop, so this is no loss and counts as no retry.
            RunStatus::Starting | RunStatus::Running if stopped => {
                entry.change(&self.db, RunEvent::Requeued, |state| {
                    state.record.reason = Some(STOPPED.to_owned());
                })
            }
            RunStatus::Starting | RunStatus::Running => {
                entry.change(&self.db, RunEvent::Vanished, |state| {
                    state.record.reason = Some(reason);
                })
            }
            RunStatus::Queued if stale => entry.change(&self.db, RunEvent::Vanished, |state| {
                state.record.reason = Some(reason);
            }),
            _ => Ok(()),
        };
        if let Err(error) = changed {
            tracing::error!(run.id = %entry.id, %error, "cannot bring its state in line");
        }
    }
}

impl Runs {
    /// Sees to a run that ended while its final record could not be written, for example because
    /// the disk was full: it is written now, and its work is not done again. False if the run had
    /// not ended, or its record was set aside because it was being resumed.
    fn end_again(&self, entry: &Entry) -> bool {
        let (status, attempt) = {
            let state = entry.state();
            (state.record.status, state.record.attempt)
        };
        let outcome = match status {
            RunStatus::Cancelled => Outcome::Cancelled,
            RunStatus::Failed => Outcome::Failed { failure: unrecorded() },
            _ => return false,
        };
        if final_record::is_set_aside(&entry.folder, attempt) {
            return false;
        }
        let record = final_record::now(attempt, outcome);
        let counts = final_record::create(&entry.folder, &record).unwrap_or_else(|error| {
            tracing::error!(run.id = %entry.id, %error, "cannot write the final record");
            record
        });
        self.take_over(entry, counts);
        true
    }
}

fn unrecorded() -> Failure {
    Failure {
        class: FailureClass::Infrastructure,
        message: "the run failed, and why could not be written down".to_owned(),
        hint: "read the log, then resume the run to try again from its last checkpoint".to_owned(),
    }
}

/// Without a final record nothing has ended, whatever the index says: it was being resumed.
fn reopen(entry: &Entry) {
    let mut state = entry.state();
    if state.record.status.is_ended() {
        state.record.status = RunStatus::Queued;
        state.record.ended_at = None;
    }
}

fn read_events(entry: &Entry) -> Result<(), ServiceError> {
    let mut state = entry.state();
    state.digest = super::digest::Digest::default();
    tail::replay(&entry.folder, 0, |line| {
        state.digest.add(&line.event);
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(())
}
