//! Short-lived workers that answer one input with a run's network: one at a time, a few in line.
//!
//! A worker bounds its own memory; here its time ends. It is killed when that is over, and also
//! when nobody waits for its answer any more.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use skein_core::predict::Answer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Requests that may wait while another is answered.
const IN_LINE: usize = 4;
/// Most bytes of an answer, or of what a worker says to its log.
const MOST_BYTES: u64 = 1 << 20;

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
    /// It took too long, and was killed.
    #[error("the worker took longer than {0} seconds")]
    Slow(u64),
    /// The worker cannot be started.
    #[error("cannot start the worker `{program}`: {source}")]
    Start {
        /// Path of the program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// The worker ended without an answer.
    #[error("the worker gave no answer ({status}): {said}")]
    Died {
        /// How it ended.
        status: ExitStatus,
        /// What it said to its log.
        said: String,
    },
}

/// Starts these workers.
#[derive(Debug)]
pub struct Predictor {
    program: PathBuf,
    seconds: u64,
    /// One being answered, and those in line.
    places: Semaphore,
    turn: Semaphore,
}

impl Predictor {
    /// Starts `program`, which may take so many seconds for each answer.
    #[must_use]
    pub fn new(program: PathBuf, seconds: u64) -> Self {
        let (places, turn) = (Semaphore::new(1 + IN_LINE), Semaphore::new(1));
        Self { program, seconds, places, turn }
    }

    /// Seconds that an answer may take.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        self.seconds
    }

    /// Asks the network of a package. Dropped before the answer is there, it kills the worker.
    ///
    /// # Errors
    /// - [`PredictorError`].
    pub async fn ask(&self, package: &Path, asked: &Question) -> Result<Answer, PredictorError> {
        let limit = Duration::from_secs(self.seconds);
        let _place = self.places.try_acquire().map_err(|_| PredictorError::Busy)?;
        let turn = timeout(limit, self.turn.acquire()).await.map_err(|_| PredictorError::Busy)?;
        let _turn = turn.map_err(|_| PredictorError::Busy)?;
        let mut child = self.start(package, asked.invert)?;
        match timeout(limit, converse(&mut child, &asked.bytes)).await {
            Ok(Ok((status, said, complaint))) => serde_json::from_slice(&said).map_err(|_| {
                let said = String::from_utf8_lossy(&complaint).trim().to_owned();
                PredictorError::Died { status, said }
            }),
            Ok(Err(source)) => Err(self.fault(source)),
            Err(_) => {
                // Its end is waited for, so that no memory of it is held when the next one starts.
                let _ = child.kill().await;
                Err(PredictorError::Slow(self.seconds))
            }
        }
    }

    fn start(&self, package: &Path, invert: bool) -> Result<Child, PredictorError> {
        let mut command = Command::new(&self.program);
        command.arg("predict").arg("--package").arg(package);
        command.arg("--seconds").arg(self.seconds.to_string());
        if invert {
            command.arg("--invert");
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_remove("SKEIN_TOKEN")
            // Where memory has run out, a backtrace would ask for more.
            .env("RUST_BACKTRACE", "0")
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| self.fault(source))
    }

    fn fault(&self, source: std::io::Error) -> PredictorError {
        PredictorError::Start { program: self.program.display().to_string(), source }
    }
}

/// Gives a worker its input and takes what it says until it ends.
pub(super) async fn converse(
    child: &mut Child,
    input: &[u8],
) -> std::io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A worker that cannot use its package does not read on.
            let _ = stdin.write_all(input).await;
        }
    };
    let ((), said, complaint) = tokio::join!(feed, read(stdout), read(stderr));
    Ok((child.wait().await?, said?, complaint?))
}

async fn read(from: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(MOST_BYTES).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}
