//! From what came to a version of a data set.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use skein_core::dataset::facts::{Facts, OwnVersion};
use skein_data::Progress;

use super::incoming::{Coming, Refused, State};
use super::{Datasets, own};
use crate::domain::clock;
use crate::executor::prepare::{PrepareError, Task};
use crate::service::{ServiceError, blocking};

/// An upload that nobody goes on with is kept for so long; so is the reason of a failure.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Time between two looks at what is left behind.
const LOOK: Duration = Duration::from_secs(15 * 60);
/// How the names of the folders begin in which a preparation works.
const ATTEMPT: &str = "attempt-";
/// The folder, in that of an attempt, for what is needed in between.
const SCRATCH: &str = "scratch";

impl Datasets {
    /// Works on something in the background until it is a version, or cannot become one.
    pub(super) fn start(&self, coming: &Arc<Coming>) {
        let (datasets, coming) = (self.clone(), Arc::clone(coming));
        self.tracker.spawn(async move {
            // Held to the end, so that whoever gives it up waits for the process to be gone.
            let _turn = coming.writing.lock().await;
            let done = tokio::select! {
                () = datasets.shutdown.cancelled() => return,
                () = coming.stop.cancelled() => return,
                done = datasets.work(&coming) => done,
            };
            match done {
                Ok(()) => datasets.forget(&coming).await,
                Err(refused) => datasets.fail(&coming, refused).await,
            }
        });
    }

    async fn work(&self, coming: &Arc<Coming>) -> Result<(), Refused> {
        if coming.now().state == State::Fetching && !self.fetch(coming).await? {
            return Ok(());
        }
        let Some(_turn) = self.preparer.turn().await else { return Ok(()) };
        self.prepare(coming).await
    }

    async fn prepare(&self, coming: &Arc<Coming>) -> Result<(), Refused> {
        let record = coming.now();
        let folder = coming.folder.clone();
        let place = blocking(move || Ok(begin_attempt(&folder)?)).await.map_err(broken)?;
        let out = place.join("prepared");
        coming.note(|record| record.state = State::Preparing);
        let task = Task {
            source: coming.source(),
            file_name: record.file_name.clone(),
            scratch: place.join(SCRATCH),
            out: out.clone(),
            size: record.size,
            test_share: record.test_share,
        };
        let told = |progress: Progress| {
            coming.note(|record| {
                record.stage = Some(progress.stage.name().to_owned());
                (record.done, record.total) = (progress.done, progress.total);
            });
        };
        self.preparer.prepare(&task, told).await.map_err(|error| match error {
            PrepareError::Refused { code, message } => Refused { code, message },
            other => {
                tracing::error!(dataset.id = coming.id, error = %other, "a data set was not prepared");
                let message = "the data could not be read; the server's log says why".to_owned();
                Refused { code: "internal".to_owned(), message }
            }
        })?;
        let (datasets, kept) = (self.clone(), Arc::clone(coming));
        blocking(move || Ok(datasets.register(&kept, out)?)).await.map_err(broken)
    }

    /// What was prepared becomes the newest version; what it was made of is kept beside it.
    fn register(&self, coming: &Coming, prepared: PathBuf) -> io::Result<()> {
        let record = coming.now();
        let bytes = fs::read(prepared.join(skein_core::dataset::facts::FACTS))?;
        let facts: Facts = serde_json::from_slice(&bytes)?;
        let from = coming.source();
        // What was uploaded or fetched is kept; a folder that was registered stays where it is.
        let ours = from.starts_with(&self.folder);
        if ours {
            own::keep(&from, &prepared.join(own::SOURCE))?;
        }
        let added = OwnVersion {
            version: facts.version().to_owned(),
            created_at: clock::now(),
            file_name: record.file_name,
            file_bytes: record.bytes,
            folder: (!ours).then(|| from.display().to_string()),
        };
        own::add(&self.folder, &coming.id, &record.title, &prepared, added)
    }

    async fn fail(&self, coming: &Arc<Coming>, refused: Refused) {
        let kept = Arc::clone(coming);
        let noted = blocking(move || {
            // The bytes go, and the reason stays.
            remove_attempts(&kept.folder);
            let _ = fs::remove_file(kept.content());
            Ok(kept.set(|record| {
                record.state = State::Failed;
                record.error = Some(refused);
            })?)
        });
        if let Err(error) = noted.await {
            tracing::warn!(dataset.id = coming.id, %error, "why a data set failed cannot be noted");
        }
    }

    /// Finds what an earlier server left. This comes before the first request: whoever goes on with
    /// an upload must find it, and nobody may begin another of its name.
    pub fn recover(&self) {
        let entries = fs::read_dir(self.incoming_folder()).into_iter().flatten().flatten();
        let mut all = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            match Coming::found(&entry.path()) {
                Some(coming) => drop(all.insert(coming.id.clone(), Arc::new(coming))),
                // Half-begun, or half-deleted.
                None => drop(fs::remove_dir_all(entry.path())),
            }
        }
    }

    /// Goes on with what was found, and then removes what nobody goes on with.
    pub async fn go_on(self) {
        for coming in self.all_coming() {
            if matches!(coming.now().state, State::Waiting | State::Preparing | State::Fetching) {
                self.start(&coming);
            }
        }
        loop {
            self.remove_old().await;
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    fn all_coming(&self) -> Vec<Arc<Coming>> {
        let coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        coming.values().map(Arc::clone).collect()
    }

    async fn remove_old(&self) {
        for coming in self.all_coming() {
            let waits = matches!(coming.now().state, State::Receiving | State::Failed);
            let touched = fs::metadata(&coming.folder).and_then(|folder| folder.modified());
            let age = touched.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
            if waits && age.is_some_and(|age| age > KEPT) && coming.writing.try_lock().is_ok() {
                tracing::info!(
                    dataset.id = coming.id,
                    "an upload that nobody went on with is removed"
                );
                self.forget(&coming).await;
            }
        }
    }
}

/// A new folder for one attempt, with one for what is needed in between. Each attempt has its own:
/// the process of an earlier one may still be about to end.
fn begin_attempt(folder: &Path) -> io::Result<PathBuf> {
    remove_attempts(folder);
    let place = tempfile::Builder::new().prefix(ATTEMPT).tempdir_in(folder)?.keep();
    fs::create_dir(place.join(SCRATCH))?;
    Ok(place)
}

/// Removes what earlier attempts left; what cannot be removed yet goes with the folder.
fn remove_attempts(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(ATTEMPT.as_bytes()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A fault of this machine.
#[expect(clippy::needless_pass_by_value, reason = "a step of map_err")]
fn broken(error: ServiceError) -> Refused {
    tracing::error!(error = &error as &dyn std::error::Error, "a data set was not prepared");
    let message = format!("the data sets' folder cannot be written: {error}");
    Refused { code: "no_space".to_owned(), message }
}
