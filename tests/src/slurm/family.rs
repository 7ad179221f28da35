//! Processes that belong to a lab, found by marks that no other process bears.
//!
//! A job's process that leaves its parents and clears its environment bears none.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use crate::process::{is_alive, pid};

/// A killed process is gone well before.
const LIMIT: Duration = Duration::from_secs(10);

/// A process and its descendants.
pub(super) fn from(process: u32) -> Vec<u32> {
    with_descendants(|number| number == process)
}

/// The processes of jobs on a node and of the steps that look after them. These are no children
/// of the node's daemon and outlive it.
pub(super) fn of_node(conf: &Path, log: &Path, name: &str) -> Vec<u32> {
    with_descendants(|number| is_step(number, log) || is_job(number, conf, name))
}

/// Kills processes until none is found any more.
pub(super) fn end(find: impl Fn() -> Vec<u32>) {
    let begin = Instant::now();
    loop {
        let found = find();
        if found.is_empty() {
            return;
        }
        if begin.elapsed() > LIMIT {
            eprintln!("processes of Slurm live on after {LIMIT:?}: {found:?}");
            return;
        }
        for process in found {
            let _ = kill_process(pid(process), Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The living processes that meet a condition, and all that descend from them.
fn with_descendants(meets: impl Fn(u32) -> bool) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let all: Vec<_> = numbers.filter_map(|number| Some((number, parent(number)?))).collect();
    let mut family: Vec<_> = all.iter().map(|(number, _)| *number).filter(|n| meets(*n)).collect();
    let mut next = 0;
    while let Some(&of) = family.get(next) {
        for &(child, _) in all.iter().filter(|(_, parent)| *parent == of) {
            if !family.contains(&child) {
                family.push(child);
            }
        }
        next += 1;
    }
    family.retain(|number| is_alive(*number));
    family
}

fn parent(process: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, after_name) = text.rsplit_once(") ")?;
    after_name.split(' ').nth(1)?.parse().ok()
}

/// Whether this is a step's `slurmstepd`: it writes over its environment to show its job, but
/// keeps the log of its node open.
fn is_step(process: u32, log: &Path) -> bool {
    let program = fs::read_link(format!("/proc/{process}/exe")).unwrap_or_default();
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let open = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    name.starts_with("slurmstepd")
        && open.into_iter().any(|file| fs::read_link(file.path()).is_ok_and(|to| to == log))
}

/// Whether Slurm has started this process on a node of the lab, as its environment says.
fn is_job(process: u32, conf: &Path, name: &str) -> bool {
    let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
    let marks = [format!("SLURM_CONF={}", conf.display()), format!("SLURMD_NODENAME={name}")];
    let has = |mark: &String| environment.split(|byte| *byte == 0).any(|v| v == mark.as_bytes());
    marks.iter().all(has)
}
