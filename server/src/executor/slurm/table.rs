//! Jobs as Slurm lists them.

use std::collections::HashMap;

use super::PREFIX;
use super::transport::SlurmError;
use crate::executor::{Exit, Interruption};

/// The columns that are asked for, each with `|` behind it.
pub(super) const COLUMNS: &str = "ArrayJobID:|,ArrayTaskID:|,JobID:|,State:|,Reason:|,NodeList:|,StartTime:|,\
                                  exit_code:|,Name:|";

/// How a job of ours is called; a task of an array has a number too.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub(super) struct Name {
    pub(super) job: String,
    pub(super) task: Option<u32>,
}

/// One job, or one task of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: Name,
    /// As `scancel` takes it.
    pub(super) id: String,
    pub(super) number: u64,
    pub(super) state: String,
    pub(super) reason: String,
    pub(super) nodes: String,
    /// Seconds since 1970: when it began, or is expected to.
    pub(super) start: Option<i64>,
    /// As `wait` gives it.
    pub(super) status: i32,
}

/// Jobs by their names.
pub(super) type Jobs = HashMap<Name, Row>;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobPhase {
    Waiting,
    Working,
    Ended(Exit),
}

impl Row {
    fn read(line: &str) -> Option<Self> {
        let mut parts = line.trim().split('|').map(str::trim);
        let mut next = || parts.next();
        let (array, task, job) = (next()?, next()?, next()?);
        let (state, reason, nodes) = (next()?, next()?, next()?);
        let (start, status, name) = (next()?, next()?, next()?);
        let task = task.parse::<u32>().ok();
        Some(Self {
            name: Name { job: name.to_owned(), task },
            id: task.map_or_else(|| job.to_owned(), |task| format!("{array}_{task}")),
            number: job.parse().ok()?,
            state: state.to_owned(),
            reason: reason.to_owned(),
            nodes: nodes.to_owned(),
            start: start.parse().ok(),
            status: status.parse().unwrap_or(0),
        })
    }

    /// What the job does, by Slurm's word for it.
    pub(super) fn phase(&self) -> JobPhase {
        let interrupted = |why| JobPhase::Ended(Exit::Interrupted(why));
        match self.state.as_str() {
            "PENDING" | "CONFIGURING" | "REQUEUED" | "REQUEUE_FED" | "REQUEUE_HOLD"
            | "RESV_DEL_HOLD" | "SPECIAL_EXIT" => JobPhase::Waiting,
            "COMPLETED" => interrupted(Interruption::Asked),
            "TIMEOUT" | "DEADLINE" => interrupted(Interruption::TimeLimit),
            "PREEMPTED" => interrupted(Interruption::Preempted),
            "NODE_FAIL" | "BOOT_FAIL" => interrupted(Interruption::NodeFailed),
            "OUT_OF_MEMORY" => JobPhase::Ended(Exit::OutOfMemory),
            "CANCELLED" | "REVOKED" => JobPhase::Ended(Exit::CancelledElsewhere),
            "FAILED" => JobPhase::Ended(self.exit()),
            // RUNNING, COMPLETING, STAGE_OUT, SIGNALING, SUSPENDED, STOPPED, RESIZING and what may come.
            _ => JobPhase::Working,
        }
    }

    fn exit(&self) -> Exit {
        let (signal, code) = (self.status & 0x7f, (self.status >> 8) & 0xff);
        match (signal, code) {
            // Only a job that began again finds its own attempt claimed. Slurm does not count it
            // as a restart if its controller was killed meanwhile.
            (0, super::CLAIMED) => Exit::Interrupted(Interruption::Requeued),
            (0, code) => Exit::Code(code),
            (signal, _) => Exit::Signal(signal),
        }
    }

    fn outranks(&self, other: &Self) -> bool {
        let rank = |row: &Self| (!matches!(row.phase(), JobPhase::Ended(_)), row.number);
        rank(self) > rank(other)
    }
}

/// Jobs by their names; of several with one name, that which has not ended, or else the newest.
pub(super) fn read(text: &str) -> Result<Jobs, SlurmError> {
    let mut rows = Jobs::new();
    let lines = || text.lines().filter(|line| !line.trim().is_empty());
    let read: Vec<Row> = lines().filter_map(Row::read).collect();
    if let (true, Some(line)) = (read.is_empty(), lines().next()) {
        return Err(SlurmError::nonsense("squeue", line));
    }
    // A host may greet, and jobs that are not ours may have any name.
    let own = read.into_iter().filter(|row| row.name.job.starts_with(PREFIX));
    own.for_each(|row| add(&mut rows, row));
    Ok(rows)
}

/// Adds a job, unless one of its name that matters more is there.
pub(super) fn add(rows: &mut Jobs, row: Row) {
    match rows.get(&row.name) {
        Some(known) if !row.outranks(known) => {}
        _ => drop(rows.insert(row.name.clone(), row)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn row(line: &str) -> Row {
        Row::read(line).unwrap()
    }

    #[rstest]
    #[case::pending("7|N/A|7|PENDING|Priority||N/A|0|skein-a-1|", "7", JobPhase::Waiting)]
    #[case::running("7|N/A|7|RUNNING|None|n1|1796000000|0|skein-a-1|", "7", JobPhase::Working)]
    #[case::task("7|3|9|COMPLETING|None|n1|N/A|0|skein-array-x|", "7_3", JobPhase::Working)]
    #[case::left(
        "7|N/A|7|COMPLETED|None|n1|N/A|0|skein-s|",
        "7",
        JobPhase::Ended(Exit::Interrupted(Interruption::Asked))
    )]
    #[case::code(
        "7|N/A|7|FAILED|NonZeroExitCode|n1|N/A|1792|skein-s|",
        "7",
        JobPhase::Ended(Exit::Code(7))
    )]
    #[case::signal(
        "7|N/A|7|FAILED|JobLaunchFailure|n1|N/A|9|skein-s|",
        "7",
        JobPhase::Ended(Exit::Signal(9))
    )]
    #[case::began_again(
        "7|N/A|7|FAILED|NonZeroExitCode|n1|N/A|768|skein-s|",
        "7",
        JobPhase::Ended(Exit::Interrupted(Interruption::Requeued))
    )]
    #[case::memory(
        "7|N/A|7|OUT_OF_MEMORY|OutOfMemory|n1|N/A|9|skein-s|",
        "7",
        JobPhase::Ended(Exit::OutOfMemory)
    )]
    fn a_line_says_what_a_job_does(#[case] line: &str, #[case] id: &str, #[case] phase: JobPhase) {
        let row = row(line);
        assert_eq!((row.id.as_str(), row.phase()), (id, phase));
    }

    #[test]
    fn of_jobs_with_one_name_the_one_that_works_counts() {
        let text = "7|N/A|7|RUNNING|None|n1|1796000000|0|skein-s|\n\
                    9|N/A|9|CANCELLED|None||N/A|0|skein-s|\n\n\
                    5|0|5|COMPLETED|None|n1|N/A|0|skein-a|\n6|0|6|FAILED|None|n1|N/A|256|skein-a|\n";
        let rows = read(text).unwrap();
        let of = |job: &str, task| &rows[&Name { job: job.to_owned(), task }];
        assert_eq!(
            (of("skein-s", None).id.as_str(), of("skein-s", None).start),
            ("7", Some(1_796_000_000))
        );
        assert_eq!(of("skein-a", Some(0)).phase(), JobPhase::Ended(Exit::Code(1)));
    }

    #[test]
    fn an_answer_that_is_no_table_is_an_error() {
        let error = read("Welcome to the cluster!\n").unwrap_err().to_string();
        assert!(error.ends_with("does not understand: Welcome to the cluster!"), "{error}");
        assert_eq!(read("").unwrap().len(), 0);
        let text = "Welcome!\n7|N/A|7|RUNNING|None|n1|N/A|0|other\n people's|\n\
                    8|N/A|8|RUNNING|None|n1|N/A|0|skein-b-1|\n";
        assert_eq!(read(text).unwrap().len(), 1, "what is not ours does not matter");
    }
}
