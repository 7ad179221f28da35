//! Data sets as lists and pages show them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use serde_json::{Value, json};
use skein_core::dataset::facts::OwnSet;
use skein_core::dataset::report::Report;
use skein_core::dataset::{self, DataKind, Dataset, Files};

use super::{Datasets, no_such, own};
use crate::service::{ServiceError, blocking};
use crate::views::{DatasetView, IncomingView, VersionView};

impl Datasets {
    /// All data sets: those that are known by name, then people's own.
    ///
    /// # Errors
    /// - [`ServiceError::Task`].
    pub async fn list(&self) -> Result<Vec<DatasetView>, ServiceError> {
        let datasets = self.clone();
        blocking(move || {
            let known = dataset::DATASETS.iter().map(|known| datasets.known(known));
            let coming = datasets.coming.lock().unwrap_or_else(PoisonError::into_inner);
            let mut ids: BTreeSet<String> = coming.keys().cloned().collect();
            drop(coming);
            ids.extend(own::all(&datasets.folder).into_iter().map(|(id, _)| id));
            let own = ids.iter().filter_map(|id| datasets.own(id));
            Ok(known.chain(own).collect())
        })
        .await
    }

    /// Names for people of the data sets that they brought, by id.
    ///
    /// # Errors
    /// - [`ServiceError::Task`].
    pub async fn names(&self) -> Result<BTreeMap<String, String>, ServiceError> {
        let datasets = self.clone();
        blocking(move || {
            let own = own::all(&datasets.folder).into_iter();
            Ok(own.map(|(id, set)| (id, set.title)).collect())
        })
        .await
    }

    /// The data sets that people brought and that runs can use now.
    ///
    /// # Errors
    /// - [`ServiceError::Task`].
    pub async fn usable(&self) -> Result<Vec<Dataset>, ServiceError> {
        let datasets = self.clone();
        blocking(move || {
            let own = own::all(&datasets.folder).into_iter();
            Ok(own.filter_map(|(id, _)| datasets.find(&id)).collect())
        })
        .await
    }

    /// One data set.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`].
    pub async fn show(&self, id: &str) -> Result<DatasetView, ServiceError> {
        let (datasets, id) = (self.clone(), id.to_owned());
        blocking(move || {
            let found = match dataset::find(&id) {
                Some(known) => Some(datasets.known(known)),
                None => datasets.own(&id),
            };
            found.ok_or_else(|| no_such(&id))
        })
        .await
    }

    /// What the doctor found in a version; in the newest unless one is named.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`].
    pub async fn report(&self, id: &str, version: Option<String>) -> Result<Report, ServiceError> {
        let (datasets, id) = (self.clone(), id.to_owned());
        blocking(move || {
            let name = datasets.version(&id, version)?;
            own::report(&datasets.folder, &id, &name)
                .map_err(|_| ServiceError::NotFound { what: format!("report on `{id}`") })
        })
        .await
    }

    /// A specification on a data set, with what its report suggests for it.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`] if it cannot be used now.
    pub async fn suggested(&self, id: &str) -> Result<Value, ServiceError> {
        let set = self.find(id).ok_or_else(|| no_such(id))?;
        let preset = match set.kind {
            DataKind::Images => "toy-cell",
            DataKind::Text => "language-char",
        };
        let mut spec = json!({"dataset": {"id": id}, "space": {"preset": preset}});
        if set.kind == DataKind::Images && set.files == Files::Prepared {
            let given = own::facts(&self.folder, id, &set.version)?.valid > 0;
            spec["dataset"]["split"] = if given { "given" } else { "stratified" }.into();
        }
        let report = self.report(id, None).await.ok();
        let suggestion = report.and_then(|report| report.suggestion);
        for setting in suggestion.map(|found| found.augmentation).unwrap_or_default() {
            if let Some((section, field)) = setting.field.split_once('.') {
                spec[section][field] = setting.value;
            }
        }
        Ok(spec)
    }

    /// A version that there is; the newest unless one is named.
    pub(super) fn version(&self, id: &str, asked: Option<String>) -> Result<String, ServiceError> {
        let set = own::read(&self.folder, id).ok_or_else(|| no_such(id))?;
        let mut versions = set.versions.into_iter().map(|known| known.version);
        let found = match &asked {
            Some(asked) => versions.find(|known| known == asked),
            None => versions.next_back(),
        };
        let what = || format!("version `{}` of `{id}`", asked.unwrap_or_default());
        found.ok_or_else(|| ServiceError::NotFound { what: what() })
    }

    fn known(&self, known: &Dataset) -> DatasetView {
        let problem = self.problem(known);
        let place = self.folder.join(&known.id);
        let state = if problem.is_none() { "ready" } else { "absent" };
        let coming = self.coming(&known.id);
        let incoming = coming.map(|coming| IncomingView::of(&known.id, &coming.now()));
        let view = of(known, state, problem);
        DatasetView { bytes: own::bytes(&place), own: false, incoming, ..view }
    }

    fn own(&self, id: &str) -> Option<DatasetView> {
        let coming = self.coming(id).map(|coming| coming.now());
        let incoming = coming.as_ref().map(|record| IncomingView::of(id, record));
        let set = own::read(&self.folder, id);
        let Some(set) = set.filter(|set| !set.versions.is_empty()) else {
            let (incoming, record) = (incoming?, coming?);
            return Some(DatasetView {
                problem: incoming.error.as_ref().map(|error| error.message.clone()),
                created_at: Some(record.created_at),
                ..blank(id, &record.title, incoming)
            });
        };
        let OwnSet { title, created_at, versions, .. } = set;
        let newest = versions.last()?.version.clone();
        let mut view = match own::facts(&self.folder, id, &newest) {
            Ok(facts) => DatasetView {
                valid_images: facts.valid,
                train_images: facts.train,
                test_images: facts.test,
                held_out: Some(facts.held_out),
                digest: facts.digest.clone(),
                ..of(&facts.dataset(id, &title), "ready", None)
            },
            Err(error) => DatasetView {
                id: id.to_owned(),
                title,
                state: "absent".to_owned(),
                problem: Some(format!("its facts cannot be read: {error}")),
                ..empty()
            },
        };
        let versions = versions.into_iter().map(|known| VersionView {
            version: known.version,
            created_at: known.created_at,
            file_name: known.file_name,
            file_bytes: known.file_bytes,
            folder: known.folder,
        });
        view.versions = versions.collect();
        (view.own, view.incoming, view.created_at) = (true, incoming, Some(created_at));
        view.bytes = own::bytes(&self.folder.join(id));
        Some(view)
    }
}

fn of(dataset: &Dataset, state: &str, problem: Option<String>) -> DatasetView {
    DatasetView {
        id: dataset.id.clone(),
        title: dataset.title.clone(),
        state: state.to_owned(),
        present: problem.is_none(),
        problem,
        kind: Some(dataset.kind),
        shape: (dataset.kind == DataKind::Images).then_some(dataset.shape),
        classes: dataset.classes.clone(),
        train_images: dataset.train_images,
        test_images: dataset.test_images,
        mean: dataset.mean.clone(),
        std: dataset.std.clone(),
        version: dataset.version.clone(),
        how_to_get: dataset.how_to_get.clone(),
        ..empty()
    }
}

fn blank(id: &str, title: &str, incoming: IncomingView) -> DatasetView {
    DatasetView {
        id: id.to_owned(),
        title: title.to_owned(),
        own: true,
        state: incoming.state.clone(),
        incoming: Some(incoming),
        ..empty()
    }
}

fn empty() -> DatasetView {
    DatasetView {
        id: String::new(),
        title: String::new(),
        own: false,
        state: String::new(),
        present: false,
        problem: None,
        kind: None,
        shape: None,
        classes: vec![],
        train_images: 0,
        valid_images: 0,
        test_images: 0,
        held_out: None,
        mean: vec![],
        std: vec![],
        version: String::new(),
        digest: String::new(),
        versions: vec![],
        bytes: 0,
        created_at: None,
        how_to_get: String::new(),
        incoming: None,
        runs: 0,
    }
}
