//! The commands that talk to a server.
//!
//! Results go to standard output (with `--json` for programs), progress and faults to standard
//! error. Exit codes: 0 success; 1 failure (a run failed, the server cannot be reached); 2 refusal
//! (a bad specification, bad usage, anything the server declines).

pub mod certify;
pub mod datasets;
pub mod demo;
pub mod doctor;
pub mod follow;
pub mod http;
pub mod predict;
pub mod prepare;
mod proxy;
pub mod runs;
pub mod search;
pub mod spaces;
pub mod studies;
pub mod text;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;

use crate::views::RunView;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a search from a specification in TOML or JSON.
    Search(search::Args),
    /// List, show, follow, stop, resume, delete and download runs.
    #[command(subcommand)]
    Runs(runs::Command),
    /// Compare search methods with each other and with chance, by a table of true accuracies.
    Study(studies::Args),
    /// List and show studies.
    #[command(subcommand)]
    Studies(studies::Command),
    /// Try the network of a finished run on an image or a prompt.
    Predict(predict::Args),
    /// List, add, show and delete data sets.
    #[command(subcommand)]
    Datasets(datasets::Command),
    /// Show the search spaces.
    #[command(subcommand)]
    Spaces(spaces::Command),
    /// Prepare a data set; a server starts this by itself.
    #[command(hide = true)]
    PrepareDataset(prepare::Args),
    /// Check this machine and the server, and say what to do.
    Doctor(doctor::Args),
    /// Prove on this machine that searches compute what they must.
    Certify(certify::Args),
    /// Start a server and a real search, and watch it to its end.
    Demo(demo::Args),
}

/// Why a command does not succeed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// It was declined; asking again does not help.
    #[error("{0}")]
    Refused(String),
    /// It went wrong.
    #[error("{0}")]
    Failed(String),
}

impl ClientError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Refused(_) => ExitCode::from(2),
            Self::Failed(_) => ExitCode::from(1),
        }
    }
}

impl From<std::io::Error> for ClientError {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Runs a command and says on standard error why it did not succeed.
#[must_use]
pub fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::Search(args) => search::run(&args),
        Command::Runs(command) => runs::run(command),
        Command::Study(args) => studies::create(&args),
        Command::Studies(command) => studies::run(command),
        Command::Predict(args) => predict::run(&args),
        Command::Datasets(command) => datasets::run(command),
        Command::PrepareDataset(args) => prepare::run(&args),
        Command::Spaces(command) => spaces::run(command),
        Command::Doctor(args) => doctor::run(&args),
        Command::Certify(args) => certify::run(&args),
        Command::Demo(args) => demo::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = error.to_string();
            if !text.is_empty() {
                let _ = writeln!(std::io::stderr(), "skein: {text}");
            }
            error.exit_code()
        }
    }
}

/// Writes a line to standard output. A reader that has gone away ends the command quietly.
fn say(text: impl std::fmt::Display) -> Result<(), ClientError> {
    writeln!(std::io::stdout(), "{text}").map_err(|_| ClientError::Failed(String::new()))
}

/// Writes a value as JSON to standard output.
fn say_json(value: &impl Serialize) -> Result<(), ClientError> {
    let text = serde_json::to_string_pretty(value);
    say(text.map_err(|error| ClientError::Failed(error.to_string()))?)
}

/// Says on standard error what a new run is warned of.
fn say_warnings(run: &RunView) {
    for warning in &run.warnings {
        let _ = writeln!(std::io::stderr(), "skein: warning: {}", warning.message);
    }
}

/// A run that came to its end is a success only if it succeeded.
fn check_end(run: &RunView) -> Result<(), ClientError> {
    if run.status == "succeeded" {
        return Ok(());
    }
    let mut text = format!("the run is {}", run.status);
    if let Some(failure) = &run.failure {
        text = format!("the run failed: {}\n{}", failure.message, failure.hint);
    } else if let Some(reason) = &run.reason {
        text = format!("{text}: {reason}");
    }
    Err(ClientError::Failed(text))
}
