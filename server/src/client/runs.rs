//! `skein runs`: what there is, and what to do with it.

use std::fs::File;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use skein_core::number::duration;
use ureq::http::Method;

use super::follow::follow;
use super::http::Api;
use super::text::{grouped, pairs, percent, short, table};
use super::{ClientError, check_end, say, say_json, say_warnings};
use crate::domain::clock;
use crate::service::create::hex;
use crate::views::{
    FileList, FileView, LogView, RunDetail, RunList, RunView, Training, TrainingAsked,
};

/// The commands about runs. `ID` may be the beginning of an id.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List runs, newest first.
    Ls {
        /// Only these states, separated by commas.
        #[arg(long)]
        status: Option<String>,
        /// Most runs to list.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one run.
    Show(One),
    /// Show progress until a run has ended.
    Watch(One),
    /// End a run.
    Cancel(One),
    /// Go on with a run that is paused, lost, failed or cancelled.
    Resume(One),
    /// Delete runs and everything they wrote.
    Rm {
        /// The runs.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the end of a run's log.
    Logs {
        /// The run.
        id: String,
        /// The attempt; the newest unless named.
        #[arg(long)]
        attempt: Option<u32>,
        /// Lines to show.
        #[arg(long, default_value_t = 100)]
        tail: usize,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Measure or train what a run found, or another architecture of its space, in a new run.
    Train {
        /// The run.
        id: String,
        /// What to do.
        #[arg(long = "as", value_enum, value_name = "WHAT")]
        preset: Training,
        /// Text form, `architecture.json`'s content, a list of options or a genotype [default:
        /// what the run found].
        #[arg(long)]
        architecture: Option<String>,
        /// Epochs of the training.
        #[arg(long)]
        epochs: Option<u64>,
        /// Name of the new run.
        #[arg(long)]
        name: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Download the result package, or one file of it, and check its digest.
    Download {
        /// The run.
        id: String,
        /// The file.
        #[arg(default_value = "result.zip")]
        name: String,
        /// Where to put it [default: the file's name in this folder].
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// One run.
#[derive(Debug, clap::Args)]
pub struct One {
    /// The run.
    id: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: Command) -> Result<(), ClientError> {
    let api = Api::from_environment();
    match command {
        Command::Ls { status, limit, json } => list(&api, status.as_deref(), limit, json),
        Command::Show(one) => show(&api, &one),
        Command::Watch(one) => watch(&api, &one),
        Command::Cancel(one) => change(&api, &one, "cancel"),
        Command::Resume(one) => change(&api, &one, "resume"),
        Command::Rm { ids, json } => remove(&api, &ids, json),
        Command::Logs { id, attempt, tail, json } => logs(&api, &id, attempt, tail, json),
        Command::Train { id, preset, architecture, epochs, name, json } => {
            let asked =
                TrainingAsked { preset, architecture: architecture.map(Value::from), epochs, name };
            train(&api, &id, &asked, json)
        }
        Command::Download { id, name, output, json } => {
            let id = api.resolve(&id)?;
            let output = output.unwrap_or_else(|| PathBuf::from(&name));
            let file = download(&api, &id, &name, &output)?;
            if json { say_json(&file) } else { say(output.display()) }
        }
    }
}

fn list(api: &Api, status: Option<&str>, limit: usize, json: bool) -> Result<(), ClientError> {
    let mut runs: Vec<RunView> = Vec::new();
    let mut cursor = String::new();
    while runs.len() < limit {
        let page = (limit - runs.len()).min(200);
        let status = status.map(|words| format!("&status={}", crate::guard::encode(words)));
        let status = status.unwrap_or_default();
        let list: RunList = api.get(&format!("/api/v1/runs?limit={page}{status}{cursor}"))?;
        runs.extend(list.runs);
        match list.next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    if json {
        return say_json(&runs);
    }
    let rows: Vec<Vec<String>> = runs.iter().map(row).collect();
    say(table(&["ID", "STATUS", "DONE", "ACCURACY", "SPACE", "OPTIMIZER", "NAME"], &rows))
}

fn row(run: &RunView) -> Vec<String> {
    let done = run.progress.as_ref().map(|progress| progress.fraction);
    let found = run.summary.as_ref().map(|summary| summary.test_accuracy);
    let accuracy = found.or(run.latest.get("search.valid_accuracy").copied());
    vec![
        // Thirteen characters hold the time of creation to the millisecond.
        run.id.chars().take(13).collect(),
        run.status.clone(),
        done.map_or("–".to_owned(), |share| format!("{:.0} %", share.0 * 100.0)),
        accuracy.map_or("–".to_owned(), percent),
        run.space.clone(),
        run.optimizer.clone(),
        run.name.clone(),
    ]
}

fn show(api: &Api, one: &One) -> Result<(), ClientError> {
    let id = api.resolve(&one.id)?;
    let detail: RunDetail = api.get(&format!("/api/v1/runs/{id}"))?;
    if one.json {
        return say_json(&detail);
    }
    let run = &detail.run;
    let mut lines = vec![
        ("id", run.id.clone()),
        ("name", run.name.clone()),
        ("status", run.status.clone()),
        ("search", format!("{} in {} on {}", run.optimizer, run.space, run.dataset)),
        ("device", run.device.clone()),
        ("created", run.created_at.clone()),
        ("attempt", run.attempt.to_string()),
    ];
    lines.extend(run.reason.clone().map(|reason| ("reason", reason)));
    if let Some(progress) = &run.progress {
        let left = progress.remaining_s.map(|left| format!(", {} left", duration(left.0)));
        let share = progress.fraction.0 * 100.0;
        lines.push(("progress", format!("{share:.0} %{}", left.unwrap_or_default())));
    }
    lines.extend(run.architecture.clone().map(|now| ("architecture", now.text)));
    lines.extend(run.failure.clone().map(|failure| ("failure", failure.message)));
    lines.extend(run.failure.clone().map(|failure| ("what to do", failure.hint)));
    lines.extend(run.warnings.iter().map(|warning| ("warning", warning.message.clone())));
    lines.push(("page", format!("{}/runs/{}", api.base(), run.id)));
    say(pairs(&lines))?;
    if run.summary.is_some() { say(format!("\n{}", result_table(run))) } else { Ok(()) }
}

fn watch(api: &Api, one: &One) -> Result<(), ClientError> {
    let id = api.resolve(&one.id)?;
    let ended = follow(api, &id, &|| false)?;
    if one.json {
        say_json(&ended)?;
    } else if ended.run.summary.is_some() {
        say(result_table(&ended.run))?;
    }
    check_end(&ended.run)
}

/// What a run that succeeded found.
pub(super) fn result_table(run: &RunView) -> String {
    let Some(summary) = &run.summary else { return String::new() };
    let started = run.started_at.as_deref().and_then(clock::parse);
    let ended = run.ended_at.as_deref().and_then(clock::parse);
    let mut lines = vec![
        ("architecture", summary.architecture.clone()),
        ("parameters", grouped(summary.cost.params)),
        ("MACs", short(summary.cost.macs)),
        ("weights", summary.packaged.replace('_', " ")),
        ("validation accuracy", percent(summary.valid_accuracy)),
    ];
    if let (Some(started), Some(ended)) = (started, ended) {
        lines.push(("took", duration((ended - started).as_seconds_f64())));
    }
    // Scripts look for this line; see the README.
    format!("{}\ntest accuracy {}", pairs(&lines), percent(summary.test_accuracy))
}

fn change(api: &Api, one: &One, action: &str) -> Result<(), ClientError> {
    let id = api.resolve(&one.id)?;
    let changed: RunDetail =
        api.send(Method::POST, &format!("/api/v1/runs/{id}/{action}"), None, &[])?;
    let run = &changed.run;
    if one.json { say_json(&changed) } else { say(format!("{}  {}", run.id, run.status)) }
}

fn train(api: &Api, id: &str, asked: &TrainingAsked, json: bool) -> Result<(), ClientError> {
    let path = format!("/api/v1/runs/{}/train", api.resolve(id)?);
    let made: RunDetail = api.create(&path, &json!(asked))?;
    say_warnings(&made.run);
    if json { say_json(&made) } else { say(format!("{}  {}/runs/{0}", made.run.id, api.base())) }
}

fn remove(api: &Api, ids: &[String], json: bool) -> Result<(), ClientError> {
    let ids: Vec<String> = ids.iter().map(|id| api.resolve(id)).collect::<Result<_, _>>()?;
    for id in &ids {
        api.delete(&format!("/api/v1/runs/{id}"))?;
        if !json {
            say(format!("{id}  deleted"))?;
        }
    }
    if json { say_json(&ids) } else { Ok(()) }
}

fn logs(
    api: &Api,
    id: &str,
    attempt: Option<u32>,
    tail: usize,
    json: bool,
) -> Result<(), ClientError> {
    let id = api.resolve(id)?;
    let attempt = attempt.map(|attempt| format!("&attempt={attempt}")).unwrap_or_default();
    let log: LogView = api.get(&format!("/api/v1/runs/{id}/logs?tail={tail}{attempt}"))?;
    if json { say_json(&log) } else { log.lines.iter().try_for_each(say) }
}

/// Downloads a file beside its final name, checks its digest, and only then gives it that name.
pub(super) fn download(
    api: &Api,
    id: &str,
    name: &str,
    output: &Path,
) -> Result<FileView, ClientError> {
    let list: FileList = api.get(&format!("/api/v1/runs/{id}/artifacts"))?;
    let names: Vec<String> = list.files.iter().map(|file| file.name.clone()).collect();
    let Some(file) = list.files.into_iter().find(|file| file.name == name) else {
        let there = if names.is_empty() { "no files yet".to_owned() } else { names.join(", ") };
        return Err(ClientError::Refused(format!("the run has no file `{name}`; it has {there}")));
    };
    let path = format!("/api/v1/runs/{id}/artifacts/{}", crate::guard::encode(name));
    let mut reader = api.open(&path, &[])?;
    let part = output.with_added_extension("part");
    let mut to = File::create(&part).map_err(|error| {
        ClientError::Failed(format!("cannot write `{}`: {error}", part.display()))
    })?;
    let bar = bar(file.bytes);
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
        bar.inc(read as u64);
    }
    bar.finish_and_clear();
    if hex(&hasher.finalize()) != file.sha256 {
        std::fs::remove_file(&part)?;
        return Err(ClientError::Failed(format!("`{name}` was damaged on the way; try again")));
    }
    std::fs::rename(&part, output)?;
    Ok(file)
}

fn bar(bytes: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
    let bar = ProgressBar::new(bytes);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
