//! `skein demo`: a server and a real search in one command.

use clap::Parser as _;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::follow::follow;
use super::http::Api;
use super::text::pairs;
use super::{ClientError, check_end, runs, say};
use crate::log::init_log;
use crate::serve::{ServeError, Server};
use crate::settings::{Cli, Command, Places, ServeArgs, token};
use crate::views::{RunDetail, RunView};

/// What the demonstration searches. The published rate of the rows moves them over hundreds of
/// epochs; four want a larger one.
const SPEC: &str = r#"{
    "name": "Demo: toy cell, DrNAS, entangled",
    "dataset": {"id": "fashion-mnist", "limit": 4096},
    "space": {"preset": "toy-cell"},
    "search": {
        "optimizer": {"kind": "drnas"},
        "weights": "entangled",
        "fidelity": "corrected",
        "epochs": 4,
        "batch_size": 64,
        "arch_lr": 0.01
    },
    "after": {"from_scratch": {"epochs": 3}, "limit": 30000}
}"#;

/// Where it runs, and whether it stays.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End the server after the table; the exit code says whether the run succeeded.
    #[arg(long)]
    exit: bool,
    /// Where things are.
    #[command(flatten)]
    places: Places,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "HOST:PORT")]
    listen: String,
}

pub(super) fn run(args: Args) -> Result<(), ClientError> {
    let failed = |error: ServeError| ClientError::Refused(error.to_string());
    init_log(false, "warn");
    let runtime = tokio::runtime::Runtime::new()?;
    let shutdown = CancellationToken::new();
    let exit = args.exit;
    let data = args.places.data.clone();
    let server = runtime.block_on(Server::start(serve_args(args)?, shutdown.clone()));
    let server = server.map_err(failed)?;
    let url = server.url();
    let serving = runtime.spawn(server.run());
    stop_on_signal(&runtime, &shutdown)?;
    let api = Api::here(&url, token());
    let outcome = search_and_show(&api, &data, &shutdown);
    let refused = matches!(outcome, Err(ClientError::Refused(_)));
    if !exit && !refused && !shutdown.is_cancelled() {
        if let Err(error) = &outcome {
            say(error)?;
        }
        say(format!("\nThe server stays up at {url} until Ctrl-C."))?;
        runtime.block_on(shutdown.cancelled());
    }
    shutdown.cancel();
    runtime
        .block_on(serving)
        .map_err(|error| ClientError::Failed(error.to_string()))?
        .map_err(failed)?;
    outcome
}

/// The arguments of `serve`, so that its defaults and variables hold here too.
fn serve_args(args: Args) -> Result<ServeArgs, ClientError> {
    let parsed = Cli::try_parse_from(["skein", "serve"]);
    let parsed = parsed.map_err(|error| ClientError::Refused(error.to_string()))?;
    let Command::Serve(defaults) = parsed.command else {
        return Err(ClientError::Failed("the command line cannot be read".to_owned()));
    };
    let Args { places, listen, .. } = args;
    Ok(ServeArgs { places, listen, token: token(), ..defaults })
}

fn stop_on_signal(
    runtime: &tokio::runtime::Runtime,
    shutdown: &CancellationToken,
) -> Result<(), ClientError> {
    let _entered = runtime.enter();
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let shutdown = shutdown.clone();
    runtime.spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        shutdown.cancel();
    });
    Ok(())
}

fn search_and_show(
    api: &Api,
    data: &std::path::Path,
    shutdown: &CancellationToken,
) -> Result<(), ClientError> {
    let spec: Value = serde_json::from_str(SPEC)
        .map_err(|error| ClientError::Failed(format!("the demonstration is broken: {error}")))?;
    let made: RunDetail = api.create("/api/v1/runs", &spec)?;
    let page = format!("{}/runs/{}", api.base(), made.run.id);
    say(format!("A search runs. Watch it at {page}"))?;
    let run = follow(api, &made.run.id, &|| shutdown.is_cancelled())?.run;
    if shutdown.is_cancelled() && run.summary.is_none() {
        let text = "interrupted; the run goes on when a server is started on the same folder";
        return Err(ClientError::Failed(text.to_owned()));
    }
    check_end(&run)?;
    say(format!("\n{}", runs::result_table(&run)))?;
    say(pairs(&[("files", files(data, &run)), ("page", page)]))
}

/// Folder of the result package.
fn files(data: &std::path::Path, run: &RunView) -> String {
    let folder = data.join("runs").join(&run.id);
    let package = skein_core::folder::attempt(&folder, run.attempt);
    let package = package.join(skein_core::folder::ARTIFACTS);
    std::path::absolute(&package).unwrap_or(package).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demonstration_is_a_valid_specification() {
        let spec: Value = serde_json::from_str(SPEC).unwrap();
        skein_core::spec::RunSpec::parse(&spec).unwrap();
    }
}
