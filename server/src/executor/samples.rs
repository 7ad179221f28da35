//! Short-lived workers that draw images as a search would change them.

use std::path::{Path, PathBuf};

use serde_json::Value;
use skein_core::event::Failure;
use skein_core::samples::Answer;

use super::brief::{Brief, IN_LINE, Silence};

/// Seconds that a sheet may take.
const SECONDS: u64 = 30;

/// What is drawn.
#[derive(Debug, Clone)]
pub struct Drawing {
    /// Sections `dataset` and `search` of a specification.
    pub spec: Value,
    /// Positions of training images, such as `0-7`.
    pub positions: String,
    /// Changed views of each.
    pub views: u32,
    /// Seed of the changes.
    pub seed: u64,
}

/// Why there is no sheet.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// Too many wait already.
    #[error("{} other sheets are waiting; ask again in a few seconds", IN_LINE)]
    Busy,
    /// The worker says why.
    #[error("{}", .0.message)]
    Refused(Failure),
    /// The worker cannot be started, took too long or died.
    #[error("the worker drew nothing: {0}")]
    Broken(String),
}

impl From<Silence> for DrawError {
    fn from(silence: Silence) -> Self {
        match silence {
            Silence::Busy => Self::Busy,
            other => Self::Broken(other.to_string()),
        }
    }
}

/// Starts these workers.
#[derive(Debug)]
pub struct Drawer(Brief);

impl Drawer {
    /// Starts `program`.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        Self(Brief::new(program, SECONDS))
    }

    /// Draws a sheet into the file `out`. Dropped before it is done, it kills the worker.
    ///
    /// # Errors
    /// - [`DrawError`].
    pub async fn draw(
        &self,
        datasets: &Path,
        asked: &Drawing,
        out: &Path,
    ) -> Result<(), DrawError> {
        let numbers =
            [u64::from(asked.views), asked.seed, SECONDS].map(|number| number.to_string());
        let spec = asked.spec.to_string();
        let said = self.0.ask(
            |command| {
                command.arg("samples").arg("--datasets").arg(datasets).arg("--out").arg(out);
                command.arg(format!("--positions={}", asked.positions));
                for (flag, number) in ["--views", "--seed", "--seconds"].iter().zip(&numbers) {
                    command.arg(flag).arg(number);
                }
            },
            spec.as_bytes(),
        );
        let said = said.await?;
        match serde_json::from_slice(&said.answer) {
            Ok(Answer::Sheet(_)) => Ok(()),
            Ok(Answer::Failure(failure)) => Err(DrawError::Refused(failure)),
            Err(_) => Err(DrawError::Broken(format!("{}: {}", said.status, said.complaint))),
        }
    }
}
