//! The jobs of this account and the partitions of the cluster, asked for once for all who look.

use std::sync::Arc;
use std::time::Duration;

use super::partitions::Partition;
use super::table::Jobs;
use super::transport::{End, Order, SlurmError, Transport};
use super::watched::{Seen, Watched};

/// Partitions and nodes are asked for so often while somebody looks.
const PARTITIONS: Duration = Duration::from_secs(10);

/// What Slurm is asked and told.
pub(super) struct Queue {
    slurm: Arc<dyn Transport>,
    jobs: Watched<Jobs>,
    partitions: Watched<Vec<Partition>>,
}

impl Queue {
    /// The jobs are asked for so often.
    pub(super) fn new(slurm: Arc<dyn Transport>, every: Duration) -> Self {
        let (one, two) = (Arc::clone(&slurm), Arc::clone(&slurm));
        let jobs = Watched::new(every, Box::new(move || one.jobs()));
        let partitions = Watched::new(PARTITIONS, Box::new(move || two.partitions()));
        Self { slurm, jobs, partitions }
    }

    /// The jobs as Slurm told of them the last time.
    pub(super) fn look(&self) -> Seen<Jobs> {
        self.jobs.look()
    }

    /// The jobs of now.
    ///
    /// # Errors
    /// - [`SlurmError`].
    pub(super) fn look_now(&self) -> Result<Arc<Jobs>, SlurmError> {
        self.jobs.look_now()
    }

    /// The partitions as Slurm told of them the last time.
    pub(super) fn partitions(&self) -> Seen<Vec<Partition>> {
        self.partitions.look()
    }

    /// Submits a job.
    ///
    /// # Errors
    /// - [`SlurmError`].
    pub(super) fn submit(&self, order: &Order) -> Result<(), SlurmError> {
        let answer = self.slurm.submit(order);
        self.jobs.soon();
        answer.map(|id| tracing::info!(job = %id, "submitted to Slurm"))
    }

    /// Ends a job.
    ///
    /// # Errors
    /// - [`SlurmError`].
    pub(super) fn end(&self, id: &str, how: End) -> Result<(), SlurmError> {
        let answer = self.slurm.end(id, how);
        self.jobs.soon();
        answer
    }

    /// The jobs are asked for soon.
    pub(super) fn soon(&self) {
        self.jobs.soon();
    }

    /// For the set-up check, which wants answers of now.
    pub(super) fn slurm(&self) -> &dyn Transport {
        &*self.slurm
    }
}
