//! The rules of runs. Knows no HTTP type.
//!
//! [`runs::Runs`] is the entry point. One task ([`queue`]) starts workers; one task per worker
//! ([`supervise`]) follows its events and decides what its end means; [`recover`] puts the pieces
//! together again after a restart. Everything else reads a run's folder on demand. [`studies`] creates
//! runs and reads what comes of them, and nothing here knows of it.

mod again;
pub mod architectures;
pub mod benchmarks;
pub mod certificate;
pub mod checks;
pub mod cluster;
pub mod create;
pub mod datasets;
pub mod digest;
pub mod entry;
pub mod final_record;
pub mod front;
mod hand_over;
pub mod list;
pub mod logs;
pub mod package;
pub mod predict;
pub mod queue;
pub mod recover;
pub mod replay;
pub mod runs;
pub mod series;
pub mod stream;
pub mod studies;
pub mod supervise;
pub mod tail;
pub mod train;

use skein_core::spec::Violation;

use crate::storage::StorageError;

/// Why a service cannot do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// There is no such thing.
    #[error("there is no {what}")]
    NotFound {
        /// What was looked for.
        what: String,
    },
    /// The specification breaks rules.
    #[error("the request has {} {}", .0.len(), if .0.len() == 1 { "fault" } else { "faults" })]
    Invalid(Vec<Violation>),
    /// The state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// An idempotency key was used for another request.
    #[error("the Idempotency-Key was used before with another body; use a new key")]
    KeyReused,
    /// The data folder takes nothing more.
    #[error("{0}; nothing was created")]
    NoSpace(String),
    /// What was sent cannot be used.
    #[error("{message}")]
    Refused {
        /// One word for programs.
        code: String,
        /// For people.
        message: String,
    },
    /// Others are served first.
    #[error("{0}")]
    Busy(String),
    /// It may not be done here.
    #[error("{0}")]
    Forbidden(String),
    /// A network gives no answer.
    #[error(transparent)]
    Trial(#[from] predict::TrialError),
    /// The index fails.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A run's folder cannot be read or written.
    #[error("a run's folder cannot be used: {0}")]
    Io(#[from] std::io::Error),
    /// A task of ours died.
    #[error("a task died: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Runs code that blocks, away from the tasks that must not.
///
/// # Errors
/// - what the code gives, or [`ServiceError::Task`] if it panics.
pub async fn blocking<T: Send + 'static>(
    code: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    tokio::task::spawn_blocking(code).await?
}
