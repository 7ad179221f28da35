//! A run folder, a small data set and a worker process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skein_core::event::{Event, EventBody, MACHINE};
use skein_core::spec::RunSpec;
use skein_core::{dataset, folder};
use skein_engine::data::Data;
use skein_engine::device::Compute;
use skein_engine::search::run::Search;
use tempfile::TempDir;

/// How long a worker may take for anything here.
const PATIENCE: Duration = Duration::from_secs(120);

/// A run in a folder of its own.
pub(crate) struct Run {
    home: TempDir,
}

/// Merges `patch` into `target`.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

/// A specification that takes a second or two.
pub(crate) fn small(patch: &Value) -> Value {
    let mut spec = json!({
        "seed": 5,
        "dataset": {"id": "fashion-mnist", "limit": 192},
        "space": {"preset": "toy-cell", "channels": 8},
        "search": {"optimizer": {"kind": "drnas"}, "epochs": 2, "batch_size": 16, "valid_limit": 64},
        "after": {"from_scratch": {"epochs": 1}, "limit": 96, "batch_size": 16, "recalibrate_images": 64},
        "resources": {"device": "cpu", "threads": 1, "checkpoint_every": 2}
    });
    merge(&mut spec, patch);
    // Another space has no use for the toy cell's channels.
    spec["space"].as_object_mut().unwrap().retain(|_, value| !value.is_null());
    spec
}

/// Images whose class is the place of a bright stripe, as the four idx files of FashionMNIST.
pub(crate) fn write_dataset(datasets: &Path, train: u32, test: u32) {
    let folder = datasets.join("fashion-mnist");
    fs::create_dir_all(&folder).unwrap();
    for (prefix, count) in [("train", train), ("t10k", test)] {
        let mut images: Vec<u8> =
            [0x0803, count, 28, 28].iter().flat_map(|n: &u32| n.to_be_bytes()).collect();
        let mut labels: Vec<u8> =
            [0x0801, count].iter().flat_map(|n: &u32| n.to_be_bytes()).collect();
        for index in 0..count {
            let class = index * 7 % 10;
            labels.push(u8::try_from(class).unwrap());
            for pixel in 0..784_u32 {
                let stripe = pixel / 28 / 3 == class || pixel % 28 / 3 == class;
                let noise =
                    index.wrapping_mul(2_654_435_761).wrapping_add(pixel * 40_503) >> 13 & 63;
                images.push(u8::try_from(if stripe { 160 + noise } else { noise }).unwrap());
            }
        }
        fs::write(folder.join(format!("{prefix}-images-idx3-ubyte")), images).unwrap();
        fs::write(folder.join(format!("{prefix}-labels-idx1-ubyte")), labels).unwrap();
    }
}

/// A search in this process on a hundred and twenty-eight images, which lie in the folder.
pub(crate) fn search(patch: &Value) -> (Search, Data, TempDir) {
    let home = tempfile::tempdir().unwrap();
    write_dataset(home.path(), 128, 32);
    let mut spec = small(patch);
    spec["dataset"]["limit"] = json!(128);
    let spec = RunSpec::parse(&spec).unwrap();
    let set = dataset::find("fashion-mnist").unwrap();
    let compute = Compute::choose("cpu", spec.resources.precision).unwrap();
    let data = Data::read(&home.path().join("fashion-mnist"), set, compute).unwrap();
    (Search::new(&spec, set.shape, data.train.count(), compute).unwrap(), data, home)
}

impl Run {
    pub(crate) fn new(patch: &Value) -> Self {
        let home = tempfile::tempdir().unwrap();
        write_dataset(&home.path().join("datasets"), 200, 100);
        fs::create_dir(home.path().join("run")).unwrap();
        let run = Self { home };
        fs::write(run.folder().join(folder::SPEC), small(patch).to_string()).unwrap();
        run
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.home.path().join("run")
    }

    pub(crate) fn datasets(&self) -> PathBuf {
        self.home.path().join("datasets")
    }

    pub(crate) fn attempt(&self, attempt: u32) -> PathBuf {
        folder::attempt(&self.folder(), attempt)
    }

    pub(crate) fn start(&self, attempt: u32) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skein-worker"));
        command
            .arg("run")
            .arg("--run")
            .arg(self.folder())
            .args(["--attempt", &attempt.to_string()]);
        command
            .arg("--datasets")
            .arg(self.datasets())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .env_remove("GOMP_SPINCOUNT");
        command.spawn().unwrap()
    }

    /// Runs an attempt to its end.
    pub(crate) fn finish(&self, attempt: u32) -> ExitStatus {
        wait(&mut self.start(attempt))
    }

    pub(crate) fn events(&self, attempt: u32) -> Vec<Event> {
        let text =
            fs::read_to_string(self.attempt(attempt).join(folder::EVENTS)).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What the attempt said.
    pub(crate) fn said(&self, attempt: u32) -> Vec<EventBody> {
        self.events(attempt).into_iter().map(|event| event.body).collect()
    }

    /// The final record, if there is one.
    pub(crate) fn record(&self) -> Option<Value> {
        let text = fs::read_to_string(self.folder().join(folder::FINAL)).ok()?;
        Some(serde_json::from_str(&text).unwrap())
    }

    /// The lines of `metrics.csv` that equal runs share: none of the machine, and without the
    /// column that names the attempt.
    pub(crate) fn computed(&self, attempt: u32) -> Vec<String> {
        let csv = String::from_utf8(self.artifact(attempt, "metrics.csv")).unwrap();
        let of_machine =
            |line: &str| line.split(',').nth(3).is_some_and(|name| MACHINE.contains(&name));
        let lines = csv.lines().filter(|line| !of_machine(line));
        lines.map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect()
    }

    pub(crate) fn artifact(&self, attempt: u32, name: &str) -> Vec<u8> {
        fs::read(self.attempt(attempt).join(folder::ARTIFACTS).join(name)).unwrap()
    }

    /// The newest checkpoint of an attempt, or, if it needed none of its own, of the ones before.
    pub(crate) fn checkpoint(&self, attempt: u32) -> PathBuf {
        let all = (1..=attempt).flat_map(|attempt| {
            fs::read_dir(self.attempt(attempt).join(folder::CHECKPOINTS)).unwrap().flatten()
        });
        let steps = all.filter_map(|entry| {
            Some((folder::checkpoint_step(entry.file_name().to_str()?)?, entry.path()))
        });
        steps.max_by_key(|(step, _)| *step).unwrap().1
    }

    /// Waits until the attempt has said so many events of a kind, or has ended.
    pub(crate) fn wait_for(&self, attempt: u32, kind: &str, count: usize, child: &mut Child) {
        let begun = Instant::now();
        while self.events(attempt).iter().filter(|event| event.body.kind() == kind).count() < count
        {
            assert!(begun.elapsed() < PATIENCE, "no {count} events of kind {kind}");
            if child.try_wait().unwrap().is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

/// Kills each attempt at a point, given as kind and number of events, then lets one finish.
pub(crate) fn killed_when(run: &Run, deaths: &[(&str, usize)]) -> u32 {
    for ((kind, count), attempt) in deaths.iter().zip(1..) {
        let mut child = run.start(attempt);
        run.wait_for(attempt, kind, *count, &mut child);
        let _ = child.kill();
        wait(&mut child);
        assert!(run.record().is_none(), "attempt {attempt} was too fast to be killed");
    }
    let last = u32::try_from(deaths.len()).unwrap() + 1;
    assert!(run.finish(last).success());
    last
}

/// Waits for a worker's end.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("the worker did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Codes of the warnings among some events.
pub(crate) fn warnings(events: &[Event]) -> Vec<String> {
    let codes = events.iter().filter_map(|event| match &event.body {
        EventBody::Warning(warning) => Some(warning.code.clone()),
        _ => None,
    });
    codes.collect()
}
