//! Data sets: those that are known by name, and those that people bring.
//!
//! What is brought arrives in parts below `.incoming/<id>` ([`incoming`]), is prepared by a process
//! of its own (`work`), and becomes a version of a data set ([`own`]): whole, or not at all. Runs
//! name a data set by its id; [`Datasets::fill_in`] writes into their specification what follows from it.

pub mod create;
pub mod fetch;
pub mod incoming;
pub mod known;
pub mod list;
pub mod own;
pub mod samples;
pub mod upload;
mod usage;
mod work;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use skein_core::dataset::{self, DataKind, Dataset, Files};
use skein_core::spec::Violation;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ServiceError;
use crate::executor::prepare::Preparer;
use crate::executor::samples::Drawer;
use incoming::Coming;

/// The data sets of this server; cheap to clone.
#[derive(Clone)]
pub struct Datasets(Arc<Inner>);

/// What all clones share.
pub struct Inner {
    /// Folder of all data sets.
    pub folder: PathBuf,
    /// What starts preparations.
    pub preparer: Preparer,
    /// What draws images as a search would change them.
    pub drawer: Drawer,
    /// Where the files of public data sets are fetched from.
    pub mirrors: fetch::Mirrors,
    /// Folders on this machine below which data may be taken.
    pub allowed: Vec<PathBuf>,
    /// An upload is refused if it would leave fewer bytes than this.
    pub min_free_bytes: u64,
    /// Cancelled when the server is to stop.
    pub shutdown: CancellationToken,
    /// Every task that must end before the server does.
    pub tracker: TaskTracker,
    /// What is on its way, by the id of its data set.
    pub coming: Mutex<BTreeMap<String, Arc<Coming>>>,
}

impl std::ops::Deref for Datasets {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Datasets {
    /// Wraps what all clones share.
    #[must_use]
    pub fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// What is on its way to become (a version of) a data set.
    #[must_use]
    pub fn coming(&self, id: &str) -> Option<Arc<Coming>> {
        let coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        coming.get(id).map(Arc::clone)
    }

    /// A data set that can be used now.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Dataset> {
        if let Some(known) = dataset::find(id) {
            return Some(known.clone());
        }
        let set = own::read(&self.folder, id)?;
        let newest = set.versions.last()?;
        let facts = own::facts(&self.folder, id, &newest.version).ok()?;
        Some(facts.dataset(id, &set.title))
    }

    /// What is wrong with the files of a data set, if anything.
    #[must_use]
    pub fn problem(&self, dataset: &Dataset) -> Option<String> {
        match dataset.files {
            Files::Prepared => None,
            _ => known::problem(&self.folder, dataset),
        }
    }

    /// Writes into a specification what follows from a person's own data set: version, kind, shape.
    ///
    /// # Errors
    /// - [`Violation`] if it cannot be used now.
    pub fn fill_in(&self, spec: &mut Value) -> Result<(), Violation> {
        let asked =
            spec.get("dataset").and_then(|section| section.get("id")).and_then(Value::as_str);
        let Some(id) = asked.filter(|id| dataset::is_id(id) && dataset::find(id).is_none()) else {
            return Ok(());
        };
        let fault =
            |field: &str, detail: String| Err(Violation { field: field.to_owned(), detail });
        // In this order: what is coming may become a version at any moment.
        let coming = self.coming(id);
        let Some(set) = own::read(&self.folder, id).filter(|set| !set.versions.is_empty()) else {
            return match coming {
                Some(coming) => {
                    fault("dataset.id", format!("`{id}` {}", coming.now().state.in_words()))
                }
                // Core says which there are.
                None => Ok(()),
            };
        };
        let given = spec["dataset"].get("version").and_then(Value::as_str).unwrap_or("").trim();
        let found = match given {
            "" => set.versions.last(),
            _ => set.versions.iter().find(|known| known.version == given),
        };
        let Some(found) = found else {
            let versions: Vec<&str> = set.versions.iter().map(|known| &*known.version).collect();
            let detail =
                format!("`{given}` is no version of `{id}`; it has {}", versions.join(", "));
            return fault("dataset.version", detail);
        };
        let facts = match own::facts(&self.folder, id, &found.version) {
            Ok(facts) => facts,
            Err(error) => return fault("dataset.id", format!("`{id}` cannot be read: {error}")),
        };
        let shape = facts.shape;
        let section = &mut spec["dataset"];
        section["version"] = found.version.clone().into();
        section["kind"] = json!(facts.kind);
        if facts.kind == DataKind::Images {
            section["shape"] = json!([shape.channels, shape.height, shape.width]);
            section["classes"] = shape.classes.into();
            section["images"] = facts.train.into();
            section["valid"] = facts.valid.into();
        }
        Ok(())
    }

    /// Bytes of a training text, of any data set that holds one.
    #[must_use]
    pub fn text_bytes(&self, id: &str) -> u64 {
        match self.find(id) {
            Some(set) if set.files == Files::Prepared => {
                let facts = own::facts(&self.folder, id, &set.version);
                facts.map_or(0, |facts| facts.train)
            }
            Some(known) => known::text_bytes(&self.folder, &known).unwrap_or(0),
            None => 0,
        }
    }

    /// Folder of what is on its way.
    fn incoming_folder(&self) -> PathBuf {
        self.folder.join(incoming::FOLDER)
    }
}

/// A refusal that names the data set.
fn no_such(id: &str) -> ServiceError {
    ServiceError::NotFound { what: format!("data set `{id}`") }
}

/// Whether a folder lies below one of others, links followed.
fn is_below(folder: &Path, allowed: &[PathBuf]) -> bool {
    let Ok(folder) = folder.canonicalize() else { return false };
    let mut places = allowed.iter().filter_map(|place| place.canonicalize().ok());
    places.any(|place| folder.starts_with(place))
}
