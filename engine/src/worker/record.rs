//! The final record: created once, by whoever comes first.

use std::fs;

use skein_core::folder;
use skein_core::record::{FORMAT_VERSION, FinalRecord, Outcome};
use skein_disk::once;

use super::attempt::Attempt;
use super::events::now;
use crate::EngineError;
use crate::error::IoContext;
use crate::state::checkpoint::sync;

/// Ends the run; false if it had already ended.
///
/// # Errors
/// - [`EngineError::Io`] if the record cannot be written.
pub fn create(attempt: &Attempt, outcome: Outcome) -> Result<bool, EngineError> {
    let record =
        FinalRecord { version: FORMAT_VERSION, attempt: attempt.number, at: now(), outcome };
    let text =
        serde_json::to_vec_pretty(&record).map_err(|error| EngineError::Bug(error.to_string()))?;
    let complete = attempt.folder.join(folder::FINAL);
    fs::write(&complete, text).at(&complete)?;
    sync(&complete)?;
    let target = attempt.run.join(folder::FINAL);
    let first = once::create_once(&complete, &target).at(&target)?;
    if first {
        sync(&attempt.run)?;
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_stays() {
        let run = tempfile::tempdir().unwrap();
        let (one, two) = (
            Attempt::claim(run.path(), 1).unwrap().unwrap(),
            Attempt::claim(run.path(), 2).unwrap().unwrap(),
        );
        assert!(create(&two, Outcome::Cancelled).unwrap());
        assert!(!create(&one, Outcome::Cancelled).unwrap());
        let text = fs::read_to_string(run.path().join(folder::FINAL)).unwrap();
        let record: FinalRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(record.attempt, 2);
    }
}
