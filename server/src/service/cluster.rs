//! What the cluster has, and the check of the way to it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::runs::Runs;
use super::{ServiceError, blocking};
use crate::domain::clock;
use crate::settings::Places;
use crate::views::Check;
use crate::views::cluster::{ClusterInfo, PartitionView, SetUp};

/// The newest check of the way to the cluster.
#[derive(Debug, Default)]
pub struct SetUpCheck(Mutex<SetUp>);

impl SetUpCheck {
    fn now(&self) -> MutexGuard<'_, SetUp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runs {
    /// What the cluster has; none without one.
    ///
    /// # Errors
    /// - the server is about to stop.
    pub async fn cluster(&self) -> Result<Option<ClusterInfo>, ServiceError> {
        let runs = self.clone();
        blocking(move || Ok(runs.cluster_now())).await
    }

    fn cluster_now(&self) -> Option<ClusterInfo> {
        let slurm = self.executors.slurm()?;
        let (partitions, trouble) = slurm.partitions();
        let (working, waiting) = self.on_cluster();
        Some(ClusterInfo {
            trouble,
            working,
            waiting,
            partitions: partitions.iter().map(PartitionView::of).collect(),
            set_up: self.set_up.now().clone(),
        })
    }

    /// Begins to look at the way to the cluster, unless that is being done.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`]: there is no cluster.
    pub fn check_cluster(&self, places: &Places) -> Result<(), ServiceError> {
        if self.executors.slurm().is_none() {
            return Err(no_cluster());
        }
        {
            let mut now = self.set_up.now();
            if now.running {
                return Ok(());
            }
            *now = SetUp { running: true, began_at: Some(clock::now()), ..SetUp::default() };
        }
        let (runs, data) = (self.clone(), places.data.clone());
        // The server does not wait for it when it stops: Slurm may take minutes to answer.
        std::thread::spawn(move || {
            let checks: Vec<Check> =
                runs.executors.slurm().map(|slurm| slurm.checks(&data)).unwrap_or_default();
            let mut now = runs.set_up.now();
            (now.running, now.checks) = (false, checks);
            now.ended_at = Some(clock::now());
        });
        Ok(())
    }
}

/// What is answered where there is no cluster.
#[must_use]
pub fn no_cluster() -> ServiceError {
    ServiceError::NotFound { what: "cluster: this server was started without --slurm".to_owned() }
}
