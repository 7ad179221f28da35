//! The list of runs as a page.

use std::collections::BTreeMap;

use askama::Template;
use serde::Deserialize;
use serde_json::json;
use skein_core::number::{self, Num};
use skein_core::spec::fields;
use time::OffsetDateTime;

use super::examples::{EXAMPLES, Example};
use super::format;
use super::frame::Frame;
use crate::problem::ApiError;
use crate::routes::runs::ListParams;
use crate::views::{RunList, RunView};

/// The query of the page; the same words as in the API.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Query {
    pub(super) status: String,
    pub(super) q: String,
    pub(super) sort: String,
    pub(super) order: String,
    pub(super) cursor: String,
}

/// `/runs`.
#[derive(Template)]
#[template(path = "runs/list.html")]
pub(super) struct ListPage {
    frame: Frame,
    first_visit: bool,
    examples: &'static [Example],
    chips: Vec<Chip>,
    columns: Vec<Column>,
    status: String,
    q: String,
    rows: Vec<Row>,
    /// Query of the next page; empty on the last.
    next: String,
    /// Query of the first page; empty on it.
    first: String,
}

struct Chip {
    label: &'static str,
    query: String,
    current: bool,
}

struct Column {
    class: &'static str,
    label: &'static str,
    /// Query that sorts by it; empty if it cannot be sorted by.
    query: String,
    /// `ascending`, `descending` or empty.
    sorted: &'static str,
}

struct Row {
    why: Option<String>,
    space: String,
    optimizer: String,
    dataset: String,
    active: bool,
    fraction: f64,
    percent: u8,
    time: String,
    accuracy: String,
    accuracy_exact: String,
    spark: String,
    created: String,
    run: RunView,
}

const CHIPS: [(&str, &str); 7] = [
    ("", "All"),
    ("running", "Running"),
    ("queued", "Queued"),
    ("pending", "In Slurm"),
    ("succeeded", "Succeeded"),
    ("failed", "Failed"),
    ("cancelled", "Cancelled"),
];

/// Class, label, name to sort by, and whether the first click sorts downwards.
const COLUMNS: [(&str, &str, &str, bool); 9] = [
    ("w-state c-state", "State", "status", false),
    ("c-name", "Name", "name", false),
    ("w-space c-space", "Space", "", false),
    ("w-opt c-opt", "Optimizer", "", false),
    ("w-data c-data", "Data", "", false),
    ("w-progress c-progress", "Progress", "", false),
    ("w-acc c-acc num", "Best val. acc.", "accuracy", true),
    ("w-spark c-spark", "Val. accuracy", "", false),
    ("w-when c-when", "Created", "created", true),
];

/// Names for people of the data sets that they brought, by id.
pub(super) type Names = BTreeMap<String, String>;

impl ListPage {
    pub(super) fn new(
        frame: Frame,
        query: Query,
        list: RunList,
        names: &Names,
        now: OffsetDateTime,
    ) -> Self {
        let filtered = !query.status.is_empty() || !query.q.is_empty() || !query.cursor.is_empty();
        let with = |change: &dyn Fn(&mut Query)| {
            let mut changed = Query { cursor: String::new(), ..query.clone() };
            change(&mut changed);
            changed.text()
        };
        Self {
            first_visit: list.runs.is_empty() && !filtered,
            examples: EXAMPLES,
            chips: CHIPS
                .iter()
                .filter(|(status, _)| *status != "pending" || frame.has_cluster())
                .map(|(status, label)| chip(status, label, &query))
                .collect(),
            columns: COLUMNS.map(|column| column_head(column, &query)).into(),
            next: list
                .next
                .map_or_else(String::new, |cursor| with(&|query| query.cursor.clone_from(&cursor))),
            first: if query.cursor.is_empty() { String::new() } else { with(&|_| ()) },
            rows: list.runs.into_iter().map(|run| row(run, names, now)).collect(),
            status: query.status,
            q: query.q,
            frame,
        }
    }
}

impl Query {
    /// The same query for the API's handler, which also checks it.
    pub(super) fn params(&self) -> Result<ListParams, ApiError> {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let words = json!({"sort": given(&self.sort), "order": given(&self.order)});
        let params: ListParams = serde_json::from_value(words).map_err(|error| {
            ApiError::BadRequest(format!("the list cannot be sorted like this: {error}"))
        })?;
        let (status, q, cursor) = (given(&self.status), given(&self.q), given(&self.cursor));
        Ok(ListParams { status, q, cursor, ..params })
    }

    /// The query with its question mark; empty if it says nothing.
    fn text(&self) -> String {
        let parts = [
            ("status", &self.status),
            ("q", &self.q),
            ("sort", &self.sort),
            ("order", &self.order),
            ("cursor", &self.cursor),
        ];
        let parts = parts.iter().filter(|(_, value)| !value.is_empty());
        let text: Vec<String> =
            parts.map(|(name, value)| format!("{name}={}", crate::guard::encode(value))).collect();
        if text.is_empty() { String::new() } else { format!("?{}", text.join("&")) }
    }
}

fn chip(status: &'static str, label: &'static str, query: &Query) -> Chip {
    let changed = Query { status: status.to_owned(), cursor: String::new(), ..query.clone() };
    Chip { label, query: changed.text(), current: query.status == status }
}

fn column_head(column: (&'static str, &'static str, &'static str, bool), query: &Query) -> Column {
    let (class, label, sort, downwards) = column;
    if sort.is_empty() {
        return Column { class, label, query: String::new(), sorted: "" };
    }
    let sort_now = if query.sort.is_empty() { "created" } else { &query.sort };
    let falls = if query.order.is_empty() {
        sort_now == "created" || downwards
    } else {
        query.order == "desc"
    };
    let current = sort_now == sort;
    let next_falls = if current { !falls } else { downwards };
    let changed = Query {
        sort: sort.to_owned(),
        order: if next_falls { "desc" } else { "asc" }.to_owned(),
        cursor: String::new(),
        ..query.clone()
    };
    let sorted = match (current, falls) {
        (false, _) => "",
        (true, true) => "descending",
        (true, false) => "ascending",
    };
    Column { class, label, query: changed.text(), sorted }
}

fn row(run: RunView, names: &Names, now: OffsetDateTime) -> Row {
    let active = is_active(&run.status);
    let fraction = run.progress.as_ref().map_or(Num(0.0), |progress| progress.fraction);
    // A run without a search has what its network scores in the end.
    let found = run.summary.iter().filter(|_| run.sparkline.is_empty());
    let all = run.sparkline.iter().copied().chain(found.map(|summary| summary.valid_accuracy));
    let best = all.map(|x| x.0).filter(|x| x.is_finite()).fold(f64::NAN, f64::max);
    let percent = format::whole_percent(fraction);
    Row {
        why: run
            .failure
            .as_ref()
            .map(|failure| failure.message.clone())
            .or_else(|| run.reason.clone())
            .or_else(|| run.cluster.as_ref()?.reason.clone())
            .map(|why| format::quoted(&why)),
        space: fields::label("space.preset", &run.space).to_owned(),
        optimizer: fields::label("search.optimizer.kind", &run.optimizer)
            .split(" (")
            .next()
            .unwrap_or("")
            .to_owned(),
        dataset: match names.get(&run.dataset) {
            Some(title) => title.clone(),
            None => fields::label("dataset.id", &run.dataset).to_owned(),
        },
        active,
        fraction: if fraction.0.is_finite() { fraction.0.clamp(0.0, 1.0) } else { 0.0 },
        percent,
        time: time_of(&run, active, percent),
        accuracy: if best.is_nan() { "–".to_owned() } else { format::percent(Num(best)) },
        accuracy_exact: if best.is_nan() {
            String::new()
        } else {
            format!("{:.4} %", best * 100.0)
        },
        spark: format::spark(&run.sparkline),
        created: format::ago(&run.created_at, now),
        run,
    }
}

/// Remaining time of an active run, duration of one that has ended.
fn time_of(run: &RunView, active: bool, percent: u8) -> String {
    if is_stopping(&run.status) {
        return format!("{percent} % · stopping");
    }
    if active {
        let remaining = run.progress.as_ref().and_then(|progress| progress.remaining_s);
        return match remaining {
            Some(Num(seconds)) if seconds.is_finite() => {
                format!("{percent} % · {} left", number::duration(seconds))
            }
            _ if run.status == "queued" => "in the queue".to_owned(),
            _ if run.status == "pending" => "in Slurm's queue".to_owned(),
            _ => format!("{percent} %"),
        };
    }
    match took(run) {
        text if text.is_empty() => String::new(),
        text => format!("took {text}"),
    }
}

/// How long a run that has ended worked; empty if that cannot be told.
pub(super) fn took(run: &RunView) -> String {
    let worked = run.summary.as_ref().map(|summary| summary.duration_s.0);
    let between = || format::seconds_between(run.started_at.as_ref()?, run.ended_at.as_ref()?);
    worked.or_else(between).map_or_else(String::new, number::duration)
}

/// Whether its worker was asked to leave, so that no time is left that counts.
pub(super) fn is_stopping(status: &str) -> bool {
    matches!(status, "pausing" | "cancelling")
}

/// Whether the run is waiting or working.
pub(super) fn is_active(status: &str) -> bool {
    matches!(status, "queued" | "pending" | "starting" | "running" | "pausing" | "cancelling")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_stay_in_the_address_when_sorting() {
        let query =
            Query { status: "running".to_owned(), q: "a&b c".to_owned(), ..Query::default() };
        let name = column_head(COLUMNS[1], &query);
        assert_eq!(name.query, "?status=running&q=a%26b%20c&sort=name&order=asc");
        let created = column_head(COLUMNS[8], &query);
        assert_eq!(
            (created.sorted, created.query.as_str()),
            ("descending", "?status=running&q=a%26b%20c&sort=created&order=asc")
        );
    }
}
