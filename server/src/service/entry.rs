//! One run in memory: its record, what its events say, and who listens.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use skein_core::event::Warning;
use skein_core::record::{FinalRecord, Outcome};
use skein_core::spec::{ExecutorKind, RunSpec};
use tokio::sync::{Notify, broadcast};

use super::digest::Digest;
use super::replay::Replays;
use super::tail::Line;
use crate::domain::clock;
use crate::domain::ids::RunId;
use crate::domain::run::{RunEvent, RunStatus, TransitionError};
use crate::executor::{Job, Place};
use crate::storage::db::Db;
use crate::storage::runs::{RunRecord, Wanted};
use crate::views::{ClusterView, RunDetail, RunView, stream};

/// Messages that a slow listener may fall behind; it then reads the files again.
const BACKLOG: usize = 256;

/// What listeners of a run hear, as it is sent to them.
#[derive(Debug, Clone)]
pub enum Message {
    /// The worker said something: the event's id and text.
    Event(u64, Bytes),
    /// The run's state changed.
    Status(Bytes),
    /// Nothing more will come.
    End,
}

/// What changes while a run lives.
#[derive(Debug)]
pub struct State {
    /// What the index holds.
    pub record: RunRecord,
    /// What its events say.
    pub digest: Digest,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// A lost run is tried again at this time.
    pub retry_at: Option<Instant>,
    /// How long a cluster that does not take its job is left alone.
    pub delay: Duration,
    /// Where its job is on a cluster.
    pub place: Option<Place>,
}

impl State {
    /// Id of the last event of an attempt that the digest holds; 0 before the first.
    #[must_use]
    pub fn digest_end(&self, attempt: u32) -> u64 {
        if super::tail::attempt_of(self.digest.last_id) == attempt {
            self.digest.last_id
        } else {
            0
        }
    }
}

/// One run in memory.
#[derive(Debug)]
pub struct Entry {
    /// Its id.
    pub id: RunId,
    /// Its folder.
    pub folder: PathBuf,
    /// Its specification.
    pub spec: RunSpec,
    /// Wakes its supervisor.
    pub nudge: Notify,
    /// Its events as they were written, for those who listen.
    pub replays: Replays,
    state: Mutex<State>,
    /// Keeps writes of the record in order.
    writing: Mutex<()>,
    sender: broadcast::Sender<Message>,
    deleted: AtomicBool,
    /// Whether the server is still putting it together again.
    recovering: AtomicBool,
}

impl Entry {
    /// A run with what is known of it.
    #[must_use]
    pub fn new(id: RunId, folder: PathBuf, spec: RunSpec, record: RunRecord) -> Self {
        let digest = record.digest.clone().unwrap_or_default();
        let state = State {
            record,
            digest,
            outcome: None,
            retry_at: None,
            delay: Duration::ZERO,
            place: None,
        };
        Self {
            id,
            folder,
            spec,
            nudge: Notify::new(),
            replays: Replays::default(),
            state: Mutex::new(state),
            writing: Mutex::new(()),
            sender: broadcast::Sender::new(BACKLOG),
            deleted: AtomicBool::new(false),
            recovering: AtomicBool::new(false),
        }
    }

    /// Says whether the server is still putting the run together again; what changes meanwhile is
    /// told to the log in one line for all runs, and here at the level of details.
    pub fn set_recovering(&self, recovering: bool) {
        self.recovering.store(recovering, Ordering::Release);
    }

    /// The run's state; held for a moment only, never across a file access.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state's word.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        self.state().record.status
    }

    /// The run as it is, and everything from then on: no state twice, none out of order.
    #[must_use]
    pub fn listen(&self) -> (RunView, broadcast::Receiver<Message>) {
        let state = self.state();
        (self.view_of(&state), self.sender.subscribe())
    }

    /// Tells every listener of an event.
    pub fn say(&self, line: &Line) {
        if self.sender.receiver_count() == 0 {
            return;
        }
        let mut text = String::new();
        line.write(&mut text, &self.id.to_string());
        self.send(Message::Event(line.id, text.into()));
    }

    /// Tells every listener.
    pub fn send(&self, message: Message) {
        // Nobody listening is no fault.
        let _ = self.sender.send(message);
    }

    /// Applies an event to the state and edits the record, stores and tells it.
    ///
    /// A store that fails is logged, not returned: the index can be rebuilt, the run goes on.
    ///
    /// # Errors
    /// - [`TransitionError`] if the event does not fit the state; nothing is changed then.
    pub fn change(
        &self,
        db: &Db,
        event: RunEvent,
        edit: impl FnOnce(&mut State),
    ) -> Result<(), TransitionError> {
        let _order = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut state = self.state();
            state.record.status = state.record.status.apply(event)?;
            state.record.reason = None;
            edit(&mut state);
            let status = state.record.status;
            if self.recovering.load(Ordering::Acquire) {
                tracing::debug!(run.id = %self.id, %status, "run changed state at the start");
            } else {
                tracing::info!(run.id = %self.id, %status, "run changed state");
            }
        }
        self.store(db);
        Ok(())
    }

    /// Edits the record without a change of state, stores and tells it.
    pub fn edit(&self, db: &Db, edit: impl FnOnce(&mut State)) {
        let _order = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        edit(&mut self.state());
        self.store(db);
    }

    fn store(&self, db: &Db) {
        if self.deleted.load(Ordering::Acquire) {
            return;
        }
        let record = self.state().record.clone();
        if let Err(error) = db.put_run(self.id, &record) {
            tracing::error!(run.id = %self.id, %error, "cannot store the run's state");
        }
        self.tell(&self.state());
    }

    /// Tells the state. It is held meanwhile, so that listeners get states in their order.
    fn tell(&self, state: &State) {
        self.send(Message::Status(stream::status(&self.view_of(state))));
    }

    /// Says why the run waits, if that changed; told to listeners, not stored.
    pub fn explain(&self, reason: String) {
        let mut state = self.state();
        let waits = state.record.status == RunStatus::Queued;
        if waits && state.record.reason.as_ref() != Some(&reason) {
            state.record.reason = Some(reason);
            self.tell(&state);
        }
    }

    /// Says where its job is on a cluster, if that changed; told to listeners, not stored.
    pub fn note_place(&self, place: Option<Place>) {
        let mut state = self.state();
        if state.place != place {
            state.place = place;
            self.tell(&state);
        }
    }

    /// Forgets the run in the index, for good.
    ///
    /// # Errors
    /// - the index cannot be written.
    pub fn forget(&self, db: &Db) -> Result<(), crate::storage::StorageError> {
        let _order = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.deleted.store(true, Ordering::Release);
        self.send(Message::End);
        db.remove_run(self.id)
    }

    /// Takes the final record over: from now on the run has ended.
    pub fn finish(&self, db: &Db, record: FinalRecord) {
        let event = match &record.outcome {
            Outcome::Succeeded { .. } => RunEvent::Succeeded,
            Outcome::Failed { .. } => RunEvent::Failed,
            Outcome::Cancelled => RunEvent::Cancelled,
        };
        let changed = self.change(db, event, |state| {
            state.record.wanted = Wanted::Work;
            state.record.ended_at = Some(record.at);
            state.record.digest = Some(state.digest.clone());
            state.outcome = Some(record.outcome);
        });
        if let Err(error) = changed {
            tracing::warn!(run.id = %self.id, %error, "a final record came late");
        }
        self.send(Message::End);
    }

    /// The newest attempt as its executor knows it.
    #[must_use]
    pub fn job(&self) -> Job {
        let state = self.state();
        let reported = state.digest.started.as_ref().map(|started| started.pid);
        let reported = reported.filter(|_| state.digest.attempt == state.record.attempt);
        Job {
            run: self.id,
            folder: self.folder.clone(),
            attempt: state.record.attempt,
            device: state.record.device.clone().unwrap_or_default(),
            pid: state.record.pid.or(reported),
            slurm: self.spec.resources.slurm.clone(),
        }
    }

    /// The run as lists and streams show it.
    #[must_use]
    pub fn view(&self) -> RunView {
        self.view_of(&self.state())
    }

    /// The run with its specification, as whoever asks for one run gets it.
    #[must_use]
    pub fn detail(&self) -> RunDetail {
        RunDetail { run: self.view(), spec: self.spec.to_value() }
    }

    fn view_of(&self, state: &State) -> RunView {
        let State { record, digest, outcome, .. } = state;
        let (summary, failure) = match outcome {
            Some(Outcome::Succeeded { summary }) => (Some(summary.clone()), None),
            Some(Outcome::Failed { failure }) => (None, Some(failure.clone())),
            Some(Outcome::Cancelled) | None => (None, None),
        };
        let asked = || self.spec.resources.device.clone();
        let slurm = self.spec.resources.executor == ExecutorKind::Slurm;
        let reported = digest.started.as_ref().map(|started| started.device.clone());
        let device = if slurm { reported } else { record.device.clone() };
        RunView {
            id: self.id.to_string(),
            name: record.name.clone(),
            status: record.status.to_string(),
            reason: record.reason.clone(),
            space: self.spec.space.preset().to_owned(),
            optimizer: self.spec.search.optimizer.kind().to_owned(),
            dataset: self.spec.dataset.id.clone(),
            weights: word(&self.spec.search.weights),
            fidelity: word(&self.spec.search.fidelity),
            device: device.unwrap_or_else(asked),
            executor: word(&self.spec.resources.executor),
            cluster: state.place.as_ref().map(ClusterView::of),
            created_at: clock::text(self.id.created_at()),
            started_at: digest.started_at.clone(),
            ended_at: record.ended_at.clone(),
            attempt: record.attempt,
            progress: digest.progress.clone(),
            latest: digest.latest.clone(),
            sparkline: digest.sparkline(),
            architecture: digest.architecture.clone(),
            warnings: record.warnings.iter().chain(&digest.warnings).map(Warning::clone).collect(),
            summary,
            failure,
        }
    }
}

/// The word that stands for a value in JSON.
fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}
