//! Checkpoints: complete or not there.
//!
//! A checkpoint is written under a temporary name, synced, then renamed. Its `state.json` holds
//! the digests of the two tensor files, so that a torn one is known and the one before is used.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use skein_core::folder;
use tch::{Device, Tensor};

use crate::EngineError;
use crate::error::IoContext;

/// Version of the format below. In version 1, nothing lay between the tensors of a flat buffer.
pub const VERSION: u32 = 2;
/// How many are kept per attempt.
pub const KEPT: usize = 3;

const STATE: &str = "state.json";
const FILES: [&str; 2] = ["weights.safetensors", "optimizer.safetensors"];

/// Everything a run needs to go on.
#[derive(Debug)]
pub struct Snapshot {
    /// Steps done in all phases together.
    pub step: u64,
    /// Whatever else is not a tensor.
    pub state: Value,
    /// Weights, statistics and rows.
    pub weights: BTreeMap<String, Tensor>,
    /// State of the optimizers.
    pub optimizer: BTreeMap<String, Tensor>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    step: u64,
    sha256: BTreeMap<String, String>,
    state: Value,
}

/// A checkpoint that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// Its folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl Snapshot {
    /// Writes the snapshot below `checkpoints` and removes all but the newest [`KEPT`].
    ///
    /// Returns the folder's name.
    ///
    /// # Errors
    /// - [`EngineError::Io`]; what was there before is untouched then.
    pub fn write(&self, checkpoints: &Path) -> Result<String, EngineError> {
        let name = folder::checkpoint(self.step);
        let temporary = checkpoints.join(format!(".{name}.tmp"));
        let _ = fs::remove_dir_all(&temporary);
        fs::create_dir_all(&temporary).at(&temporary)?;
        let mut sha256 = BTreeMap::new();
        for (file, tensors) in FILES.into_iter().zip([&self.weights, &self.optimizer]) {
            let path = temporary.join(file);
            let plain = |tensor: &Tensor| tensor.detach().to_device(Device::Cpu).contiguous();
            let named: Vec<(&String, Tensor)> =
                tensors.iter().map(|(name, tensor)| (name, plain(tensor))).collect();
            Tensor::write_safetensors(&named, &path).map_err(|error| unwritten(&path, &error))?;
            sync(&path)?;
            sha256.insert(file.to_owned(), digest(&path)?);
        }
        let header =
            Header { version: VERSION, step: self.step, sha256, state: self.state.clone() };
        let text =
            serde_json::to_string(&header).map_err(|error| EngineError::Bug(error.to_string()))?;
        let path = temporary.join(STATE);
        fs::write(&path, text).at(&path)?;
        sync(&path)?;
        sync(&temporary)?;
        let target = checkpoints.join(&name);
        let _ = fs::remove_dir_all(&target);
        fs::rename(&temporary, &target).at(&target)?;
        sync(checkpoints)?;
        prune(checkpoints);
        Ok(name)
    }

    fn read(path: &Path, device: Device) -> Result<Self, String> {
        let text =
            fs::read_to_string(path.join(STATE)).map_err(|error| format!("{STATE}: {error}"))?;
        let header: Header =
            serde_json::from_str(&text).map_err(|error| format!("{STATE}: {error}"))?;
        if !(1..=VERSION).contains(&header.version) {
            let known = format!("this worker reads 1 to {VERSION}");
            return Err(format!("it has version {}, {known}", header.version));
        }
        let load = |file: &str| {
            let path = path.join(file);
            let found = digest(&path).map_err(|error| error.to_string())?;
            if header.sha256.get(file) != Some(&found) {
                return Err(format!("{file} is damaged: its digest differs"));
            }
            let tensors =
                Tensor::read_safetensors(&path).map_err(|error| format!("{file}: {error}"))?;
            Ok(tensors.into_iter().map(|(name, tensor)| (name, tensor.to_device(device))).collect())
        };
        let (weights, optimizer) = (load(FILES[0])?, load(FILES[1])?);
        Ok(Self { step: header.step, state: header.state, weights, optimizer })
    }
}

/// The newest valid checkpoint of any attempt before `attempt`, and the newer ones that are not.
///
/// # Errors
/// - [`EngineError::Io`] if a folder cannot be listed.
pub fn newest(
    run: &Path,
    attempt: u32,
    device: Device,
) -> Result<(Option<Snapshot>, Vec<Damaged>), EngineError> {
    newest_in(&earlier(run, attempt), device)
}

/// The folders of checkpoints of all attempts before `attempt`.
#[must_use]
pub fn earlier(run: &Path, attempt: u32) -> Vec<PathBuf> {
    (1..attempt).map(|at| folder::attempt(run, at).join(folder::CHECKPOINTS)).collect()
}

/// The newest valid checkpoint of some folders, and the newer ones that are not valid. A later folder's
/// are newer, whatever their steps: an attempt may go back.
///
/// # Errors
/// - [`EngineError::Io`] if a folder cannot be listed.
pub fn newest_in(
    folders: &[PathBuf],
    device: Device,
) -> Result<(Option<Snapshot>, Vec<Damaged>), EngineError> {
    newest_below(folders, u64::MAX, device)
}

/// The same among those of earlier steps than `below`.
///
/// # Errors
/// - as [`newest_in`].
pub fn newest_below(
    folders: &[PathBuf],
    below: u64,
    device: Device,
) -> Result<(Option<Snapshot>, Vec<Damaged>), EngineError> {
    let mut found: Vec<(usize, u64, PathBuf)> = Vec::new();
    for (at, folder) in folders.iter().enumerate() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries {
            let entry = entry.at(folder)?;
            let step = entry.file_name().to_str().and_then(folder::checkpoint_step);
            if let Some(step) = step.filter(|step| *step < below) {
                found.push((at, step, entry.path()));
            }
        }
    }
    found.sort();
    let mut damaged = Vec::new();
    for (_, _, path) in found.into_iter().rev() {
        match Snapshot::read(&path, device) {
            Ok(snapshot) => return Ok((Some(snapshot), damaged)),
            Err(reason) => damaged.push(Damaged { path, reason }),
        }
    }
    Ok((None, damaged))
}

/// SHA-256 of a file in lower-case hexadecimal.
///
/// # Errors
/// - [`EngineError::Io`] if the file cannot be read.
pub fn digest(path: &Path) -> Result<String, EngineError> {
    use std::fmt::Write as _;
    let mut file = File::open(path).at(path)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut piece).at(path)?;
        if read == 0 {
            break;
        }
        hasher.update(&piece[..read]);
    }
    Ok(hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// Makes a file's or folder's content survive a crash of the machine.
///
/// # Errors
/// - [`EngineError::Io`] if the system refuses.
pub fn sync(path: &Path) -> Result<(), EngineError> {
    File::open(path).and_then(|file| file.sync_all()).at(path)
}

/// libtorch's own writer hides the system's answer; a full disk should still be called that.
fn unwritten(path: &Path, error: &tch::TchError) -> EngineError {
    let text = error.to_string();
    let source = if text.contains("os error 28") || text.contains("No space left") {
        std::io::ErrorKind::StorageFull.into()
    } else {
        std::io::Error::other(text)
    };
    EngineError::Io { path: path.to_owned(), source }
}

/// Removes the checkpoints of later steps, which led to nothing.
pub fn forget_after(checkpoints: &Path, step: u64) {
    for (_, path) in listed(checkpoints).into_iter().filter(|(later, _)| *later > step) {
        // One that stays leads to nothing again, and is gone back from again.
        let _ = fs::remove_dir_all(path);
    }
}

/// The checkpoints of a folder, the oldest first.
fn listed(checkpoints: &Path) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(checkpoints).into_iter().flatten().flatten();
    let known = entries.filter_map(|entry| {
        Some((folder::checkpoint_step(entry.file_name().to_str()?)?, entry.path()))
    });
    let mut known: Vec<(u64, PathBuf)> = known.collect();
    known.sort();
    known
}

fn prune(checkpoints: &Path) {
    let names = listed(checkpoints);
    let surplus = names.len().saturating_sub(KEPT);
    for (_, path) in &names[..surplus] {
        // A leftover costs space, not correctness.
        let _ = fs::remove_dir_all(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(step: u64) -> Snapshot {
        let tensor =
            Tensor::full([4], f64::from(u32::try_from(step).unwrap()), tch::kind::DOUBLE_CPU);
        Snapshot {
            step,
            state: serde_json::json!({"note": 0.1 + 0.2}),
            weights: [("w".to_owned(), tensor.shallow_clone())].into(),
            optimizer: [("v".to_owned(), tensor)].into(),
        }
    }

    #[test]
    fn the_newest_valid_checkpoint_is_used_and_damaged_ones_are_told() {
        let run = tempfile::tempdir().unwrap();
        let folder = folder::attempt(run.path(), 1).join(folder::CHECKPOINTS);
        for step in [1, 2, 3, 4] {
            snapshot(step).write(&folder).unwrap();
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), KEPT);
        let (found, damaged) = newest(run.path(), 2, Device::Cpu).unwrap();
        let found = found.unwrap();
        assert_eq!((found.step, found.state, damaged.len()), (4, snapshot(4).state, 0));
        let torn = folder.join(folder::checkpoint(4)).join(FILES[0]);
        let length = fs::metadata(&torn).unwrap().len();
        File::options().write(true).open(&torn).unwrap().set_len(length - 1).unwrap();
        fs::write(folder.join(folder::checkpoint(3)).join(STATE), "{").unwrap();
        let (found, damaged) = newest(run.path(), 2, Device::Cpu).unwrap();
        assert_eq!(found.unwrap().step, 2);
        assert_eq!(damaged.len(), 2);
        assert!(damaged[0].reason.contains("its digest differs"), "{damaged:?}");
        assert!(
            newest(run.path(), 1, Device::Cpu).unwrap().0.is_none(),
            "only earlier attempts count"
        );
    }

    #[test]
    fn a_later_attempt_is_newer_though_it_went_back() {
        let run = tempfile::tempdir().unwrap();
        for (attempt, steps) in [(1, [3, 6, 9]), (2, [4, 5, 7])] {
            for step in steps {
                let folder = folder::attempt(run.path(), attempt).join(folder::CHECKPOINTS);
                snapshot(step).write(&folder).unwrap();
            }
        }
        let folders = earlier(run.path(), 3);
        let step = |below: u64| {
            let found = newest_below(&folders, below, Device::Cpu).unwrap().0;
            found.map(|snapshot| snapshot.step)
        };
        assert_eq!([u64::MAX, 7, 4, 3].map(step), [Some(7), Some(5), Some(3), None]);
        forget_after(&folders[1], 4);
        assert_eq!([u64::MAX, 4].map(step), [Some(4), Some(3)]);
        assert_eq!(listed(&folders[0]).len(), 3, "an earlier attempt's stay");
    }

    #[test]
    fn former_versions_are_read_and_later_ones_are_not() {
        let run = tempfile::tempdir().unwrap();
        let folder = folder::attempt(run.path(), 1).join(folder::CHECKPOINTS);
        snapshot(7).write(&folder).unwrap();
        let state = folder.join(folder::checkpoint(7)).join(STATE);
        for (version, reads) in [(0, false), (1, true), (VERSION, true), (VERSION + 1, false)] {
            let text = fs::read_to_string(&state).unwrap();
            let mut header: Header = serde_json::from_str(&text).unwrap();
            header.version = version;
            fs::write(&state, serde_json::to_string(&header).unwrap()).unwrap();
            let (found, damaged) = newest(run.path(), 2, Device::Cpu).unwrap();
            assert_eq!((found.is_some(), damaged.is_empty()), (reads, reads), "{version}");
        }
    }
}
