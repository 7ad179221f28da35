//! Processes that prepare data sets: one at a time, each ended when nobody wants its work any more.
//!
//! What people bring is read by a process of its own, so that a file that makes a decoder fail, or
//! take memory without end, ends that process and not the server. The program is this one, with the
//! command `prepare-dataset` ([`crate::client::prepare`]).

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use skein_data::Progress;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Most bytes of what a process says to its log that are kept.
const MOST_SAID: u64 = 1 << 14;

/// What is prepared, and where to.
#[derive(Debug, Clone)]
pub struct Task {
    /// A file or a folder.
    pub source: PathBuf,
    /// What the file was called by the one who sent it.
    pub file_name: String,
    /// A folder for what is needed in between; it is there.
    pub scratch: PathBuf,
    /// The folder that is made.
    pub out: PathBuf,
    /// Side of the images, if it is not to be found out.
    pub size: Option<u32>,
    /// Share of each class that becomes the test split if there is none.
    pub test_share: f64,
}

/// One line that a process writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    /// How far it is.
    Progress(Progress),
    /// The folder is made.
    Prepared,
    /// The data cannot be used.
    Refused {
        /// One word for programs.
        code: String,
        /// For people.
        message: String,
    },
}

/// Why nothing was prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The data cannot be used.
    #[error("{message}")]
    Refused {
        /// One word for programs.
        code: String,
        /// For people.
        message: String,
    },
    /// The process cannot be started or heard.
    #[error("cannot start `{program}`: {source}")]
    Start {
        /// Path of the program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// The process ended without a word.
    #[error("the process that prepares data ended early ({status}): {said}")]
    Died {
        /// How it ended.
        status: String,
        /// What it said to its log.
        said: String,
    },
}

/// Starts these processes.
#[derive(Debug)]
pub struct Preparer {
    program: PathBuf,
    turn: Semaphore,
}

impl Preparer {
    /// Starts `program`.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        Self { program, turn: Semaphore::new(1) }
    }

    /// Waits until no other preparation runs.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turn.acquire().await.ok()
    }

    /// Prepares a data set. Dropped before it is done, it kills the process.
    ///
    /// # Errors
    /// - [`PrepareError`].
    pub async fn prepare(
        &self,
        task: &Task,
        mut told: impl FnMut(Progress),
    ) -> Result<(), PrepareError> {
        let mut child = self.start(task)?;
        let _held_open = child.stdin.take();
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        let complaint = tokio::spawn(async move {
            let mut said = Vec::new();
            if let Some(stderr) = stderr {
                let _ = stderr.take(MOST_SAID).read_to_end(&mut said).await;
            }
            String::from_utf8_lossy(&said).trim().to_owned()
        });
        let mut end = None;
        let mut lines = stdout.map(|stdout| BufReader::new(stdout).lines());
        while let Some(reader) = &mut lines {
            let Ok(Some(line)) = reader.next_line().await else { break };
            match serde_json::from_str(&line) {
                Ok(Line::Progress(progress)) => told(progress),
                Ok(other) => end = Some(other),
                Err(_) => {}
            }
        }
        let status = child.wait().await.map_err(|source| self.fault(source))?;
        match end {
            Some(Line::Prepared) if status.success() => Ok(()),
            Some(Line::Refused { code, message }) => Err(PrepareError::Refused { code, message }),
            _ => Err(PrepareError::Died {
                status: status.to_string(),
                said: complaint.await.unwrap_or_default(),
            }),
        }
    }

    fn start(&self, task: &Task) -> Result<Child, PrepareError> {
        let mut command = Command::new(&self.program);
        let path = |command: &mut Command, flag: &str, value: &Path| {
            command.arg(flag).arg(value);
        };
        command.arg("prepare-dataset");
        path(&mut command, "--source", &task.source);
        path(&mut command, "--scratch", &task.scratch);
        path(&mut command, "--out", &task.out);
        command.arg(format!("--file-name={}", task.file_name));
        command.arg("--test-share").arg(task.test_share.to_string());
        if let Some(size) = task.size {
            command.arg("--size").arg(size.to_string());
        }
        command
            // The process ends when this is closed, as it is when the server is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_remove("SKEIN_TOKEN")
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| self.fault(source))
    }

    fn fault(&self, source: std::io::Error) -> PrepareError {
        PrepareError::Start { program: self.program.display().to_string(), source }
    }
}
