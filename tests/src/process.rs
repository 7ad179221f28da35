//! Processes of a test.

use std::path::Path;

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getrlimit, kill_process, kill_process_group, setrlimit,
};
use serde_json::Value;

/// Whether a process lives; one that is dead and not yet buried does not.
#[must_use]
pub fn is_alive(process: u32) -> bool {
    std::fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|words| !words.is_empty())
}

/// Every process whose command line has all of these words.
#[must_use]
pub fn with_words(words: &[&str]) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let matches = |process: &u32| {
        let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        words.iter().all(|word| line.contains(word))
    };
    processes.filter(matches).collect()
}

/// Stops a process until it is told to go on.
pub fn pause(process: u32) {
    kill_process(pid(process), Signal::STOP).expect("stop");
}

/// Tells a stopped process to go on.
pub fn resume(process: u32) {
    kill_process(pid(process), Signal::CONT).expect("go on");
}

/// Kills a process.
pub fn kill(process: u32) {
    kill_process(pid(process), Signal::KILL).expect("kill");
}

/// Lets this process hold as many files and connections open as the system allows.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("a limit");
}

/// The number of a process, as the system's calls want it.
pub(crate) fn pid(raw: u32) -> Pid {
    Pid::from_raw(i32::try_from(raw).expect("pid")).expect("pid")
}

/// Memory that a process holds, in MB.
pub(crate) fn memory_mb(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.expect("the process's status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024 / 1_000_000
}

/// Kills the worker of an attempt, if it lives, and whatever it has started.
pub(crate) fn kill_worker(attempt: &Path) {
    let text = std::fs::read_to_string(attempt.join("events.jsonl")).unwrap_or_default();
    let first = text.lines().next().and_then(|line| serde_json::from_str::<Value>(line).ok());
    let Some(worker) = first.and_then(|event| event["payload"]["pid"].as_u64()) else { return };
    let worker = u32::try_from(worker).expect("pid");
    if is_alive(worker) {
        let _ = kill_process_group(pid(worker), Signal::KILL);
    }
}
