//! Reading `final.json`, and creating it exactly once.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use skein_core::event::{Failure, FailureClass};
use skein_core::folder;
use skein_core::record::{FORMAT_VERSION, FinalRecord, Outcome};
use skein_disk::once;

use crate::domain::clock;

/// A record of the present moment.
#[must_use]
pub fn now(attempt: u32, outcome: Outcome) -> FinalRecord {
    FinalRecord { version: FORMAT_VERSION, attempt, at: clock::now(), outcome }
}

/// The final record of a run, if there is one. One that cannot be read means that the run failed.
#[must_use]
pub fn read(run: &Path) -> Option<FinalRecord> {
    let path = run.join(folder::FINAL);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => return Some(damaged(&error.to_string())),
    };
    match serde_json::from_slice(&bytes) {
        Ok(record) => Some(record),
        Err(error) => Some(damaged(&error.to_string())),
    }
}

fn damaged(detail: &str) -> FinalRecord {
    let failure = Failure {
        class: FailureClass::Infrastructure,
        message: format!("the final record cannot be read: {detail}"),
        hint: "resume the run to repeat its end from the last checkpoint".to_owned(),
    };
    now(0, Outcome::Failed { failure })
}

/// Creates the final record unless there is one; gives the one that counts.
///
/// # Errors
/// - the file cannot be written.
pub fn create(run: &Path, record: &FinalRecord) -> std::io::Result<FinalRecord> {
    // A name of its own: two requests may end a run at once.
    let temporary = run.join(format!(".{}.{}", folder::FINAL, uuid::Uuid::new_v4()));
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec_pretty(record)?)?;
    file.sync_all()?;
    match once::create_once(&temporary, &run.join(folder::FINAL)) {
        Ok(true) => Ok(record.clone()),
        Ok(false) => Ok(read(run).unwrap_or_else(|| record.clone())),
        Err(error) => {
            // The record could not be created; that is what there is to say.
            let _ = fs::remove_file(&temporary);
            Err(error)
        }
    }
}

/// Whether an attempt's final record was set aside.
#[must_use]
pub fn is_set_aside(run: &Path, attempt: u32) -> bool {
    run.join(aside(attempt)).exists()
}

fn aside(attempt: u32) -> String {
    format!("final-{attempt}.json")
}

/// Sets the final record aside, so that the run can go on.
///
/// # Errors
/// - the file cannot be renamed.
pub fn set_aside(run: &Path) -> std::io::Result<()> {
    let Some(record) = read(run) else { return Ok(()) };
    let mut kept = run.join(aside(record.attempt));
    let mut again = 1;
    while kept.exists() {
        again += 1;
        kept = run.join(format!("final-{}-{again}.json", record.attempt));
    }
    fs::rename(run.join(folder::FINAL), kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_first_decides() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), None);
        let first = now(2, Outcome::Cancelled);
        assert_eq!(create(dir.path(), &first).unwrap(), first);
        let late = now(3, damaged("x").outcome);
        assert_eq!(create(dir.path(), &late).unwrap(), first);
        set_aside(dir.path()).unwrap();
        assert_eq!(read(dir.path()), None);
        assert!(dir.path().join("final-2.json").exists());
    }

    #[test]
    fn a_damaged_record_is_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(folder::FINAL), "{").unwrap();
        assert!(matches!(read(dir.path()).unwrap().outcome, Outcome::Failed { .. }));
    }
}
