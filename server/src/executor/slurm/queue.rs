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

/// The table, and who asks for it next.
pub(super) struct Queue {
    commands: Commands,
    every: Duration,
    turn: Mutex<Turn>,
}

impl Queue {
    /// A table that is renewed so often.
    pub(super) fn new(commands: Commands, every: Duration) -> Self {
        let (seen, next) = (Seen::default(), Instant::now());
        Self { commands, every, turn: Mutex::new(Turn { seen, next, wait: every, asking: false }) }
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table; whoever comes when it is due renews it, the others get the one before.
    pub(super) fn look(&self) -> Seen {
        let mut turn = self.turn();
        if turn.asking || turn.next > Instant::now() {
            return turn.seen.clone();
        }
        turn.asking = true;
        drop(turn);
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
        let answer = self.commands.run("env", &args, "").and_then(|text| table::read(&text));
        let mut turn = self.turn();
        turn.asking = false;
        match answer {
            Ok(rows) => {
                if turn.seen.trouble.is_some() {
                    tracing::info!("Slurm answers again");
                }
                let rows = Arc::new(rows);
                turn.wait = self.every;
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
                turn.wait = (2 * turn.wait).min(LONGEST.max(self.every));
                Err(error)
            }
        }
    }

    /// Submits a job.
    ///
    /// # Errors
    /// - [`CommandError`].
    pub(super) fn submit(&self, args: &[String], text: &str) -> Result<(), CommandError> {
        let answer = self.commands.run("sbatch", args, text);
        self.soon();
        answer.map(|id| tracing::info!(job = %id, "submitted to Slurm"))
    }

    /// Cancels a job, or sends it a signal.
    ///
    /// # Errors
    /// - [`CommandError`].
    pub(super) fn cancel(&self, id: &str, words: &[&str]) -> Result<(), CommandError> {
        let args: Vec<String> = words.iter().copied().chain([id]).map(str::to_owned).collect();
        let answer = self.commands.run("scancel", &args, "");
        self.soon();
        answer.map(drop)
    }

    /// What other commands say, for the set-up check.
    ///
    /// # Errors
    /// - [`CommandError`].
    pub(super) fn run(&self, program: &str, args: &[&str]) -> Result<String, CommandError> {
        let args: Vec<String> = args.iter().map(|word| (*word).to_owned()).collect();
        self.commands.run(program, &args, "")
    }

    /// What has changed is looked at soon, unless Slurm does not answer anyway.
    fn soon(&self) {
        let mut turn = self.turn();
        if turn.seen.trouble.is_none() {
            turn.next = turn.next.min(Instant::now() + Duration::from_millis(500));
        }
    }
}
