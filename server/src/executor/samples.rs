//! Short-lived workers that draw images as a search would change them: one at a time.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use skein_core::event::Failure;
use skein_core::samples::Answer;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::predict::converse;

/// Requests that may wait while another is answered.
const IN_LINE: usize = 4;
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

/// Starts these workers.
#[derive(Debug)]
pub struct Drawer {
    program: PathBuf,
    places: Semaphore,
    turn: Semaphore,
}

impl Drawer {
    /// Starts `program`.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        Self { program, places: Semaphore::new(1 + IN_LINE), turn: Semaphore::new(1) }
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
        let _place = self.places.try_acquire().map_err(|_| DrawError::Busy)?;
        let _turn = self.turn.acquire().await.map_err(|_| DrawError::Busy)?;
        let broken = |error: std::io::Error| DrawError::Broken(error.to_string());
        let mut child = Command::new(&self.program)
            .arg("samples")
            .arg("--datasets")
            .arg(datasets)
            .arg(format!("--positions={}", asked.positions))
            .args(["--views", &asked.views.to_string(), "--seed", &asked.seed.to_string()])
            .args(["--seconds", &SECONDS.to_string(), "--out"])
            .arg(out)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_remove("SKEIN_TOKEN")
            .env("RUST_BACKTRACE", "0")
            .kill_on_drop(true)
            .spawn()
            .map_err(broken)?;
        let text = asked.spec.to_string();
        let talk = converse(&mut child, text.as_bytes());
        let talk = timeout(Duration::from_secs(SECONDS), talk).await;
        let slow = |_| DrawError::Broken(format!("it took longer than {SECONDS} seconds"));
        let (status, said, complaint) = talk.map_err(slow)?.map_err(broken)?;
        match serde_json::from_slice(&said) {
            Ok(Answer::Sheet(_)) => Ok(()),
            Ok(Answer::Failure(failure)) => Err(DrawError::Refused(failure)),
            Err(_) => {
                let complaint = String::from_utf8_lossy(&complaint).trim().to_owned();
                Err(DrawError::Broken(format!("{status}: {complaint}")))
            }
        }
    }
}
