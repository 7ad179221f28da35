//! States of a run and the one function that changes them.

use serde::{Deserialize, Serialize};

/// State of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, derive_more::Display)]
#[serde(rename_all = "snake_case")]
#[display(rename_all = "snake_case")]
pub enum RunStatus {
    /// Waits for a device.
    Queued,
    /// Waits in a cluster's own queue.
    Pending,
    /// A worker was started and has not reported yet.
    Starting,
    /// A worker reports.
    Running,
    /// A worker was asked to leave a checkpoint and stop.
    Pausing,
    /// A worker was asked to leave a checkpoint and end the run.
    Cancelling,
    /// Stopped on request; goes on from its checkpoint when resumed.
    Paused,
    /// Its final record says so.
    Succeeded,
    /// Its final record says so.
    Failed,
    /// Its final record says so.
    Cancelled,
    /// Worker and final record are both gone; it is started again shortly.
    Lost,
}

/// What can happen to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEvent {
    /// A cluster took it into its queue.
    Enqueued,
    /// A worker was started for it.
    Submitted,
    /// Its worker reported for the first time, or was found at work.
    Began,
    /// A person asked for a pause.
    PauseRequested,
    /// A person wants it to end, and a worker is at it.
    CancelRequested,
    /// Its worker left as a pause wanted.
    Stopped,
    /// Its worker left because the server stops, or it is to be tried again.
    Requeued,
    /// Its worker is gone without a final record.
    Vanished,
    /// Its final record says that it succeeded.
    Succeeded,
    /// Its final record says that it failed.
    Failed,
    /// Its final record says that it was cancelled.
    Cancelled,
    /// A person asked to go on with it.
    Resumed,
}

/// Why an event does not fit a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a run that is {status} cannot take `{event:?}`")]
pub struct TransitionError {
    /// The state.
    pub status: RunStatus,
    /// What was to happen.
    pub event: RunEvent,
}

impl RunStatus {
    /// Every state, in the order in which a page lists them.
    pub const ALL: [Self; 11] = [
        Self::Queued,
        Self::Pending,
        Self::Starting,
        Self::Running,
        Self::Pausing,
        Self::Cancelling,
        Self::Paused,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Lost,
    ];

    /// The state after an event: the only place where a state changes.
    ///
    /// # Errors
    /// - [`TransitionError`] if the event does not fit the state.
    pub fn apply(self, event: RunEvent) -> Result<Self, TransitionError> {
        use RunEvent as E;
        match (self, event) {
            (Self::Queued, E::Enqueued) => Ok(Self::Pending),
            (Self::Queued | Self::Pending, E::Submitted) => Ok(Self::Starting),
            (
                Self::Queued | Self::Pending | Self::Lost | Self::Starting | Self::Running,
                E::Began,
            ) => Ok(Self::Running),
            (Self::Pausing | Self::Cancelling, E::Began) => Ok(self),
            (status, E::CancelRequested) if status.holds_device() => Ok(Self::Cancelling),
            (Self::Queued | Self::Lost, E::PauseRequested) => Ok(Self::Paused),
            (Self::Pending | Self::Starting | Self::Running | Self::Pausing, E::PauseRequested) => {
                Ok(Self::Pausing)
            }
            (Self::Pausing, E::Stopped) => Ok(Self::Paused),
            (
                Self::Pending | Self::Starting | Self::Running | Self::Pausing | Self::Lost,
                E::Requeued,
            ) => Ok(Self::Queued),
            (
                Self::Queued | Self::Pending | Self::Starting | Self::Running | Self::Pausing,
                E::Vanished,
            ) => Ok(Self::Lost),
            (status, E::Succeeded) if !status.is_ended() => Ok(Self::Succeeded),
            (status, E::Failed) if !status.is_ended() => Ok(Self::Failed),
            (status, E::Cancelled) if !status.is_ended() => Ok(Self::Cancelled),
            (Self::Paused | Self::Lost | Self::Failed | Self::Cancelled, E::Resumed) => {
                Ok(Self::Queued)
            }
            (status, event) => Err(TransitionError { status, event }),
        }
    }

    /// Whether a final record decided it.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// Whether it holds a device, or a place in a cluster's queue.
    #[must_use]
    pub fn holds_device(self) -> bool {
        matches!(
            self,
            Self::Pending | Self::Starting | Self::Running | Self::Pausing | Self::Cancelling
        )
    }

    /// Whether it works or will work without anyone asking.
    #[must_use]
    pub fn is_active(self) -> bool {
        !self.is_ended() && self != Self::Paused
    }

    /// Reads the word that stands for a state.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.to_string() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [RunEvent; 12] = [
        RunEvent::Enqueued,
        RunEvent::Submitted,
        RunEvent::Began,
        RunEvent::PauseRequested,
        RunEvent::CancelRequested,
        RunEvent::Stopped,
        RunEvent::Requeued,
        RunEvent::Vanished,
        RunEvent::Succeeded,
        RunEvent::Failed,
        RunEvent::Cancelled,
        RunEvent::Resumed,
    ];

    #[test]
    fn an_ended_run_changes_only_when_it_is_resumed() {
        for status in RunStatus::ALL.into_iter().filter(|status| status.is_ended()) {
            for event in EVENTS {
                let resumable = status != RunStatus::Succeeded && event == RunEvent::Resumed;
                assert_eq!(status.apply(event).is_ok(), resumable, "{status} {event:?}");
            }
        }
    }

    #[test]
    fn every_run_that_has_not_ended_can_be_cancelled() {
        for status in RunStatus::ALL.into_iter().filter(|status| !status.is_ended()) {
            assert_eq!(status.apply(RunEvent::Cancelled), Ok(RunStatus::Cancelled));
        }
    }

    #[test]
    fn a_run_that_holds_a_device_is_cancelling_until_its_worker_is_gone() {
        for status in RunStatus::ALL {
            let asked = status.apply(RunEvent::CancelRequested).ok();
            assert_eq!(asked, status.holds_device().then_some(RunStatus::Cancelling), "{status}");
        }
        let cancelling = RunStatus::Cancelling;
        assert!(cancelling.holds_device() && cancelling.is_active());
        // A restarted server that finds the worker at work still wants it to end.
        assert_eq!(cancelling.apply(RunEvent::Began), Ok(cancelling));
        assert!(cancelling.apply(RunEvent::PauseRequested).is_err());
    }

    #[test]
    fn states_read_back_from_their_word() {
        for status in RunStatus::ALL {
            assert_eq!(RunStatus::parse(&status.to_string()), Some(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.to_string());
        }
        assert_eq!(RunStatus::parse("Running"), None);
    }
}
