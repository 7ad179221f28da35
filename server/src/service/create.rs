//! Creating a run: checked whole, then written whole, or not at all.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use skein_core::choice::Architecture;
use skein_core::dataset::DataKind;
use skein_core::dataset::split::{Known, counts};
use skein_core::draw::{self, Scene};
use skein_core::event::Warning;
use skein_core::graph::{Graph, GraphError};
use skein_core::limits::{Limits, LimitsError};
use skein_core::spaces;
use skein_core::spec::{Remark, RunSpec, SpaceSpec, Tokens, Violation};
use skein_core::{dataset, folder};

use super::again::Trained;
use super::datasets::Datasets;
use super::entry::Entry;
use super::runs::Runs;
use super::{ServiceError, benchmarks, blocking};
use crate::domain::ids::RunId;
use crate::storage::runs::RunRecord;
use crate::views::{Preflight, RunDetail};

/// A specification that can be run.
pub(super) struct Checked {
    pub(super) spec: RunSpec,
    remarks: Vec<Remark>,
    pub(super) graph: Graph,
    pub(super) with: Attached,
}

/// What a run takes along in its folder.
#[derive(Debug, Default)]
pub(super) struct Attached {
    /// The text of its benchmark.
    pub(super) benchmark: Option<String>,
    /// What another run trained and it uses.
    trained: Option<Trained>,
}

/// A created run, or the one that the same request created before.
#[derive(Debug)]
pub struct Created {
    /// The run.
    pub run: RunDetail,
    /// Whether it was created by an earlier request with the same key.
    pub replayed: bool,
}

impl Runs {
    /// Checks a specification and queues a run.
    ///
    /// # Errors
    /// - [`ServiceError::Invalid`] with every violation; [`ServiceError::NoSpace`] if the data
    ///   folder takes nothing more; [`ServiceError::KeyReused`].
    pub async fn create(&self, spec: Value, key: Option<String>) -> Result<Created, ServiceError> {
        let runs = self.clone();
        let _turn = self.creating.lock().await;
        blocking(move || {
            let body = hex(&Sha256::digest(spec.to_string()));
            if let Some(run) = runs.answer(key.as_deref(), &body)? {
                return Ok(Created { run, replayed: true });
            }
            let checked = runs.check(&spec)?;
            let id = RunId::new();
            if let Some(key) = &key {
                runs.db.note_answer(key, body, id)?;
            }
            let run = runs.write(id, checked)?;
            runs.wake.notify_one();
            Ok(Created { run, replayed: false })
        })
        .await
    }

    /// Queues a run under an id that it was given before. If it is there already, nothing happens.
    ///
    /// # Errors
    /// - like [`Runs::create`].
    pub(super) async fn create_as(&self, id: RunId, spec: Value) -> Result<(), ServiceError> {
        let runs = self.clone();
        let _turn = self.creating.lock().await;
        blocking(move || {
            if runs.entry(id).is_err() {
                let checked = runs.check(&spec)?;
                runs.write(id, checked)?;
                runs.wake.notify_one();
            }
            Ok(())
        })
        .await
    }

    /// Says what a specification would mean; creates nothing.
    ///
    /// # Errors
    /// - [`ServiceError::Invalid`] with every violation.
    pub async fn preflight(&self, spec: Value) -> Result<Preflight, ServiceError> {
        let runs = self.clone();
        blocking(move || {
            let Checked { spec, remarks, graph, .. } = runs.check(&spec)?;
            let given = given(&spec, &graph);
            let space = match &given {
                Some(given) => spaces::describe_one(&spec.space, &graph, given),
                None => spaces::describe(&spec.space, spec.shape()),
            };
            let space = space.map_err(|error| ServiceError::Invalid(vec![unbuilt(&error)]))?;
            let value = spec.to_value();
            let toml = toml::to_string_pretty(&without_null(value.clone())).unwrap_or_default();
            let scene = Scene { architecture: given.as_ref(), ..Scene::of(&graph) };
            let drawing = draw::svg(&scene);
            let steps = steps(&spec, &runs.datasets);
            let finalist_steps = finalist_steps(&spec, &runs.datasets);
            let warnings = remarks;
            Ok(Preflight { spec: value, space, steps, finalist_steps, warnings, toml, drawing })
        })
        .await
    }

    fn answer(&self, key: Option<&str>, body: &str) -> Result<Option<RunDetail>, ServiceError> {
        let Some(key) = key else { return Ok(None) };
        let Some(answered) = self.db.answered(key)? else { return Ok(None) };
        // A run that is not there was never finished or is deleted: the request is a new one.
        let Ok(entry) = self.entry(answered.run) else { return Ok(None) };
        if answered.body == body { Ok(Some(entry.detail())) } else { Err(ServiceError::KeyReused) }
    }

    /// Everything that is wrong at once: fields first, then what this machine lacks.
    pub(super) fn check(&self, value: &Value) -> Result<Checked, ServiceError> {
        let mut value = value.clone();
        let filled = self.datasets.fill_in(&mut value);
        filled.map_err(|violation| ServiceError::Invalid(vec![violation]))?;
        let (spec, remarks) = RunSpec::read(&value).map_err(ServiceError::Invalid)?;
        let mut violations = self.unfit(&spec.resources);
        let mut add = |field: &str, detail: String| {
            violations.push(Violation { field: field.to_owned(), detail });
        };
        // What is no known data set was filled in, and is therefore here.
        if let Some(known) = dataset::find(&spec.dataset.id)
            && let Some(detail) = self.datasets.problem(known)
        {
            add("dataset.id", detail);
        }
        let mut with = Attached::default();
        match self.trained(&spec) {
            Ok(trained) => with.trained = trained,
            Err(unlike) => violations.extend(unlike),
        }
        let graph = match spaces::build(&spec.space, spec.shape(), spec.search.weights) {
            Ok(graph) => graph,
            Err(error) => {
                violations.push(unbuilt(&error));
                return Err(ServiceError::Invalid(violations));
            }
        };
        // What a language model costs hangs on the vocabulary, which the worker will know.
        if spec.space.data() == DataKind::Images {
            let limits = Limits::of(&graph, &spec.constraints);
            violations.extend(limits.map_err(LimitsError::violation).err());
        }
        let folder = benchmarks::folder(self.folder.root());
        match benchmarks::attached(&folder, &spec.benchmark, &graph) {
            Ok(found) => with.benchmark = found,
            Err(violation) => violations.push(violation),
        }
        if violations.is_empty() {
            Ok(Checked { spec, remarks, graph, with })
        } else {
            Err(ServiceError::Invalid(violations))
        }
    }

    fn write(&self, id: RunId, checked: Checked) -> Result<RunDetail, ServiceError> {
        let Checked { spec, remarks, with, .. } = checked;
        let refused = |error: std::io::Error| {
            let root = self.folder.root().display();
            ServiceError::NoSpace(format!("the data folder `{root}` cannot be written ({error})"))
        };
        self.check_free().map_err(refused)??;
        let made = self.folder.tmp().join(id.to_string());
        let place = self.folder.runs().join(id.to_string());
        let written = write_folder(&made, &spec, &with)
            .and_then(|()| fs::rename(&made, &place))
            .and_then(|()| File::open(self.folder.runs())?.sync_all());
        let mut record = RunRecord::queued(spec.name.clone(), self.next_place());
        record.warnings = remarks.into_iter().map(warning).collect();
        let stored = written.map_err(refused).and_then(|()| {
            self.db.put_run(id, &record).map_err(|error| ServiceError::NoSpace(error.to_string()))
        });
        if let Err(error) = stored {
            // Nothing half-created stays, as far as the disk lets us.
            let _ = fs::remove_dir_all(&made);
            let _ = fs::remove_dir_all(&place);
            return Err(error);
        }
        let entry = Arc::new(Entry::new(id, place, spec, record));
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.insert(id, Arc::clone(&entry));
        Ok(entry.detail())
    }

    fn check_free(&self) -> std::io::Result<Result<(), ServiceError>> {
        let free = free_bytes(self.folder.root())?;
        if free >= self.min_free_bytes {
            return Ok(Ok(()));
        }
        let mib = |bytes: u64| bytes / (1024 * 1024);
        Ok(Err(ServiceError::NoSpace(format!(
            "only {} MiB are free in the data folder `{}`, and a new run needs {} MiB; delete \
             runs, or move the folder to a larger disk",
            mib(free),
            self.folder.root().display(),
            mib(self.min_free_bytes)
        ))))
    }
}

/// The architecture that a specification gives, if it does.
fn given(spec: &RunSpec, graph: &Graph) -> Option<Architecture> {
    let text = spec.search.optimizer.given()?;
    Architecture::parse(text, spec.space.preset(), &graph.choices).ok()
}

/// A remark as a warning of the run.
fn warning(Remark { field, detail }: Remark) -> Warning {
    Warning { code: "specification".to_owned(), message: format!("`{field}`: {detail}") }
}

/// A space that cannot be built.
fn unbuilt(error: &GraphError) -> Violation {
    Violation { field: "space".to_owned(), detail: error.to_string() }
}

/// Bytes that we may still write below a folder.
///
/// # Errors
/// - the file system does not say.
pub fn free_bytes(folder: &Path) -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

fn write_folder(path: &Path, spec: &RunSpec, with: &Attached) -> std::io::Result<()> {
    fs::create_dir(path)?;
    let put = |name: &str, content: &[u8]| {
        let mut file = File::create(path.join(name))?;
        file.write_all(content)?;
        file.sync_all()
    };
    put(folder::SPEC, &serde_json::to_vec_pretty(&spec.to_value())?)?;
    if let Some(benchmark) = &with.benchmark {
        put(folder::BENCHMARK, benchmark.as_bytes())?;
    }
    if let Some(trained) = &with.trained {
        trained.link(path)?;
    }
    fs::create_dir(folder::attempts(path))?;
    File::open(path)?.sync_all()
}

/// Bytes of a byte pair, of which a text's number of windows is guessed.
const BYTES_OF_A_PAIR: u64 = 3;

/// Steps of the search: batches of the weight split, times epochs. Of a text it is a guess.
#[must_use]
pub fn steps(spec: &RunSpec, datasets: &Datasets) -> u64 {
    let split = weight_examples(spec, datasets);
    split.div_ceil(spec.search.batch_size.max(1)).saturating_mul(spec.search.epochs)
}

/// Steps of all trainings of finalists, likewise.
fn finalist_steps(spec: &RunSpec, datasets: &Datasets) -> u64 {
    spec.after.finalists.steps(weight_examples(spec, datasets), spec.after.batch_size)
}

/// Examples that train weights in the search.
fn weight_examples(spec: &RunSpec, datasets: &Datasets) -> u64 {
    let known = match &spec.space {
        SpaceSpec::Language(options) | SpaceSpec::LanguageChar(options) => {
            let bytes = datasets.text_bytes(&spec.dataset.id);
            let pairs = spec.dataset.tokens == Some(Tokens::Bpe);
            let tokens = if pairs { bytes / BYTES_OF_A_PAIR } else { bytes };
            tokens / options.context.unsigned_abs().max(1)
        }
        _ => {
            let known = dataset::find(&spec.dataset.id).map(|known| known.train_images);
            known.or(spec.dataset.images).unwrap_or(0)
        }
    };
    let classes = spec.shape().classes.unsigned_abs();
    let valid = spec.dataset.valid.unwrap_or(0);
    let known = Known { images: known, valid, classes };
    counts(&spec.dataset, spec.search.train_portion, known).weights
}

/// TOML has no word for an absent value.
fn without_null(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let kept = object.into_iter().filter(|(_, value)| !value.is_null());
            kept.map(|(key, value)| (key, without_null(value))).collect()
        }
        value => value,
    }
}

/// Bytes as lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
