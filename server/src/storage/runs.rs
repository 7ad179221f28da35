//! What the index knows of a run, and which creation requests were answered.

use serde::{Deserialize, Serialize};
use skein_core::event::Warning;

use super::StorageError;
use super::db::Db;
use crate::domain::ids::RunId;
use crate::domain::run::RunStatus;
use crate::service::digest::Digest;

/// What a person wants of a run that is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// That it works.
    #[default]
    Work,
    /// That it stops and can be resumed.
    Pause,
    /// That it ends.
    Cancel,
}

/// A run in the index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Format of this record; 1.
    pub version: u32,
    /// State.
    pub status: RunStatus,
    /// Why it is in this state, where that needs saying.
    pub reason: Option<String>,
    /// Name for people; may differ from that of the specification.
    pub name: String,
    /// Place in the queue: smaller goes first.
    pub place: u64,
    /// The newest attempt; 0 before the first.
    pub attempt: u32,
    /// Process of the newest attempt.
    pub pid: Option<u32>,
    /// Device of the newest attempt.
    pub device: Option<String>,
    /// What a person wants.
    pub wanted: Wanted,
    /// How often it was lost and tried again since a person last started it.
    pub retries: u32,
    /// UTC, RFC 3339.
    pub ended_at: Option<String>,
    /// What its events say, once no more are to come.
    pub digest: Option<Digest>,
    /// What its specification was taken for, where that may be another thing than was meant.
    #[serde(default)]
    pub warnings: Vec<Warning>,
}

impl RunRecord {
    /// A new run at the given place of the queue.
    #[must_use]
    pub fn queued(name: String, place: u64) -> Self {
        Self {
            version: 1,
            status: RunStatus::Queued,
            reason: None,
            name,
            place,
            attempt: 0,
            pid: None,
            device: None,
            wanted: Wanted::Work,
            retries: 0,
            ended_at: None,
            digest: None,
            warnings: vec![],
        }
    }
}

/// The answer to an earlier creation request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// SHA-256 of the request's body, hexadecimal.
    pub body: String,
    /// The run that it created.
    pub run: RunId,
    /// Seconds since 1970.
    pub at: i64,
}

/// How long an answer is kept, in seconds.
const KEPT_S: i64 = 24 * 3600;

impl Db {
    /// A run's record; `None` if there is none or it cannot be read.
    ///
    /// # Errors
    /// - [`StorageError::Index`].
    pub fn run(&self, id: RunId) -> Result<Option<RunRecord>, StorageError> {
        let Some(bytes) = self.runs.get(id.to_string())? else { return Ok(None) };
        match serde_json::from_slice(&bytes) {
            Ok(record) => Ok(Some(record)),
            Err(error) => {
                tracing::warn!(run.id = %id, %error, "the index's record is damaged; rebuilt");
                Ok(None)
            }
        }
    }

    /// Stores a run's record and waits until it is on disk.
    ///
    /// # Errors
    /// - [`StorageError::Index`].
    pub fn put_run(&self, id: RunId, record: &RunRecord) -> Result<(), StorageError> {
        let bytes = serde_json::to_vec(record).map_err(std::io::Error::from);
        self.runs.insert(id.to_string(), bytes.map_err(sled::Error::from)?)?;
        self.flush()
    }

    /// Forgets a run.
    ///
    /// # Errors
    /// - [`StorageError::Index`].
    pub fn remove_run(&self, id: RunId) -> Result<(), StorageError> {
        self.runs.remove(id.to_string())?;
        self.flush()
    }

    /// The answer to an earlier request with this key, unless it is too old.
    ///
    /// # Errors
    /// - [`StorageError::Index`].
    pub fn answered(&self, key: &str) -> Result<Option<Answered>, StorageError> {
        let found = self.keys.get(key)?;
        let answered = found.and_then(|bytes| serde_json::from_slice::<Answered>(&bytes).ok());
        Ok(answered.filter(|answered| answered.at + KEPT_S > now()))
    }

    /// Notes which run a request with this key creates, and forgets old notes.
    ///
    /// # Errors
    /// - [`StorageError::Index`].
    pub fn note_answer(&self, key: &str, body: String, run: RunId) -> Result<(), StorageError> {
        for entry in &self.keys {
            let (old, bytes) = entry?;
            let answered: Option<Answered> = serde_json::from_slice(&bytes).ok();
            if answered.is_none_or(|answered| answered.at + KEPT_S <= now()) {
                self.keys.remove(old)?;
            }
        }
        let answered = Answered { body, run, at: now() };
        let bytes = serde_json::to_vec(&answered).map_err(std::io::Error::from);
        self.keys.insert(key, bytes.map_err(sled::Error::from)?)?;
        self.flush()
    }
}

fn now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_and_answers_survive_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("index");
        let (id, record) = (RunId::new(), RunRecord::queued("a".to_owned(), 3));
        let db = Db::open(&folder).unwrap();
        db.put_run(id, &record).unwrap();
        db.note_answer("key", "abc".to_owned(), id).unwrap();
        drop(db);
        let db = Db::open(&folder).unwrap();
        assert_eq!(db.run(id).unwrap(), Some(record));
        assert_eq!(db.answered("key").unwrap().unwrap().run, id);
        assert_eq!(db.answered("other").unwrap(), None);
    }

    #[test]
    fn a_damaged_record_counts_as_absent() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("index")).unwrap();
        let id = RunId::new();
        db.runs.insert(id.to_string(), b"{".to_vec()).unwrap();
        assert_eq!(db.run(id).unwrap(), None);
    }
}
