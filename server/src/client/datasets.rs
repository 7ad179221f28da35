//! `skein datasets`: what there is to learn from, and how to add to it.

mod send;
mod source;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use skein_core::dataset::report::{Level, Report};
use skein_core::dataset::{DataKind, DataShape};
use skein_data::Prepared;
use ureq::http::Method;

use super::http::Api;
use super::text::{grouped, pairs, table};
use super::{ClientError, say, say_json};
use crate::views::{DatasetView, IncomingView, NewDataset};

/// Time between two looks at a preparation.
const LOOK: Duration = Duration::from_millis(300);

/// The commands about data sets.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add your own data: a folder or an archive of class folders, IDX, CIFAR or npz files, a CSV
    /// of paths and labels, or a text.
    Add(Box<Add>),
    /// List the data sets.
    Ls {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one data set, with what was found in it.
    Show(One),
    /// Look your own data over without a server; nothing is added.
    Check {
        /// A file, or a folder.
        path: PathBuf,
        /// Side that images would be brought to, in pixels [default: what fits them].
        #[arg(long, value_name = "PIXELS")]
        size: Option<u32>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Delete data sets of your own.
    Rm {
        /// The data sets.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Let the server fetch a public data set.
    Fetch {
        /// `fashion-mnist`, `mnist`, `cifar-10`, `cifar-100`, `imagenette`, `tiny-shakespeare` or
        /// `tinystories`.
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What is added.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// A file, or a folder.
    path: PathBuf,
    /// Name for people [default: made of the file's name].
    #[arg(long)]
    title: Option<String>,
    /// Add another version of this data set.
    #[arg(long)]
    id: Option<String>,
    /// Side that images are brought to, in pixels [default: what fits them].
    #[arg(long, value_name = "PIXELS")]
    size: Option<u32>,
    /// Share of each class that becomes the test split if there is none [default: 0.2].
    #[arg(long, value_name = "SHARE")]
    test_share: Option<f64>,
    /// Let the server read the path where it lies; its administrator must allow that.
    #[arg(long)]
    in_place: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One data set.
#[derive(Debug, clap::Args)]
pub struct One {
    /// Its id.
    id: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: Command) -> Result<(), ClientError> {
    let api = Api::from_environment();
    match command {
        Command::Add(add) => {
            let asked = NewDataset {
                id: add.id.clone(),
                title: add.title.clone(),
                size: add.size,
                test_share: add.test_share,
                ..NewDataset::default()
            };
            let begun = if add.in_place {
                let path = std::path::absolute(&add.path)?;
                let folder = Some(path.display().to_string());
                begin(&api, &NewDataset { folder, ..asked })?
            } else {
                send::send(&api, &add.path, asked)?
            };
            follow(&api, &begun.id, add.json)
        }
        Command::Fetch { name, json } => {
            let begun = begin(&api, &NewDataset { fetch: Some(name), ..NewDataset::default() })?;
            follow(&api, &begun.id, json)
        }
        Command::Check { path, size, json } => {
            let Prepared { facts, report } = super::prepare::check(&path, size)?;
            if json {
                return say_json(&report);
            }
            let view = facts.dataset("", "");
            say(pairs(&[
                ("source", report.source.clone()),
                ("classes", facts.classes.join(", ")),
                ("train", grouped(view.train_images)),
                ("test", grouped(view.test_images)),
                ("shape", shape(facts.shape)),
            ]))?;
            findings(&report)
        }
        Command::Ls { json } => list(&api, json),
        Command::Show(one) => show(&api, &one.id, one.json),
        Command::Rm { ids } => {
            for id in ids {
                api.delete(&path(&id))?;
                say(format!("{id}  deleted"))?;
            }
            Ok(())
        }
    }
}

fn path(id: &str) -> String {
    format!("/api/v1/datasets/{}", crate::guard::encode(id))
}

fn begin(api: &Api, asked: &NewDataset) -> Result<DatasetView, ClientError> {
    api.send(Method::POST, "/api/v1/datasets", Some(&json!(asked)), &[])
}

/// Shows how a preparation goes on, and what came of it.
fn follow(api: &Api, id: &str, json: bool) -> Result<(), ClientError> {
    let bar =
        ProgressBar::no_length().with_style(style("{msg} {wide_bar} {human_pos} of {human_len}"));
    loop {
        let view: DatasetView = api.get(&path(id))?;
        let Some(incoming) = &view.incoming else {
            bar.finish_and_clear();
            return show(api, id, json);
        };
        if let Some(error) = &incoming.error {
            bar.finish_and_clear();
            return Err(ClientError::Refused(error.message.clone()));
        }
        bar.set_message(in_words(incoming));
        bar.set_length(incoming.total);
        bar.set_position(incoming.done);
        std::thread::sleep(LOOK);
    }
}

fn in_words(incoming: &IncomingView) -> String {
    match (incoming.state.as_str(), incoming.stage.as_deref()) {
        ("preparing", Some(stage)) => stage.to_owned(),
        ("fetching", Some(file)) => format!("fetching {file}"),
        (state, _) => state.to_owned(),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn list(api: &Api, json: bool) -> Result<(), ClientError> {
    let list: Vec<DatasetView> = api.get("/api/v1/datasets")?;
    if json {
        return say_json(&list);
    }
    let rows: Vec<Vec<String>> = list.iter().map(row).collect();
    say(table(&["ID", "STATE", "HOLDS", "CLASSES", "TRAIN", "TEST", "RUNS", "NAME"], &rows))
}

fn row(view: &DatasetView) -> Vec<String> {
    let number = |count: u64| if count == 0 { "–".to_owned() } else { grouped(count) };
    vec![
        view.id.clone(),
        view.state.clone(),
        holds(view),
        number(view.classes.len() as u64),
        number(view.train_images),
        number(view.test_images),
        number(view.runs),
        view.title.clone(),
    ]
}

fn holds(view: &DatasetView) -> String {
    match (view.kind, view.shape) {
        (Some(DataKind::Text), _) => "text".to_owned(),
        (_, Some(found)) => shape(found),
        _ => "–".to_owned(),
    }
}

fn show(api: &Api, id: &str, json: bool) -> Result<(), ClientError> {
    let view: DatasetView = api.get(&path(id))?;
    if json {
        return say_json(&view);
    }
    let mut lines = vec![
        ("id", view.id.clone()),
        ("name", view.title.clone()),
        ("state", view.state.clone()),
        ("holds", holds(&view)),
    ];
    lines.extend(view.problem.clone().map(|problem| ("problem", problem)));
    if !view.classes.is_empty() {
        lines.push(("classes", view.classes.join(", ")));
    }
    if view.train_images > 0 {
        lines.push(("train", grouped(view.train_images)));
        lines.push(("test", grouped(view.test_images)));
    }
    if view.own {
        lines.push(("version", view.version.clone()));
    }
    lines.push(("page", format!("{}/datasets/{}", api.base(), view.id)));
    say(pairs(&lines))?;
    if !view.own || view.versions.is_empty() {
        return Ok(());
    }
    findings(&api.get(&format!("{}/report", path(id)))?)
}

fn shape(shape: DataShape) -> String {
    format!("{}×{}×{}", shape.channels, shape.height, shape.width)
}

fn findings(report: &Report) -> Result<(), ClientError> {
    for finding in &report.findings {
        let level = match finding.level {
            Level::Problem => "problem",
            Level::Warning => "warning",
            Level::Note => "note",
        };
        say(format!("{level}: {}", finding.message))?;
    }
    Ok(())
}

/// The name that the server hears of a path.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
