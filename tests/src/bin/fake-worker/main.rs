//! A worker that computes nothing: it says and writes what a real one would, at a chosen pace.
//!
//! The name of the run holds its instructions, separated by spaces:
//! `steps=N` (20), `pace=MS` milliseconds a step (5), `crash@N` kills itself after step N of the
//! first attempt, `crash-always@N` after step N more of every attempt, `fail@N` fails there,
//! `nan@N` has non-finite numbers there, `deaf` ignores SIGTERM, `child` starts a process of its
//! own, `instead` leaves without a word, `late` writes its final record after SIGTERM, `wander`
//! tells another architecture every epoch, `seeded` one that its seed decides, `level@N` keeps the validation accuracy from step N on,
//! `lines=N` writes so many lines of log at first, `generations=N` compares candidates after the search, `astray` finds what no epoch told.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::zombie_processes,
    reason = "a test's tool"
)]

mod package;
mod predict;
mod samples;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use skein_core::choice::Architecture;
use skein_core::event::{
    ArchitectureNow, Checkpoint, Event, EventBody, Failure, FailureClass, Front, FrontPoint, Log,
    Metrics, Phase, PhaseName, Progress, Rows, Rung, Started, Summary, Warning,
};
use skein_core::folder;
use skein_core::graph::Graph;
use skein_core::number::Num;
use skein_core::record::{FORMAT_VERSION, FinalRecord, Outcome};
use skein_core::spaces;
use skein_core::spec::{RunSpec, SecondStageSpec};
use skein_disk::lock::Lock;
use skein_disk::once::create_once;

/// Steps of an epoch.
const EPOCH: u64 = 5;
/// Steps between two checkpoints.
const CHECKPOINT: u64 = 4;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("devices") => {
            let ids = std::env::var("FAKE_DEVICES").unwrap_or_else(|_| "cpu".to_owned());
            let device = |id: &str| serde_json::json!({"id": id, "title": format!("fake {id}"), "memory_bytes": 1 << 30});
            let list: Vec<_> = ids.split(',').map(device).collect();
            let _ = writeln!(std::io::stdout(), "{}", serde_json::json!(list));
            ExitCode::SUCCESS
        }
        Some("run") => run(&args),
        Some("predict") => predict::run(&args),
        Some("samples") => samples::run(&args),
        _ => ExitCode::from(2),
    }
}

fn run(args: &[String]) -> ExitCode {
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1).cloned()
    };
    let (Some(run), Some(attempt)) = (value("--run"), value("--attempt")) else {
        return ExitCode::from(2);
    };
    let (run, attempt) = (PathBuf::from(run), attempt.parse().expect("attempt"));
    let spec = fs::read(run.join(folder::SPEC)).expect("spec.json");
    let spec: RunSpec = serde_json::from_slice(&spec).expect("spec.json");
    if spec.name.contains("instead") {
        return ExitCode::from(9);
    }
    fs::create_dir_all(folder::attempts(&run)).expect("attempts");
    let here = folder::attempt(&run, attempt);
    if fs::create_dir(&here).is_err() {
        return ExitCode::from(3);
    }
    let lock = Lock::take(&here.join(folder::LOCK), || {}).expect("lock");
    let device = value("--device").unwrap_or_else(|| spec.resources.device.clone());
    let worker = Worker::new(run, here, attempt, spec, &device);
    let code = worker.work();
    drop(lock);
    code
}

struct Worker {
    run: PathBuf,
    here: PathBuf,
    attempt: u32,
    spec: RunSpec,
    graph: Graph,
    device: String,
    events: File,
    seq: u64,
    stop: Arc<AtomicBool>,
}

impl Worker {
    fn new(run: PathBuf, here: PathBuf, attempt: u32, spec: RunSpec, device: &str) -> Self {
        fs::create_dir_all(here.join(folder::CHECKPOINTS)).expect("checkpoints");
        fs::write(here.join(folder::LOG), "fake worker begins\n").expect("log");
        let events = File::create(here.join(folder::EVENTS)).expect("events");
        let graph = spaces::build(&spec.space, spec.shape(), spec.search.weights).expect("space");
        let stop = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&stop))
            .expect("signal");
        let device = device.to_owned();
        Self { run, here, attempt, spec, graph, device, events, seq: 0, stop }
    }

    /// The number after `word` and `=` or `@` in the run's name.
    fn told(&self, word: &str) -> Option<u64> {
        self.spec.name.split(' ').find_map(|part| {
            let (name, value) = part.split_once(['=', '@'])?;
            (name == word).then(|| value.parse().ok())?
        })
    }

    fn is_told(&self, word: &str) -> bool {
        self.spec.name.split(' ').any(|part| part == word)
    }

    fn say(&mut self, body: EventBody) {
        self.seq += 1;
        let at = now();
        let event = Event { seq: self.seq, attempt: self.attempt, at, body };
        let line = serde_json::to_string(&event).expect("event") + "\n";
        self.events.write_all(line.as_bytes()).expect("event");
    }

    fn work(mut self) -> ExitCode {
        let total = self.told("steps").unwrap_or(20);
        let pace = Duration::from_millis(self.told("pace").unwrap_or(5));
        let from = self.newest_checkpoint();
        self.begin(from, total);
        if self.is_told("child") {
            let child = Command::new("sleep").arg("600").spawn().expect("sleep");
            fs::write(self.run.join("child"), child.id().to_string()).expect("child");
        }
        for step in from.unwrap_or(0) + 1..=total {
            std::thread::sleep(pace);
            if self.stop.load(Ordering::Relaxed) && !self.is_told("deaf") {
                self.checkpoint(step - 1);
                if self.is_told("late") {
                    return self.finish(total);
                }
                return ExitCode::SUCCESS;
            }
            self.step(step, total);
            let since = step - from.unwrap_or(0);
            if (self.attempt == 1 && self.told("crash") == Some(step))
                || self.told("crash-always") == Some(since)
            {
                // Torn, as a worker that is killed leaves it.
                self.events.write_all(b"{\"seq\":").expect("event");
                kill_process(getpid(), Signal::KILL).expect("kill");
            }
            if self.told("fail") == Some(step) {
                return self.fail();
            }
        }
        self.finish(total)
    }

    fn newest_checkpoint(&self) -> Option<u64> {
        let attempts = fs::read_dir(folder::attempts(&self.run)).ok()?;
        let folders = attempts.flatten().map(|entry| entry.path().join(folder::CHECKPOINTS));
        let names = folders.flat_map(|path| fs::read_dir(path).into_iter().flatten().flatten());
        names.filter_map(|entry| folder::checkpoint_step(entry.file_name().to_str()?)).max()
    }

    fn begin(&mut self, resumed_from: Option<u64>, total_steps: u64) {
        self.say(EventBody::Started(Started {
            version: "fake".to_owned(),
            pid: std::process::id(),
            host: "fake".to_owned(),
            device: self.device.clone(),
            threads: 1,
            resumed_from,
            total_steps,
        }));
        self.say(EventBody::Phase(Phase { name: PhaseName::Search, total_steps }));
        let message = format!("attempt {} begins", self.attempt);
        self.say(EventBody::Log(Log { level: "info".to_owned(), message }));
        for line in 0..self.told("lines").unwrap_or(0) {
            let message = format!("line {line}");
            self.say(EventBody::Log(Log { level: "info".to_owned(), message }));
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn step(&mut self, step: u64, total: u64) {
        let (epoch, share) = ((step - 1) / EPOCH, step as f64 / total as f64);
        let nan = self.told("nan") == Some(step);
        let loss = if nan { f64::NAN } else { 2.3 * (1.0 - share / 2.0) };
        let mut values: BTreeMap<String, Num> = [
            ("weight_loss".to_owned(), Num(loss)),
            ("arch_loss".to_owned(), Num(if nan { f64::INFINITY } else { loss })),
            ("weight_accuracy".to_owned(), Num(if nan { f64::NEG_INFINITY } else { share })),
        ]
        .into();
        if step.is_multiple_of(EPOCH) {
            let level =
                self.told("level").map_or(share, |level| share.min(level as f64 / total as f64));
            values.insert("valid_accuracy".to_owned(), Num(level * 0.9));
            values.insert("valid_loss".to_owned(), Num(loss));
        }
        self.say(EventBody::Metrics(Metrics { phase: PhaseName::Search, step, epoch, values }));
        let rows = self.graph.choices.iter().map(|choice| {
            let rest = (1.0 - share) / choice.options.len() as f64;
            let of = |option| Num(rest + if option == 0 { share } else { 0.0 });
            (0..choice.options.len()).map(of).collect()
        });
        let rows = rows.collect();
        self.say(EventBody::Rows(Rows { step, epoch, rows }));
        let now = self.architecture(step, epoch);
        self.say(EventBody::Architecture(now));
        let progress = Progress {
            phase: PhaseName::Search,
            step,
            total_steps: total,
            epoch,
            epochs: total.div_ceil(EPOCH),
            fraction: Num(share * 0.9),
            images_per_s: Num(1000.0),
            remaining_s: Some(Num((total - step) as f64 * 0.01)),
        };
        self.say(EventBody::Progress(progress));
        if step.is_multiple_of(CHECKPOINT) {
            self.checkpoint(step);
        }
        if step == 1 {
            let code = "fake".to_owned();
            let message = "nothing here is <b>real</b>".to_owned();
            self.say(EventBody::Warning(Warning { code, message }));
        }
    }

    fn architecture(&self, step: u64, epoch: u64) -> ArchitectureNow {
        let mut choices = vec![0; self.graph.choices.len()];
        if self.is_told("wander") {
            let count = choices.len();
            choices[usize::try_from(epoch).expect("epoch") % count] = 1;
        }
        if self.is_told("seeded") {
            let count = choices.len();
            choices[usize::try_from(self.spec.seed).expect("seed") % count] = 1;
        }
        self.architecture_of(step, epoch, choices)
    }

    fn architecture_of(&self, step: u64, epoch: u64, choices: Vec<usize>) -> ArchitectureNow {
        let architecture = Architecture(choices.clone());
        let text = architecture.to_text(self.spec.space.preset(), &self.graph.choices);
        let cost = self.graph.cost(&architecture).expect("cost");
        ArchitectureNow { step, epoch, choices, text, cost, true_accuracy: None, true_rank: None }
    }

    fn checkpoint(&mut self, step: u64) {
        let name = folder::checkpoint(step);
        fs::create_dir_all(self.here.join(folder::CHECKPOINTS).join(&name)).expect("checkpoint");
        self.say(EventBody::Checkpoint(Checkpoint { step, folder: name }));
    }

    fn fail(&mut self) -> ExitCode {
        let failure = Failure {
            class: FailureClass::User,
            message: "told to fail".to_owned(),
            hint: "tell it otherwise".to_owned(),
        };
        self.say(EventBody::Failed(failure.clone()));
        self.end(Outcome::Failed { failure });
        ExitCode::from(1)
    }

    /// Generations of four candidates; the best is found in the second.
    fn select(&mut self, total: u64) {
        for generation in 0..self.told("generations").unwrap_or(0) {
            let step = 4 * (generation + 1);
            let accuracy = if generation == 0 { 0.5 } else { 0.6 };
            let values = [("best_accuracy", accuracy), ("best_loss", 1.0 - accuracy)];
            let values = values.map(|(name, value)| (name.to_owned(), Num(value))).into();
            let phase = PhaseName::Select;
            self.say(EventBody::Metrics(Metrics { phase, step, epoch: generation, values }));
            let epoch = self.spec.search.epochs + generation;
            let now = self.architecture(total + step, epoch);
            self.say(EventBody::Architecture(now));
        }
    }

    fn finish(&mut self, total: u64) -> ExitCode {
        self.select(total);
        for (name, total_steps) in
            [(PhaseName::Inherit, 0), (PhaseName::Fit, 1), (PhaseName::Package, 0)]
        {
            self.say(EventBody::Phase(Phase { name, total_steps }));
        }
        let values = [("loss".to_owned(), Num(0.5))].into();
        self.say(EventBody::Metrics(Metrics { phase: PhaseName::Fit, step: 1, epoch: 0, values }));
        let mut now = self.architecture(total, (total - 1) / EPOCH);
        if self.is_told("astray") {
            let largest = self.graph.choices.iter().map(|choice| choice.options.len() - 1);
            now = self.architecture_of(total, 0, largest.collect());
        }
        let accuracy = Num(0.8123);
        self.front(&now, accuracy);
        let rung = Rung {
            weights: "inherited".to_owned(),
            valid_loss: Num(0.5),
            valid_accuracy: accuracy,
            test_loss: Num(f64::NAN),
            test_accuracy: accuracy,
            test_perplexity: None,
            test_bits_per_character: None,
        };
        let summary = Summary {
            architecture: now.text.clone(),
            choices: now.choices.clone(),
            cost: now.cost,
            latency_ms: None,
            ladder: vec![rung],
            packaged: "inherited".to_owned(),
            valid_accuracy: accuracy,
            test_accuracy: accuracy,
            duration_s: Num(1.5),
        };
        self.package(&now);
        self.say(EventBody::Finished(summary.clone()));
        self.end(Outcome::Succeeded { summary });
        ExitCode::SUCCESS
    }

    /// One trade-off, if any are asked for.
    fn front(&mut self, now: &ArchitectureNow, accuracy: Num) {
        let SecondStageSpec::Pareto { cost, .. } = self.spec.search.second_stage else { return };
        let (choices, text) = (now.choices.clone(), now.text.clone());
        let point = FrontPoint { choices, text, accuracy, loss: Num(0.5), cost: now.cost };
        self.say(EventBody::Front(Front { step: 9, generation: 2, cost, points: vec![point] }));
    }

    fn end(&self, outcome: Outcome) {
        let record =
            FinalRecord { version: FORMAT_VERSION, attempt: self.attempt, at: now(), outcome };
        let whole = self.here.join("final.tmp");
        fs::write(&whole, serde_json::to_vec(&record).expect("json")).expect("final");
        create_once(&whole, &self.run.join(folder::FINAL)).expect("final");
    }
}

/// A time that is well formed; the date does not matter.
fn now() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seconds = since.as_secs() % 86_400;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("2026-01-01T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}
