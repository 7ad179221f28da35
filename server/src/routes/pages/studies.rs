//! `/studies` and `/studies/{id}`: methods against each other and against chance.

mod chart;

use askama::Template;
use skein_core::number;
use skein_core::spec::fields;
use skein_core::study::report::{
    Baselines, CellReport, CellResult, Report, RunReport, Score, ScoreKind,
};
use skein_core::study::statistics::{extent, mean};
use time::OffsetDateTime;

use self::chart::{Chart, Style};
use super::format::{self, dash, thousands};
use super::frame::Frame;
use crate::views::studies::{StudyDetail, StudyProgress, StudyView};

/// All studies.
#[derive(Template)]
#[template(path = "studies/list.html")]
pub(super) struct StudiesPage {
    frame: Frame,
    rows: Vec<ListRow>,
    /// Whether anything is to change by itself.
    active: bool,
}

struct ListRow {
    study: StudyView,
    space: String,
    /// `3 methods, 2 budgets, 4 seeds`.
    holds: String,
    /// `5 of 24 runs`.
    done: String,
    state: &'static str,
    ago: String,
}

impl StudiesPage {
    pub(super) fn new(frame: Frame, list: Vec<StudyView>, now: OffsetDateTime) -> Self {
        let row = |study: StudyView| ListRow {
            space: fields::label("space.preset", &study.space).to_owned(),
            holds: holds(&study),
            done: done(study.progress),
            state: state(study.progress),
            ago: format::ago(&study.created_at, now),
            study,
        };
        let active = list.iter().any(|study| !study.progress.is_over());
        Self { frame, rows: list.into_iter().map(row).collect(), active }
    }
}

/// One study.
#[derive(Template)]
#[template(path = "studies/show.html")]
pub(super) struct StudyPage {
    frame: Frame,
    study: StudyView,
    space: String,
    holds: String,
    done: String,
    state: &'static str,
    active: bool,
    ago: String,
    problem: Option<String>,
    column: String,
    columns: Vec<String>,
    /// `4,096`.
    architectures: String,
    /// What there is in the table, for a line of facts.
    facts: Vec<(&'static str, String)>,
    groups: Vec<Group>,
    charts: Vec<Chart>,
    agreements: Vec<AgreementRow>,
    runs: Vec<RunRow>,
    has_budgets: bool,
}

/// The methods of one budget, with what chance reaches between them.
struct Group {
    budget: String,
    rows: Vec<SummaryRow>,
}

struct SummaryRow {
    name: String,
    /// How its line is drawn; chance has none.
    style: Option<Style>,
    seeds: String,
    mean: String,
    range: String,
    rank: String,
    regret: String,
    percentile: String,
    steps: String,
    time: String,
    /// To sort by.
    order: f64,
}

struct AgreementRow {
    method: String,
    budget: String,
    kind: &'static str,
    architectures: String,
    runs: usize,
    kendall: String,
    spearman: String,
}

struct RunRow {
    id: String,
    status: String,
    /// Whether it has a page.
    is_there: bool,
    method: String,
    budget: String,
    seed: u64,
    accuracy: String,
    rank: String,
    steps: String,
    time: String,
}

impl StudyPage {
    pub(super) fn new(frame: Frame, detail: StudyDetail, now: OffsetDateTime) -> Self {
        let StudyDetail { study, report, .. } = detail;
        let Report { column, columns, baselines, cells } = report;
        let budgets: Vec<Option<String>> = match study.budgets.as_slice() {
            [] => vec![None],
            names => names.iter().cloned().map(Some).collect(),
        };
        let of = |budget: &Option<String>| -> Vec<&CellReport> {
            cells.iter().filter(|cell| cell.budget == *budget).collect()
        };
        let group = |budget: &Option<String>| Group {
            budget: budget.clone().unwrap_or_default(),
            rows: summary(&of(budget), &baselines),
        };
        let alone = budgets.len() == 1;
        let chart =
            |budget: &Option<String>| Chart::new(budget.clone(), alone, &of(budget), &baselines);
        Self {
            frame,
            space: fields::label("space.preset", &study.space).to_owned(),
            holds: holds(&study),
            done: done(study.progress),
            state: state(study.progress),
            active: !study.progress.is_over(),
            ago: format::ago(&study.created_at, now),
            problem: study.problem.as_deref().map(format::quoted),
            architectures: thousands(&baselines.architectures.to_string()),
            facts: facts(&baselines),
            groups: budgets.iter().map(group).collect(),
            charts: budgets.iter().filter_map(chart).collect(),
            agreements: cells.iter().flat_map(agreements).collect(),
            runs: cells.iter().flat_map(run_rows).collect(),
            has_budgets: !study.budgets.is_empty(),
            column,
            columns,
            study,
        }
    }
}

/// `3 methods, 2 budgets, 4 seeds`.
fn holds(study: &StudyView) -> String {
    let some = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        count => Some(format!("{count} {word}s")),
    };
    let parts = [
        some(study.methods.len(), "method"),
        some(study.budgets.len(), "budget"),
        some(study.seeds.len(), "seed"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// `5 of 24 runs ended, 1 failed`.
fn done(progress: StudyProgress) -> String {
    let runs = if progress.runs == 1 { "run" } else { "runs" };
    let mut text = format!("{} of {} {runs} ended", progress.ended(), progress.runs);
    for (count, word) in
        [(progress.failed, "failed"), (progress.cancelled, "cancelled"), (progress.gone, "gone")]
    {
        if count > 0 {
            text.push_str(&format!(", {count} {word}"));
        }
    }
    text
}

/// The state as one of a run's words.
fn state(progress: StudyProgress) -> &'static str {
    match progress {
        _ if progress.working > 0 => "running",
        _ if !progress.is_over() => "queued",
        StudyProgress { succeeded, runs, .. } if succeeded == runs => "succeeded",
        StudyProgress { failed: 0, .. } => "cancelled",
        _ => "failed",
    }
}

fn facts(baselines: &Baselines) -> Vec<(&'static str, String)> {
    vec![
        ("Best of the table", percent(baselines.best)),
        ("99th percentile", percent(baselines.percentile_99)),
        ("95th percentile", percent(baselines.percentile_95)),
        ("Median", percent(baselines.median)),
    ]
}

/// The methods and what chance reaches, the best first.
fn summary(cells: &[&CellReport], baselines: &Baselines) -> Vec<SummaryRow> {
    let methods = cells.iter().enumerate().map(|(place, cell)| method_row(place, cell));
    let chance = baselines.random.iter().map(|best| {
        let name = match best.drawn {
            1 => "One random architecture".to_owned(),
            drawn => format!("Best of {drawn} random ones"),
        };
        let spread = (best.drawn == 1).then_some(baselines.deviation);
        chance_row(name, best.accuracy, spread, baselines.best)
    });
    let mut rows: Vec<SummaryRow> = methods.chain(chance).collect();
    rows.sort_by(|a, b| b.order.total_cmp(&a.order));
    rows
}

fn method_row(place: usize, cell: &CellReport) -> SummaryRow {
    let (style, seeds) = (Some(Style::of(place)), cell.runs.len());
    let name = cell.method.clone();
    let Some(result) = &cell.result else {
        return SummaryRow {
            name,
            style,
            seeds: format!("0 of {seeds}"),
            order: f64::NEG_INFINITY,
            ..SummaryRow::empty()
        };
    };
    let CellResult { finished, mean, lowest, highest, .. } = *result;
    SummaryRow {
        name,
        style,
        seeds: format!("{finished} of {seeds}"),
        mean: spread(mean, result.deviation),
        range: format!("{:.2}–{:.2} %", 100.0 * lowest, 100.0 * highest),
        rank: thousands(&result.best_rank.to_string()),
        regret: format!("{:.2}", 100.0 * result.regret),
        percentile: percent(result.percentile),
        steps: result.steps.map_or_else(dash, |steps| thousands(&format!("{steps:.0}"))),
        time: result.seconds.map_or_else(dash, number::duration),
        order: mean,
    }
}

fn chance_row(name: String, accuracy: f64, deviation: Option<f64>, best: f64) -> SummaryRow {
    SummaryRow {
        name,
        mean: spread(accuracy, deviation),
        regret: format!("{:.2}", 100.0 * (best - accuracy)),
        order: accuracy,
        ..SummaryRow::empty()
    }
}

impl SummaryRow {
    fn empty() -> Self {
        Self {
            name: String::new(),
            style: None,
            seeds: String::new(),
            mean: dash(),
            range: dash(),
            rank: dash(),
            regret: dash(),
            percentile: dash(),
            steps: dash(),
            time: dash(),
            order: 0.0,
        }
    }
}

/// `88.31 ± 0.24 %`.
fn spread(mean: f64, deviation: Option<f64>) -> String {
    let deviation = deviation.map(|deviation| format!(" ± {:.2}", 100.0 * deviation));
    format!("{:.2}{} %", 100.0 * mean, deviation.unwrap_or_default())
}

fn percent(share: f64) -> String {
    format::percent(share.into())
}

fn agreements(cell: &CellReport) -> Vec<AgreementRow> {
    let row = |kind: ScoreKind| {
        let scores = cell.runs.iter().flat_map(|run| &run.scores);
        let scores: Vec<&Score> = scores.filter(|score| score.kind == kind).collect();
        let counts: Vec<usize> = scores.iter().map(|score| score.architectures).collect();
        let (fewest, most) = (counts.iter().min()?, counts.iter().max()?);
        let all = |of: fn(&Score) -> f64| -> Vec<f64> { scores.iter().map(|s| of(s)).collect() };
        let number = |count: &usize| thousands(&count.to_string());
        Some(AgreementRow {
            method: cell.method.clone(),
            budget: cell.budget.clone().unwrap_or_default(),
            kind: match kind {
                ScoreKind::Rows => "Rows",
                ScoreKind::Candidates => "Second stage",
                ScoreKind::Finalists => "Finalists",
            },
            architectures: match fewest == most {
                true => number(most),
                false => format!("{}–{}", number(fewest), number(most)),
            },
            runs: scores.len(),
            kendall: correlation(&all(|score| score.kendall)),
            spearman: correlation(&all(|score| score.spearman)),
        })
    };
    ScoreKind::ALL.into_iter().filter_map(row).collect()
}

/// `0.42 (0.31 to 0.55)`.
fn correlation(values: &[f64]) -> String {
    // Adding zero takes the sign of what is rounded to nothing.
    let short = |value: f64| format!("{:.2}", (100.0 * value).round() / 100.0 + 0.0);
    match (mean(values), extent(values)) {
        (Some(mean), Some((lowest, highest))) if values.len() > 1 => {
            format!("{} ({} to {})", short(mean), short(lowest), short(highest))
        }
        (Some(mean), _) => short(mean),
        _ => dash(),
    }
}

fn run_rows(cell: &CellReport) -> Vec<RunRow> {
    let row = |run: &RunReport| RunRow {
        id: run.run.clone(),
        status: run.status.clone(),
        is_there: !matches!(run.status.as_str(), "planned" | "gone"),
        method: cell.method.clone(),
        budget: cell.budget.clone().unwrap_or_default(),
        seed: run.seed,
        accuracy: match (&run.found, run.status.as_str()) {
            (Some(found), _) => percent(found.accuracy),
            (None, "succeeded") => "not in the table".to_owned(),
            _ => dash(),
        },
        rank: run.found.as_ref().map_or_else(dash, |found| thousands(&found.rank.to_string())),
        steps: run.steps.map_or_else(dash, |steps| thousands(&steps.to_string())),
        time: run.seconds.map_or_else(dash, number::duration),
    };
    cell.runs.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::runs(StudyProgress { runs: 4, working: 1, succeeded: 1, planned: 2, ..Default::default() }, "running", "1 of 4 runs ended")]
    #[case::waits(StudyProgress { runs: 2, queued: 1, gone: 1, ..Default::default() }, "queued", "1 of 2 runs ended, 1 gone")]
    #[case::over(StudyProgress { runs: 1, succeeded: 1, ..Default::default() }, "succeeded", "1 of 1 run ended")]
    #[case::cancelled(StudyProgress { runs: 2, succeeded: 1, cancelled: 1, ..Default::default() }, "cancelled", "2 of 2 runs ended, 1 cancelled")]
    #[case::failed(StudyProgress { runs: 2, failed: 1, cancelled: 1, ..Default::default() }, "failed", "2 of 2 runs ended, 1 failed, 1 cancelled")]
    fn a_study_has_a_state(
        #[case] progress: StudyProgress,
        #[case] word: &str,
        #[case] words: &str,
    ) {
        assert_eq!((state(progress), done(progress).as_str()), (word, words));
    }

    #[test]
    fn figures_are_written_in_per_cent() {
        assert_eq!(spread(0.883_14, Some(0.002_4)), "88.31 ± 0.24 %");
        assert_eq!(spread(0.883_14, None), "88.31 %");
        assert_eq!(correlation(&[0.25, 0.75]), "0.50 (0.25 to 0.75)");
        assert_eq!((correlation(&[-0.001]), correlation(&[])), ("0.00".to_owned(), dash()));
    }
}
