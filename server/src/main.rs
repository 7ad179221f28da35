//! The program `skein`: the server and the commands that talk to it.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use skein_server::client;
use skein_server::log::init_log;
use skein_server::serve::{ServeError, Server};
use skein_server::settings::{Cli, Command, ServeArgs, token};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => serve(ServeArgs { token: token(), ..args }),
        Command::Client(command) => client::run(command),
    }
}

fn serve(args: ServeArgs) -> ExitCode {
    init_log(args.log_json, "info,sled=warn");
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("cannot start: {error}")),
    };
    match runtime.block_on(serve_until_signal(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error.to_string()),
    }
}

async fn serve_until_signal(args: ServeArgs) -> Result<(), ServeError> {
    let shutdown = CancellationToken::new();
    let mut term = signal(SignalKind::terminate()).map_err(ServeError::Broken)?;
    let mut int = signal(SignalKind::interrupt()).map_err(ServeError::Broken)?;
    let server = Server::start(args, shutdown.clone()).await?;
    let mut out = std::io::stdout();
    // Whoever started us may have closed its end; that is no reason to stop.
    let _ = writeln!(out, "Skein is ready at {}", server.url()).and_then(|()| out.flush());
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
        };
        next().await;
        shutdown.cancel();
        // Who asks twice does not want to wait; workers go on by themselves.
        next().await;
        std::process::exit(1);
    });
    server.run().await
}

fn refuse(message: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "skein: {message}");
    ExitCode::from(2)
}
