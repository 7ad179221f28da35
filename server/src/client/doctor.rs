//! `skein doctor`: what is wrong with the machine that searches run on, and what to do about it.
//!
//! A server that answers looks at its own folders, wherever they are. Without one, or if places are
//! named, this program looks itself and says where.

use std::path::PathBuf;

use clap::Parser as _;

use super::http::Api;
use super::text::pairs;
use super::{ClientError, say, say_json};
use crate::executor::slurm::Slurm;
use crate::executor::slurm::settings::SlurmSettings;
use crate::service::checks;
use crate::settings::{Cli, Command, Places};
use crate::views::Check;

/// Where to look.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Look at this folder of all runs, not at the server's.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Look at this folder of the data sets, not at the server's.
    #[arg(long, value_name = "DIR")]
    datasets: Option<PathBuf>,
    /// Look at this program that works on runs, not at the server's.
    #[arg(long, value_name = "FILE")]
    worker: Option<PathBuf>,
    /// Look at the cluster too, with a tiny job; its settings are those of --slurm.
    #[arg(long, value_name = "NAME", value_parser = ["local", "slurm"])]
    executor: Option<String>,
    /// Settings of a Slurm cluster.
    #[arg(long, env = "SKEIN_SLURM", value_name = "FILE")]
    slurm: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), ClientError> {
    let mut checks = look(args)?;
    if args.executor.as_deref() == Some("slurm") {
        checks.extend(cluster(args)?);
    }
    let wrong = checks.iter().filter(|check| !check.ok).count();
    if args.json {
        say_json(&checks)?;
    } else {
        let lines: Vec<(&str, String)> = checks
            .iter()
            .map(|check| {
                let word = if check.ok { "ok      " } else { "problem " };
                (check.name.as_str(), format!("{word} {}", check.detail))
            })
            .collect();
        say(pairs(&lines))?;
    }
    match wrong {
        0 => Ok(()),
        1 => Err(ClientError::Failed("1 problem".to_owned())),
        n => Err(ClientError::Failed(format!("{n} problems"))),
    }
}

fn look(args: &Args) -> Result<Vec<Check>, ClientError> {
    let api = Api::from_environment();
    let answer: Result<Vec<Check>, ClientError> = api.get("/api/v1/checks");
    let named = args.data.is_some() || args.datasets.is_some() || args.worker.is_some();
    let server = answer.as_ref().map(|_| api.base().to_owned()).map_err(ToString::to_string);
    let mut found = vec![Check::new("server", server)];
    if let (Ok(checks), false) = (answer, named) {
        found.push(Check::new("looked at", Ok("the server's own worker and folders".to_owned())));
        found.extend(checks);
        return Ok(found);
    }
    let places = places(args)?;
    let why = if named { "as they were named" } else { "as no server could be asked" };
    let shown = |path: PathBuf| std::path::absolute(&path).unwrap_or(path).display().to_string();
    let where_to = format!(
        "the data folder `{}` and the data sets in `{}`, {why}",
        shown(places.data.clone()),
        shown(places.datasets())
    );
    found.push(Check::new("looked at", Ok(where_to)));
    found.extend(checks::all(&places));
    Ok(found)
}

/// What is wrong with the cluster.
fn cluster(args: &Args) -> Result<Vec<Check>, ClientError> {
    let Some(file) = &args.slurm else {
        let detail = "name the settings of the cluster with --slurm or SKEIN_SLURM".to_owned();
        return Ok(vec![Check::new("slurm settings", Err(detail))]);
    };
    match SlurmSettings::read(file) {
        Err(error) => Ok(vec![Check::new("slurm settings", Err(error.to_string()))]),
        Ok(settings) => {
            let places = places(args)?;
            let slurm = Slurm::new(settings, &places.worker(), &places.datasets(), &places.data);
            Ok(slurm.checks(&places.data))
        }
    }
}

/// The places that a server would take that is started here, but for those that are named.
fn places(args: &Args) -> Result<Places, ClientError> {
    let parsed = Cli::try_parse_from(["skein", "serve"]);
    let parsed = parsed.map_err(|error| ClientError::Refused(error.to_string()))?;
    let Command::Serve(serve) = parsed.command else {
        return Err(ClientError::Failed("the command line cannot be read".to_owned()));
    };
    let Places { data, datasets, worker } = serve.places;
    Ok(Places {
        data: args.data.clone().unwrap_or(data),
        datasets: args.datasets.clone().or(datasets),
        worker: args.worker.clone().or(worker),
    })
}
