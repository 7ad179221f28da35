//! The report of a study as comma-separated text, one line a run.

use skein_core::study::report::{CellReport, Report, RunReport, ScoreKind};

/// The columns before the scores'.
const COLUMNS: [&str; 11] = [
    "method",
    "budget",
    "seed",
    "run",
    "status",
    "true_accuracy",
    "rank",
    "regret",
    "percentile",
    "steps",
    "seconds",
];

/// One line a run; what is not known is empty.
#[must_use]
pub(super) fn write(report: &Report) -> String {
    let scores = ScoreKind::ALL.into_iter().flat_map(|kind| {
        ["kendall", "spearman"].map(|measure| format!("{}_{measure}", kind.as_str()))
    });
    let header: Vec<String> = COLUMNS.into_iter().map(str::to_owned).chain(scores).collect();
    let mut csv = header.join(",") + "\n";
    for cell in &report.cells {
        for run in &cell.runs {
            csv.push_str(&line(cell, run));
            csv.push('\n');
        }
    }
    csv
}

fn line(cell: &CellReport, run: &RunReport) -> String {
    fn text(value: Option<impl ToString>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let found = run.found.as_ref();
    let mut cells = vec![
        quoted(&cell.method),
        quoted(cell.budget.as_deref().unwrap_or_default()),
        run.seed.to_string(),
        run.run.clone(),
        run.status.clone(),
        text(found.map(|found| found.accuracy)),
        text(found.map(|found| found.rank)),
        text(found.map(|found| found.regret)),
        text(found.map(|found| found.percentile)),
        text(run.steps),
        text(run.seconds),
    ];
    for kind in ScoreKind::ALL {
        let score = run.scores.iter().find(|score| score.kind == kind);
        cells.push(text(score.map(|score| score.kendall)));
        cells.push(text(score.map(|score| score.spearman)));
    }
    cells.join(",")
}

/// In quotes where a comma or a quote would split it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
