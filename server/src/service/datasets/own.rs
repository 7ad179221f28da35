//! Data sets that people brought, as they lie on the disk; see [`skein_core::dataset::facts`].

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use skein_core::dataset::facts::{self, Facts, OwnSet, OwnVersion};
use skein_core::dataset::is_id;
use skein_core::dataset::report::Report;

/// The file or folder, beside the prepared form, that a version was prepared from.
pub const SOURCE: &str = "source";

/// A data set by its id.
#[must_use]
pub fn read(folder: &Path, id: &str) -> Option<OwnSet> {
    if !is_id(id) {
        return None;
    }
    json(&folder.join(id).join(facts::SET)).ok()
}

/// All data sets, with their ids, in the order of these.
#[must_use]
pub fn all(folder: &Path) -> Vec<(String, OwnSet)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut found: Vec<_> = names.filter_map(|id| read(folder, &id).map(|set| (id, set))).collect();
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found
}

/// Folder of a version.
#[must_use]
pub fn version(folder: &Path, id: &str, version: &str) -> PathBuf {
    folder.join(id).join(facts::VERSIONS).join(version)
}

/// Facts of a version.
///
/// # Errors
/// - the file cannot be read.
pub fn facts(folder: &Path, id: &str, name: &str) -> io::Result<Facts> {
    json(&version(folder, id, name).join(facts::FACTS))
}

/// What the doctor found in a version.
///
/// # Errors
/// - the file cannot be read.
pub fn report(folder: &Path, id: &str, name: &str) -> io::Result<Report> {
    json(&version(folder, id, name).join(facts::REPORT))
}

fn json<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    serde_json::from_slice(&fs::read(path)?).map_err(io::Error::from)
}

/// Writes the list of versions anew; readers see the old one or the new one.
///
/// # Errors
/// - the folder cannot be written.
pub fn write(folder: &Path, id: &str, set: &OwnSet) -> io::Result<()> {
    replace(&folder.join(id), facts::SET, &serde_json::to_vec_pretty(set)?)
}

/// Replaces a file of a folder as a whole.
///
/// # Errors
/// - the folder cannot be written.
pub fn replace(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let fresh = folder.join(format!(".{name}.new"));
    let mut file = File::create(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&fresh, folder.join(name))?;
    File::open(folder)?.sync_all()
}

/// Makes a prepared folder a version, the newest one. A content that is there already is moved to
/// the end of the list, and the prepared folder goes.
///
/// # Errors
/// - the folder cannot be written.
pub fn add(
    folder: &Path,
    id: &str,
    title: &str,
    prepared: &Path,
    added: OwnVersion,
) -> io::Result<()> {
    let place = version(folder, id, &added.version);
    fs::create_dir_all(folder.join(id).join(facts::VERSIONS))?;
    if place.exists() {
        fs::remove_dir_all(prepared)?;
    } else {
        fs::rename(prepared, &place)?;
        File::open(folder.join(id).join(facts::VERSIONS))?.sync_all()?;
    }
    let mut set = read(folder, id).unwrap_or_else(|| OwnSet {
        format: facts::FORMAT,
        title: title.to_owned(),
        created_at: added.created_at.clone(),
        versions: vec![],
    });
    set.versions.retain(|known| known.version != added.version);
    set.versions.push(added);
    write(folder, id, &set)
}

/// Gives a file, or a folder with everything in it, another name too. Nothing is moved, so that
/// whoever is interrupted finds all of it where it was.
///
/// # Errors
/// - the folder cannot be written.
pub fn keep(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        // Some file systems know no links.
        return fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop));
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        keep(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Bytes of a folder with everything in it.
#[must_use]
pub fn bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => bytes(&entry.path()),
        _ => entry.metadata().map_or(0, |file| file.len()),
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(version: &str) -> OwnVersion {
        OwnVersion {
            version: version.to_owned(),
            created_at: "2026-01-01T00:00:00.000Z".to_owned(),
            file_name: "a.zip".to_owned(),
            file_bytes: 3,
            folder: None,
        }
    }

    fn prepared(folder: &Path, content: &str) -> PathBuf {
        let place = folder.join("prepared");
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("facts.json"), content).unwrap();
        place
    }

    #[test]
    fn a_content_that_comes_again_is_the_newest_version_and_there_once() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["one", "two", "one"] {
            let place = prepared(dir.path(), name);
            add(dir.path(), "leaves", "Leaves", &place, added(name)).unwrap();
            assert!(!place.exists());
        }
        let set = read(dir.path(), "leaves").unwrap();
        let names: Vec<&str> = set.versions.iter().map(|known| &*known.version).collect();
        assert_eq!((set.title.as_str(), names), ("Leaves", vec!["two", "one"]));
        assert_eq!(all(dir.path()).len(), 1);
        let kept = version(dir.path(), "leaves", "one").join("facts.json");
        assert_eq!(fs::read_to_string(kept).unwrap(), "one");
    }

    /// MNIST comes in four files.
    #[test]
    fn files_and_folders_are_kept_and_stay_where_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("fetched");
        fs::create_dir_all(from.join("inner")).unwrap();
        fs::write(from.join("images.gz"), "one").unwrap();
        fs::write(from.join("inner/labels.gz"), "two").unwrap();
        let to = dir.path().join("source");
        keep(&from, &to).unwrap();
        keep(&from.join("images.gz"), &dir.path().join("single")).unwrap();
        for (path, content) in [("images.gz", "one"), ("inner/labels.gz", "two")] {
            for folder in [&from, &to] {
                assert_eq!(fs::read_to_string(folder.join(path)).unwrap(), content);
            }
        }
        assert_eq!(fs::read_to_string(dir.path().join("single")).unwrap(), "one");
    }

    #[test]
    fn only_ids_are_looked_for() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("set.json"), "{}").unwrap();
        for id in ["", ".", "..", "a/..", "../x", "A"] {
            assert_eq!(read(dir.path(), id), None, "{id}");
        }
    }
}
