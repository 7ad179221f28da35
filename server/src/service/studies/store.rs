//! A study's folder: `study.json` and the table that its runs are held against.
//!
//! The folder is complete from its first moment. It says which id each run has before any run is
//! there, so that a server that was killed while it created them goes on where it stopped.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use skein_core::choice::Choice;
use skein_core::folder;
use skein_core::spec::BenchmarkSpec;
use skein_core::study::StudySpec;

use crate::domain::ids::RunId;

/// Version of `study.json`.
pub(super) const VERSION: u32 = 1;
/// Name of the file.
const STUDY: &str = "study.json";

/// What is stored of a study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StudyRecord {
    /// [`VERSION`] of the writer.
    pub(super) version: u32,
    /// Whether runs are still to be created.
    pub(super) pending: bool,
    /// The request that created it, if it had a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) request: Option<Request>,
    /// What was asked for.
    pub(super) spec: StudySpec,
    /// Preset of the space.
    pub(super) preset: String,
    /// Decisions of the space, the same for all runs.
    pub(super) choices: Vec<Choice>,
    /// How the table is read.
    pub(super) benchmark: BenchmarkSpec,
    /// All runs, in the order in which they are queued.
    pub(super) runs: Vec<StudyRun>,
}

/// A request that may be repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    /// Its `Idempotency-Key`.
    pub(super) key: String,
    /// SHA-256 of its body, hexadecimal.
    pub(super) body: String,
}

/// A run of a study.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StudyRun {
    /// Place of its method.
    pub(super) method: usize,
    /// Place of its budget, if the study has any.
    pub(super) budget: Option<usize>,
    /// Its seed.
    pub(super) seed: u64,
    /// Its id, chosen with the study.
    pub(super) run: RunId,
}

/// Writes a new study's folder below `tmp` and moves it to its place.
///
/// # Errors
/// - the disk takes no more; nothing is left then, as far as the disk lets us.
pub(super) fn create(
    made: &Path,
    place: &Path,
    record: &StudyRecord,
    table: &str,
) -> io::Result<()> {
    let written = fs::create_dir(made)
        .and_then(|()| put(&made.join(folder::BENCHMARK), table.as_bytes()))
        .and_then(|()| put(&made.join(STUDY), &serde_json::to_vec_pretty(record)?))
        .and_then(|()| File::open(made)?.sync_all())
        .and_then(|()| fs::rename(made, place))
        .and_then(|()| sync_parent(place));
    if written.is_err() {
        let _ = fs::remove_dir_all(made);
        let _ = fs::remove_dir_all(place);
    }
    written
}

/// Replaces the record of a study, whole or not at all.
///
/// # Errors
/// - the file cannot be written.
pub(super) fn save(place: &Path, record: &StudyRecord) -> io::Result<()> {
    let part = place.join(format!(".{STUDY}.part"));
    put(&part, &serde_json::to_vec_pretty(record)?)?;
    fs::rename(&part, place.join(STUDY))?;
    File::open(place)?.sync_all()
}

/// Reads the record of a study.
///
/// # Errors
/// - the file is missing, damaged or of a later version.
pub(super) fn read(place: &Path) -> io::Result<StudyRecord> {
    let record: StudyRecord = serde_json::from_slice(&fs::read(place.join(STUDY))?)?;
    if record.version > VERSION {
        let detail = format!("it has version {}, this server knows {VERSION}", record.version);
        return Err(io::Error::other(detail));
    }
    Ok(record)
}

/// The text of a study's table.
///
/// # Errors
/// - the file cannot be read.
pub(super) fn table(place: &Path) -> io::Result<String> {
    fs::read_to_string(place.join(folder::BENCHMARK))
}

fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record() -> StudyRecord {
        let spec = json!({
            "name": "a", "seeds": [1], "run": {"benchmark": {"table": "t.csv"}},
            "methods": [{"name": "m"}]
        });
        StudyRecord {
            version: VERSION,
            pending: true,
            request: None,
            spec: StudySpec::parse(&spec).unwrap(),
            preset: "toy-cell".to_owned(),
            choices: Vec::new(),
            benchmark: BenchmarkSpec { table: None, columns: None, accuracy: None },
            runs: vec![StudyRun { method: 0, budget: None, seed: 1, run: RunId::new() }],
        }
    }

    #[test]
    fn a_study_is_read_back_and_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (made, place) = (dir.path().join("made"), dir.path().join("place"));
        let mut record = record();
        create(&made, &place, &record, "a,acc\n").unwrap();
        assert!(!made.exists());
        assert_eq!(read(&place).unwrap(), record);
        assert_eq!(table(&place).unwrap(), "a,acc\n");
        record.pending = false;
        save(&place, &record).unwrap();
        assert_eq!(read(&place).unwrap(), record);
        assert_eq!(fs::read_dir(&place).unwrap().count(), 2, "nothing is left beside them");
        record.version = VERSION + 1;
        save(&place, &record).unwrap();
        assert!(read(&place).unwrap_err().to_string().contains("it has version 2"));
    }

    #[test]
    fn a_study_that_cannot_be_written_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("no/such/folder");
        assert!(create(&dir.path().join("made"), &place, &record(), "").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
