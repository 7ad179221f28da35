//! What is wrong with the way to a cluster, found with a tiny job.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use skein_disk::kind;

use super::commands::quoted;
use super::partitions::Partition;
use super::table::{JobPhase, Name, Row};
use super::transport::{End, Order, one_line};
use super::{Slurm, absolute, words};
use crate::executor::devices::Device;
use crate::views::Check;

/// The tiny job must have begun and ended within this time.
const PATIENCE: Duration = Duration::from_secs(180);
/// How far clocks may be apart: times of files and events are compared across machines.
const CLOCKS: f64 = 5.0;
/// How long a file may take to be seen from another machine.
const LATE: Duration = Duration::from_secs(30);

/// What the job tells of its node.
#[derive(Debug, Deserialize)]
struct Answer {
    node: String,
    clock: f64,
    datasets: bool,
    devices: Vec<Device>,
}

impl Slurm {
    /// Looks at Slurm's commands and, from a compute node, at folders, worker and clock.
    #[must_use]
    pub fn checks(&self, data: &Path) -> Vec<Check> {
        let version = self.queue.slurm().version().map_err(|error| error.to_string());
        let reachable = version.is_ok();
        let mut found = vec![Check::new("slurm", version)];
        if !reachable {
            return found;
        }
        found.push(Check::new("partitions", self.partitions_are_there()));
        found.push(Check::new("shared folder", shared(data)));
        match self.ask_a_node(data) {
            Err(problem) => found.push(Check::new("compute node", Err(problem))),
            Ok(answer) => found.extend(self.judge(&answer)),
        }
        found
    }

    fn partitions_are_there(&self) -> Result<String, String> {
        let found = self.queue.slurm().partitions().map_err(|error| error.to_string())?;
        let one = |partition: &Partition| {
            let Partition { name, time_limit, .. } = partition;
            let (nodes, gpus) = (partition.nodes_in_words(), partition.gpus_in_words());
            format!("{name} ({nodes}; at most {time_limit}; GPUs: {gpus})")
        };
        let all = found.iter().map(one).collect::<Vec<_>>().join("; ");
        let asked = self.settings.asked(None).partition.unwrap_or_default();
        // A job may name several, of which Slurm takes the first that is free.
        let known = |name: &str| found.iter().any(|partition| partition.name == name);
        match asked.split(',').find(|name| !name.is_empty() && !known(name)) {
            Some(name) => Err(format!("there is no partition `{name}`; there are {all}")),
            None => Ok(all),
        }
    }

    /// What the tiny job says.
    fn ask_a_node(&self, data: &Path) -> Result<Answer, String> {
        let folder = absolute(data).join(format!(".slurm-check-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&folder)
            .map_err(|error| format!("`{}` cannot be made: {error}", folder.display()))?;
        let answer = self.ask_in(&folder);
        // It may be that the job writes to it yet.
        let _ = std::fs::remove_dir_all(&folder);
        answer
    }

    fn ask_in(&self, folder: &Path) -> Result<Answer, String> {
        let name = format!("skein-check-{}", uuid::Uuid::new_v4());
        let asked = self.settings.asked(None);
        let order = Order { name: name.clone(), tasks: 1, asked, script: self.tiny(folder) };
        let sent = self.queue.submit(&order);
        sent.map_err(|error| format!("the tiny job is not taken: {error}"))?;
        let (place, began) = (folder.join("answer"), Instant::now());
        let mut gone: Option<Instant> = None;
        loop {
            if let Ok(text) = std::fs::read_to_string(&place) {
                return serde_json::from_str(&text).map_err(|_| {
                    format!("the worker cannot be started on a node: {}", one_line(&text))
                });
            }
            let row = self.row_of(&name);
            if row.as_ref().is_none_or(|row| matches!(row.phase(), JobPhase::Ended(_))) {
                let since = *gone.get_or_insert_with(Instant::now);
                if since.elapsed() > LATE {
                    return Err(format!(
                        "the tiny job ended, and what it wrote to `{}` is not here: the data folder must be on a file \
                         system that all nodes mount at the same place (--data)",
                        folder.display()
                    ));
                }
            }
            if began.elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                let state = row.map_or_else(String::new, |row| {
                    // It may be that Slurm does not answer any more.
                    let _ = self.queue.end(&row.id, End::Cancel);
                    format!(" ({}: {})", row.state, words::reason(&row.reason))
                });
                return Err(format!("the tiny job gave no answer within {seconds} s{state}"));
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    fn row_of(&self, name: &str) -> Option<Row> {
        let name = Name { job: name.to_owned(), task: None };
        self.queue.look_now().ok()?.get(&name).cloned()
    }

    fn tiny(&self, folder: &Path) -> String {
        let container = self.settings.container.as_deref().unwrap_or_default();
        let path = |path: &Path| quoted(&path.to_string_lossy());
        let (worker, datasets) = (path(&self.worker), path(&self.datasets));
        let mut lines = vec!["#!/bin/bash".to_owned()];
        lines.extend(self.settings.lines.iter().map(|line| format!("#SBATCH {line}")));
        lines.push(format!("cd {} || exit 1", path(folder)));
        lines.extend(self.settings.setup.iter().cloned());
        lines.push(format!(
            "devices=$({container} {worker} devices --json 2>error) || {{ cat error >tmp; mv tmp answer; exit 1; }}"
        ));
        lines.push(format!("[ -d {datasets} ] && sets=true || sets=false"));
        lines.push(
            "printf '{\"node\":\"%s\",\"clock\":%s,\"datasets\":%s,\"devices\":%s}' \"$(hostname)\" \
             \"$(date +%s.%N)\" \"$sets\" \"$devices\" >tmp"
                .to_owned(),
        );
        lines.push("mv tmp answer\n".to_owned());
        lines.join("\n")
    }

    fn judge(&self, answer: &Answer) -> Vec<Check> {
        let node = &answer.node;
        let titles: Vec<&str> = answer.devices.iter().map(|device| device.title.as_str()).collect();
        let apart = (now() - answer.clock).abs();
        let clock = match apart <= CLOCKS {
            true => Ok(format!("within {CLOCKS} s of that of {node}")),
            false => Err(format!("that of {node} differs by {apart:.0} s; keep both with NTP")),
        };
        let sets = self.datasets.display();
        let datasets = match answer.datasets {
            true => Ok(format!("`{sets}` is seen on {node}")),
            false => Err(format!("{node} does not see `{sets}`; name another with --datasets")),
        };
        vec![
            Check::new("compute node", Ok(format!("{node} sees the data folder"))),
            Check::new("libtorch on the node", Ok(format!("loads; {}", titles.join(", ")))),
            Check::new("data sets on the node", datasets),
            Check::new("clock", clock),
        ]
    }
}

/// Refuses a folder that only this machine sees, unless the cluster is this machine.
fn shared(data: &Path) -> Result<String, String> {
    let folder: PathBuf = absolute(data);
    let place = folder.ancestors().find(|place| place.is_dir()).unwrap_or(&folder);
    match kind::shared(place) {
        Ok(Some(kind)) => Ok(format!("{} is on {kind}", folder.display())),
        Ok(None) => Ok(format!(
            "{} is on a disk of this machine; that works only if jobs run on this machine too",
            folder.display()
        )),
        Err(error) => Err(format!("{}: {error}", folder.display())),
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
