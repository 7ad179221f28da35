//! The claim of an attempt: its folder, its lock, its log.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use skein_core::folder;
use skein_disk::lock::{Lock, LockError};
use skein_disk::once;

use crate::EngineError;
use crate::error::IoContext;

/// An attempt that this process works on. The lock is held until it is dropped.
#[derive(Debug)]
pub struct Attempt {
    /// The run's folder.
    pub run: PathBuf,
    /// The attempt's number, from 1.
    pub number: u32,
    /// The attempt's folder.
    pub folder: PathBuf,
    _lock: Lock,
}

impl Attempt {
    /// Claims an attempt; `None` if somebody else has.
    ///
    /// # Errors
    /// - [`EngineError::Io`] if the folder cannot be made.
    pub fn claim(run: &Path, number: u32) -> Result<Option<Self>, EngineError> {
        let all = folder::attempts(run);
        fs::create_dir_all(&all).at(&all)?;
        let own = folder::attempt(run, number);
        match fs::create_dir(&own) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(error).at(&own),
        }
        let path = own.join(folder::LOCK);
        // Whoever makes the folder has the attempt: nobody takes the lock over.
        let lock = match Lock::take(&path, || {}) {
            Ok(lock) => lock,
            Err(LockError::Held(_)) => return Ok(None),
            Err(LockError::Io(error)) => return Err(error).at(&path),
        };
        for inner in [folder::CHECKPOINTS, folder::ARTIFACTS] {
            fs::create_dir(own.join(inner)).at(&own)?;
        }
        Ok(Some(Self { run: run.to_owned(), number, folder: own, _lock: lock }))
    }

    /// Sends standard error to the attempt's log.
    ///
    /// # Errors
    /// - [`EngineError::Io`] if the log cannot be opened.
    pub fn redirect_stderr(&self) -> Result<(), EngineError> {
        let path = self.folder.join(folder::LOG);
        let log = File::options().create(true).append(true).open(&path).at(&path)?;
        rustix::stdio::dup2_stderr(&log).map_err(std::io::Error::from).at(&path)
    }

    /// Tries, before any work is done, whether the final record will be able to be created.
    ///
    /// # Errors
    /// - [`EngineError::Io`] if the file system allows that in no way.
    pub fn try_record(&self) -> Result<(), EngineError> {
        once::probe(&self.folder).at(&self.folder)
    }

    /// Folder of the attempt's checkpoints.
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.folder.join(folder::CHECKPOINTS)
    }

    /// Folder of the result package.
    #[must_use]
    pub fn artifacts(&self) -> PathBuf {
        self.folder.join(folder::ARTIFACTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_disk::lock::{Sign, sign};

    #[test]
    fn an_attempt_is_claimed_once_and_locked() {
        let run = tempfile::tempdir().unwrap();
        let attempt = Attempt::claim(run.path(), 1).unwrap().unwrap();
        assert!(Attempt::claim(run.path(), 1).unwrap().is_none());
        attempt.try_record().unwrap();
        let lock = attempt.folder.join(folder::LOCK);
        assert_eq!(sign(&lock), Sign::Held);
        drop(attempt);
        assert_eq!(sign(&lock), Sign::Free);
    }
}
