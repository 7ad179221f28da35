//! `skein certify`: proves on this machine that the engine computes what it must.

use std::process::{Command, Stdio};

use skein_core::folder;

use super::ClientError;
use crate::settings::Places;

/// What is proven.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only what concerns this space.
    #[arg(long, value_name = "PRESET")]
    space: Option<String>,
    /// Fewer architectures and one measurement of speed.
    #[arg(long)]
    quick: bool,
    /// The device.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Where things are.
    #[command(flatten)]
    places: Places,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The worker proves and prints; this command says how it ended.
pub(super) fn run(args: &Args) -> Result<(), ClientError> {
    let worker = args.places.worker();
    let mut command = Command::new(&worker);
    command.arg("certify").args(["--device", &args.device]);
    if let Some(space) = &args.space {
        command.args(["--space", space]);
    }
    command.args(args.quick.then_some("--quick")).args(args.json.then_some("--json"));
    // The page `/certify` of a server on this data shows it.
    if args.places.data.is_dir() {
        command.arg("--record").arg(args.places.data.join(folder::CERTIFICATE));
    }
    command.stdin(Stdio::null()).env_remove("SKEIN_TOKEN");
    let status = command.status().map_err(|error| {
        let name = worker.display();
        ClientError::Failed(format!("cannot start the worker `{name}`: {error}"))
    })?;
    match status.code() {
        Some(0) => Ok(()),
        Some(1) => Err(ClientError::Failed("not everything held".to_owned())),
        // The worker has said what it refuses.
        Some(2) => Err(ClientError::Refused(String::new())),
        _ => Err(ClientError::Failed(format!("the worker ended with {status}"))),
    }
}
