//! Follows one worker from its start to its end, and decides what its end means.
//!
//! The final record outranks everything; then comes what the executor says of the worker.

mod request;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skein_core::event::{Failure, FailureClass};
use skein_core::folder;
use skein_core::record::Outcome;

use self::request::Request;
use super::create::free_bytes;
use super::entry::Entry;
use super::runs::Runs;
use super::tail::Tail;
use super::{ServiceError, blocking, final_record};
use crate::domain::run::{RunEvent, RunStatus, TransitionError};
use crate::executor::{Executor, Exit, Interruption, JobState, Stop};
use crate::storage::runs::Wanted;

/// How often a worker's events are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How often a job is looked at that waits in a cluster's queue.
const LOOK_PENDING: Duration = Duration::from_secs(1);
/// A server that stops waits so long for its workers.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(7);
/// A worker that has written its final record may tidy up for so long.
const TIDY: Duration = Duration::from_secs(10);
/// A worker that was killed and lives is killed again after this time.
const KILL_AGAIN: Duration = Duration::from_secs(30);
/// A job that its cluster ends sooner than this gets nothing done, which counts as a retry.
const SHORT: Duration = Duration::from_secs(10);
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
                () = tokio::time::sleep(if entry.status() == RunStatus::Pending { LOOK_PENDING } else { LOOK }) => {}
                () = entry.nudge.notified() => {}
                () = runs.shutdown.cancelled(), if !stopping => {}
            }
        }
    }
    entry.note_place(None);
    runs.wake.notify_one();
}

/// What is known of a worker while it is followed.
struct Watch {
    entry: Arc<Entry>,
    tail: Tail,
    since: Instant,
    /// When it was first to stop.
    asked: Option<Instant>,
    ask: Request,
    kill: Request,
    /// When its job was seen to begin.
    began: Option<Instant>,
    /// Whether it was killed since it did not report.
    is_given_up: bool,
    closing: Option<Instant>,
}

impl Watch {
    fn new(entry: Arc<Entry>, attempt: u32) -> Self {
        // Events that are already part of the digest were read when the server started.
        let after = entry.state().digest_end(attempt);
        let tail = Tail::new(attempt, after);
        let since = Instant::now();
        let (ask, kill) = (Request::default(), Request::default());
        let (asked, began, is_given_up, closing) = (None, None, false, None);
        Self { entry, tail, since, asked, ask, kill, began, is_given_up, closing }
    }

    /// One look at the worker; true once it is over.
    fn step(&mut self, runs: &Runs) -> bool {
        self.follow();
        self.note_start(runs);
        let executor = self.executor(runs);
        let state = executor.poll(&self.entry.job());
        self.entry.note_place(executor.place(&self.entry.job()));
        match state {
            JobState::Alive => self.note_allocation(runs),
            // Its time to report has not begun yet.
            JobState::Pending => self.since = Instant::now(),
            JobState::Unknown | JobState::Gone(_) => {}
        }
        // Read after the worker was seen gone, so that nothing can come after it.
        let record = final_record::read(&self.entry.folder);
        match (record, state) {
            (Some(record), JobState::Gone(_)) => {
                self.follow();
                self.entry.finish(&runs.db, record);
                true
            }
            (Some(record), state) => {
                let closing = *self.closing.get_or_insert_with(Instant::now);
                let late = closing.elapsed() > TIDY;
                // A cluster may say for long that a job works which has ended; one that does is
                // cancelled when jobs are next held against the runs.
                let over = late && (state == JobState::Unknown || executor.outlives_server());
                if over {
                    self.follow();
                    self.entry.finish(&runs.db, record);
                } else if late {
                    self.stop(runs, Stop::Kill);
                }
                over
            }
            (None, JobState::Alive | JobState::Pending | JobState::Unknown) => self.mind(runs),
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
        let status = self.entry.status();
        if reported && matches!(status, RunStatus::Pending | RunStatus::Starting) {
            let began = self.entry.change(&runs.db, RunEvent::Began, |_| {});
            if let Err(error) = began {
                tracing::debug!(run.id = %self.entry.id, %error, "not begun");
            }
        }
    }

    fn executor<'a>(&self, runs: &'a Runs) -> &'a dyn Executor {
        runs.executors.of(self.entry.spec.resources.executor)
    }

    /// The cluster has given the run's job a place to work.
    fn note_allocation(&mut self, runs: &Runs) {
        if self.entry.status() == RunStatus::Pending {
            self.since = Instant::now();
            self.began = Some(self.since);
            if let Err(error) = self.entry.change(&runs.db, RunEvent::Submitted, |_| {}) {
                tracing::debug!(run.id = %self.entry.id, %error, "not begun");
            }
        }
    }

    /// Sees to a living worker: asks it to stop if it should, kills it if it does not.
    fn mind(&mut self, runs: &Runs) -> bool {
        let wanted = self.entry.state().record.wanted;
        let stopping = runs.shutdown.is_cancelled();
        let executor = self.executor(runs);
        let silent = self.entry.status() == RunStatus::Starting
            && self.since.elapsed() > executor.start_limit();
        if silent {
            if !self.is_given_up {
                self.is_given_up = true;
                tracing::warn!(run.id = %self.entry.id, "the worker does not report; killed");
            }
            self.stop(runs, Stop::Kill);
            return false;
        }
        let (grace, stays) = (executor.grace(), executor.outlives_server());
        if wanted == Wanted::Work && (stays || !stopping) {
            return stopping;
        }
        let waited = self.asked.get_or_insert_with(Instant::now).elapsed();
        self.stop(runs, Stop::Ask);
        // One that could not be asked yet has had no time for its checkpoint.
        let had = self.ask.reached.map_or(Duration::ZERO, |at| at.elapsed());
        match wanted {
            Wanted::Cancel if waited > 2 * grace => {
                self.cancelled(runs);
                true
            }
            Wanted::Cancel if waited > grace => {
                self.stop(runs, Stop::Kill);
                false
            }
            Wanted::Pause if had > grace => {
                self.stop(runs, Stop::Kill);
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

    /// Asks the worker to stop, or kills it, unless that was done.
    fn stop(&mut self, runs: &Runs, how: Stop) {
        let again = (how == Stop::Kill).then_some(KILL_AGAIN);
        let request = if how == Stop::Kill { &self.kill } else { &self.ask };
        if !request.is_due() {
            return;
        }
        let reached = self.executor(runs).cancel(&self.entry.job(), how);
        if let Err(error) = &reached {
            tracing::warn!(run.id = %self.entry.id, %error, "cannot stop the worker yet");
        }
        let request = if how == Stop::Kill { &mut self.kill } else { &mut self.ask };
        request.note(reached.unwrap_or(false), again);
    }

    /// The worker has left no final record.
    fn gone(&self, runs: &Runs, exit: Exit) {
        let wanted = self.entry.state().record.wanted;
        if wanted == Wanted::Cancel {
            return self.cancelled(runs);
        }
        let changed = if wanted == Wanted::Pause {
            self.paused(runs, "paused; resume it to go on")
        } else if self.is_given_up {
            self.lost(runs, Exit::Silent);
            Ok(())
        } else if self.asked.is_some() {
            self.entry.change(&runs.db, RunEvent::Requeued, |state| {
                state.record.reason = Some(STOPPED.to_owned());
            })
        } else {
            match exit {
                Exit::Interrupted(_) if self.has_checkpoint() && !self.was_short() => {
                    self.interrupted(runs, exit)
                }
                // Whoever cancelled the run's job wants it off the cluster; what it has done is kept.
                Exit::CancelledElsewhere => {
                    self.paused(runs, &format!("{exit}; resume the run to go on"))
                }
                Exit::Interrupted(Interruption::Asked) if !self.has_checkpoint() => {
                    self.lost(runs, Exit::Code(0));
                    Ok(())
                }
                exit => {
                    self.lost(runs, exit);
                    Ok(())
                }
            }
        };
        if let Err(error) = changed {
            tracing::error!(run.id = %self.entry.id, %error, "cannot note the worker's end");
        }
    }

    fn was_short(&self) -> bool {
        self.began.is_some_and(|began| began.elapsed() < SHORT)
    }

    /// Whether the attempt left more than the one before, so that the next one goes on from there.
    fn has_checkpoint(&self) -> bool {
        let attempt = folder::attempt(&self.entry.folder, self.tail.attempt());
        let found = std::fs::read_dir(attempt.join(folder::CHECKPOINTS));
        found.is_ok_and(|mut checkpoints| checkpoints.next().is_some())
    }

    /// The cluster took the run's place away, which is no fault of the run and no retry.
    fn interrupted(&self, runs: &Runs, exit: Exit) -> Result<(), TransitionError> {
        self.entry.change(&runs.db, RunEvent::Requeued, |state| {
            state.record.retries = 0;
            state.record.reason = Some(format!("{exit}; it goes on from its last checkpoint"));
        })
    }

    fn paused(&self, runs: &Runs, why: &str) -> Result<(), TransitionError> {
        self.entry.change(&runs.db, RunEvent::PauseRequested, |_| {})?;
        self.entry.change(&runs.db, RunEvent::Stopped, |state| {
            state.record.wanted = Wanted::Work;
            state.record.reason = Some(why.to_owned());
        })
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
        if exit == Exit::OutOfMemory {
            let hint = "ask for more (`resources.slurm.memory_mb`), or take a smaller batch; then \
                        resume the run to go on from its last checkpoint"
                .to_owned();
            let (class, message) = (FailureClass::Resource, exit.to_string());
            return runs.fail(&self.entry, Failure { class, message, hint });
        }
        if retries >= RETRIES && is_full(&self.entry.folder) {
            let hint =
                "free some space there, then resume the run to go on from its last checkpoint";
            let message = format!("{what}: the disk of its folder is full");
            let (class, hint) = (FailureClass::Infrastructure, hint.to_owned());
            return runs.fail(&self.entry, Failure { class, message, hint });
        }
        if retries >= RETRIES || exit == Exit::Code(2) {
            let log = self.executor(runs).logs(&self.entry.job(), 5).join("\n");
            let log = if log.is_empty() { log } else { format!("; its last words: {log}") };
            let message = format!("{what}, after {retries} retries{log}");
            let hint = match exit {
                Exit::Silent => "read the log; on a cluster, `start_seconds` may be set higher",
                Exit::Interrupted(_) => {
                    "its jobs end before they get anything done: give them more time (`resources.slurm.minutes`), then resume the run"
                }
                _ => {
                    "read the log; signal 9 often means that memory ran out: take a smaller batch. Resume the run to try again from its last checkpoint"
                }
            };
            let hint = hint.to_owned();
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

/// Whether next to nothing can be written to a folder: a worker cannot even say so there.
fn is_full(folder: &Path) -> bool {
    free_bytes(folder).is_ok_and(|free| free < 1 << 16)
}
