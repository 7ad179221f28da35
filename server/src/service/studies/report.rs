//! The report of a study, computed from its table and the folders of its runs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use skein_core::benchmark::{Table, accuracy_columns};
use skein_core::choice::Architecture;
use skein_core::event::Summary;
use skein_core::spec::{BenchmarkSpec, Violation};
use skein_core::study::report::{
    Baselines, CellReport, CellResult, Found, Report, RunReport, mean_curve,
};

use super::evidence::{self, Evidence, Space};
use super::store::StudyRecord;
use crate::domain::ids::RunId;
use crate::service::ServiceError;

/// A run as it is now.
#[derive(Debug, Clone)]
pub(super) struct RunNow {
    pub(super) status: String,
    pub(super) folder: PathBuf,
    /// The newest attempt.
    pub(super) attempt: u32,
    /// Id of its last event.
    pub(super) last_event: u64,
    /// What it found, if it has succeeded.
    pub(super) summary: Option<Summary>,
}

/// What was read already. A run is read again only when it has said more since.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// By column.
    tables: HashMap<String, Arc<Table>>,
    runs: HashMap<(RunId, String), Kept>,
}

#[derive(Debug)]
struct Kept {
    last_event: u64,
    status: String,
    evidence: Arc<Evidence>,
}

/// Computes the report.
///
/// # Errors
/// - [`ServiceError::Invalid`] if the table has no such column of accuracies;
///   [`ServiceError::Io`] if events cannot be read.
pub(super) fn compute(
    record: &StudyRecord,
    text: &str,
    column: Option<&str>,
    cache: &mut Cache,
    now: impl Fn(RunId) -> Option<RunNow>,
) -> Result<Report, ServiceError> {
    let columns = accuracy_columns(text, &record.benchmark);
    let own = record.benchmark.accuracy.as_ref().or(columns.first()).cloned().unwrap_or_default();
    let column = column.map_or(own, str::to_owned);
    let table = table(record, text, &column, cache)?;
    let empty = || ServiceError::Io(std::io::Error::other("the study's table is empty"));
    let baselines = Baselines::of(&table).ok_or_else(empty)?;
    let cells = record.spec.cells().into_iter().map(|(method, budget)| {
        let mut measured = Vec::new();
        for run in record.runs.iter().filter(|run| (run.method, run.budget) == (method, budget)) {
            let now = now(run.run);
            let evidence =
                now.as_ref().map(|now| look(record, &table, run.run, now, &column, cache));
            let evidence = evidence.transpose()?.unwrap_or_default();
            let report = run_report(record, run.run, run.seed, now.as_ref(), &evidence, &table);
            measured.push((report, evidence));
        }
        Ok(cell(record, method, budget, measured))
    });
    let cells = cells.collect::<Result<Vec<CellReport>, ServiceError>>()?;
    Ok(Report { column, columns, baselines, cells })
}

fn table(
    record: &StudyRecord,
    text: &str,
    column: &str,
    cache: &mut Cache,
) -> Result<Arc<Table>, ServiceError> {
    if let Some(known) = cache.tables.get(column) {
        return Ok(Arc::clone(known));
    }
    let spec = BenchmarkSpec { accuracy: Some(column.to_owned()), ..record.benchmark.clone() };
    let read = Table::read(text, &record.choices, &spec);
    let wrong = |violation: Violation| {
        let violation = Violation { field: "column".to_owned(), ..violation };
        ServiceError::Invalid(vec![violation])
    };
    let table = Arc::new(read.map_err(wrong)?);
    cache.tables.insert(column.to_owned(), Arc::clone(&table));
    Ok(table)
}

/// What a run's folder says; from memory, if the run has said nothing since.
fn look(
    record: &StudyRecord,
    table: &Table,
    id: RunId,
    now: &RunNow,
    column: &str,
    cache: &mut Cache,
) -> Result<Arc<Evidence>, ServiceError> {
    let key = (id, column.to_owned());
    if let Some(kept) = cache.runs.get(&key)
        && (kept.last_event, &kept.status) == (now.last_event, &now.status)
    {
        return Ok(Arc::clone(&kept.evidence));
    }
    let space = Space { preset: &record.preset, choices: &record.choices };
    let evidence = Arc::new(evidence::read(&now.folder, now.attempt, space, table)?);
    let kept = Kept {
        last_event: now.last_event,
        status: now.status.clone(),
        evidence: Arc::clone(&evidence),
    };
    cache.runs.insert(key, kept);
    Ok(evidence)
}

fn run_report(
    record: &StudyRecord,
    id: RunId,
    seed: u64,
    now: Option<&RunNow>,
    evidence: &Evidence,
    table: &Table,
) -> RunReport {
    let absent = if record.pending { "planned" } else { "gone" };
    let summary = now.and_then(|now| now.summary.as_ref());
    RunReport {
        run: id.to_string(),
        seed,
        status: now.map_or_else(|| absent.to_owned(), |now| now.status.clone()),
        found: summary.and_then(|summary| found(summary, table)),
        steps: evidence.steps,
        seconds: summary.map(|summary| summary.duration_s.0).filter(|seconds| seconds.is_finite()),
        scores: evidence.scores.clone(),
    }
}

fn found(summary: &Summary, table: &Table) -> Option<Found> {
    let truth = table.look_up(&Architecture(summary.choices.clone()))?;
    let sorted = table.sorted();
    let worse = sorted.len() - sorted.partition_point(|other| *other >= truth.accuracy);
    #[expect(clippy::cast_precision_loss, reason = "tables have far fewer than 2^52 rows")]
    let percentile = worse as f64 / sorted.len() as f64;
    Some(Found {
        architecture: summary.architecture.clone(),
        accuracy: truth.accuracy,
        rank: truth.rank,
        regret: sorted.first()? - truth.accuracy,
        percentile,
    })
}

fn cell(
    record: &StudyRecord,
    method: usize,
    budget: Option<usize>,
    measured: Vec<(RunReport, Arc<Evidence>)>,
) -> CellReport {
    // Runs at work would cut the curve of those that have ended to what they have done so far.
    let of = |ended: bool| -> Vec<&[(u64, f64)]> {
        let there = measured.iter().filter(|(run, evidence)| {
            !evidence.curve.is_empty() && (!ended || run.found.is_some())
        });
        there.map(|(_, evidence)| evidence.curve.as_slice()).collect()
    };
    let ended = of(true);
    let curves = if ended.is_empty() { of(false) } else { ended };
    let (curve, curve_runs) = (mean_curve(&curves), curves.len());
    let runs: Vec<RunReport> = measured.into_iter().map(|(run, _)| run).collect();
    CellReport {
        method: record.spec.methods.get(method).map(|one| one.name.clone()).unwrap_or_default(),
        budget: record.spec.budget_name(budget).map(str::to_owned),
        result: CellResult::of(&runs),
        curve,
        curve_runs,
        runs,
    }
}

#[cfg(test)]
mod tests;
