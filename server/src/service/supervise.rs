//! Follows one worker from its start to its end, and decides what its end means.
//!
//! The final record outranks everything; then comes what the executor says of the worker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use skein_core::event::{Failure, FailureClass};
use skein_core::record::Outcome;

use super::entry::Entry;
use super::runs::Runs;
use super::tail::Tail;
use super::{ServiceError, blocking, final_record};
use crate::domain::run::{RunEvent, RunStatus};
use crate::executor::{Exit, JobState, Stop};
use crate::storage::runs::Wanted;

/// How often a worker's events are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// A worker that is asked to stop may write a checkpoint for so long.
const GRACE: Duration = Duration::from_secs(10);
/// A cancelled run ends after so long even if its processes cannot be killed.
const CANCEL_CAP: Duration = Duration::from_secs(20);
/// A server that stops waits so long for its workers.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(7);
/// A worker that has written its final record may tidy up for so long.
const TIDY: Duration = Duration::from_secs(10);
/// A worker must report for the first time within this time.
const START_LIMIT: Duration = Duration::from_secs(180);
/// Times that a lost run is tried again.
pub const RETRIES: u32 = 3;
/// Why a run waits whose worker was asked to stop because the server was.
pub const STOPPED: &str = "the server was stopped";
/// Wait before the first retry; doubles with each.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Follows the newest attempt of a run until it is over.
pub async fn supervise(runs: Runs, entry: Arc<Entry>) {
    let attempt = entry.state().record.attempt;
    let mut watch = Some(Watch::new(Arc::clone(&entry), attempt));
    while let Some(mut present) = watch.take() {
        let shared = runs.clone();
        let stepped = blocking(move || {
            let over = present.step(&shared);
            Ok::<_, ServiceError>((!over).then_some(present))
        });
        match stepped.await {
            Ok(kept) => watch = kept,
            Err(error) => {
                tracing::error!(run.id = %entry.id, %error, "the run's supervisor died");
                break;
            }
        }
        if watch.is_some() {
            let stopping = runs.shutdown.is_cancelled();
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = entry.nudge.notified() => {}
                () = runs.shutdown.cancelled(), if !stopping => {}
            }
        }
    }
    runs.wake.notify_one();
}

/// What is known of a worker while it is followed.
struct Watch {
    entry: Arc<Entry>,
    tail: Tail,
    since: Instant,
    asked: Option<Instant>,
    killed: bool,
    closing: Option<Instant>,
}

impl Watch {
    fn new(entry: Arc<Entry>, attempt: u32) -> Self {
        // Events that are already part of the digest were read when the server started.
        let after = entry.state().digest_end(attempt);
        let tail = Tail::new(attempt, after);
        let since = Instant::now();
        Self { entry, tail, since, asked: None, killed: false, closing: None }
    }

    /// One look at the worker; true once it is over.
    fn step(&mut self, runs: &Runs) -> bool {
        self.follow();
        self.note_start(runs);
        let state = runs.executor.poll(&self.entry.job());
        // Read after the worker was seen gone, so that nothing can come after it.
        let record = final_record::read(&self.entry.folder);
        match (record, state) {
            (Some(record), JobState::Gone(_)) => {
                self.follow();
                self.entry.finish(&runs.db, record);
                true
            }
            (Some(_), JobState::Alive) => {
                let closing = *self.closing.get_or_insert_with(Instant::now);
                if closing.elapsed() > TIDY {
                    self.stop(runs, Stop::Kill);
                }
                false
            }
            (None, JobState::Alive) => self.mind(runs),
            (None, JobState::Gone(exit)) => {
                self.follow();
                self.note_start(runs);
                self.gone(runs, exit);
                true
            }
        }
    }

    /// Takes in and tells everything that the worker has said since the last look.
    fn follow(&mut self) {
        loop {
            let lines = match self.tail.look(&self.entry.folder) {
                Ok(lines) if lines.is_empty() => return,
                Ok(lines) => lines,
                Err(error) => {
                    tracing::warn!(run.id = %self.entry.id, %error, "cannot read the events");
                    return;
                }
            };
            let mut state = self.entry.state();
            lines.iter().for_each(|line| state.digest.add(&line.event));
            drop(state);
            lines.iter().for_each(|line| self.entry.say(line));
        }
    }

    /// The first event of the attempt means that it runs.
    fn note_start(&self, runs: &Runs) {
        let reported = self.entry.state().digest.attempt == self.tail.attempt();
        if reported && self.entry.status() == RunStatus::Starting {
            let began = self.entry.change(&runs.db, RunEvent::Began, |_| {});
            if let Err(error) = began {
                tracing::debug!(run.id = %self.entry.id, %error, "not begun");
            }
        }
    }

    /// Sees to a living worker: asks it to stop if it should, kills it if it does not.
    fn mind(&mut self, runs: &Runs) -> bool {
        let wanted = self.entry.state().record.wanted;
        let stopping = runs.shutdown.is_cancelled();
        let silent =
            self.entry.status() == RunStatus::Starting && self.since.elapsed() > START_LIMIT;
        if silent {
            tracing::warn!(run.id = %self.entry.id, "the worker does not report; killed");
            self.stop(runs, Stop::Kill);
            return false;
        }
        if wanted == Wanted::Work && !stopping {
            return false;
        }
        let Some(asked) = self.asked else {
            self.stop(runs, Stop::Ask);
            self.asked = Some(Instant::now());
            return false;
        };
        let waited = asked.elapsed();
        match wanted {
            Wanted::Cancel if waited > CANCEL_CAP => {
                self.cancelled(runs);
                true
            }
            Wanted::Cancel | Wanted::Pause if waited > GRACE => {
                if !self.killed {
                    self.killed = true;
                    self.stop(runs, Stop::Kill);
                }
                false
            }
            // It works on; the next server finds it, or knows why it is gone.
            Wanted::Work => {
                let over = waited > SHUTDOWN_GRACE;
                if over {
                    let why = Some(STOPPED.to_owned());
                    self.entry.edit(&runs.db, |state| state.record.reason = why);
                }
                over
            }
            Wanted::Cancel | Wanted::Pause => false,
        }
    }

    fn stop(&self, runs: &Runs, how: Stop) {
        if let Err(error) = runs.executor.cancel(&self.entry.job(), how) {
            tracing::error!(run.id = %self.entry.id, %error, "cannot stop the worker");
        }
    }

    /// The worker has left no final record.
    fn gone(&self, runs: &Runs, exit: Exit) {
        let wanted = self.entry.state().record.wanted;
        if wanted == Wanted::Cancel {
            return self.cancelled(runs);
        }
        let changed = if wanted == Wanted::Pause {
            self.entry.change(&runs.db, RunEvent::Stopped, |state| {
                state.record.wanted = Wanted::Work;
                state.record.reason = Some("paused; resume it to go on".to_owned());
            })
        } else if self.asked.is_some() {
            self.entry.change(&runs.db, RunEvent::Requeued, |state| {
                state.record.reason = Some(STOPPED.to_owned());
            })
        } else {
            self.lost(runs, exit);
            Ok(())
        };
        if let Err(error) = changed {
            tracing::error!(run.id = %self.entry.id, %error, "cannot note the worker's end");
        }
    }

    fn cancelled(&self, runs: &Runs) {
        let record = final_record::now(self.tail.attempt(), Outcome::Cancelled);
        let counts = final_record::create(&self.entry.folder, &record).unwrap_or_else(|error| {
            tracing::error!(run.id = %self.entry.id, %error, "cannot write the final record");
            record
        });
        self.entry.finish(&runs.db, counts);
    }

    fn lost(&self, runs: &Runs, exit: Exit) {
        let retries = self.entry.state().record.retries;
        let what = format!("the worker ended without a result ({exit})");
        if retries >= RETRIES || exit == Exit::Code(2) {
            let log = runs.executor.logs(&self.entry.job(), 5).join("\n");
            let log = if log.is_empty() { log } else { format!("; its last words: {log}") };
            let message = format!("{what}, after {retries} retries{log}");
            let hint = "read the log; signal 9 often means that memory ran out: take a smaller \
                        batch. Resume the run to try again from its last checkpoint"
                .to_owned();
            let class = FailureClass::Infrastructure;
            return runs.fail(&self.entry, Failure { class, message, hint });
        }
        let delay = RETRY_DELAY * 2_u32.pow(retries);
        let changed = self.entry.change(&runs.db, RunEvent::Vanished, |state| {
            let next = retries + 1;
            state.retry_at = Some(Instant::now() + delay);
            state.record.reason =
                Some(format!("{what}; retry {next} of {RETRIES} from the last checkpoint follows"));
        });
        if let Err(error) = changed {
            tracing::error!(run.id = %self.entry.id, %error, "cannot note the loss");
        }
    }
}
