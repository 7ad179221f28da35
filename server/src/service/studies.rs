//! Studies: methods compared on one space by a table of true accuracies.
//!
//! A study is a folder below `DATA/studies`. It is written whole, with the ids of its runs, before
//! the first run is created; a task then creates them one by one through the ordinary queue, and
//! goes on after a restart. What a study has found is read from its runs' folders on demand.

mod admit;
mod csv;
mod evidence;
#[cfg(test)]
mod examples;
mod report;
mod store;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use skein_core::record::Outcome;
use skein_core::study::StudySpec;
use skein_core::study::report::Report;

use self::report::{Cache, RunNow};
use self::store::{Request, StudyRecord, StudyRun};
use super::create::hex;
use super::runs::Runs;
use super::{ServiceError, blocking};
use crate::domain::clock;
use crate::domain::ids::{RunId, StudyId};
use crate::domain::run::RunStatus;
use crate::views::studies::{StudyDetail, StudyProgress, StudyView};

/// Runs that could not be created are tried again after this time.
const AGAIN: Duration = Duration::from_secs(30);

/// The studies of this server; cheap to clone.
#[derive(Clone)]
pub struct Studies(Arc<Inner>);

struct Inner {
    runs: Runs,
    list: RwLock<BTreeMap<StudyId, Arc<Study>>>,
    /// One creation at a time, so that a repeated request finds the first one's answer.
    creating: tokio::sync::Mutex<()>,
}

/// One study in memory.
struct Study {
    id: StudyId,
    folder: PathBuf,
    record: Mutex<StudyRecord>,
    /// Why runs could not be created when it was last tried.
    problem: Mutex<Option<String>>,
    /// What was read of its runs; held while a report is computed.
    cache: Mutex<Cache>,
    /// Held while a run is created, so that a cancelled study gets no more of them.
    creating: tokio::sync::Mutex<()>,
}

/// A created study, or the one that the same request created before.
#[derive(Debug)]
pub struct CreatedStudy {
    /// The study.
    pub study: StudyView,
    /// Whether it was created by an earlier request with the same key.
    pub replayed: bool,
}

impl Studies {
    /// Loads every study; [`Studies::go_on`] creates the runs that are missing.
    ///
    /// # Errors
    /// - the folder cannot be read; a damaged study is only skipped.
    pub fn load(runs: Runs) -> Result<Self, ServiceError> {
        let mut list = BTreeMap::new();
        for found in std::fs::read_dir(runs.folder.studies())? {
            let path = found?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(id) = name.and_then(StudyId::parse) else { continue };
            match store::read(&path) {
                Ok(record) => {
                    list.insert(id, Arc::new(Study::new(id, path, record)));
                }
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "the study cannot be read; skipped");
                }
            }
        }
        let creating = tokio::sync::Mutex::new(());
        Ok(Self(Arc::new(Inner { runs, list: RwLock::new(list), creating })))
    }

    /// Goes on with what an earlier server did not complete.
    pub fn go_on(&self) {
        for study in self.all().into_iter().filter(|study| study.record().pending) {
            self.0.runs.tracker.spawn(self.clone().complete(study));
        }
    }

    /// Checks a study whole and stores it; its runs are queued from then on.
    ///
    /// # Errors
    /// - [`ServiceError::Invalid`] with every violation; [`ServiceError::NoSpace`];
    ///   [`ServiceError::KeyReused`].
    pub async fn create(
        &self,
        value: Value,
        key: Option<String>,
    ) -> Result<CreatedStudy, ServiceError> {
        let _turn = self.0.creating.lock().await;
        let body = hex(&Sha256::digest(value.to_string()));
        let request = key.map(|key| Request { key, body });
        if let Some(study) = self.answer(request.as_ref())? {
            return Ok(CreatedStudy { study: self.view(&study), replayed: true });
        }
        let runs = self.0.runs.clone();
        let study = blocking(move || write(&runs, &value, request)).await?;
        let study = Arc::new(study);
        let mut list = self.0.list.write().unwrap_or_else(PoisonError::into_inner);
        list.insert(study.id, Arc::clone(&study));
        drop(list);
        self.0.runs.tracker.spawn(self.clone().complete(Arc::clone(&study)));
        Ok(CreatedStudy { study: self.view(&study), replayed: false })
    }

    /// All studies, newest first.
    #[must_use]
    pub fn list(&self) -> Vec<StudyView> {
        self.all().iter().rev().map(|study| self.view(study)).collect()
    }

    /// A study with what it has found, by a column of its table.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`]; [`ServiceError::Invalid`] if there is no such column.
    pub async fn get(
        &self,
        id: StudyId,
        column: Option<String>,
    ) -> Result<StudyDetail, ServiceError> {
        let (studies, study) = (self.clone(), self.find(id)?);
        blocking(move || {
            let report = studies.report(&study, column.as_deref())?;
            let spec = serde_json::to_value(&study.record().spec).unwrap_or_default();
            Ok(StudyDetail { study: studies.view(&study), spec, report })
        })
        .await
    }

    /// The same as comma-separated text, one line a run.
    ///
    /// # Errors
    /// - like [`Studies::get`].
    pub async fn csv(&self, id: StudyId, column: Option<String>) -> Result<String, ServiceError> {
        Ok(csv::write(&self.get(id, column).await?.report))
    }

    /// Ends all runs of a study that have not ended; no more are created.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`], or it cannot be stored.
    pub async fn cancel(&self, id: StudyId) -> Result<StudyView, ServiceError> {
        let study = self.find(id)?;
        {
            let _turn = study.creating.lock().await;
            study.stop(|record| store::save(&study.folder, record))?;
        }
        let ids: Vec<RunId> = study.record().runs.iter().map(|run| run.run).collect();
        // The last first, or the queue would start what is cancelled next.
        for run in ids.into_iter().rev() {
            match self.0.runs.cancel(run).await {
                // It has ended, or is there no more.
                Ok(_) | Err(ServiceError::Conflict(_) | ServiceError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.view(&study))
    }

    /// Forgets a study; its runs stay.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`], or its folder cannot be removed.
    pub async fn delete(&self, id: StudyId) -> Result<(), ServiceError> {
        let (studies, study) = (self.clone(), self.find(id)?);
        let _turn = study.creating.lock().await;
        let gone = Arc::clone(&study);
        blocking(move || {
            let doomed = studies.0.runs.folder.tmp().join(format!("deleted-{id}"));
            std::fs::rename(&gone.folder, &doomed)?;
            gone.stop(|_| Ok(()))?;
            let mut list = studies.0.list.write().unwrap_or_else(PoisonError::into_inner);
            list.remove(&id);
            drop(list);
            Ok(std::fs::remove_dir_all(&doomed)?)
        })
        .await
    }

    fn all(&self) -> Vec<Arc<Study>> {
        let list = self.0.list.read().unwrap_or_else(PoisonError::into_inner);
        list.values().map(Arc::clone).collect()
    }

    fn find(&self, id: StudyId) -> Result<Arc<Study>, ServiceError> {
        let list = self.0.list.read().unwrap_or_else(PoisonError::into_inner);
        let found = list.get(&id).map(Arc::clone);
        found.ok_or_else(|| ServiceError::NotFound { what: format!("study `{id}`") })
    }

    fn answer(&self, request: Option<&Request>) -> Result<Option<Arc<Study>>, ServiceError> {
        let Some(request) = request else { return Ok(None) };
        let same_key = |study: &Arc<Study>| {
            study.record().request.as_ref().is_some_and(|known| known.key == request.key)
        };
        let Some(study) = self.all().into_iter().find(same_key) else { return Ok(None) };
        if study.record().request.as_ref() != Some(request) {
            return Err(ServiceError::KeyReused);
        }
        Ok(Some(study))
    }

    /// Creates the runs that are missing, however often it takes.
    async fn complete(self, study: Arc<Study>) {
        let shutdown = self.0.runs.shutdown.clone();
        while let Err(error) = self.create_missing(&study).await {
            tracing::warn!(study.id = %study.id, %error, "a run of a study cannot be created");
            study.set_problem(Some(said(&error)));
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
        study.set_problem(None);
    }

    async fn create_missing(&self, study: &Study) -> Result<(), ServiceError> {
        let StudyRecord { spec, runs, .. } = study.record().clone();
        for StudyRun { method, budget, seed, run } in runs {
            let _turn = study.creating.lock().await;
            if self.0.runs.shutdown.is_cancelled() || !study.record().pending {
                return Ok(());
            }
            self.0.runs.create_as(run, spec.planned(method, budget, seed).spec).await?;
        }
        let _turn = study.creating.lock().await;
        study.stop(|record| store::save(&study.folder, record))
    }

    fn report(&self, study: &Study, column: Option<&str>) -> Result<Report, ServiceError> {
        let record = study.record().clone();
        let text = store::table(&study.folder)?;
        let mut cache = study.cache.lock().unwrap_or_else(PoisonError::into_inner);
        report::compute(&record, &text, column, &mut cache, |id| self.run_now(id))
    }

    fn run_now(&self, id: RunId) -> Option<RunNow> {
        let entry = self.0.runs.entry(id).ok()?;
        let state = entry.state();
        Some(RunNow {
            status: state.record.status.to_string(),
            folder: entry.folder.clone(),
            attempt: state.record.attempt,
            last_event: state.digest.last_id,
            summary: match &state.outcome {
                Some(Outcome::Succeeded { summary }) => Some(summary.clone()),
                _ => None,
            },
        })
    }

    fn view(&self, study: &Study) -> StudyView {
        let record = study.record();
        let text = |path: &str| {
            let value = path.split('.').try_fold(None, |at: Option<&Value>, part| {
                Some(Some(at.map_or_else(|| record.spec.run.get(part), |at| at.get(part))?))
            });
            value.flatten().and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let problem = study.problem.lock().unwrap_or_else(PoisonError::into_inner).clone();
        StudyView {
            id: study.id.to_string(),
            name: record.spec.name.clone(),
            created_at: clock::text(study.id.created_at()),
            space: record.preset.clone(),
            dataset: text("dataset.id"),
            table: text("benchmark.table"),
            methods: record.spec.methods.iter().map(|one| one.name.clone()).collect(),
            budgets: record.spec.budgets.iter().map(|one| one.name.clone()).collect(),
            seeds: record.spec.seeds.clone(),
            progress: self.progress(&record),
            problem,
        }
    }

    fn progress(&self, record: &StudyRecord) -> StudyProgress {
        let mut progress = StudyProgress { runs: record.runs.len(), ..StudyProgress::default() };
        for run in &record.runs {
            let status = self.0.runs.entry(run.run).map(|entry| entry.status());
            let counted = match status {
                Ok(RunStatus::Succeeded) => &mut progress.succeeded,
                Ok(RunStatus::Failed) => &mut progress.failed,
                Ok(RunStatus::Cancelled) => &mut progress.cancelled,
                Ok(RunStatus::Queued) => &mut progress.queued,
                Ok(_) => &mut progress.working,
                Err(_) if record.pending => &mut progress.planned,
                Err(_) => &mut progress.gone,
            };
            *counted += 1;
        }
        progress
    }
}

impl Study {
    fn new(id: StudyId, folder: PathBuf, record: StudyRecord) -> Self {
        Self {
            id,
            folder,
            record: Mutex::new(record),
            problem: Mutex::default(),
            cache: Mutex::default(),
            creating: tokio::sync::Mutex::new(()),
        }
    }

    /// What is stored of it; held for a moment only.
    fn record(&self) -> MutexGuard<'_, StudyRecord> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that no more runs are to be created.
    fn stop(
        &self,
        save: impl FnOnce(&StudyRecord) -> std::io::Result<()>,
    ) -> Result<(), ServiceError> {
        let mut record = self.record().clone();
        record.pending = false;
        save(&record)?;
        *self.record() = record;
        Ok(())
    }

    fn set_problem(&self, problem: Option<String>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }
}

/// Checks a study and writes its folder.
fn write(runs: &Runs, value: &Value, request: Option<Request>) -> Result<Study, ServiceError> {
    let spec = StudySpec::parse(value).map_err(ServiceError::Invalid)?;
    let common = admit::check(&spec, |spec| runs.check(spec))?;
    let planned = spec.runs().into_iter();
    let planned = planned.map(|run| StudyRun {
        method: run.method,
        budget: run.budget,
        seed: run.seed,
        run: RunId::new(),
    });
    let record = StudyRecord {
        version: store::VERSION,
        pending: true,
        request,
        runs: planned.collect(),
        spec,
        preset: common.preset,
        choices: common.choices,
        benchmark: common.benchmark,
    };
    let id = StudyId::new();
    let (made, place) = (runs.folder.tmp(), runs.folder.studies().join(id.to_string()));
    let written = store::create(&made.join(id.to_string()), &place, &record, &common.table);
    written.map_err(|error| {
        let root = runs.folder.root().display();
        ServiceError::NoSpace(format!("the data folder `{root}` cannot be written ({error})"))
    })?;
    Ok(Study::new(id, place, record))
}

/// An error with its violations, for people.
fn said(error: &ServiceError) -> String {
    let ServiceError::Invalid(violations) = error else { return error.to_string() };
    let each = violations.iter().map(|one| format!("{} {}", one.field, one.detail));
    each.collect::<Vec<_>>().join("; ")
}
