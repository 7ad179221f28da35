//! Reports of hand-made run folders.

use std::path::Path;

use serde_json::{Value, json};
use skein_core::study::StudySpec;

use super::super::examples::{TABLE, benchmark, choices, event, write};
use super::super::store::{StudyRun, VERSION};
use super::super::{csv, store};
use super::*;

fn summary(choices: [usize; 2]) -> Summary {
    let value = json!({
        "architecture": "toy|n=…", "choices": choices,
        "cost": {"params": 1, "macs": 1, "activations": 1}, "ladder": [], "packaged": "inherited",
        "valid_accuracy": 0.5, "test_accuracy": 0.5, "duration_s": 2.5
    });
    serde_json::from_value(value).unwrap()
}

fn architecture(step: u64, choices: [usize; 2]) -> (&'static str, Value) {
    let cost = json!({"params": 1, "macs": 1, "activations": 1});
    (
        "architecture",
        json!({"step": step, "epoch": 0, "choices": choices, "text": "t", "cost": cost}),
    )
}

/// One method, named so that it must be quoted, with three seeds.
fn record() -> StudyRecord {
    let spec = json!({
        "name": "a", "seeds": [1, 2, 3], "run": {"benchmark": {"table": "t.csv"}},
        "methods": [{"name": "m, \"one\""}]
    });
    let run = |seed| StudyRun { method: 0, budget: None, seed, run: RunId::new() };
    StudyRecord {
        version: VERSION,
        pending: true,
        request: None,
        spec: StudySpec::parse(&spec).unwrap(),
        preset: "toy".to_owned(),
        choices: choices(),
        benchmark: benchmark(),
        runs: (1..=3).map(run).collect(),
    }
}

/// The first two runs have ended, the third is not there yet.
fn now(record: &StudyRecord, folder: &Path, id: RunId) -> Option<RunNow> {
    let place = record.runs.iter().position(|run| run.run == id)?;
    let found = [[0, 0], [0, 1]].get(place)?;
    Some(RunNow {
        status: "succeeded".to_owned(),
        folder: folder.join(place.to_string()),
        attempt: 1,
        last_event: 1_000_000_002,
        summary: Some(summary(*found)),
    })
}

fn report_of(
    record: &StudyRecord,
    folder: &Path,
    column: Option<&str>,
    cache: &mut Cache,
) -> Result<Report, ServiceError> {
    compute(record, TABLE, column, cache, |id| now(record, folder, id))
}

fn folders() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (run, last) in [("0", [0, 0]), ("1", [0, 1])] {
        let events = [architecture(5, [1, 1]), architecture(10, last)];
        write(&dir.path().join(run), "attempts/1/events.jsonl", &event(1, &events));
    }
    dir
}

#[test]
fn seeds_are_averaged_and_counted() {
    let (record, dir) = (record(), folders());
    let report = report_of(&record, dir.path(), None, &mut Cache::default()).unwrap();
    assert_eq!(report.column, "acc");
    assert_eq!(report.columns, ["acc", "other_acc"]);
    let cell = &report.cells[0];
    let result = cell.result.as_ref().unwrap();
    assert_eq!((report.cells.len(), result.finished, cell.curve_runs), (1, 2, 2));
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    near(result.mean, 0.35);
    near(result.deviation.unwrap(), 0.005_f64.sqrt());
    near(result.regret, 0.05);
    near(result.percentile, f64::midpoint(0.75, 0.5));
    near(result.seconds.unwrap(), 2.5);
    assert_eq!((result.lowest, result.highest, result.best_rank), (0.3, 0.4, 1));
    let curve: Vec<(u64, f64, f64)> =
        cell.curve.iter().map(|point| (point.step, point.lowest, point.highest)).collect();
    assert_eq!(curve, [(5, 0.1, 0.1), (10, 0.3, 0.4)]);
    let third = &cell.runs[2];
    assert_eq!((third.status.as_str(), &third.found), ("planned", &None));
}

#[test]
fn another_column_is_another_truth() {
    let (record, dir) = (record(), folders());
    let mut cache = Cache::default();
    report_of(&record, dir.path(), None, &mut cache).unwrap();
    let report = report_of(&record, dir.path(), Some("other_acc"), &mut cache).unwrap();
    let ranks: Vec<Option<u64>> =
        report.cells[0].runs.iter().map(|run| Some(run.found.as_ref()?.rank)).collect();
    assert_eq!(ranks, [Some(1), Some(4), None]);
    assert_eq!(report.baselines.best, 0.4);
    for wrong in ["params", "x", "none"] {
        let error = report_of(&record, dir.path(), Some(wrong), &mut cache).unwrap_err();
        let ServiceError::Invalid(violations) = error else { panic!("{wrong}: {error}") };
        assert_eq!(violations[0].field, "column", "{violations:?}");
    }
}

#[test]
fn a_run_is_read_again_only_when_it_said_more() {
    let (record, dir) = (record(), folders());
    let mut cache = Cache::default();
    let first = report_of(&record, dir.path(), None, &mut cache).unwrap();
    std::fs::remove_dir_all(dir.path().join("0")).unwrap();
    assert_eq!(report_of(&record, dir.path(), None, &mut cache).unwrap(), first);
    let fresh = report_of(&record, dir.path(), None, &mut Cache::default()).unwrap();
    assert_eq!(fresh.cells[0].curve_runs, 1);
}

#[test]
fn a_line_of_text_is_a_run() {
    let (mut record, dir) = (record(), folders());
    record.pending = false;
    let report = report_of(&record, dir.path(), None, &mut Cache::default()).unwrap();
    let text = csv::write(&report);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "method,budget,seed,run,status,true_accuracy,rank,regret,percentile,steps,seconds,\
         rows_kendall,rows_spearman,candidates_kendall,candidates_spearman,finalists_kendall,\
         finalists_spearman"
    );
    let id = |place: usize| record.runs[place].run;
    assert_eq!(
        lines[1],
        format!("\"m, \"\"one\"\"\",,1,{},succeeded,0.4,1,0,0.75,,2.5,,,,,,", id(0))
    );
    assert_eq!(lines[3], format!("\"m, \"\"one\"\"\",,3,{},gone,,,,,,,,,,,,", id(2)));
    assert_eq!(lines.len(), 4);
    // The stored study gives the same.
    let (made, place) = (dir.path().join("made"), dir.path().join("study"));
    store::create(&made, &place, &record, TABLE).unwrap();
    assert_eq!(store::read(&place).unwrap(), record);
}
