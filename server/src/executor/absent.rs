//! A cluster that this server was not started with: it starts nothing and ends nothing.

use std::time::Duration;

use super::{Executor, ExecutorError, Job, JobState, Started, Stop};

/// Why nothing can be done.
const WHY: &str =
    "waits for a cluster, which this server was started without; start it with --slurm";

/// The cluster that is not there.
pub(super) struct Absent;

impl Executor for Absent {
    fn submit(&self, jobs: &[Job]) -> Vec<Started> {
        jobs.iter().map(|_| Err(ExecutorError::Unreachable(WHY.to_owned()))).collect()
    }

    fn poll(&self, _job: &Job) -> JobState {
        JobState::Unknown
    }

    fn cancel(&self, _job: &Job, _how: Stop) -> Result<bool, ExecutorError> {
        Err(ExecutorError::Unreachable(WHY.to_owned()))
    }

    fn logs(&self, _job: &Job, _tail: usize) -> Vec<String> {
        Vec::new()
    }

    fn grace(&self) -> Duration {
        Duration::ZERO
    }

    fn outlives_server(&self) -> bool {
        true
    }

    fn closed(&self) -> Option<String> {
        Some(WHY.to_owned())
    }
}
