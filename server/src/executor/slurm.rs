//! Workers as jobs of a Slurm cluster, through its own commands or its REST interface.
//!
//! A job is known by its *name*, which holds the run and the attempt: Slurm gives an id out again if
//! its controller is killed soon after it took a job. One look at Slurm's queue tells of all jobs, however
//! many runs ask. Slurm never restarts a job (`--no-requeue`): the server submits the next attempt,
//! and each attempt has a folder of its own, so that two copies of a run cannot hurt each other.

mod cli;
mod commands;
pub mod doctor;
mod partitions;
mod queue;
mod rest;
mod script;
pub mod settings;
mod table;
mod transport;
mod watched;
mod words;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use skein_core::folder;
use skein_core::spec::SlurmSpec;

use self::cli::CommandLine;
use self::commands::Commands;
pub use self::partitions::Partition;
use self::queue::Queue;
use self::rest::Rest;
use self::settings::SlurmSettings;
use self::table::{JobPhase, Jobs, Name, Row};
use self::transport::{End, Order, SlurmError, Transport};
use self::watched::Seen;
use super::held::Held;
use super::local::read_tail;
use super::{Executor, ExecutorError, Exit, Interruption, Job, JobState, Place, Started, Stop};
use crate::domain::ids::RunId;

/// Exit code of a worker that found its attempt claimed by another.
const CLAIMED: i32 = 3;
/// A worker that is asked to stop may take so long: Slurm has to be asked twice, too.
const GRACE: Duration = Duration::from_secs(40);
/// A server that starts waits so long for Slurm.
const PATIENCE: Duration = Duration::from_secs(5);
/// What the names of our jobs begin with.
const PREFIX: &str = "skein-";
/// What the names of arrays begin with.
const ARRAY: &str = "skein-array-";

/// The executor of a cluster.
pub struct Slurm {
    settings: SlurmSettings,
    worker: PathBuf,
    datasets: PathBuf,
    queue: Queue,
    held: Held,
    /// What the names of this server's arrays begin with; another of the same account has its own.
    arrays: String,
    known: Mutex<HashMap<(RunId, u32), Known>>,
}

/// What is known of an attempt's job beside Slurm's table.
#[derive(Debug, Clone)]
struct Known {
    name: Name,
    /// When this server submitted it.
    submitted: Option<Instant>,
    /// When the table was first without it.
    missing: Option<Instant>,
}

impl Slurm {
    /// A cluster as the settings describe it. Compute nodes see `worker` and the folders.
    #[must_use]
    pub fn new(settings: SlurmSettings, worker: &Path, datasets: &Path, data: &Path) -> Self {
        let limit = Duration::from_secs(settings.command_seconds);
        let transport: Arc<dyn Transport> = match &settings.rest {
            Some(rest) => Arc::new(Rest::new(rest, limit, settings.clone())),
            None => {
                let commands = Commands::new(settings.host.clone(), limit);
                Arc::new(CommandLine::new(commands, settings.clone()))
            }
        };
        let queue = Queue::new(transport, Duration::from_secs(settings.poll_seconds));
        let worker = absolute(settings.worker.as_deref().unwrap_or(worker));
        let (datasets, held) = (absolute(datasets), Held::default());
        let data = absolute(data);
        let data = fs::canonicalize(&data).unwrap_or(data);
        let mark = Sha256::digest(data.to_string_lossy().as_bytes());
        let arrays =
            format!("{ARRAY}{:02x}{:02x}{:02x}{:02x}-", mark[0], mark[1], mark[2], mark[3]);
        let known = Mutex::default();
        let slurm = Self { settings, worker, datasets, queue, held, arrays, known };
        // So that the first who wants to know finds answers.
        let _ = (slurm.queue.look(), slurm.queue.partitions());
        slurm
    }

    /// Waits until Slurm has told of its jobs, or does not answer, or has taken too long.
    pub fn wait_for_jobs(&self) {
        let end = Instant::now() + PATIENCE;
        let told = |seen: Seen<Jobs>| seen.asked.is_some() || seen.trouble.is_some();
        while !told(self.queue.look()) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The administrator's settings.
    #[must_use]
    pub fn settings(&self) -> &SlurmSettings {
        &self.settings
    }

    /// The partitions of the cluster, and why Slurm does not answer at present.
    #[must_use]
    pub fn partitions(&self) -> (Arc<Vec<Partition>>, Option<String>) {
        let seen = self.queue.partitions();
        (seen.value, self.queue.look().trouble.or(seen.trouble))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<(RunId, u32), Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a job; of a task of an array, its run's folder says which it is.
    fn known_of(&self, job: &Job) -> Known {
        let mut known = self.known();
        let found = known.entry((job.run, job.attempt)).or_insert_with(|| {
            let stored = fs::read(name_file(job)).ok();
            let stored = stored.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            Known { name: stored.unwrap_or_else(|| name(job)), submitted: None, missing: None }
        });
        found.clone()
    }

    /// Submits jobs that ask for the same: one as a job, several as an array.
    fn send(&self, jobs: &[Job]) -> Result<(), SlurmError> {
        let array = format!("{}{}", self.arrays, uuid::Uuid::new_v4());
        let names: Vec<Name> = match jobs {
            [job] => vec![name(job)],
            _ => {
                let tasks = 0..u32::try_from(jobs.len()).unwrap_or(u32::MAX);
                tasks.map(|task| Name { job: array.clone(), task: Some(task) }).collect()
            }
        };
        if let [job] = jobs {
            // It may have been one of an array that was not taken.
            let _ = fs::remove_file(name_file(job));
        }
        for (job, name) in jobs.iter().zip(&names).filter(|(_, name)| name.task.is_some()) {
            let text = serde_json::to_vec(name).unwrap_or_default();
            let file = name_file(job).display().to_string();
            fs::write(name_file(job), text).map_err(|source| SlurmError::Write { file, source })?;
        }
        let places = script::Places { worker: &self.worker, datasets: &self.datasets };
        let jobs: Vec<Job> =
            jobs.iter().map(|job| Job { folder: absolute(&job.folder), ..job.clone() }).collect();
        let text = script::text(&jobs, &self.settings, &places);
        let asked = self.settings.asked(jobs.first().and_then(|job| job.slurm.as_ref()));
        let called = names.first().map_or("", |name| name.job.as_str());
        let order = Order { name: called.to_owned(), tasks: jobs.len(), asked, script: text };
        let answer = self.queue.submit(&order);
        let submitted = Some(Instant::now());
        // A command that gave up or was killed may have submitted all the same.
        if answer.as_ref().err().is_none_or(SlurmError::is_temporary) {
            let mut known = self.known();
            for (job, name) in jobs.iter().zip(names) {
                known.insert((job.run, job.attempt), Known { name, submitted, missing: None });
            }
        }
        answer
    }

    /// Submits jobs that ask for the same; what went wrong, by run. An array that Slurm does not take, perhaps
    /// for its size, is submitted job by job.
    fn send_all(&self, jobs: &[Job]) -> HashMap<RunId, ExecutorError> {
        let failed = |jobs: &[Job], error: &SlurmError| {
            jobs.iter().map(|job| (job.run, refusal(error))).collect::<HashMap<_, _>>()
        };
        match self.send(jobs) {
            Ok(()) => HashMap::new(),
            Err(SlurmError::Failed { .. }) if jobs.len() > 1 => {
                let mut faults = HashMap::new();
                for (at, job) in jobs.iter().enumerate() {
                    match self.send(std::slice::from_ref(job)) {
                        Ok(()) => {}
                        Err(error) if error.is_temporary() => {
                            faults.extend(failed(&jobs[at..], &error));
                            break;
                        }
                        Err(error) => drop(faults.insert(job.run, refusal(&error))),
                    }
                }
                faults
            }
            Err(error) => failed(jobs, &error),
        }
    }

    /// What it means that Slurm does not list a job.
    fn missing(&self, job: &Job, known: &Known, seen: &Seen<Jobs>) -> JobState {
        if self.held.is_held(job) {
            return JobState::Alive;
        }
        if seen.trouble.is_some() {
            return JobState::Unknown;
        }
        if seen.asked.is_none_or(|asked| known.submitted.is_some_and(|at| asked <= at)) {
            return JobState::Pending;
        }
        let mut all = self.known();
        let Some(known) = all.get_mut(&(job.run, job.attempt)) else { return JobState::Unknown };
        let since = *known.missing.get_or_insert_with(Instant::now);
        // A controller that has just started may not list everything yet.
        if since.elapsed() < 2 * Duration::from_secs(self.settings.poll_seconds) {
            return JobState::Unknown;
        }
        JobState::Gone(Exit::Interrupted(Interruption::Forgotten))
    }
}

impl Executor for Slurm {
    fn submit(&self, jobs: &[Job]) -> Vec<Started> {
        let rows = match self.queue.look_now() {
            Ok(rows) => rows,
            // Whatever it is, it says nothing of these jobs.
            Err(error) => return jobs.iter().map(|_| Err(unreachable(&error))).collect(),
        };
        let there = |job: &&Job| !rows.contains_key(&self.known_of(job).name);
        let mut groups = HashMap::<SlurmSpec, Vec<Job>>::new();
        for job in jobs.iter().filter(there) {
            let asked = self.settings.asked(job.slurm.as_ref());
            groups.entry(asked).or_default().push(job.clone());
        }
        let mut faults = HashMap::<RunId, ExecutorError>::new();
        for group in groups.into_values() {
            faults.extend(self.send_all(&group));
        }
        jobs.iter().map(|job| faults.remove(&job.run).map_or(Ok(None), Err)).collect()
    }

    fn poll(&self, job: &Job) -> JobState {
        let known = self.known_of(job);
        let seen = self.queue.look();
        let Some(row) = seen.value.get(&known.name) else {
            return self.missing(job, &known, &seen);
        };
        if known.missing.is_some() {
            self.known().entry((job.run, job.attempt)).and_modify(|known| known.missing = None);
        }
        match row.phase() {
            JobPhase::Waiting => JobState::Pending,
            JobPhase::Working => JobState::Alive,
            // Slurm may only have lost contact with the node.
            JobPhase::Ended(_) if self.held.is_held(job) => JobState::Alive,
            JobPhase::Ended(exit) => JobState::Gone(exit),
        }
    }

    fn cancel(&self, job: &Job, how: Stop) -> Result<bool, ExecutorError> {
        let seen = self.queue.look();
        let Some(row) = seen.value.get(&self.known_of(job).name) else {
            self.queue.soon();
            return Ok(false);
        };
        let how = match (how, row.phase()) {
            (_, JobPhase::Ended(_)) => return Ok(false),
            (Stop::Ask, JobPhase::Working) => End::Ask,
            (Stop::Kill, _) | (_, JobPhase::Waiting) => End::Cancel,
        };
        self.queue.end(&row.id, how).map(|()| true).map_err(|error| unreachable(&error))
    }

    fn logs(&self, job: &Job, tail: usize) -> Vec<String> {
        let own = folder::attempt(&job.folder, job.attempt).join(folder::LOG);
        let of_job = job.folder.join(format!("slurm-{}.log", job.attempt));
        let mut lines = read_tail(&of_job, tail).unwrap_or_default();
        lines.extend(read_tail(&own, tail).unwrap_or_default());
        lines.split_off(lines.len().saturating_sub(tail))
    }

    fn grace(&self) -> Duration {
        GRACE
    }

    fn start_limit(&self) -> Duration {
        Duration::from_secs(self.settings.start_seconds)
    }

    fn outlives_server(&self) -> bool {
        true
    }

    fn closed(&self) -> Option<String> {
        self.queue.look().trouble
    }

    fn room(&self) -> usize {
        match self.settings.at_once {
            0 => usize::MAX,
            at_once => at_once,
        }
    }

    fn place(&self, job: &Job) -> Option<Place> {
        let seen = self.queue.look();
        let row = seen.value.get(&self.known_of(job).name).cloned();
        let Some(row) = row else {
            let trouble = Some(seen.trouble?);
            return Some(Place { trouble, ..Place::default() });
        };
        let waits = row.phase() == JobPhase::Waiting;
        Some(Place {
            trouble: seen.trouble,
            reason: if waits { words::reason(&row.reason) } else { String::new() },
            starts: row.start.filter(|_| waits),
            job: row.id,
            state: row.state,
            node: row.nodes,
        })
    }

    fn cancel_strays(&self, at_work: &dyn Fn() -> Vec<Job>, is_known: &dyn Fn(RunId) -> bool) {
        let seen = self.queue.look();
        let names: HashSet<Name> = at_work().iter().map(|job| self.known_of(job).name).collect();
        let is_ours = |name: &Name| match attempt_of(name) {
            Some((run, _)) => is_known(run),
            None => name.job.starts_with(&self.arrays),
        };
        let lives = |row: &&Row| !matches!(row.phase(), JobPhase::Ended(_));
        let strays = seen.value.values().filter(lives);
        for row in strays.filter(|row| is_ours(&row.name) && !names.contains(&row.name)) {
            tracing::warn!(job = %row.id, name = %row.name.job, "a job works on an attempt that is over; cancelled");
            if let Err(error) = self.queue.end(&row.id, End::Cancel) {
                tracing::warn!(job = %row.id, %error, "it cannot be cancelled yet");
                return;
            }
        }
    }
}

fn refusal(error: &SlurmError) -> ExecutorError {
    match error.is_temporary() {
        true => unreachable(error),
        false => ExecutorError::Refused(error.to_string()),
    }
}

fn unreachable(error: &SlurmError) -> ExecutorError {
    ExecutorError::Unreachable(format!("Slurm takes no job at present: {error}"))
}

/// Where it is noted which task of which array works on an attempt.
fn name_file(job: &Job) -> PathBuf {
    job.folder.join(format!("slurm-{}.json", job.attempt))
}

fn name(job: &Job) -> Name {
    Name { job: format!("{PREFIX}{}-{}", job.run, job.attempt), task: None }
}

/// The run and the attempt that a job's name holds.
fn attempt_of(name: &Name) -> Option<(RunId, u32)> {
    let (run, attempt) = name.job.strip_prefix(PREFIX)?.rsplit_once('-')?;
    Some((RunId::parse(run)?, attempt.parse().ok()?))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
