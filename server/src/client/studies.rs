//! `skein study` and `skein studies`: methods compared with each other and with chance.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Subcommand;
use skein_core::number::{Num, duration};
use skein_core::study::report::{CellReport, Report};

use super::http::Api;
use super::search::read;
use super::text::{grouped, percent, table};
use super::{ClientError, say, say_json};
use crate::views::studies::{StudyDetail, StudyList, StudyProgress, StudyView};

/// A study that is followed is looked at so often.
const LOOK: Duration = Duration::from_secs(2);
/// A server that went away may come back within this time.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to compare, and whether to watch.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The study in TOML or JSON; `-` reads standard input.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Stay and show progress until all runs have ended.
    #[arg(long)]
    follow: bool,
    /// Print the study as JSON.
    #[arg(long)]
    json: bool,
}

/// The commands about studies. `ID` may be the beginning of an id.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List studies, newest first.
    Ls {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what a study has found.
    Show {
        /// The study.
        id: String,
        /// Take true accuracies from another column of its table.
        #[arg(long, value_name = "NAME")]
        column: Option<String>,
        /// Print one line a run as comma-separated text.
        #[arg(long, conflicts_with = "json")]
        csv: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn create(args: &Args) -> Result<(), ClientError> {
    let spec = read(&args.file)?;
    let api = Api::from_environment();
    let made: StudyView = api.create("/api/v1/studies", &spec)?;
    let page = format!("{}/studies/{}", api.base(), made.id);
    if !args.follow {
        return if args.json { say_json(&made) } else { say(format!("{}  {page}", made.id)) };
    }
    if !args.json {
        say(format!("{}  {page}", made.id))?;
    }
    let ended = follow(&api, &made.id)?;
    if args.json {
        say_json(&ended)?
    } else {
        say(summary(&ended.report))?
    }
    check_end(ended.study.progress)
}

pub(super) fn run(command: Command) -> Result<(), ClientError> {
    let api = Api::from_environment();
    match command {
        Command::Ls { json } => list(&api, json),
        Command::Show { id, column, csv, json } => {
            let id = resolve(&api, &id)?;
            let column = column.map(|name| format!("?column={}", crate::guard::encode(&name)));
            let column = column.unwrap_or_default();
            if csv {
                let mut text = String::new();
                let path = format!("/api/v1/studies/{id}/report.csv{column}");
                api.open(&path, &[])?.read_to_string(&mut text)?;
                return say(text.trim_end());
            }
            let detail: StudyDetail = api.get(&format!("/api/v1/studies/{id}{column}"))?;
            if json { say_json(&detail) } else { show(&api, &detail) }
        }
    }
}

fn list(api: &Api, json: bool) -> Result<(), ClientError> {
    let list: StudyList = api.get("/api/v1/studies")?;
    if json {
        return say_json(&list.studies);
    }
    let row = |study: &StudyView| {
        vec![
            study.id.chars().take(13).collect(),
            format!("{}/{}", study.progress.ended(), study.progress.runs),
            study.space.clone(),
            study.methods.join(", "),
            study.name.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = list.studies.iter().map(row).collect();
    say(table(&["ID", "ENDED", "SPACE", "METHODS", "NAME"], &rows))
}

fn show(api: &Api, detail: &StudyDetail) -> Result<(), ClientError> {
    let StudyView { id, name, progress, problem, .. } = &detail.study;
    say(format!("{name}\n{}\n{}/studies/{id}\n", done(*progress), api.base()))?;
    if let Some(problem) = problem {
        say(format!("runs cannot be created at present: {problem}\n"))?;
    }
    say(summary(&detail.report))
}

/// The study whose id begins so.
fn resolve(api: &Api, prefix: &str) -> Result<String, ClientError> {
    let list: StudyList = api.get("/api/v1/studies")?;
    let ids = list.studies.into_iter().map(|study| study.id);
    let mut found: Vec<String> = ids.filter(|id| id.starts_with(prefix)).collect();
    match (found.pop(), found.len()) {
        (Some(id), 0) => Ok(id),
        (Some(_), more) => {
            let count = more + 1;
            Err(ClientError::Refused(format!("`{prefix}` fits {count} studies; write more of it")))
        }
        (None, _) => Err(ClientError::Refused(format!("there is no study `{prefix}`"))),
    }
}

/// Waits until all runs have ended, with a line whenever something has changed.
fn follow(api: &Api, id: &str) -> Result<StudyDetail, ClientError> {
    let (mut said, mut away) = (String::new(), None::<Instant>);
    let mut line = |text: String| {
        if text != said {
            let _ = writeln!(std::io::stderr(), "{text}");
            said = text;
        }
    };
    loop {
        match api.get::<StudyDetail>(&format!("/api/v1/studies/{id}")) {
            Ok(detail) => {
                away = None;
                line(match &detail.study.problem {
                    Some(problem) => format!("runs cannot be created at present: {problem}"),
                    None => done(detail.study.progress),
                });
                if detail.study.progress.is_over() {
                    return Ok(detail);
                }
            }
            Err(ClientError::Failed(text)) => {
                if away.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                    return Err(ClientError::Failed(text));
                }
                line("the server does not answer; trying again".to_owned());
            }
            Err(refused) => return Err(refused),
        }
        std::thread::sleep(LOOK);
    }
}

/// `5 of 24 runs ended, 1 at work, 1 failed`.
fn done(progress: StudyProgress) -> String {
    let mut text = format!("{} of {} runs ended", progress.ended(), progress.runs);
    for (count, word) in [
        (progress.working, "at work"),
        (progress.failed, "failed"),
        (progress.cancelled, "cancelled"),
        (progress.gone, "gone"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {word}"));
        }
    }
    text
}

/// Methods and what chance reaches, budget by budget, the best first.
fn summary(report: &Report) -> String {
    let mut budgets: Vec<&Option<String>> = Vec::new();
    for cell in &report.cells {
        if !budgets.contains(&&cell.budget) {
            budgets.push(&cell.budget);
        }
    }
    let heading = [
        "METHOD",
        "BUDGET",
        "SEEDS",
        "MEAN",
        "SD",
        "LOWEST",
        "HIGHEST",
        "BEST RANK",
        "REGRET",
        "BETTER THAN",
        "STEPS",
        "TIME",
    ];
    let mut rows: Vec<Vec<String>> = Vec::new();
    for budget in budgets {
        let cells = report.cells.iter().filter(|cell| cell.budget == *budget);
        let mut lines: Vec<(f64, Vec<String>)> = cells.map(line).collect();
        lines.extend(chance(report, budget.as_deref().unwrap_or_default()));
        lines.sort_by(|a, b| b.0.total_cmp(&a.0));
        rows.extend(lines.into_iter().map(|(_, row)| row));
    }
    let best = percent(Num(report.baselines.best));
    let of = grouped(report.baselines.architectures as u64);
    let table = table(&heading, &rows);
    format!(
        "{table}\n\n{} by column `{}`; the best of {of} has {best}",
        "true accuracies", report.column
    )
}

fn line(cell: &CellReport) -> (f64, Vec<String>) {
    let budget = cell.budget.clone().unwrap_or_default();
    let seeds = cell.runs.len();
    let dash = || "–".to_owned();
    let share = |value: f64| percent(Num(value));
    let mut row = vec![cell.method.clone(), budget];
    let Some(result) = &cell.result else {
        row.push(format!("0/{seeds}"));
        row.resize_with(12, dash);
        return (f64::NEG_INFINITY, row);
    };
    row.extend([
        format!("{}/{seeds}", result.finished),
        share(result.mean),
        result.deviation.map_or_else(dash, |sd| format!("{:.2}", 100.0 * sd)),
        share(result.lowest),
        share(result.highest),
        grouped(result.best_rank),
        format!("{:.2}", 100.0 * result.regret),
        share(result.percentile),
        result.steps.map_or_else(dash, |steps| format!("{steps:.0}")),
        result.seconds.map_or_else(dash, duration),
    ]);
    (result.mean, row)
}

fn chance(report: &Report, budget: &str) -> Vec<(f64, Vec<String>)> {
    let lines = report.baselines.random.iter().map(|best| {
        let name = match best.drawn {
            1 => "one random".to_owned(),
            drawn => format!("best of {drawn} random"),
        };
        let mut row = vec![name, budget.to_owned(), String::new(), percent(Num(best.accuracy))];
        row.resize(8, String::new());
        row.push(format!("{:.2}", 100.0 * (report.baselines.best - best.accuracy)));
        (best.accuracy, row)
    });
    lines.collect()
}

/// A study is a success only if all its runs are.
fn check_end(progress: StudyProgress) -> Result<(), ClientError> {
    if progress.succeeded == progress.runs {
        return Ok(());
    }
    let missing = progress.runs - progress.succeeded;
    Err(ClientError::Failed(format!(
        "{missing} of {} runs did not succeed: {}",
        progress.runs,
        done(progress)
    )))
}
