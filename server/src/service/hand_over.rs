//! Handing runs over to a cluster, and seeing that it works on nothing that is over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use skein_core::event::{Failure, FailureClass};
use skein_core::spec::ExecutorKind;
use time::OffsetDateTime;

use super::entry::Entry;
use super::runs::Runs;
use super::{ServiceError, blocking};
use crate::domain::run::{RunEvent, RunStatus};
use crate::executor::{ExecutorError, Job, Started};
use crate::storage::runs::Wanted;

/// The device of a run on a cluster, before it says which it has.
const CLUSTER: &str = "slurm";
/// Runs that are created together are handed over together: no new one for so long...
const QUIET: Duration = Duration::from_secs(1);
/// ...but the oldest waits no longer than this.
const PATIENCE: Duration = Duration::from_secs(10);
/// A job that Slurm has not taken is submitted again after a time that grows between these.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);
/// How often the cluster's jobs are held against the runs.
const AUDIT: Duration = Duration::from_secs(30);

impl Runs {
    /// Hands runs over that wait for the cluster, as far as it has room; gives those it took.
    pub(super) fn hand_over(&self, waiting: Vec<Arc<Entry>>) -> Vec<Arc<Entry>> {
        let is_due =
            |entry: &Arc<Entry>| entry.state().retry_at.is_none_or(|at| at <= Instant::now());
        let waiting: Vec<_> = waiting.into_iter().filter(is_due).collect();
        if waiting.is_empty() || self.shutdown.is_cancelled() || still_coming(&waiting) {
            return Vec::new();
        }
        let executor = self.executors.of(ExecutorKind::Slurm);
        if let Some(why) = executor.closed() {
            waiting.iter().for_each(|entry| entry.explain(why.clone()));
            return Vec::new();
        }
        let there = self.all().iter().filter(|entry| is_there(entry)).count();
        let room = executor.room().saturating_sub(there);
        for entry in waiting.iter().skip(room) {
            let most = executor.room();
            entry.explain(format!("waits until fewer than {most} jobs are in Slurm"));
        }
        let mut taken: Vec<Arc<Entry>> = waiting.into_iter().take(room).collect();
        taken.retain(|entry| self.begin(entry, RunEvent::Enqueued, CLUSTER.to_owned()));
        let jobs: Vec<Job> = taken.iter().map(|entry| entry.job()).collect();
        if jobs.is_empty() {
            return taken;
        }
        let answers = executor.submit(&jobs);
        let with_answers = taken.into_iter().zip(answers);
        let accepted = |(entry, answer): (Arc<Entry>, Started)| match answer {
            Ok(_) => {
                entry.state().delay = Duration::ZERO;
                Some(entry)
            }
            Err(error) => {
                self.not_taken(&entry, &error);
                None
            }
        };
        with_answers.filter_map(accepted).collect()
    }

    /// How many runs work on the cluster, and how many wait in its queue.
    #[must_use]
    pub fn on_cluster(&self) -> (usize, usize) {
        let all = self.all();
        let there: Vec<_> = all.iter().filter(|entry| is_there(entry)).collect();
        let waiting = there.iter().filter(|entry| entry.status() == RunStatus::Pending).count();
        (there.len() - waiting, waiting)
    }

    /// Slurm has not taken the run's job, as far as it said.
    fn not_taken(&self, entry: &Entry, error: &ExecutorError) {
        // Somebody may ask for something else meanwhile.
        for _ in 0..3 {
            let (wanted, attempt) = {
                let record = &entry.state().record;
                (record.wanted, record.attempt)
            };
            // What was taken before may be again: a partition may be closed for a while.
            let is_final = matches!(error, ExecutorError::Refused(_)) && attempt <= 1;
            if wanted == Wanted::Cancel || (is_final && wanted == Wanted::Work) {
                return self.fail(entry, refused(error));
            }
            let pauses = wanted == Wanted::Pause;
            let event = if pauses { RunEvent::Stopped } else { RunEvent::Requeued };
            let changed = entry.change(&self.db, event, |state| {
                state.record.reason = Some(error.to_string());
                if pauses {
                    state.record.wanted = Wanted::Work;
                    return;
                }
                // The same attempt is submitted again, and found if it was taken all the same.
                state.record.attempt = attempt.saturating_sub(1);
                state.delay = (2 * state.delay).clamp(SHORTEST, LONGEST);
                state.retry_at = Some(Instant::now() + state.delay);
            });
            match changed {
                Ok(()) => return,
                Err(error) => tracing::debug!(run.id = %entry.id, %error, "not put back"),
            }
        }
        tracing::error!(run.id = %entry.id, "a run that Slurm did not take cannot be put back");
    }

    /// Every half minute, cancels jobs of attempts that are over: a controller that was killed may bring such a job
    /// back, and a command that took too long may have submitted one.
    pub async fn audit(self) {
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = tokio::time::sleep(AUDIT) => {}
            }
            let runs = self.clone();
            let done = blocking(move || {
                runs.cancel_strays();
                Ok::<_, ServiceError>(())
            });
            if let Err(error) = done.await {
                tracing::error!(%error, "the cluster's jobs could not be looked at");
            }
        }
    }

    fn cancel_strays(&self) {
        let job = |entry: Arc<Entry>| match entry.status() {
            status if status.holds_device() => Some(entry.job()),
            // What is submitted next may have been taken before, by a command that failed.
            RunStatus::Queued => {
                let job = entry.job();
                Some(Job { attempt: job.attempt + 1, ..job })
            }
            _ => None,
        };
        let at_work = || {
            self.all().into_iter().filter(|entry| is_on_cluster(entry)).filter_map(job).collect()
        };
        let executor = self.executors.of(ExecutorKind::Slurm);
        executor.cancel_strays(&at_work, &|run| self.entry(run).is_ok());
    }
}

fn refused(error: &ExecutorError) -> Failure {
    Failure {
        class: FailureClass::User,
        message: error.to_string(),
        hint: "change what the run asks of Slurm (`resources.slurm`), or ask the administrator; \
               then start it again"
            .to_owned(),
    }
}

/// Whether a run works on the cluster, or will.
pub(super) fn is_on_cluster(entry: &Entry) -> bool {
    entry.spec.resources.executor == ExecutorKind::Slurm
}

fn is_there(entry: &Entry) -> bool {
    is_on_cluster(entry) && entry.status().holds_device()
}

/// Whether more runs may be about to come that should be one array with these.
fn still_coming(waiting: &[Arc<Entry>]) -> bool {
    let now = OffsetDateTime::now_utc();
    let ages = || waiting.iter().map(|entry| now - entry.id.created_at());
    let first =
        |entry: &Arc<Entry>| entry.status() == RunStatus::Queued && entry.job().attempt == 0;
    waiting.iter().any(first) && ages().any(|age| age < QUIET) && ages().all(|age| age < PATIENCE)
}
