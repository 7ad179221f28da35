//! Opening the index.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::StorageError;

/// The opened index.
#[derive(Debug, Clone)]
pub struct Db {
    db: sled::Db,
    pub(super) runs: sled::Tree,
    pub(super) keys: sled::Tree,
    meta: sled::Tree,
}

impl Db {
    /// Opens the index, or creates it.
    ///
    /// # Errors
    /// - [`StorageError::Damaged`] if what is there cannot be read.
    pub fn open(folder: &Path) -> Result<Self, StorageError> {
        let damaged =
            |detail: String| StorageError::Damaged { path: folder.display().to_string(), detail };
        // sled panics on some kinds of damage; the caller gets an error for all of them.
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let opened = catch_unwind(AssertUnwindSafe(|| open(folder)));
        std::panic::set_hook(hook);
        match opened {
            Ok(Ok(db)) => Ok(db),
            Ok(Err(sled::Error::Io(error))) if error.kind() == ErrorKind::PermissionDenied => {
                Err(StorageError::io(folder)(error))
            }
            Ok(Err(error)) => Err(damaged(error.to_string())),
            Err(_) => Err(damaged("its files contradict each other".to_owned())),
        }
    }

    /// Moves an index aside, so that the next [`Db::open`] begins with an empty one.
    ///
    /// # Errors
    /// - [`StorageError::Io`] if it cannot be moved.
    pub fn set_aside(folder: &Path) -> Result<(), StorageError> {
        if !folder.exists() {
            return Ok(());
        }
        let stamp = time::OffsetDateTime::now_utc().unix_timestamp();
        let kept = folder.with_extension(format!("damaged-{stamp}"));
        std::fs::rename(folder, &kept).map_err(StorageError::io(folder))?;
        tracing::warn!(kept = %kept.display(), "the old index was set aside");
        Ok(())
    }

    /// A secret of this data folder, made on first use.
    ///
    /// # Errors
    /// - [`StorageError::Index`].
    pub fn secret(&self) -> Result<Vec<u8>, StorageError> {
        if let Some(secret) = self.meta.get("session_secret")? {
            return Ok(secret.to_vec());
        }
        let mut secret = uuid::Uuid::new_v4().as_bytes().to_vec();
        secret.extend(uuid::Uuid::new_v4().as_bytes());
        self.meta.insert("session_secret", secret.clone())?;
        self.flush()?;
        Ok(secret)
    }

    /// Waits until everything is on disk.
    ///
    /// # Errors
    /// - [`StorageError::Index`].
    pub fn flush(&self) -> Result<(), StorageError> {
        self.db.flush()?;
        Ok(())
    }
}

fn open(folder: &Path) -> Result<Db, sled::Error> {
    let db = sled::Config::new()
        .path(folder)
        .cache_capacity(16 * 1024 * 1024)
        .flush_every_ms(Some(1000))
        .open()?;
    let (runs, keys, meta) =
        (db.open_tree("runs")?, db.open_tree("idempotency")?, db.open_tree("meta")?);
    Ok(Db { db, runs, keys, meta })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_index_is_an_error_and_can_be_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("index");
        let db = Db::open(&folder).unwrap();
        db.secret().unwrap();
        drop(db);
        for file in std::fs::read_dir(&folder).unwrap().flatten() {
            let length = file.metadata().unwrap().len();
            if file.path().is_file() {
                std::fs::write(file.path(), vec![0xff; usize::try_from(length).unwrap()]).unwrap();
            }
        }
        let error = Db::open(&folder).unwrap_err().to_string();
        assert!(error.contains("--rebuild-index"), "{error}");
        Db::set_aside(&folder).unwrap();
        assert!(Db::open(&folder).is_ok());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn the_secret_stays_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("index");
        let first = Db::open(&folder).unwrap().secret().unwrap();
        assert_eq!(Db::open(&folder).unwrap().secret().unwrap(), first);
        assert_eq!(first.len(), 32);
    }
}
