//! Short-lived workers that read their input, say one thing and end: one at a time, a few in line.
//!
//! A worker bounds its own memory; here its time ends. It is killed when that is over, and also
//! when nobody waits for it any more.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Requests that may wait while another is answered.
pub(super) const IN_LINE: usize = 4;
/// Most bytes of an answer, or of what a worker says to its log.
const MOST_BYTES: u64 = 1 << 20;

/// What a worker left behind.
#[derive(Debug)]
pub(super) struct Said {
    /// How it ended.
    pub(super) status: ExitStatus,
    /// Its answer.
    pub(super) answer: Vec<u8>,
    /// What it said to its log.
    pub(super) complaint: String,
}

/// Why a worker said nothing.
#[derive(Debug, thiserror::Error)]
pub enum Silence {
    /// Too many wait already.
    #[error("{} others are waiting", IN_LINE)]
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
}

/// Starts such workers.
#[derive(Debug)]
pub(super) struct Brief {
    program: PathBuf,
    seconds: u64,
    /// One being answered, and those in line.
    places: Semaphore,
    turn: Semaphore,
}

impl Brief {
    /// Starts `program`, which may take so many seconds for each answer.
    pub(super) fn new(program: PathBuf, seconds: u64) -> Self {
        let (places, turn) = (Semaphore::new(1 + IN_LINE), Semaphore::new(1));
        Self { program, seconds, places, turn }
    }

    /// Seconds that an answer may take.
    pub(super) fn seconds(&self) -> u64 {
        self.seconds
    }

    /// Starts a worker with these arguments and waits for its end. Dropped before that, it kills it.
    pub(super) async fn ask(
        &self,
        with: impl FnOnce(&mut Command),
        input: &[u8],
    ) -> Result<Said, Silence> {
        let limit = Duration::from_secs(self.seconds);
        let _place = self.places.try_acquire().map_err(|_| Silence::Busy)?;
        let turn = timeout(limit, self.turn.acquire()).await.map_err(|_| Silence::Busy)?;
        let _turn = turn.map_err(|_| Silence::Busy)?;
        let fault = |source| Silence::Start { program: self.program.display().to_string(), source };
        let mut command = Command::new(&self.program);
        with(&mut command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_remove("SKEIN_TOKEN")
            // Where memory has run out, a backtrace would ask for more.
            .env("RUST_BACKTRACE", "0")
            .kill_on_drop(true)
            .spawn()
            .map_err(fault)?;
        if let Ok(said) = timeout(limit, converse(&mut child, input)).await {
            return said.map_err(fault);
        }
        // Its end is waited for, so that no memory of it is held when the next one starts.
        let _ = child.kill().await;
        Err(Silence::Slow(self.seconds))
    }
}

/// Gives a worker its input and takes what it says until it ends.
async fn converse(child: &mut Child, input: &[u8]) -> std::io::Result<Said> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A worker that cannot use what it is given does not read on.
            let _ = stdin.write_all(input).await;
        }
    };
    let ((), answer, complaint) = tokio::join!(feed, read(stdout), read(stderr));
    let complaint = String::from_utf8_lossy(&complaint?).trim().to_owned();
    Ok(Said { status: child.wait().await?, answer: answer?, complaint })
}

async fn read(from: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(MOST_BYTES).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}
