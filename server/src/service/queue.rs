//! Which run starts next: first in, first out, one run a device; a cluster has a queue of its own.
//!
//! Only the queue's two tasks start workers: one on this machine, one on a cluster. Places are
//! stored, so the order survives a restart; a run that is tried again keeps its place, a resumed one
//! goes to the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use skein_core::event::{Failure, FailureClass};
use skein_core::record::Outcome;
use skein_core::spec::{ExecutorKind, ResourcesSpec, RunSpec, Violation};

use super::entry::Entry;
use super::hand_over::is_on_cluster;
use super::runs::Runs;
use super::supervise::supervise;
use super::{ServiceError, blocking, final_record, tail};
use crate::domain::run::{RunEvent, RunStatus};
use crate::executor::devices::Device;
use crate::storage::runs::Wanted;

/// How often the queue is looked at without being asked to.
const TICK: Duration = Duration::from_millis(500);

/// A run that waits.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Waiting {
    /// The run.
    pub run: String,
    /// Its place, from 1.
    pub position: usize,
    /// What it waits for.
    pub reason: String,
}

/// Starts runs on this machine until the server stops.
pub async fn work(runs: Runs) {
    keep_starting(runs, Runs::schedule, true).await;
}

/// Hands runs over to the cluster until the server stops; by itself, since a cluster may take long to answer.
pub async fn work_on_cluster(runs: Runs) {
    let hand_over = |runs: &Runs| {
        let waiting = runs.waiting().into_iter().filter(|entry| is_on_cluster(entry));
        runs.hand_over(waiting.collect())
    };
    // Runs wait a second for others to come along anyway.
    keep_starting(runs, hand_over, false).await;
}

async fn keep_starting(runs: Runs, start: fn(&Runs) -> Vec<Arc<Entry>>, is_woken: bool) {
    loop {
        if runs.shutdown.is_cancelled() {
            return;
        }
        let scheduler = runs.clone();
        let started = blocking(move || Ok::<_, ServiceError>(start(&scheduler))).await;
        match started {
            Ok(started) => {
                for entry in started {
                    runs.tracker.spawn(supervise(runs.clone(), entry));
                }
            }
            Err(error) => tracing::error!(%error, "the queue could not be worked on"),
        }
        tokio::select! {
            () = runs.wake.notified(), if is_woken => {}
            () = tokio::time::sleep(TICK) => {}
            () = runs.shutdown.cancelled() => {}
        }
    }
}

impl Runs {
    /// The runs that wait, in order, with reasons.
    #[must_use]
    pub fn queue(&self) -> Vec<Waiting> {
        let waiting = self.waiting();
        let entries = (1..).zip(&waiting);
        let of = |(position, entry): (usize, &Arc<Entry>)| {
            let reason = entry.state().record.reason.clone();
            Waiting {
                run: entry.id.to_string(),
                position,
                reason: reason.unwrap_or_else(|| "is about to start".to_owned()),
            }
        };
        entries.map(of).collect()
    }

    /// The runs that hold a device, the oldest first.
    #[must_use]
    pub fn holders(&self, device: &str) -> Vec<Arc<Entry>> {
        let mut holders = self.holding();
        holders.retain(|entry| entry.state().record.device.as_deref() == Some(device));
        holders
    }

    /// The runs that hold any device or have a job on a cluster, the oldest first.
    #[must_use]
    pub fn holding(&self) -> Vec<Arc<Entry>> {
        let mut holders = self.all();
        holders.retain(|entry| entry.status().holds_device());
        holders
    }

    fn waiting(&self) -> Vec<Arc<Entry>> {
        let mut waiting = self.all();
        waiting.retain(|entry| entry.status() == RunStatus::Queued);
        waiting.sort_by_key(|entry| (entry.state().record.place, entry.id));
        waiting
    }

    /// Starts every run whose turn has come; gives those that were started.
    fn schedule(&self) -> Vec<Arc<Entry>> {
        self.requeue_lost();
        let mut busy: Vec<String> = self
            .all()
            .iter()
            .filter(|entry| entry.status().holds_device())
            .filter_map(|entry| entry.state().record.device.clone())
            .collect();
        let (mut started, mut ahead) = (Vec::new(), 0);
        for entry in self.waiting().into_iter().filter(|entry| !is_on_cluster(entry)) {
            if self.shutdown.is_cancelled() {
                break;
            }
            match pick(&entry.spec.resources.device, &self.devices, &busy, self.runs_per_gpu) {
                Some(device) => {
                    busy.push(device.clone());
                    if self.start(&entry, device) {
                        started.push(entry);
                    }
                }
                None => {
                    entry.explain(self.reason(&entry.spec, ahead));
                    ahead += 1;
                }
            }
        }
        started
    }

    fn requeue_lost(&self) {
        for entry in self.all() {
            let due = entry.status() == RunStatus::Lost
                && entry.state().retry_at.is_none_or(|at| at <= Instant::now());
            if due {
                let requeued = entry.change(&self.db, RunEvent::Requeued, |state| {
                    state.record.retries += 1;
                    state.retry_at = None;
                });
                if let Err(error) = requeued {
                    tracing::debug!(run.id = %entry.id, %error, "not tried again");
                }
            }
        }
    }

    /// Begins the next attempt in the records; false if the run was cancelled meanwhile.
    pub(super) fn begin(&self, entry: &Entry, event: RunEvent, device: String) -> bool {
        let newest = tail::attempts(&entry.folder).last().copied().unwrap_or(0);
        let begun = entry.change(&self.db, event, |state| {
            state.record.attempt = state.record.attempt.max(newest) + 1;
            state.record.device = Some(device);
            state.record.pid = None;
            state.place = None;
        });
        if let Err(error) = &begun {
            tracing::debug!(run.id = %entry.id, %error, "not started");
        }
        begun.is_ok()
    }

    fn start(&self, entry: &Entry, device: String) -> bool {
        if !self.begin(entry, RunEvent::Submitted, device) {
            return false;
        }
        let started = self.executors.of(ExecutorKind::Local).submit(&[entry.job()]);
        match started.into_iter().next().unwrap_or(Ok(None)) {
            Ok(pid) => {
                entry.edit(&self.db, |state| state.record.pid = pid);
                true
            }
            Err(error) => {
                let failure = Failure {
                    class: FailureClass::Infrastructure,
                    message: error.to_string(),
                    hint: "build `skein-worker` beside `skein` or name it with --worker, then \
                           resume the run"
                        .to_owned(),
                };
                self.fail(entry, failure);
                false
            }
        }
    }

    /// Ends a run as failed, unless it ended before.
    pub fn fail(&self, entry: &Entry, failure: Failure) {
        let attempt = entry.state().record.attempt;
        let cancelled = entry.state().record.wanted == Wanted::Cancel;
        let outcome = if cancelled { Outcome::Cancelled } else { Outcome::Failed { failure } };
        let record = final_record::now(attempt, outcome);
        let counts = final_record::create(&entry.folder, &record).unwrap_or_else(|error| {
            tracing::error!(run.id = %entry.id, %error, "cannot write the final record");
            record
        });
        entry.finish(&self.db, counts);
    }

    /// What keeps a run with such resources from ever starting here.
    pub(super) fn unfit(&self, resources: &ResourcesSpec) -> Vec<Violation> {
        let violation = |field: &str, detail: String| Violation { field: field.to_owned(), detail };
        match (resources.executor, self.executors.slurm()) {
            (ExecutorKind::Local, _) => {
                let detail = no_device(&resources.device, &self.devices);
                detail.map(|detail| violation("resources.device", detail)).into_iter().collect()
            }
            (ExecutorKind::Slurm, None) => {
                let detail = "must be `local`: this server was started without --slurm".to_owned();
                vec![violation("resources.executor", detail)]
            }
            (ExecutorKind::Slurm, Some(cluster)) => {
                cluster.settings().forbidden(&resources.slurm.clone().unwrap_or_default())
            }
        }
    }

    fn reason(&self, spec: &RunSpec, ahead: usize) -> String {
        let asked = spec.resources.device.as_str();
        let usable = self.devices.iter().filter(|device| suits(asked, &device.id));
        let held: Vec<String> = usable
            .map(|device| {
                let holders = self.holders(&device.id);
                let names = holders.iter().map(|entry| format!("`{}`", entry.view().name));
                match holders.is_empty() {
                    true => device.id.clone(),
                    false => {
                        let names = names.collect::<Vec<_>>().join(", ");
                        format!("{} (busy with {names})", device.id)
                    }
                }
            })
            .collect();
        let ahead = match ahead {
            0 => "first in the queue".to_owned(),
            1 => "1 run is ahead".to_owned(),
            n => format!("{n} runs are ahead"),
        };
        match held.is_empty() {
            true => format!("waits for `{asked}`, which this machine does not have"),
            false => format!("waits for {}; {ahead}", held.join(" or ")),
        }
    }
}

/// Whether a device is what a specification asks for.
fn suits(asked: &str, device: &str) -> bool {
    match asked {
        "auto" => true,
        "cuda" => device.starts_with("cuda:"),
        exact => device == exact,
    }
}

/// A device that suits and has room, `busy` naming a device once for each of its runs: the GPU with
/// the fewest runs before the CPU.
fn pick(asked: &str, devices: &[Device], busy: &[String], per_gpu: usize) -> Option<String> {
    let is_gpu = |id: &str| id.starts_with("cuda:");
    let runs = |id: &str| busy.iter().filter(|busy| *busy == id).count();
    let ids = devices.iter().map(|device| device.id.as_str()).filter(|id| suits(asked, id));
    let free = ids.filter(|id| runs(id) < if is_gpu(id) { per_gpu } else { 1 });
    free.min_by_key(|id| (!is_gpu(id), runs(id))).map(str::to_owned)
}

/// What to say if no device of this machine suits.
#[must_use]
pub fn no_device(asked: &str, devices: &[Device]) -> Option<String> {
    if devices.iter().any(|device| suits(asked, &device.id)) {
        return None;
    }
    let known: Vec<String> = devices.iter().map(|device| format!("`{}`", device.id)).collect();
    Some(format!("this machine has no `{asked}`; it has {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn devices(ids: &[&str]) -> Vec<Device> {
        let device = |id: &&str| Device { id: (*id).to_owned(), ..Device::cpu() };
        ids.iter().map(device).collect()
    }

    #[rstest]
    #[case::auto_prefers_a_gpu("auto", &[], 1, Some("cuda:0"))]
    #[case::auto_takes_the_cpu("auto", &["cuda:0", "cuda:1"], 1, Some("cpu"))]
    #[case::any_gpu("cuda", &["cuda:0"], 1, Some("cuda:1"))]
    #[case::gpus_busy("cuda", &["cuda:0", "cuda:1"], 1, None)]
    #[case::exact("cuda:1", &[], 1, Some("cuda:1"))]
    #[case::cpu_busy("cpu", &["cpu"], 1, None)]
    #[case::the_idle_gpu_first("auto", &["cuda:0"], 2, Some("cuda:1"))]
    #[case::then_a_shared_one("auto", &["cuda:0", "cuda:1"], 2, Some("cuda:0"))]
    #[case::the_one_with_fewer("cuda", &["cuda:0", "cuda:1", "cuda:0"], 3, Some("cuda:1"))]
    #[case::shared_gpus_busy("cuda:0", &["cuda:0", "cuda:0"], 2, None)]
    #[case::a_cpu_is_not_shared("cpu", &["cpu"], 2, None)]
    fn a_device_is_picked(
        #[case] asked: &str,
        #[case] busy: &[&str],
        #[case] per_gpu: usize,
        #[case] picked: Option<&str>,
    ) {
        let known = devices(&["cpu", "cuda:0", "cuda:1"]);
        let busy: Vec<String> = busy.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(pick(asked, &known, &busy, per_gpu).as_deref(), picked);
    }

    #[test]
    fn a_missing_device_is_named_with_those_there_are() {
        assert_eq!(no_device("auto", &devices(&["cpu"])), None);
        let detail = no_device("cuda:0", &devices(&["cpu"])).unwrap();
        assert_eq!(detail, "this machine has no `cuda:0`; it has `cpu`");
    }
}
