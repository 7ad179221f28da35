//! The files of a run's result package.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use skein_core::manifest::{Manifest, ManifestFile};
use skein_core::{folder, package};

use super::create::hex;
use super::runs::Runs;
use super::{ServiceError, blocking, final_record, tail};
use crate::domain::ids::RunId;

/// A file that can be downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Where it is.
    pub path: PathBuf,
    /// Name, size and digest.
    pub file: ManifestFile,
}

/// Digests that were computed here, by path; valid while size and time stay the same.
#[derive(Debug, Default)]
pub struct Digests(Mutex<HashMap<PathBuf, (u64, SystemTime, String)>>);

impl Digests {
    /// SHA-256 of a file, in hexadecimal, with its size.
    fn of(&self, path: &Path) -> std::io::Result<(u64, String)> {
        let meta = fs::metadata(path)?;
        let (bytes, changed) = (meta.len(), meta.modified()?);
        let known = |digests: &Self| {
            let digests = digests.0.lock().unwrap_or_else(PoisonError::into_inner);
            digests.get(path).cloned()
        };
        if let Some((_, _, digest)) =
            known(self).filter(|(size, at, _)| *size == bytes && *at == changed)
        {
            return Ok((bytes, digest));
        }
        let mut file = File::open(path)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
        }
        let digest = hex(&hasher.finalize());
        let mut digests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        digests.insert(path.to_owned(), (bytes, changed, digest.clone()));
        Ok((bytes, digest))
    }
}

impl Runs {
    /// The files that a run offers; none before it has written its package.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`], or the package cannot be read.
    pub async fn artifacts(&self, id: RunId) -> Result<Vec<Artifact>, ServiceError> {
        let (runs, entry) = (self.clone(), self.entry(id)?);
        blocking(move || list(&entry.folder, &runs.digests)).await
    }

    /// Their names alone, without a look at what they hold.
    ///
    /// # Errors
    /// - as [`Runs::artifacts`].
    pub async fn artifact_names(&self, id: RunId) -> Result<Vec<String>, ServiceError> {
        let entry = self.entry(id)?;
        blocking(move || Ok(offered(&entry.folder)?.map_or(vec![], |offered| offered.names))).await
    }

    /// One file of a run's package.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`] if the run or the file does not exist.
    pub async fn artifact(&self, id: RunId, name: String) -> Result<Artifact, ServiceError> {
        let found = self.artifacts(id).await?.into_iter().find(|found| found.file.name == name);
        found.ok_or_else(|| ServiceError::NotFound { what: format!("file `{name}` in this run") })
    }
}

/// A package and the names of the files that it offers, in their order.
struct Offered {
    folder: PathBuf,
    manifest: Manifest,
    names: Vec<String>,
}

/// Files that a manifest cannot or need not hold the digest of.
const BESIDE: [&str; 2] = [folder::RESULT_ZIP, folder::MANIFEST];

fn offered(run: &Path) -> Result<Option<Offered>, ServiceError> {
    let Some(written) = package_of(run) else { return Ok(None) };
    let manifest: Manifest = serde_json::from_slice(&fs::read(written.join(folder::MANIFEST))?)
        .map_err(std::io::Error::from)?;
    let named = manifest.files.iter().map(|file| file.name.as_str());
    // A name that leads out of the folder is none of ours.
    let here = |name: &&str| is_plain(name) && written.join(name).is_file();
    let names = BESIDE.into_iter().chain(named).filter(here);
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort_by(|a, b| package::place(a).cmp(&package::place(b)).then_with(|| a.cmp(b)));
    names.dedup();
    Ok(Some(Offered { folder: written, manifest, names }))
}

fn list(run: &Path, digests: &Digests) -> Result<Vec<Artifact>, ServiceError> {
    let Some(Offered { folder, manifest, names }) = offered(run)? else { return Ok(Vec::new()) };
    let mut artifacts = Vec::new();
    for name in names {
        let path = folder.join(&name);
        let known = manifest.files.iter().find(|file| file.name == name);
        let file = match known.filter(|_| !BESIDE.contains(&name.as_str())) {
            Some(file) => file.clone(),
            None => {
                let (bytes, sha256) = digests.of(&path)?;
                ManifestFile { name, bytes, sha256 }
            }
        };
        artifacts.push(Artifact { path, file });
    }
    Ok(artifacts)
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

/// The package of the attempt that ended the run, or else the newest one.
pub(super) fn package_of(run: &Path) -> Option<PathBuf> {
    let ended = final_record::read(run).map(|record| record.attempt);
    let newest = tail::attempts(run).into_iter().rev();
    let mut folders =
        ended.into_iter().chain(newest).map(|n| folder::attempt(run, n).join(folder::ARTIFACTS));
    folders.find(|folder| folder.join(folder::MANIFEST).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_offered() {
        assert!(is_plain("model.safetensors"));
        for name in ["", "../spec.json", "a/b", "a\\b", ".hidden"] {
            assert!(!is_plain(name), "{name}");
        }
    }

    #[test]
    fn a_digest_follows_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let (path, digests) = (dir.path().join("x"), Digests::default());
        fs::write(&path, "abc").unwrap();
        let (bytes, first) = digests.of(&path).unwrap();
        assert_eq!(bytes, 3);
        assert!(first.starts_with("ba7816bf8f01cfea"), "{first}");
        fs::write(&path, "abcd").unwrap();
        assert_ne!(digests.of(&path).unwrap().1, first);
    }
}
