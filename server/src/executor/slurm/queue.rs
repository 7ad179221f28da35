//! Slurm's table of jobs, asked for once for all runs, and the commands that change it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::commands::{CommandError, Commands};
use super::table::{self, COLUMNS, Name, Row};

/// Slurm is asked at least so often, however long it has not answered.
const LONGEST: Duration = Duration::from_secs(60);

/// The jobs of this account, as Slurm told of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// By name.
    pub(super) rows: Arc<HashMap<Name, Row>>,
    /// When Slurm was asked for them.
    pub(super) asked: Option<Instant>,
    /// Why Slurm did not answer the last time; none if it did.
    pub(super) trouble: Option<String>,
}

struct Turn {
    seen: Seen,
    next: Instant,
    wait: Duration,
    asking: bool,
}

/// The table, and when it is asked for next; cheap to clone.
#[derive(Clone)]
pub(super) struct Queue(Arc<Inner>);

struct Inner {
    commands: Commands,
    every: Duration,
    turn: Mutex<Turn>,
}

impl Queue {
    /// A table that is renewed so often.
    pub(super) fn new(commands: Commands, every: Duration) -> Self {
        let (seen, next) = (Seen::default(), Instant::now());
        let turn = Mutex::new(Turn { seen, next, wait: every, asking: false });
        Self(Arc::new(Inner { commands, every, turn }))
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table. If it is due, it is renewed meanwhile: nobody waits for it but the first who asks.
    pub(super) fn look(&self) -> Seen {
        let mut turn = self.turn();
        if turn.asking || turn.next > Instant::now() {
            return turn.seen.clone();
        }
        turn.asking = true;
        let seen = turn.seen.clone();
        drop(turn);
        if seen.asked.is_some() || seen.trouble.is_some() {
            let queue = self.clone();
            std::thread::spawn(move || queue.ask());
            return seen;
        }
        // What went wrong is part of what is seen.
        let _ = self.ask();
        self.turn().seen.clone()
    }

    /// The table as it is now.
    ///
    /// # Errors
    /// - Slurm does not answer.
    pub(super) fn look_now(&self) -> Result<Arc<HashMap<Name, Row>>, CommandError> {
        self.turn().asking = true;
        self.ask()
    }

    fn ask(&self) -> Result<Arc<HashMap<Name, Row>>, CommandError> {
        let asked = Instant::now();
        // Times as seconds since 1970, whatever the cluster's time zone.
        let words =
            ["SLURM_TIME_FORMAT=%s", "squeue", "--me", "-h", "-r", "--states=all", "-O", COLUMNS];
        let args = words.map(str::to_owned);
        let answer = self.0.commands.run("env", &args, "").and_then(|text| table::read(&text));
        let mut turn = self.turn();
        turn.asking = false;
        match answer {
            Ok(rows) => {
                if turn.seen.trouble.is_some() {
                    tracing::info!("Slurm answers again");
                }
                let rows = Arc::new(rows);
                turn.wait = self.0.every;
                turn.seen = Seen { rows: Arc::clone(&rows), asked: Some(asked), trouble: None };
                turn.next = Instant::now() + turn.wait;
                Ok(rows)
            }
            Err(error) => {
                let trouble = format!("Slurm does not answer: {error}");
                if turn.seen.trouble.is_none() {
                    tracing::warn!("{trouble}; jobs go on, and are looked for again");
                }
                turn.seen.trouble = Some(trouble);
                turn.next = Instant::now() + turn.wait;
                turn.wait = (2 * turn.wait).min(LONGEST.max(self.0.every));
                Err(error)
            }
        }
    }

    /// Submits a job.
    ///
    /// # Errors
    /// - [`CommandError`].
    pub(super) fn submit(&self, args: &[String], text: &str) -> Result<(), CommandError> {
        let answer = self.0.commands.run("sbatch", args, text);
        self.soon();
        answer.map(|id| tracing::info!(job = %id, "submitted to Slurm"))
    }

    /// Cancels a job, or sends it a signal.
    ///
    /// # Errors
    /// - [`CommandError`].
    pub(super) fn cancel(&self, id: &str, words: &[&str]) -> Result<(), CommandError> {
        let args: Vec<String> = words.iter().copied().chain([id]).map(str::to_owned).collect();
        let answer = self.0.commands.run("scancel", &args, "");
        self.soon();
        answer.map(drop)
    }

    /// What other commands say, for the set-up check.
    ///
    /// # Errors
    /// - [`CommandError`].
    pub(super) fn run(&self, program: &str, args: &[&str]) -> Result<String, CommandError> {
        let args: Vec<String> = args.iter().map(|word| (*word).to_owned()).collect();
        self.0.commands.run(program, &args, "")
    }

    /// What has changed is looked at soon, unless Slurm does not answer anyway.
    fn soon(&self) {
        let mut turn = self.turn();
        if turn.seen.trouble.is_none() {
            turn.next = turn.next.min(Instant::now() + Duration::from_millis(500));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    /// A queue whose `squeue` is a script.
    fn queue(dir: &Path, script: &str) -> Queue {
        let path = dir.join("squeue");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", dir.display(), std::env::var("PATH").unwrap_or_default());
        let commands = Commands::with_path(path, Duration::from_millis(300));
        Queue::new(commands, Duration::from_millis(50))
    }

    fn until(queue: &Queue, wanted: impl Fn(&Seen) -> bool) -> Seen {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let seen = queue.look();
            if wanted(&seen) {
                return seen;
            }
            assert!(Instant::now() < end, "{seen:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    const ROW: &str = "echo '7|N/A|7|skein-a-1|RUNNING|None|n1|1796000000|0|'";

    #[test]
    fn a_table_stays_as_it_was_while_slurm_hangs_and_nobody_waits() {
        let dir = tempfile::tempdir().unwrap();
        let flag = dir.path().join("hang");
        let queue = queue(dir.path(), &format!("[ -e {} ] && sleep 100; {ROW}", flag.display()));
        assert_eq!(queue.look().rows.len(), 1, "the first look waits");
        std::fs::write(&flag, "").unwrap();
        let began = Instant::now();
        let seen = until(&queue, |seen| seen.trouble.is_some());
        assert_eq!(seen.rows.len(), 1);
        assert!(seen.trouble.unwrap().contains("`env` gave no answer within"));
        while began.elapsed() < Duration::from_secs(1) {
            let look = Instant::now();
            queue.look();
            assert!(look.elapsed() < Duration::from_millis(150), "{:?}", look.elapsed());
        }
        std::fs::remove_file(&flag).unwrap();
        until(&queue, |seen| seen.trouble.is_none());
    }

    #[test]
    fn many_who_ask_at_once_cost_one_call() {
        let dir = tempfile::tempdir().unwrap();
        let calls = dir.path().join("calls");
        let queue = queue(dir.path(), &format!("echo x >> {}; sleep 0.2; {ROW}", calls.display()));
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| queue.look());
            }
        });
        assert_eq!(std::fs::read_to_string(&calls).unwrap(), "x\n");
    }
}
