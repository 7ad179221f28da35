//! `skein doctor`: what is wrong with this machine, and what to do about it.

use std::path::{Path, PathBuf};

use serde::Serialize;
use skein_core::dataset;

use super::http::Api;
use super::text::pairs;
use super::{ClientError, say, say_json};
use crate::executor::devices;
use crate::service::create::free_bytes;
use crate::service::datasets;
use crate::settings::{MIN_FREE_MIB, Places};
use crate::views::RunList;

/// Where to look.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where things are.
    #[command(flatten)]
    places: Places,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: String,
    ok: bool,
    detail: String,
}

impl Check {
    fn new(name: impl Into<String>, result: Result<String, String>) -> Self {
        let ok = result.is_ok();
        let detail = result.unwrap_or_else(|problem| problem);
        Self { name: name.into(), ok, detail }
    }
}

/// The data set without which neither demo nor examples work.
const EXAMPLES_USE: &str = "fashion-mnist";

pub(super) fn run(args: &Args) -> Result<(), ClientError> {
    let Places { data, .. } = &args.places;
    let (sets, worker) = (args.places.datasets(), args.places.worker());
    let mut checks = vec![
        Check::new("server", server()),
        Check::new("worker", find_worker(&worker)),
        Check::new("libtorch", libtorch(&worker)),
    ];
    for known in dataset::DATASETS {
        let place = sets.join(known.id);
        // Only the data of the examples must be here; others may be put here when they are wanted.
        let wanted = known.id == EXAMPLES_USE || place.exists();
        let found = match datasets::problem(&sets, known) {
            None => Ok(place.display().to_string()),
            Some(problem) if wanted => Err(problem),
            Some(_) => Ok(format!("not here; {}", known.how_to_get)),
        };
        checks.push(Check::new(known.id, found));
    }
    checks.push(Check::new("data folder", writable(data)));
    checks.push(Check::new("disk space", space(data)));
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

fn server() -> Result<String, String> {
    let api = Api::from_environment();
    let answer: Result<RunList, ClientError> = api.get("/api/v1/runs?limit=1");
    answer.map(|_| api.base().to_owned()).map_err(|error| error.to_string())
}

fn find_worker(path: &Path) -> Result<String, String> {
    if path.is_file() {
        return Ok(path.display().to_string());
    }
    let name = path.display();
    Err(format!("`{name}` does not exist; run `make build`, or name it with --worker"))
}

fn libtorch(worker: &Path) -> Result<String, String> {
    if !worker.is_file() {
        return Err("cannot be tried without the worker".to_owned());
    }
    let found = devices::ask(worker).map_err(|fault| {
        format!("{fault}; run `make setup` to install libtorch, or set LIBTORCH and build again")
    })?;
    let titles: Vec<String> = found.into_iter().map(|device| device.title).collect();
    Ok(format!("loads; devices: {}", titles.join(", ")))
}

fn writable(folder: &Path) -> Result<String, String> {
    let name = folder.display();
    let fault = |error: std::io::Error| {
        format!("`{name}` cannot be written ({error}); choose another with --data or SKEIN_DATA")
    };
    let place = existing(folder);
    let probe = place.join(format!(".skein-doctor-{}", std::process::id()));
    std::fs::write(&probe, b"x").and_then(|()| std::fs::remove_file(&probe)).map_err(fault)?;
    Ok(name.to_string())
}

fn space(folder: &Path) -> Result<String, String> {
    let free = free_bytes(&existing(folder)).map_err(|error| error.to_string())?;
    let text = format!("{} MiB free", free >> 20);
    if free >> 20 >= MIN_FREE_MIB {
        return Ok(text);
    }
    Err(format!("{text}, a new run wants {}; delete runs or files", MIN_FREE_MIB))
}

/// The folder, or what it would be created in.
fn existing(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let found = absolute.ancestors().find(|place| place.is_dir());
    found.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
