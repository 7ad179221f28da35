//! What Slurm says of something, asked for again and again; who looks does not wait.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::transport::SlurmError;

/// Slurm is asked at least so often, however long it has not answered.
const LONGEST: Duration = Duration::from_secs(60);
/// What has changed is looked at after this time.
const SOON: Duration = Duration::from_millis(500);

/// An answer, as old as it may be.
#[derive(Debug)]
pub(super) struct Seen<T> {
    /// What Slurm said the last time it answered.
    pub(super) value: Arc<T>,
    /// When it was asked for that.
    pub(super) asked: Option<Instant>,
    /// Why Slurm did not answer the last time; none if it did.
    pub(super) trouble: Option<String>,
}

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        let Self { value, asked, trouble } = self;
        Self { value: Arc::clone(value), asked: *asked, trouble: trouble.clone() }
    }
}

struct Turn<T> {
    seen: Seen<T>,
    next: Instant,
    wait: Duration,
    asking: bool,
}

type Question<T> = Box<dyn Fn() -> Result<T, SlurmError> + Send + Sync>;

/// A question with its last answer; cheap to clone.
pub(super) struct Watched<T>(Arc<Inner<T>>);

impl<T> Clone for Watched<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inner<T> {
    question: Question<T>,
    every: Duration,
    turn: Mutex<Turn<T>>,
}

impl<T: Default + Send + Sync + 'static> Watched<T> {
    /// A question that is asked so often, as long as somebody looks.
    pub(super) fn new(every: Duration, question: Question<T>) -> Self {
        let seen = Seen { value: Arc::default(), asked: None, trouble: None };
        let turn = Turn { seen, next: Instant::now(), wait: every, asking: false };
        Self(Arc::new(Inner { question, every, turn: Mutex::new(turn) }))
    }

    fn turn(&self) -> MutexGuard<'_, Turn<T>> {
        self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last answer, or none yet. If a new one is due, it is asked for meanwhile.
    pub(super) fn look(&self) -> Seen<T> {
        let mut turn = self.turn();
        if turn.asking || turn.next > Instant::now() {
            return turn.seen.clone();
        }
        turn.asking = true;
        let this = self.clone();
        std::thread::spawn(move || this.ask());
        turn.seen.clone()
    }

    /// The answer of now.
    ///
    /// # Errors
    /// - Slurm does not answer.
    pub(super) fn look_now(&self) -> Result<Arc<T>, SlurmError> {
        self.turn().asking = true;
        self.ask()
    }

    fn ask(&self) -> Result<Arc<T>, SlurmError> {
        let asked = Instant::now();
        let answer = (self.0.question)();
        let mut turn = self.turn();
        turn.asking = false;
        match answer {
            Ok(value) => {
                if turn.seen.trouble.is_some() {
                    tracing::info!("Slurm answers again");
                }
                let value = Arc::new(value);
                turn.wait = self.0.every;
                turn.seen = Seen { value: Arc::clone(&value), asked: Some(asked), trouble: None };
                turn.next = Instant::now() + turn.wait;
                Ok(value)
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

    /// What has changed is looked at soon, unless Slurm does not answer anyway.
    pub(super) fn soon(&self) {
        let mut turn = self.turn();
        if turn.seen.trouble.is_none() {
            turn.next = turn.next.min(Instant::now() + SOON);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::commands::Commands;
    use super::super::table::{self, Jobs};
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    /// A table of jobs from a script.
    fn queue(dir: &Path, script: &str) -> Watched<Jobs> {
        let path = dir.join("squeue");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let commands = Commands::new(None, Duration::from_millis(300));
        let path = path.display().to_string();
        let question = move || table::read(&commands.run(&path, &[""; 0], "")?);
        Watched::new(Duration::from_millis(50), Box::new(question))
    }

    fn until(queue: &Watched<Jobs>, wanted: impl Fn(&Seen<Jobs>) -> bool) -> Seen<Jobs> {
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

    const ROW: &str = "echo '7|N/A|7|RUNNING|None|n1|1796000000|0|skein-a-1|'";

    #[test]
    fn a_table_stays_as_it_was_while_slurm_hangs_and_nobody_waits() {
        let dir = tempfile::tempdir().unwrap();
        let flag = dir.path().join("hang");
        let queue = queue(dir.path(), &format!("[ -e {} ] && sleep 100; {ROW}", flag.display()));
        assert_eq!(queue.look().value.len(), 0, "nobody waits");
        until(&queue, |seen| seen.value.len() == 1);
        std::fs::write(&flag, "").unwrap();
        let began = Instant::now();
        let seen = until(&queue, |seen| seen.trouble.is_some());
        assert_eq!(seen.value.len(), 1);
        assert!(seen.trouble.unwrap().contains("squeue` gave no answer within"));
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
        until(&queue, |seen| seen.asked.is_some());
        assert_eq!(std::fs::read_to_string(&calls).unwrap(), "x\n");
    }
}
