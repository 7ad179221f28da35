//! Slurm through its own commands.

use super::commands::Commands;
use super::partitions::{self, Partition};
use super::script;
use super::settings::SlurmSettings;
use super::table::{self, COLUMNS, Jobs};
use super::transport::{End, Order, SlurmError, Transport};

/// The commands, and what the administrator says of jobs.
pub(super) struct CommandLine {
    commands: Commands,
    settings: SlurmSettings,
}

impl CommandLine {
    pub(super) fn new(commands: Commands, settings: SlurmSettings) -> Self {
        Self { commands, settings }
    }
}

impl Transport for CommandLine {
    fn jobs(&self) -> Result<Jobs, SlurmError> {
        let args =
            ["SLURM_TIME_FORMAT=%s", "squeue", "--me", "-h", "-r", "--states=all", "-O", COLUMNS];
        table::read(&self.commands.run("env", &args, "")?)
    }

    fn submit(&self, order: &Order) -> Result<String, SlurmError> {
        let args = script::arguments(order, &self.settings);
        self.commands.run("sbatch", &args, &order.script)
    }

    fn end(&self, id: &str, how: End) -> Result<(), SlurmError> {
        let args: &[&str] = match how {
            End::Ask => &["--batch", "--signal=TERM", id],
            // Through the controller, whatever the job does and wherever it is.
            End::Cancel => &[id],
        };
        self.commands.run("scancel", args, "").map(drop)
    }

    fn partitions(&self) -> Result<Vec<Partition>, SlurmError> {
        let text = self.commands.run("sinfo", &["-h", "-o", partitions::COLUMNS], "")?;
        partitions::read(&text)
    }

    fn version(&self) -> Result<String, SlurmError> {
        self.commands.run("sinfo", &["--version"], "")
    }
}
