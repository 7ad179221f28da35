//! Trying a finished run's network on an input.

use skein_core::event::{Failure, FailureClass};
use skein_core::predict::{Answer, Prediction, Prompt};

use super::package::package_of;
use super::runs::Runs;
use super::{ServiceError, blocking};
use crate::domain::ids::RunId;
use crate::executor::brief::Silence;
use crate::executor::predict::{PredictorError, Question};

/// What a network is tried on.
#[derive(Debug, Clone, PartialEq)]
pub enum Trial {
    /// The file of an image.
    Image {
        /// Its content.
        bytes: Vec<u8>,
        /// Whether it is inverted first.
        invert: bool,
    },
    /// A text to go on with.
    Prompt(Prompt),
}

/// Why a network gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The network reads something else.
    #[error("{0}")]
    Kind(&'static str),
    /// The input cannot be used.
    #[error("{0}")]
    Input(String),
    /// The network cannot be used.
    #[error("{0}")]
    Package(String),
    /// Others are asking already.
    #[error("{0}; try again in some seconds")]
    Busy(PredictorError),
    /// It took too long.
    #[error("{0}; nothing was changed")]
    Slow(PredictorError),
    /// The server is going.
    #[error("the server is stopping")]
    Stopping,
    /// The worker broke.
    #[error("no prediction: {0}")]
    Worker(String),
}

/// The last words of a program that Rust's allocator ends.
const OUT_OF_MEMORY: &str = "memory allocation of";

fn too_heavy(said: &str) -> String {
    format!("the network needs more memory than a prediction may take ({said})")
}

impl From<PredictorError> for TrialError {
    fn from(error: PredictorError) -> Self {
        match error {
            PredictorError::Busy => Self::Busy(error),
            PredictorError::Silent(Silence::Slow(_)) => Self::Slow(error),
            PredictorError::Died { said, .. } if said.contains(OUT_OF_MEMORY) => {
                Self::Package(too_heavy(&said))
            }
            _ => Self::Worker(error.to_string()),
        }
    }
}

impl From<Failure> for TrialError {
    fn from(failure: Failure) -> Self {
        match failure.class {
            FailureClass::User => Self::Input(failure.message),
            FailureClass::Infrastructure => {
                Self::Package(format!("{}; {}", failure.message, failure.hint))
            }
            FailureClass::Resource => Self::Package(too_heavy(&failure.message)),
            FailureClass::Bug => Self::Worker(failure.message),
        }
    }
}

impl Runs {
    /// What the network in a run's package makes of an input.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`], [`ServiceError::Conflict`] before there is a package, or
    ///   [`ServiceError::Trial`].
    pub async fn predict(&self, id: RunId, trial: Trial) -> Result<Prediction, ServiceError> {
        let entry = self.entry(id)?;
        let asked = question(trial, entry.spec.dataset.tokens.is_some())?;
        let package = blocking(move || Ok(package_of(&entry.folder))).await?;
        let package = package.ok_or_else(|| {
            let detail = "the run has no network yet; it can be tried once the run has succeeded";
            ServiceError::Conflict(detail.to_owned())
        })?;
        let answer = tokio::select! {
            answer = self.predictor.ask(&package, &asked) => answer.map_err(TrialError::from)?,
            () = self.shutdown.cancelled() => return Err(TrialError::Stopping.into()),
        };
        match answer {
            Answer::Prediction(prediction) => Ok(prediction),
            Answer::Failure(failure) => Err(TrialError::from(failure).into()),
        }
    }
}

/// What the worker is asked, if the network reads that.
fn question(trial: Trial, reads_text: bool) -> Result<Question, TrialError> {
    match trial {
        Trial::Image { .. } if reads_text => Err(TrialError::Kind(
            "this run's network reads text: send a prompt as JSON, for example {\"prompt\": \"…\"}",
        )),
        Trial::Prompt(_) if !reads_text => Err(TrialError::Kind(
            "this run's network reads images: send the file of one, for example as image/png",
        )),
        Trial::Image { bytes, invert } => Ok(Question { bytes, invert }),
        Trial::Prompt(prompt) => {
            prompt.check().map_err(TrialError::Input)?;
            let bytes = serde_json::to_vec(&prompt);
            let bytes = bytes.map_err(|error| TrialError::Input(error.to_string()))?;
            Ok(Question { bytes, invert: false })
        }
    }
}
