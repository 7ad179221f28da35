//! The data folder: its layout, its version, and the lock that keeps a second server out.
//!
//! ```text
//! version.json   {"format": 1, "written_by": "0.1.0"}
//! server.lock    locked for the server's whole life; names its host and process
//! index/         sled; can be rebuilt
//! runs/<id>/     one folder a run, see `skein_core::folder`
//! tmp/           runs and studies that are being created or deleted; emptied at start
//! studies/<id>/  one folder a study: what was asked for, which runs it has, its table
//! benchmarks/    tables that runs may be compared with; every run keeps a copy of its own
//! datasets/      data sets, if no other folder is named
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};
use skein_disk::lock::{self, Lock, LockError};
use skein_disk::{kind, once};

use super::StorageError;

/// The newest format of the data folder that is understood here.
pub const FORMAT: u64 = 1;

#[derive(Serialize, Deserialize)]
struct Version {
    format: u64,
    #[serde(default)]
    written_by: String,
}

/// An opened data folder; the lock is held until it is dropped.
#[derive(Debug)]
pub struct DataFolder {
    root: PathBuf,
    _lock: Lock,
}

impl DataFolder {
    /// Creates or opens a data folder and locks it. `lost` is called, from another thread, should
    /// a server on another machine take the folder over.
    ///
    /// # Errors
    /// - [`StorageError`] if it is newer, in use, or cannot be written.
    pub fn open(root: &Path, lost: impl FnOnce() + Send + 'static) -> Result<Self, StorageError> {
        fs::create_dir_all(root).map_err(StorageError::io(root))?;
        let root = root.canonicalize().map_err(StorageError::io(root))?;
        // Before any file in it, so that the folder is named and not the file.
        let ours = access(&root, Access::WRITE_OK | Access::EXEC_OK);
        ours.map_err(|error| StorageError::io(&root)(error.into()))?;
        check_version(&root)?;
        warn_of_kind(&root);
        let lock = take(&root, lost)?;
        let folder = Self { root, _lock: lock };
        for part in [folder.runs(), folder.studies(), folder.tmp()] {
            fs::create_dir_all(&part).map_err(StorageError::io(&part))?;
        }
        folder.empty_tmp();
        lock::probe(&folder.tmp()).map_err(|source| StorageError::NoLocks {
            path: folder.root.display().to_string(),
            source,
        })?;
        once::probe(&folder.tmp()).map_err(StorageError::io(&folder.tmp()))?;
        Ok(folder)
    }

    /// The folder itself, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of all runs.
    #[must_use]
    pub fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// Folder of all studies.
    #[must_use]
    pub fn studies(&self) -> PathBuf {
        self.root.join("studies")
    }

    /// Folder of half-created and half-deleted runs and studies.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Folder of the index.
    #[must_use]
    pub fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// What an earlier server left half-done is of no use.
    fn empty_tmp(&self) {
        let Ok(entries) = fs::read_dir(self.tmp()) else { return };
        for entry in entries.flatten() {
            if let Err(error) = fs::remove_dir_all(entry.path()) {
                tracing::warn!(path = %entry.path().display(), %error, "cannot remove left-over");
            }
        }
    }
}

fn check_version(root: &Path) -> Result<(), StorageError> {
    let path = root.join("version.json");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let version =
                Version { format: FORMAT, written_by: env!("CARGO_PKG_VERSION").to_owned() };
            let text = serde_json::to_string(&version).unwrap_or_default();
            return fs::write(&path, text + "\n").map_err(StorageError::io(&path));
        }
        Err(error) => return Err(StorageError::io(&path)(error)),
    };
    let version: Version = serde_json::from_str(&text).map_err(|error| {
        StorageError::VersionFile { path: path.display().to_string(), detail: error.to_string() }
    })?;
    if version.format > FORMAT {
        return Err(StorageError::Newer {
            path: root.display().to_string(),
            found: version.format,
            written_by: version.written_by,
            known: FORMAT,
        });
    }
    Ok(())
}

fn warn_of_kind(root: &Path) {
    if let Ok(Some(kind)) = kind::shared(root) {
        tracing::warn!(
            "the data folder is on {kind}, which other machines may mount too; let one server \
             work on it at a time"
        );
    }
}

fn take(root: &Path, lost: impl FnOnce() + Send + 'static) -> Result<Lock, StorageError> {
    let path = root.join("server.lock");
    Lock::take(&path, lost).map_err(|error| match error {
        LockError::Held(by) => StorageError::InUse {
            path: root.display().to_string(),
            by: by.map_or_else(|| "unknown".to_owned(), |holder| holder.to_string()),
        },
        LockError::Io(source) => StorageError::io(&path)(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_folder_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let text = r#"{"format": 2, "written_by": "9.0.0"}"#;
        fs::write(dir.path().join("version.json"), text).unwrap();
        let error = DataFolder::open(dir.path(), || {}).unwrap_err().to_string();
        assert!(error.contains("format 2, written by Skein 9.0.0"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_second_server_is_kept_out() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataFolder::open(dir.path(), || {}).unwrap();
        let error = DataFolder::open(dir.path(), || {}).unwrap_err();
        assert!(matches!(error, StorageError::InUse { .. }), "{error}");
        let process = format!("(process {} on host ", std::process::id());
        assert!(error.to_string().contains(&process), "{error}");
        drop(first);
        assert!(DataFolder::open(dir.path(), || {}).is_ok());
    }

    #[test]
    fn left_overs_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("tmp/half/attempts")).unwrap();
        let folder = DataFolder::open(dir.path(), || {}).unwrap();
        assert_eq!(fs::read_dir(folder.tmp()).unwrap().count(), 0);
    }
}
