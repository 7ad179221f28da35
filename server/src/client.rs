//! The commands that talk to a server.

use std::process::ExitCode;

use clap::Subcommand;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {}

/// Runs a command.
#[must_use]
pub fn run(command: Command) -> ExitCode {
    match command {}
}
