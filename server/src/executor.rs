//! What starts, watches and stops workers.
//!
//! Every call names a run and an attempt, and may be repeated: a second `submit` of the same
//! attempt starts nothing. All calls are synchronous and short; they run through `spawn_blocking`.

pub mod brief;
pub mod devices;
pub mod local;
pub mod predict;
pub mod prepare;
pub mod samples;

use std::path::PathBuf;

use crate::domain::ids::RunId;

/// One attempt of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The run.
    pub run: RunId,
    /// The run's folder.
    pub folder: PathBuf,
    /// The attempt, from 1.
    pub attempt: u32,
    /// Device to compute on, for example `cpu` or `cuda:0`.
    pub device: String,
    /// Process that is said to work on it, if another server started it.
    pub pid: Option<u32>,
}

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It works.
    Alive,
    /// It is gone, or was never there.
    Gone(Exit),
}

/// How a worker went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, derive_more::Display)]
pub enum Exit {
    /// With this exit code.
    #[display("exit code {_0}")]
    Code(i32),
    /// Killed by this signal.
    #[display("signal {_0}")]
    Signal(i32),
    /// Nobody saw it go.
    #[display("no trace of its process")]
    Unseen,
}

/// How a worker is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It may write a checkpoint first.
    Ask,
    /// At once, with every process it started.
    Kill,
}

/// Why a worker cannot be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The worker's program cannot be started.
    #[error("cannot start the worker `{program}`: {source}")]
    Start {
        /// Path of the program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// The worker cannot be reached.
    #[error("cannot signal the worker: {0}")]
    Signal(std::io::Error),
}

/// Starts, watches and stops workers somewhere.
pub trait Executor: Send + Sync {
    /// Starts a worker for an attempt, unless one was started before; says its process if known.
    ///
    /// # Errors
    /// - [`ExecutorError::Start`].
    fn submit(&self, job: &Job) -> Result<Option<u32>, ExecutorError>;

    /// What the attempt's worker does. The final record is not looked at: it outranks this.
    fn poll(&self, job: &Job) -> JobState;

    /// Stops the attempt's worker; fine if it is gone.
    ///
    /// # Errors
    /// - [`ExecutorError::Signal`].
    fn cancel(&self, job: &Job, how: Stop) -> Result<(), ExecutorError>;

    /// The last lines that the worker wrote to its standard error.
    fn logs(&self, job: &Job, tail: usize) -> Vec<String>;
}
