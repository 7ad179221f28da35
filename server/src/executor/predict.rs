//! Short-lived workers that answer one input with a run's network.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use skein_core::predict::Answer;

use super::brief::{Brief, IN_LINE, Silence};

/// An input as a worker reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What goes to the worker's standard input.
    pub bytes: Vec<u8>,
    /// Whether an image is inverted.
    pub invert: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PredictorError {
    /// Too many wait already.
    #[error("{} other predictions are waiting", IN_LINE)]
    Busy,
    /// It took too long, or cannot be started.
    #[error(transparent)]
    Silent(Silence),
    /// The worker ended without an answer.
    #[error("the worker gave no answer ({status}): {said}")]
    Died {
        /// How it ended.
        status: ExitStatus,
        /// What it said to its log.
        said: String,
    },
}

impl From<Silence> for PredictorError {
    fn from(silence: Silence) -> Self {
        match silence {
            Silence::Busy => Self::Busy,
            other => Self::Silent(other),
        }
    }
}

/// Starts these workers.
#[derive(Debug)]
pub struct Predictor(Brief);

impl Predictor {
    /// Starts `program`, which may take so many seconds for each answer.
    #[must_use]
    pub fn new(program: PathBuf, seconds: u64) -> Self {
        Self(Brief::new(program, seconds))
    }

    /// Seconds that an answer may take.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        self.0.seconds()
    }

    /// Asks the network of a package. Dropped before the answer is there, it kills the worker.
    ///
    /// # Errors
    /// - [`PredictorError`].
    pub async fn ask(&self, package: &Path, asked: &Question) -> Result<Answer, PredictorError> {
        let seconds = self.seconds().to_string();
        let said = self.0.ask(
            |command| {
                command.arg("predict").arg("--package").arg(package);
                command.arg("--seconds").arg(seconds);
                command.args(asked.invert.then_some("--invert"));
            },
            &asked.bytes,
        );
        let said = said.await?;
        serde_json::from_slice(&said.answer)
            .map_err(|_| PredictorError::Died { status: said.status, said: said.complaint })
    }
}
