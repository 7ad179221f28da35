//! What is on its way to become a data set: a folder that holds a record and the bytes so far.
//!
//! The record is written after each part, so that an upload goes on after a restart of the server
//! or of the browser where its last whole part ended.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::own;

/// The folder, below that of the data sets, that holds everything on its way.
pub const FOLDER: &str = ".incoming";
/// The file that was sent, or as much of it as is here.
pub const CONTENT: &str = "content";
/// The file of the record.
const RECORD: &str = "incoming.json";

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Parts are awaited.
    Receiving,
    /// The server fetches it.
    Fetching,
    /// All is here and waits for its turn.
    Waiting,
    /// It is looked over and decoded.
    Preparing,
    /// It cannot be used.
    Failed,
}

impl State {
    /// What this means for a run that asks for it.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Receiving => "is still being uploaded",
            Self::Fetching => "is still being fetched",
            Self::Waiting | Self::Preparing => "is still being prepared",
            Self::Failed => "could not be prepared; its page says why",
        }
    }
}

/// Why it cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// One word for programs.
    pub code: String,
    /// A sentence or two for people.
    pub message: String,
}

/// The record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incoming {
    /// Name of the data set for people.
    pub title: String,
    /// Name of the file that is sent.
    pub file_name: String,
    /// Bytes that it has.
    pub bytes: u64,
    /// Bytes that are here.
    pub received: u64,
    /// Where it stands.
    pub state: State,
    /// What a preparation is doing: `reading`, `checking`, `decoding`, `writing`.
    pub stage: Option<String>,
    /// How much of that is done, in bytes or images.
    pub done: u64,
    /// Of how much.
    pub total: u64,
    /// Side of the images, if it is not to be found out.
    pub size: Option<u32>,
    /// Share of each class that becomes the test split if there is none.
    pub test_share: f64,
    /// A folder or file on this machine that is read instead.
    pub folder: Option<PathBuf>,
    /// The public data set that is fetched.
    pub fetch: Option<String>,
    /// Why it cannot be used.
    pub error: Option<Refused>,
    /// When it was begun (UTC, RFC 3339).
    pub created_at: String,
}

/// Something on its way.
#[derive(Debug)]
pub struct Coming {
    /// Id of the data set that it becomes.
    pub id: String,
    /// Its folder.
    pub folder: PathBuf,
    /// One part at a time.
    pub writing: tokio::sync::Mutex<()>,
    /// Cancelled when nobody wants it any more.
    pub stop: CancellationToken,
    record: watch::Sender<Incoming>,
}

impl Coming {
    /// Begins a folder with a record.
    ///
    /// # Errors
    /// - the folder cannot be written.
    pub fn begin(folder: PathBuf, id: &str, record: Incoming) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(CONTENT), b"")?;
        let coming = Self::with(folder, id, record);
        coming.save()?;
        Ok(coming)
    }

    /// What an earlier server left; nothing if it cannot be read.
    #[must_use]
    pub fn found(folder: &Path) -> Option<Self> {
        let id = folder.file_name()?.to_str()?.to_owned();
        let record = serde_json::from_slice(&fs::read(folder.join(RECORD)).ok()?).ok()?;
        Some(Self::with(folder.to_owned(), &id, record))
    }

    fn with(folder: PathBuf, id: &str, record: Incoming) -> Self {
        let (record, _) = watch::channel(record);
        Self {
            id: id.to_owned(),
            folder,
            writing: tokio::sync::Mutex::default(),
            stop: CancellationToken::new(),
            record,
        }
    }

    /// The record as it is now.
    #[must_use]
    pub fn now(&self) -> Incoming {
        self.record.borrow().clone()
    }

    /// Every change of the record from now on.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Incoming> {
        self.record.subscribe()
    }

    /// Changes the record in memory: progress, which a restart may forget.
    pub fn note(&self, change: impl FnOnce(&mut Incoming)) {
        self.record.send_modify(change);
    }

    /// Changes the record and writes it.
    ///
    /// # Errors
    /// - the folder cannot be written.
    pub fn set(&self, change: impl FnOnce(&mut Incoming)) -> io::Result<()> {
        self.record.send_modify(change);
        self.save()
    }

    /// The file of its bytes.
    #[must_use]
    pub fn content(&self) -> PathBuf {
        self.folder.join(CONTENT)
    }

    /// What is prepared: a folder or file on this machine, or what was sent.
    #[must_use]
    pub fn source(&self) -> PathBuf {
        self.now().folder.unwrap_or_else(|| self.content())
    }

    fn save(&self) -> io::Result<()> {
        own::replace(&self.folder, RECORD, &serde_json::to_vec_pretty(&self.now())?)
    }
}
