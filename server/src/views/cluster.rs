//! JSON shapes of a cluster.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Check;
use crate::executor::slurm::Partition;

/// A cluster, and what this server has on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Cluster)]
pub struct ClusterInfo {
    /// Why it does not answer at present; what else is said is older then.
    pub trouble: Option<String>,
    /// Runs that work on it.
    pub working: usize,
    /// Runs that wait in its queue.
    pub waiting: usize,
    /// Its partitions.
    pub partitions: Vec<PartitionView>,
    /// The newest check of the way to it.
    pub set_up: SetUp,
}

/// Nodes that take the same jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Partition)]
pub struct PartitionView {
    /// Its name.
    pub name: String,
    /// Whether it takes jobs.
    pub up: bool,
    /// The longest time limit of a job, as the cluster writes it.
    pub time_limit: String,
    /// Its nodes by state, for example `4 nodes: 3 idle, 1 mixed`.
    pub nodes: String,
    /// Its GPUs, for example `8 × h100`.
    pub gpus: String,
}

/// A check of the way to the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetUp {
    /// Whether it is being done.
    pub running: bool,
    /// UTC, RFC 3339.
    pub began_at: Option<String>,
    /// UTC, RFC 3339.
    pub ended_at: Option<String>,
    /// What was found.
    pub checks: Vec<Check>,
}

impl PartitionView {
    /// A partition as the API shows it.
    #[must_use]
    pub fn of(partition: &Partition) -> Self {
        Self {
            name: partition.name.clone(),
            up: partition.is_up,
            time_limit: partition.time_limit.clone(),
            nodes: partition.nodes_in_words(),
            gpus: partition.gpus_in_words(),
        }
    }
}
