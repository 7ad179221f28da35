//! The runs of this server: what one may ask for and do.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, PoisonError, RwLock};

use skein_core::record::Outcome;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::cluster::SetUpCheck;
use super::datasets::Datasets;
use super::entry::Entry;
use super::package::Digests;
use super::{ServiceError, blocking, final_record};
use crate::domain::ids::RunId;
use crate::domain::run::{RunEvent, RunStatus};
use crate::executor::Executors;
use crate::executor::devices::Device;
use crate::executor::predict::Predictor;
use crate::storage::db::Db;
use crate::storage::folder::DataFolder;
use crate::storage::runs::Wanted;
use crate::views::RunDetail;

/// The runs of this server; cheap to clone.
#[derive(Clone)]
pub struct Runs(Arc<Inner>);

/// What all clones share.
pub struct Inner {
    /// The data folder.
    pub folder: DataFolder,
    /// The data sets.
    pub datasets: Datasets,
    /// The index.
    pub db: Db,
    /// What starts workers.
    pub executors: Executors,
    /// What tries finished networks.
    pub predictor: Predictor,
    /// The devices of this machine.
    pub devices: Vec<Device>,
    /// How many runs share a GPU at most.
    pub runs_per_gpu: usize,
    /// A run is refused if it would leave fewer bytes than this.
    pub min_free_bytes: u64,
    /// Cancelled when the server is to stop.
    pub shutdown: CancellationToken,
    /// Every task that must end before the server does.
    pub tracker: TaskTracker,
    /// Wakes the queue.
    pub wake: Notify,
    /// Open event streams.
    pub streams: AtomicUsize,
    /// One creation at a time, so that a repeated request finds the first one's answer.
    pub creating: tokio::sync::Mutex<()>,
    /// The newest check of the way to the cluster.
    pub set_up: SetUpCheck,
    /// Digests of files that no manifest lists.
    pub digests: Digests,
    /// All runs.
    pub entries: RwLock<BTreeMap<RunId, Arc<Entry>>>,
}

impl std::ops::Deref for Runs {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Runs {
    /// Wraps what all clones share.
    #[must_use]
    pub fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Cancelled when the server is to stop.
    #[must_use]
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// All runs, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Entry>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.values().map(Arc::clone).collect()
    }

    /// A run by its id.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`].
    pub fn entry(&self, id: RunId) -> Result<Arc<Entry>, ServiceError> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(&id).map(Arc::clone);
        entry.ok_or_else(|| ServiceError::NotFound { what: format!("run `{id}`") })
    }

    /// A run with its specification.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`].
    pub async fn get(&self, id: RunId) -> Result<RunDetail, ServiceError> {
        let entry = self.entry(id)?;
        Ok(entry.detail())
    }

    /// Gives a run another name.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`].
    pub async fn rename(&self, id: RunId, name: String) -> Result<RunDetail, ServiceError> {
        let (runs, entry) = (self.clone(), self.entry(id)?);
        blocking(move || {
            entry.edit(&runs.db, |state| state.record.name = name);
            Ok(entry.detail())
        })
        .await
    }

    /// Ends a run: at once if no worker is at it, else as soon as its worker is gone.
    ///
    /// # Errors
    /// - [`ServiceError::Conflict`] if it has ended.
    pub async fn cancel(&self, id: RunId) -> Result<RunDetail, ServiceError> {
        let (runs, entry) = (self.clone(), self.entry(id)?);
        blocking(move || {
            let status = entry.status();
            if status.is_ended() {
                return Err(conflict(&format!("the run has already ended: {status}")));
            }
            entry.edit(&runs.db, |state| state.record.wanted = Wanted::Cancel);
            let why = match status {
                RunStatus::Pending => "its job is taken out of the cluster's queue",
                _ => "the worker saves a checkpoint and stops",
            };
            let asked = entry.change(&runs.db, RunEvent::CancelRequested, |state| {
                state.record.reason = Some(why.to_owned());
            });
            if asked.is_ok() {
                entry.nudge.notify_one();
            } else {
                // No worker is at it.
                let attempt = entry.state().record.attempt;
                let record = final_record::now(attempt, Outcome::Cancelled);
                entry.finish(&runs.db, final_record::create(&entry.folder, &record)?);
            }
            runs.wake.notify_one();
            Ok(entry.detail())
        })
        .await
    }

    /// Stops a run so that it can be resumed.
    ///
    /// # Errors
    /// - [`ServiceError::Conflict`] if it has ended or is paused.
    pub async fn pause(&self, id: RunId) -> Result<RunDetail, ServiceError> {
        let (runs, entry) = (self.clone(), self.entry(id)?);
        blocking(move || {
            let changed = entry.change(&runs.db, RunEvent::PauseRequested, |state| {
                if state.record.wanted == Wanted::Work && state.record.status != RunStatus::Paused {
                    state.record.wanted = Wanted::Pause;
                }
            });
            changed.map_err(|error| conflict(&error.to_string()))?;
            entry.nudge.notify_one();
            Ok(entry.detail())
        })
        .await
    }

    /// Puts a run that stands still at the end of the queue; it goes on from its checkpoint.
    ///
    /// # Errors
    /// - [`ServiceError::Conflict`] if it works or has succeeded.
    pub async fn resume(&self, id: RunId) -> Result<RunDetail, ServiceError> {
        let (runs, entry) = (self.clone(), self.entry(id)?);
        let _turn = self.creating.lock().await;
        blocking(move || {
            let status = entry.status();
            if status.apply(RunEvent::Resumed).is_err() {
                let detail = format!(
                    "only a paused, lost, failed or cancelled run can be resumed; this one is {status}"
                );
                return Err(conflict(&detail));
            }
            final_record::set_aside(&entry.folder)?;
            let place = runs.next_place();
            let changed = entry.change(&runs.db, RunEvent::Resumed, |state| {
                state.record.place = place;
                state.record.wanted = Wanted::Work;
                (state.record.retries, state.record.ended_at) = (0, None);
                (state.outcome, state.retry_at) = (None, None);
            });
            changed.map_err(|error| conflict(&error.to_string()))?;
            runs.wake.notify_one();
            Ok(entry.detail())
        })
        .await
    }

    /// Deletes a run and everything it wrote.
    ///
    /// # Errors
    /// - [`ServiceError::Conflict`] while it is active.
    pub async fn delete(&self, id: RunId) -> Result<(), ServiceError> {
        let (runs, entry) = (self.clone(), self.entry(id)?);
        let _turn = self.creating.lock().await;
        blocking(move || {
            let status = entry.status();
            if status.is_active() {
                return Err(conflict(&format!("the run is {status}; cancel it first")));
            }
            let doomed = runs.folder.tmp().join(format!("deleted-{id}"));
            std::fs::rename(&entry.folder, &doomed)?;
            let mut entries = runs.entries.write().unwrap_or_else(PoisonError::into_inner);
            entries.remove(&id);
            drop(entries);
            entry.forget(&runs.db)?;
            std::fs::remove_dir_all(&doomed)?;
            Ok(())
        })
        .await
    }

    /// A place behind everyone in the queue.
    #[must_use]
    pub fn next_place(&self) -> u64 {
        let places = self.all().into_iter().map(|entry| entry.state().record.place);
        places.max().unwrap_or(0) + 1
    }
}

fn conflict(detail: &str) -> ServiceError {
    ServiceError::Conflict(detail.to_owned())
}
