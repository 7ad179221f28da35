//! What is wrong with the machine that searches run on, and what to do about it.
//!
//! A server looks at its own folders and its own worker; `skein doctor` looks itself only where no
//! server answers.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use skein_core::dataset;
use skein_disk::{kind, lock, once};

use super::create::free_bytes;
use super::datasets::{known as datasets, own};
use crate::executor::devices;
use crate::settings::{MIN_FREE_MIB, Places};
use crate::views::Check;

/// The data set without which neither demo nor examples work.
const EXAMPLES_USE: &str = "fashion-mnist";

/// Looks at everything; takes as long as libtorch takes to load.
#[must_use]
pub fn all(places: &Places) -> Vec<Check> {
    // One at a time: whoever asks often must not start many workers.
    static ONE: Mutex<()> = Mutex::new(());
    let _turn = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Places { data, .. } = places;
    let (sets, worker) = (absolute(&places.datasets()), places.worker());
    let mut checks =
        vec![Check::new("worker", find_worker(&worker)), Check::new("libtorch", libtorch(&worker))];
    for known in dataset::DATASETS.iter() {
        let place = sets.join(&known.id);
        // Only the data of the examples must be here; others may be put here when they are wanted.
        let wanted = known.id == EXAMPLES_USE || place.exists();
        let found = match datasets::problem(&sets, known) {
            None => Ok(place.display().to_string()),
            Some(problem) if wanted => Err(problem),
            Some(_) => Ok(format!("not in `{}`; {}", sets.display(), known.how_to_get)),
        };
        checks.push(Check::new(known.id.clone(), found));
    }
    checks.extend(own::all(&sets).into_iter().map(|(id, set)| {
        let newest = set.versions.last().map_or("", |known| &known.version);
        let found = match own::facts(&sets, &id, newest) {
            Ok(_) => Ok(own::version(&sets, &id, newest).display().to_string()),
            Err(error) => {
                Err(format!("`{id}` cannot be read: {error}; delete it, and add it again"))
            }
        };
        Check::new(id, found)
    }));
    checks.push(Check::new("data folder", writable(data)));
    checks.push(Check::new("disk space", space(data)));
    checks
}

impl Check {
    /// What was found, or what is wrong.
    #[must_use]
    pub fn new(name: impl Into<String>, result: Result<String, String>) -> Self {
        let ok = result.is_ok();
        let detail = result.unwrap_or_else(|problem| problem);
        Self { name: name.into(), ok, detail }
    }
}

fn find_worker(path: &Path) -> Result<String, String> {
    if path.is_file() {
        return Ok(path.display().to_string());
    }
    let name = path.display();
    Err(format!("`{name}` does not exist; run `make build`, or name it with --worker"))
}

fn libtorch(worker: &Path) -> Result<String, String> {
    if !worker.is_file() {
        return Err("cannot be tried without the worker".to_owned());
    }
    let found = devices::ask(worker).map_err(|fault| {
        format!("{fault}; run `make setup` to install libtorch, or set LIBTORCH and build again")
    })?;
    let titles: Vec<String> = found.into_iter().map(|device| device.title).collect();
    Ok(format!("loads; devices: {}", titles.join(", ")))
}

fn writable(folder: &Path) -> Result<String, String> {
    let folder = absolute(folder);
    let name = folder.display();
    let fault = |error: std::io::Error| {
        format!("`{name}` cannot be written ({error}); choose another with --data or SKEIN_DATA")
    };
    let place = existing(&folder);
    let probe = place.join(format!(".skein-doctor-{}", std::process::id()));
    std::fs::write(&probe, b"x").and_then(|()| std::fs::remove_file(&probe)).map_err(fault)?;
    once::probe(&place).map_err(fault)?;
    lock::probe(&place).map_err(|error| {
        format!("`{name}` has no file locks ({error}); choose another with --data or SKEIN_DATA")
    })?;
    Ok(match kind::shared(&place) {
        Ok(Some(kind)) => format!(
            "{name}; it is on {kind}, which other machines may mount too: let one server work on \
             it at a time"
        ),
        _ => name.to_string(),
    })
}

fn space(folder: &Path) -> Result<String, String> {
    let free = free_bytes(&existing(folder)).map_err(|error| error.to_string())?;
    let text = format!("{} MiB free", free >> 20);
    if free >> 20 >= MIN_FREE_MIB {
        return Ok(text);
    }
    Err(format!("{text}, a new run wants {}; delete runs or files", MIN_FREE_MIB))
}

fn absolute(folder: &Path) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// The folder, or what it would be created in.
fn existing(folder: &Path) -> PathBuf {
    let absolute = absolute(folder);
    let found = absolute.ancestors().find(|place| place.is_dir());
    found.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
