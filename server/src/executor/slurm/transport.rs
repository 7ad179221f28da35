//! How Slurm is reached: through its commands or through its REST interface.

use skein_core::spec::SlurmSpec;

use super::partitions::Partition;
use super::table::Jobs;

/// What Slurm says when a later attempt may succeed.
const TEMPORARY: [&str; 13] = [
    "unable to contact",
    "timed out",
    "temporarily",
    "connection refused",
    "connection failure",
    "zero bytes were transmitted",
    "submit limit",
    "too many jobs",
    "partition not available",
    "inactive or drain",
    "standby mode",
    "unexpected message",
    "i/o error",
];

/// A job, or an array of them, to be submitted.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) name: String,
    /// Number of jobs; one is no array.
    pub(super) tasks: usize,
    /// What each of them asks for.
    pub(super) asked: SlurmSpec,
    pub(super) script: String,
}

/// How a job is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its worker may write a checkpoint first.
    Ask,
    /// It is taken out of Slurm's queue, or killed.
    Cancel,
}

/// Slurm, however it is reached. No call takes longer than the settings allow.
pub(super) trait Transport: Send + Sync {
    /// The jobs of this account.
    fn jobs(&self) -> Result<Jobs, SlurmError>;

    /// Submits a job; gives its id.
    fn submit(&self, order: &Order) -> Result<String, SlurmError>;

    /// Ends a job, which is called as in its [row](super::table::Row::id).
    fn end(&self, id: &str, how: End) -> Result<(), SlurmError>;

    /// What the cluster has.
    fn partitions(&self) -> Result<Vec<Partition>, SlurmError>;

    /// Which Slurm it is, for example `slurm 22.05.8`.
    fn version(&self) -> Result<String, SlurmError>;
}

/// Why Slurm gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SlurmError {
    /// A command cannot be started, or an address cannot be reached.
    #[error("`{program}` cannot be {what}: {why}")]
    Start {
        /// Which.
        program: String,
        /// `started` or `reached`.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// What it needs cannot be written.
    #[error("`{file}` cannot be written: {source}")]
    Write {
        /// Its path.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It took too long, and was given up.
    #[error("`{program}` gave no answer within {seconds} s")]
    Slow {
        /// Which.
        program: String,
        /// How long it had.
        seconds: u64,
    },
    /// It failed.
    #[error("`{program}` failed: {said}")]
    Failed {
        /// Which.
        program: String,
        /// What it said.
        said: String,
    },
    /// Its answer cannot be understood.
    #[error("`{program}` answered what Skein does not understand: {said}")]
    Nonsense {
        /// Which.
        program: String,
        /// The beginning of its answer.
        said: String,
    },
}

impl SlurmError {
    /// An answer that cannot be understood.
    pub(super) fn nonsense(program: &str, said: &str) -> Self {
        Self::Nonsense {
            program: program.to_owned(),
            said: one_line(said).chars().take(200).collect(),
        }
    }

    /// Whether a later attempt may succeed without anybody doing anything.
    pub(super) fn is_temporary(&self) -> bool {
        match self {
            Self::Start { .. } | Self::Write { .. } | Self::Slow { .. } | Self::Nonsense { .. } => {
                true
            }
            Self::Failed { said, .. } => {
                let said = said.to_lowercase();
                TEMPORARY.iter().any(|words| said.contains(words))
            }
        }
    }
}

/// A text as one line of at most 400 characters.
pub(super) fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("; ").chars().take(400).collect()
}
