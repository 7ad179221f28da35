//! Workers as child processes of this server, each leading its own process group.
//!
//! A worker survives its server. The next one recognises it by the lock it holds, or by its
//! command line while it has not taken the lock yet. Where locks of the file system cannot be
//! trusted, the lock's file names the worker, which is judged by its process or its beat.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use skein_core::folder;

use super::held::Held;
use super::{Executor, ExecutorError, Exit, Job, JobState, Started, Stop};
use crate::domain::ids::RunId;

/// Exit code of a worker that found its attempt claimed by another.
const CLAIMED: i32 = 3;
/// A worker that is asked to stop may write a checkpoint for so long.
const GRACE: Duration = Duration::from_secs(10);
/// Most bytes of a log that are read from its end.
const LOG_BYTES: u64 = 1 << 20;

enum Worker {
    Child(Child),
    Ended(Exit),
}

/// The executor of this machine.
pub struct Local {
    program: PathBuf,
    datasets: PathBuf,
    workers: Mutex<HashMap<(RunId, u32), Worker>>,
    held: Held,
}

impl Local {
    /// Starts `program` for every attempt.
    #[must_use]
    pub fn new(program: PathBuf, datasets: PathBuf) -> Self {
        Self { program, datasets, workers: Mutex::default(), held: Held::default() }
    }

    fn workers(&self) -> MutexGuard<'_, HashMap<(RunId, u32), Worker>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self, job: &Job) -> std::io::Result<Child> {
        Command::new(&self.program)
            .arg("run")
            .arg("--run")
            .arg(&job.folder)
            .arg("--attempt")
            .arg(job.attempt.to_string())
            .arg("--datasets")
            .arg(&self.datasets)
            .arg("--device")
            .arg(&job.device)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .env_remove("SKEIN_TOKEN")
            .process_group(0)
            .spawn()
    }

    fn start(&self, job: &Job) -> Started {
        let mut workers = self.workers();
        if let Some(worker) = workers.get(&(job.run, job.attempt)) {
            return Ok(match worker {
                Worker::Child(child) => Some(child.id()),
                Worker::Ended(_) => None,
            });
        }
        let child = self.spawn(job).map_err(|source| ExecutorError::Start {
            program: self.program.display().to_string(),
            source,
        })?;
        let pid = child.id();
        workers.retain(|(run, attempt), _| *run != job.run || *attempt >= job.attempt);
        workers.insert((job.run, job.attempt), Worker::Child(child));
        Ok(Some(pid))
    }

    /// Leader of the process group that works on the attempt.
    fn leader(&self, job: &Job) -> Option<Pid> {
        if let Some(worker) = self.workers().get(&(job.run, job.attempt)) {
            return match worker {
                Worker::Child(child) => Pid::from_raw(i32::try_from(child.id()).ok()?),
                Worker::Ended(_) => None,
            };
        }
        let pid = job.pid.filter(|pid| works_on(*pid, job))?;
        Pid::from_raw(i32::try_from(pid).ok()?)
    }
}

impl Executor for Local {
    fn submit(&self, jobs: &[Job]) -> Vec<Started> {
        jobs.iter().map(|job| self.start(job)).collect()
    }

    fn poll(&self, job: &Job) -> JobState {
        let mut workers = self.workers();
        let exit = match workers.get_mut(&(job.run, job.attempt)) {
            Some(Worker::Child(child)) => match reap(child) {
                None => return JobState::Alive,
                Some(exit) => {
                    workers.insert((job.run, job.attempt), Worker::Ended(exit));
                    exit
                }
            },
            Some(Worker::Ended(exit)) => *exit,
            None => Exit::Unseen,
        };
        drop(workers);
        let elsewhere = matches!(exit, Exit::Unseen | Exit::Code(CLAIMED));
        let seen = job.pid.is_some_and(|pid| works_on(pid, job));
        if elsewhere && (seen || self.held.is_held(job)) {
            return JobState::Alive;
        }
        JobState::Gone(exit)
    }

    fn cancel(&self, job: &Job, how: Stop) -> Result<bool, ExecutorError> {
        let Some(leader) = self.leader(job) else { return Ok(false) };
        let signal = match how {
            Stop::Ask => Signal::TERM,
            Stop::Kill => Signal::KILL,
        };
        match kill_process_group(leader, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(ExecutorError::Signal(error.into())),
        }
    }

    fn logs(&self, job: &Job, tail: usize) -> Vec<String> {
        let path = folder::attempt(&job.folder, job.attempt).join(folder::LOG);
        read_tail(&path, tail).unwrap_or_default()
    }

    fn grace(&self) -> Duration {
        GRACE
    }
}

/// How a child ended, if it did; what it left of its process group is killed before its id can
/// be given to another process.
fn reap(child: &mut Child) -> Option<Exit> {
    let pid = Pid::from_raw(i32::try_from(child.id()).ok()?)?;
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(pid), options) {
        Ok(None) => return None,
        Ok(Some(_)) => {
            // An empty group is no fault.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        Err(_) => return Some(Exit::Unseen),
    }
    let Ok(status) = child.wait() else { return Some(Exit::Unseen) };
    Some(match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unseen,
    })
}

pub(super) fn lock_path(job: &Job) -> PathBuf {
    folder::attempt(&job.folder, job.attempt).join(folder::LOCK)
}

/// Whether a process was started to work on this attempt; a dead one has no command line.
fn works_on(pid: u32, job: &Job) -> bool {
    let Ok(bytes) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let text = String::from_utf8_lossy(&bytes);
    let words: Vec<&str> = text.split('\0').collect();
    let run = job.run.to_string();
    let (run, attempt) = (run.as_str(), job.attempt.to_string());
    words.iter().any(|word| word.ends_with(run))
        && words.windows(2).any(|pair| pair[0] == "--attempt" && pair[1] == attempt)
}

pub(super) fn read_tail(path: &Path, tail: usize) -> std::io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(LOG_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().skip(usize::from(from > 0)).collect();
    let first = lines.len().saturating_sub(tail);
    Ok(lines[first..].iter().map(|line| (*line).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn script(dir: &Path, body: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = dir.join("worker.sh");
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn job(dir: &Path) -> Job {
        let run = RunId::new();
        let folder = dir.join(run.to_string());
        Job { run, folder, attempt: 1, device: "cpu".to_owned(), pid: None, slurm: None }
    }

    /// Another test may just be forking with the script still open for writing.
    fn submit(local: &Local, job: &Job) -> Option<u32> {
        loop {
            match local.start(job) {
                Ok(pid) => return pid,
                Err(ExecutorError::Start { source, .. })
                    if source.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn gone(local: &Local, job: &Job) -> Exit {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            match local.poll(job) {
                JobState::Gone(exit) => return exit,
                _ => assert!(Instant::now() < end, "the worker does not end"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn submitting_twice_starts_one_worker() {
        let dir = tempfile::tempdir().unwrap();
        let program = script(dir.path(), "echo x >> $(dirname $0)/starts; exit 7");
        let (local, job) = (Local::new(program, dir.path().into()), job(dir.path()));
        submit(&local, &job);
        submit(&local, &job);
        assert_eq!(gone(&local, &job), Exit::Code(7));
        submit(&local, &job);
        assert_eq!(gone(&local, &job), Exit::Code(7));
        assert_eq!(fs::read_to_string(dir.path().join("starts")).unwrap(), "x\n");
    }

    #[test]
    fn a_kill_reaches_the_whole_group() {
        let dir = tempfile::tempdir().unwrap();
        let program =
            script(dir.path(), "trap '' TERM; sleep 100 & echo $! > $(dirname $0)/child; wait");
        let (local, job) = (Local::new(program, dir.path().into()), job(dir.path()));
        submit(&local, &job);
        let file = dir.path().join("child");
        while fs::read_to_string(&file).unwrap_or_default().is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let child = fs::read_to_string(&file).unwrap();
        local.cancel(&job, Stop::Kill).unwrap();
        assert_eq!(gone(&local, &job), Exit::Signal(9));
        let cmdline = format!("/proc/{}/cmdline", child.trim());
        let end = Instant::now() + Duration::from_secs(5);
        while fs::read(&cmdline).is_ok_and(|bytes| !bytes.is_empty()) {
            assert!(Instant::now() < end, "the worker's child lives on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_worker_of_an_earlier_server_is_found_and_can_be_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let program = script(dir.path(), "sleep 100 & wait");
        let (first, mut job) = (Local::new(program, dir.path().into()), job(dir.path()));
        job.pid = submit(&first, &job);
        let second = Local::new(PathBuf::from("none"), dir.path().into());
        // The kernel fills the command line in a moment after the process has begun.
        let end = Instant::now() + Duration::from_secs(5);
        while second.poll(&job) != JobState::Alive {
            assert!(Instant::now() < end, "the worker is not found");
        }
        let other = Job { attempt: 2, ..job.clone() };
        assert_eq!(second.poll(&other), JobState::Gone(Exit::Unseen));
        second.cancel(&job, Stop::Ask).unwrap();
        assert_eq!(gone(&first, &job), Exit::Signal(15));
        assert_eq!(second.poll(&job), JobState::Gone(Exit::Unseen));
    }

    #[test]
    fn a_held_lock_means_alive() {
        let dir = tempfile::tempdir().unwrap();
        let (local, job) = (Local::new("none".into(), dir.path().into()), job(dir.path()));
        fs::create_dir_all(folder::attempt(&job.folder, 1)).unwrap();
        let lock = skein_disk::lock::Lock::take(&lock_path(&job), || {}).unwrap();
        assert_eq!(local.poll(&job), JobState::Alive);
        drop(lock);
        // A process that another test is just starting holds the lock too, until it has begun.
        assert_eq!(gone(&local, &job), Exit::Unseen);
    }

    #[test]
    fn a_missing_program_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (local, job) = (Local::new("/no/such".into(), dir.path().into()), job(dir.path()));
        let error = local.start(&job).unwrap_err().to_string();
        assert!(error.starts_with("cannot start the worker `/no/such`"), "{error}");
    }
}
