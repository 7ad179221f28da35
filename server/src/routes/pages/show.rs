//! One run as a page.

use askama::Template;
use serde::Deserialize as _;
use serde_json::Value;
use skein_core::dataset::{self, DataKind};
use skein_core::event::FailureClass;
use skein_core::number::{self, Num};
use skein_core::package::{self, FileKind};
use skein_core::spec::fields::{self, FIELDS, Field, Kind};
use skein_core::spec::{Measure, milliseconds};
use time::OffsetDateTime;

use super::again::{Again, Beside};
use super::charts::{Chart, fit_charts, search_charts, words};
use super::form;
use super::form::{at, text, title};
use super::format::{self, dash};
use super::frame::Frame;
use super::ladder::{LadderRow, ladder};
use super::list::{is_active, is_stopping, took};
use crate::views::{RunDetail, RunView};

/// `/runs/{id}`.
#[derive(Template)]
#[template(path = "runs/show.html")]
pub(super) struct ShowPage {
    frame: Frame,
    /// Address of the run in the API.
    api: String,
    total_steps: u64,
    figures: [Figure; 4],
    search_charts: [Chart; 10],
    fit_charts: [Chart; 8],
    drawing: String,
    drawing_alt: String,
    params: String,
    macs: String,
    /// Milliseconds; empty if it was not measured.
    latency: String,
    arch_text: String,
    ladder: Vec<LadderRow>,
    downloads: Vec<FileKind>,
    /// How an architecture follows from the rows, if not by their largest entries.
    rows_note: String,
    /// Whether a text is learned from.
    text: bool,
    learned_from: Learned,
    again: Again,
    example: &'static str,
    spec: Vec<Group>,
    changed: usize,
    fields: usize,
    active: bool,
    can_pause: bool,
    can_cancel: bool,
    can_resume: bool,
    can_delete: bool,
    phase: &'static str,
    rate: String,
    percent: u8,
    fraction: f64,
    remaining: String,
    took: String,
    created: String,
    failed_because: &'static str,
    run: RunView,
}

struct Figure {
    id: &'static str,
    label: &'static str,
    value: String,
    unit: &'static str,
    colour: &'static str,
}

/// What a network has seen.
struct Learned {
    /// Whether it was grey images.
    grey: bool,
    said: String,
}

struct Group {
    title: &'static str,
    lines: Vec<Line>,
}

struct Line {
    path: &'static str,
    label: &'static str,
    value: String,
    default: String,
    changed: bool,
}

/// The files that most people want, of those that a run offers, in the order of a package.
fn downloads(files: &[String]) -> Vec<FileKind> {
    let offered = |kind: &&FileKind| kind.wanted && files.iter().any(|name| *name == kind.name);
    package::FILES.iter().filter(offered).copied().collect()
}

impl ShowPage {
    /// The page of a run.
    pub(super) fn new(
        frame: Frame,
        detail: RunDetail,
        beside: Beside,
        now: OffsetDateTime,
    ) -> Self {
        let (files, beside_data) = (downloads(&beside.files), beside.data.clone());
        let again = Again::of(&detail, beside);
        let RunDetail { mut run, spec } = detail;
        run.reason = run.reason.map(|reason| format::quoted(&reason));
        let api = format!("{}/api/v1/runs/{}", frame.prefix, run.id);
        let progress = run.progress.as_ref();
        let active = is_active(&run.status);
        let groups = groups(&spec);
        let is_text = at(&spec, "dataset.tokens").is_some();
        let lines = || groups.iter().flat_map(|group| &group.lines);
        let fraction = progress.map_or(Num(0.0), |progress| progress.fraction);
        let (drawing, drawing_alt) = drawing(&frame, &api, &run);
        Self {
            total_steps: progress
                .filter(|p| p.phase.as_str() == "search")
                .map_or(0, |p| p.total_steps),
            figures: figures(&run, is_text),
            search_charts: search_charts(is_text, !again.searched || again.from_run),
            fit_charts: fit_charts(is_text),
            rows_note: rows_note(&spec),
            text: is_text,
            learned_from: Learned::from(&spec, beside_data.as_deref()),
            example: words(is_text).0,
            drawing,
            drawing_alt,
            params: cost(&run, Measure::Params),
            macs: cost(&run, Measure::Macs),
            latency: latency(&run),
            arch_text: run.architecture.as_ref().map_or_else(dash, |now| now.text.clone()),
            ladder: ladder(&run, &again.followers),
            again,
            downloads: files,
            changed: lines().filter(|line| line.changed).count(),
            fields: lines().count(),
            spec: groups,
            active,
            can_pause: matches!(run.status.as_str(), "pending" | "starting" | "running"),
            can_cancel: active && run.status != "cancelling",
            can_resume: matches!(run.status.as_str(), "paused" | "lost" | "failed" | "cancelled"),
            can_delete: !active,
            phase: phase(&run),
            rate: progress.map_or_else(dash, |p| {
                format!("{} {}s/s", format::value(Num(p.images_per_s.0.round())), words(is_text).0)
            }),
            percent: format::whole_percent(fraction),
            fraction: if run.status == "succeeded" {
                1.0
            } else {
                f64::from(format::whole_percent(fraction)) / 100.0
            },
            remaining: remaining(&run),
            took: if active { String::new() } else { took(&run) },
            created: format::ago(&run.created_at, now),
            failed_because: failed_because(&run),
            api,
            frame,
            run,
        }
    }
}

impl Learned {
    /// Of a specification; `name` is that of a data set that somebody brought.
    fn from(spec: &Value, name: Option<&str>) -> Self {
        let id = text(at(spec, "dataset.id"));
        let known = dataset::find(&id);
        let title = known.map(|known| known.title.as_str()).or(name).unwrap_or(&id);
        let own = at(spec, "dataset.shape").and_then(|shape| <[i64; 3]>::deserialize(shape).ok());
        let known = known.filter(|known| known.kind == DataKind::Images).map(|known| known.shape);
        let sides = own.or(known.map(|shape| [shape.channels, shape.height, shape.width]));
        let Some([channels, height, width]) = sides else {
            return Self { grey: false, said: format!("the network has learned from: {title}") };
        };
        let grey = channels == 1;
        let colour = if grey { "grey" } else { "coloured" };
        let said =
            format!("the network has learned from {title}, {width}×{height} pixels, {colour}");
        Self { grey, said }
    }
}

fn rows_note(spec: &Value) -> String {
    if text(at(spec, "search.second_stage.kind")) == "effects" {
        return "The last rows are the effects of the options, estimated from the candidates of the second stage; \
                where kinds of operations are equal, or a smaller size is good enough, that one leads."
            .to_owned();
    }
    match at(spec, "constraints.parsimony").and_then(Value::as_f64) {
        Some(parsimony) if parsimony > 0.0 => format!(
            "Of the options that are at least {:.2} times as likely as the likeliest, the cheapest is derived.",
            1.0 - parsimony
        ),
        _ => String::new(),
    }
}

/// What an image costs the network that would be derived.
fn cost(run: &RunView, of: Measure) -> String {
    let derived = run.architecture.as_ref();
    derived.map_or_else(dash, |now| format::short(now.cost.of(of)))
}

/// Milliseconds of what would be derived; empty if it was not measured.
fn latency(run: &RunView) -> String {
    let measured = run.architecture.as_ref().and_then(|now| now.cost.latency_ns);
    measured.map_or_else(String::new, |ns| format!("{:.3}", milliseconds(ns)))
}

/// The architecture if there is one, else the space with its options open.
fn drawing(frame: &Frame, api: &str, run: &RunView) -> (String, String) {
    match &run.architecture {
        Some(now) => (format!("{api}/architecture.svg"), now.text.clone()),
        None => (
            format!("{}/api/v1/spaces/{}/drawing.svg", frame.prefix, run.space),
            "The space with the number of options on each edge".to_owned(),
        ),
    }
}

fn figures(run: &RunView, text: bool) -> [Figure; 4] {
    let latest = |name: &str, words: fn(Num) -> String| {
        run.latest.get(name).map_or_else(dash, |number| words(*number))
    };
    let rate = run
        .progress
        .as_ref()
        .map_or_else(dash, |p| format::thousands(&format!("{:.0}", p.images_per_s.0.max(0.0))));
    let figure = |id, label, value, unit, colour| Figure { id, label, value, unit, colour };
    [
        figure(
            "accuracy",
            "Validation accuracy of the supernet",
            latest("search.valid_accuracy", format::percent),
            "",
            "green",
        ),
        figure(
            "loss",
            "Loss of the weight step",
            latest("search.weight_loss", format::value),
            "nats",
            "blue",
        ),
        // The page's script computes it from the rows.
        figure("entropy", "Entropy of the rows", dash(), "", "purple"),
        figure("rate", "Rate", rate, if text { "windows/s" } else { "images/s" }, "orange"),
    ]
}

fn groups(spec: &Value) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let kind = text(at(spec, "search.optimizer.kind"));
    let said = |field: &&Field| field.path != "name" && !fields::is_idle(field.path, &kind);
    for field in FIELDS.iter().filter(said) {
        let Some(value) = at(spec, field.path) else { continue };
        let title = if field.section().is_empty() { "Run" } else { title(field.section()) };
        let default = field.default.value(spec);
        let line = Line {
            path: field.path,
            label: field.label,
            value: shown(field, value),
            changed: default
                .as_ref()
                .is_some_and(|default| form::text(Some(default)) != text(Some(value))),
            default: default.map_or_else(String::new, |default| shown(field, &default)),
        };
        // Fields of a section need not stand together in the table.
        match groups.iter_mut().find(|group| group.title == title) {
            Some(group) => group.lines.push(line),
            None => groups.push(Group { title, lines: vec![line] }),
        }
    }
    groups
}

/// A value as a person reads it.
fn shown(field: &Field, value: &Value) -> String {
    let typed = text(Some(value));
    match (field.kind, value) {
        (_, Value::Null) if field.path.starts_with("constraints.") => "no limit".to_owned(),
        (_, Value::Null) if field.path.starts_with("resources.slurm.") => "the server's".to_owned(),
        (_, Value::Null) if field.path.ends_with("limit") || field.path.ends_with("subset") => {
            "all".to_owned()
        }
        (_, Value::Null) => format::dash(),
        (Kind::OneOf(_) | Kind::Dataset(_), _) => fields::label(field.path, &typed).to_owned(),
        (_, Value::Bool(flag)) => if *flag { "yes" } else { "no" }.to_owned(),
        _ if field.path == "resources.threads" && typed == "0" => "one per core".to_owned(),
        (Kind::Integer { .. }, _) if field.path != "seed" => {
            format!("{} {}", format::thousands(&typed), field.unit).trim_end().to_owned()
        }
        _ => typed,
    }
}

fn phase(run: &RunView) -> &'static str {
    use skein_core::event::PhaseName;
    match (run.status.as_str(), run.progress.as_ref().map(|progress| progress.phase)) {
        ("queued", _) => "waiting",
        ("pending", _) => "waiting in Slurm",
        ("starting", _) | (_, None) => "starting",
        ("succeeded", _) => "finished",
        (_, Some(PhaseName::Search)) => "searching",
        (_, Some(PhaseName::Select)) => "comparing architectures",
        (_, Some(PhaseName::Finalists)) => "training finalists",
        (_, Some(PhaseName::Inherit)) => "measuring the network",
        (_, Some(PhaseName::FineTune)) => "fine-tuning",
        (_, Some(PhaseName::Fit)) => "training from scratch",
        (_, Some(PhaseName::Package)) => "writing the result",
    }
}

fn remaining(run: &RunView) -> String {
    match run.progress.as_ref().and_then(|progress| progress.remaining_s) {
        _ if is_stopping(&run.status) => "stopping".to_owned(),
        Some(Num(seconds)) if seconds.is_finite() => format!("{} left", number::duration(seconds)),
        _ if matches!(run.status.as_str(), "queued" | "pending") => "not started yet".to_owned(),
        _ => "time left not known yet".to_owned(),
    }
}

fn failed_because(run: &RunView) -> &'static str {
    match run.failure.as_ref().map(|failure| failure.class) {
        Some(FailureClass::User) => "The specification or the data is wrong.",
        Some(FailureClass::Resource) => "Memory or disk ran out.",
        Some(FailureClass::Infrastructure) => "The machine failed the run.",
        Some(FailureClass::Bug) => "This is a fault of Skein.",
        None => "",
    }
}
