//! What starts, watches and stops workers.
//!
//! Every call names a run and an attempt, and may be repeated: a second `submit` of the same
//! attempt starts nothing. All calls are synchronous and short; they run through `spawn_blocking`.

mod absent;
pub mod brief;
pub mod devices;
mod held;
pub mod local;
pub mod predict;
pub mod prepare;
pub mod samples;
pub mod slurm;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use skein_core::spec::{ExecutorKind, SlurmSpec};

use self::absent::Absent;
use crate::domain::ids::RunId;

/// One attempt of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The run.
    pub run: RunId,
    /// The run's folder.
    pub folder: PathBuf,
    /// The attempt, from 1.
    pub attempt: u32,
    /// Device to compute on, for example `cpu` or `cuda:0`.
    pub device: String,
    /// Process that is said to work on it, if another server started it.
    pub pid: Option<u32>,
    /// What it asks of a cluster.
    pub slurm: Option<SlurmSpec>,
}

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It waits in a cluster's queue.
    Pending,
    /// It works.
    Alive,
    /// Nobody can say at present.
    Unknown,
    /// It is gone, or was never there.
    Gone(Exit),
}

/// How a worker went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, derive_more::Display)]
pub enum Exit {
    /// With this exit code.
    #[display("exit code {_0}")]
    Code(i32),
    /// Killed by this signal.
    #[display("signal {_0}")]
    Signal(i32),
    /// It did not report in time, and was killed.
    #[display("it did not report in time, and was killed")]
    Silent,
    /// Nobody saw it go.
    #[display("no trace of its process")]
    Unseen,
    /// The cluster took its place away, or it left in time; it can go on elsewhere.
    #[display("{_0}")]
    Interrupted(Interruption),
    /// It used more memory than its job was given.
    #[display("its job used more memory than it was given")]
    OutOfMemory,
    /// Somebody cancelled its job, not through this server.
    #[display("its job was cancelled, not through this server")]
    CancelledElsewhere,
}

/// What ended a job through no fault of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, derive_more::Display)]
pub enum Interruption {
    /// Its worker was asked to leave, as it is shortly before the time limit.
    #[display("it left a checkpoint, as its job's time limit was near")]
    Asked,
    /// The time limit.
    #[display("its job reached its time limit")]
    TimeLimit,
    /// A job of a higher priority.
    #[display("its job had to give way to another one")]
    Preempted,
    /// The node.
    #[display("its node failed")]
    NodeFailed,
    /// The job was put back into the cluster's queue and began again.
    #[display("its job was requeued")]
    Requeued,
    /// The cluster's controller lost the job.
    #[display("Slurm does not know its job any more")]
    Forgotten,
}

/// Where a job is on a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Why the cluster does not answer at present, if it does not; what follows is older then.
    pub trouble: Option<String>,
    /// The job's id there.
    pub job: String,
    /// Its state, as the cluster calls it.
    pub state: String,
    /// Why it waits, in words; empty if it does not.
    pub reason: String,
    /// The node it has; empty before.
    pub node: String,
    /// Seconds since 1970: when it is expected to begin, if it waits and that is known.
    pub starts: Option<i64>,
}

/// How a worker is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It may write a checkpoint first.
    Ask,
    /// At once, with every process it started.
    Kill,
}

/// Why a worker cannot be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The worker's program cannot be started.
    #[error("cannot start the worker `{program}`: {source}")]
    Start {
        /// Path of the program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// The worker cannot be reached.
    #[error("cannot signal the worker: {0}")]
    Signal(std::io::Error),
    /// The cluster cannot be asked at present; later it may.
    #[error("{0}")]
    Unreachable(String),
    /// The cluster does not take the job.
    #[error("Slurm does not take the job: {0}")]
    Refused(String),
}

/// How starting one worker went.
pub type Started = Result<Option<u32>, ExecutorError>;

/// Starts, watches and stops workers somewhere.
pub trait Executor: Send + Sync {
    /// Starts a worker for each attempt, unless one was started before; says of each which process
    /// it is, if that is known, or why none was started.
    fn submit(&self, jobs: &[Job]) -> Vec<Started>;

    /// What the attempt's worker does. The final record is not looked at: it outranks this.
    fn poll(&self, job: &Job) -> JobState;

    /// Stops the attempt's worker; says whether one was told.
    ///
    /// # Errors
    /// - [`ExecutorError`].
    fn cancel(&self, job: &Job, how: Stop) -> Result<bool, ExecutorError>;

    /// The last lines that the worker wrote to its standard error.
    fn logs(&self, job: &Job, tail: usize) -> Vec<String>;

    /// How long a worker that was asked to stop may take.
    fn grace(&self) -> Duration;

    /// Whether workers go on, as they should, when the server stops.
    fn outlives_server(&self) -> bool {
        false
    }

    /// Why no job can be started now, if none can.
    fn closed(&self) -> Option<String> {
        None
    }

    /// Jobs that may be there at once.
    fn room(&self) -> usize {
        usize::MAX
    }

    /// Where the attempt's job is on the cluster, if it is on one.
    fn place(&self, _job: &Job) -> Option<Place> {
        None
    }

    /// A worker that has its place must report for the first time within this time.
    fn start_limit(&self) -> Duration {
        Duration::from_secs(180)
    }

    /// Cancels jobs of this server's runs other than those of `at_work`, which is asked after the
    /// cluster was, so that a job that has just been submitted is no stray.
    fn cancel_strays(&self, _at_work: &dyn Fn() -> Vec<Job>, _is_known: &dyn Fn(RunId) -> bool) {}
}

/// The executors of this server.
pub struct Executors {
    local: Arc<dyn Executor>,
    slurm: Option<Arc<slurm::Slurm>>,
}

impl Executors {
    /// This machine, and a cluster if there is one.
    #[must_use]
    pub fn new(local: Arc<dyn Executor>, slurm: Option<Arc<slurm::Slurm>>) -> Self {
        Self { local, slurm }
    }

    /// The one that a specification asks for; without a cluster, one that starts nothing.
    #[must_use]
    pub fn of(&self, kind: ExecutorKind) -> &dyn Executor {
        match (kind, &self.slurm) {
            (ExecutorKind::Local, _) => &*self.local,
            (ExecutorKind::Slurm, Some(slurm)) => &**slurm,
            (ExecutorKind::Slurm, None) => &Absent,
        }
    }

    /// The cluster.
    #[must_use]
    pub fn slurm(&self) -> Option<&slurm::Slurm> {
        self.slurm.as_deref()
    }
}
