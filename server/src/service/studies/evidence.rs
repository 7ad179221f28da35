//! What a run's folder says of a search: what would have been derived when, how long it took, and
//! how its scores agree with the truth.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use skein_core::benchmark::{Table, cells};
use skein_core::choice::{Architecture, Choice};
use skein_core::curve::Curve;
use skein_core::event::{EventBody, PhaseName};
use skein_core::folder;
use skein_core::study::report::{Score, ScoreKind};
use skein_core::study::statistics::agreement;

use crate::service::tail;

/// Second-stage candidates with their scores.
const CANDIDATES: &str = "candidates.csv";
/// Trainings of finalists, in rounds.
const FINALISTS: &str = "finalists.csv";

/// Parts of a run in which weights are trained before an architecture is chosen.
const TRAIN: [PhaseName; 2] = [PhaseName::Search, PhaseName::Finalists];

/// The space that a study's runs search.
#[derive(Debug, Clone, Copy)]
pub(super) struct Space<'a> {
    pub(super) preset: &'a str,
    pub(super) choices: &'a [Choice],
}

/// What a run's folder says, by one table.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Evidence {
    /// True accuracy of what would have been derived, over search steps.
    pub(super) curve: Vec<(u64, f64)>,
    /// Steps in which weights followed a gradient, of the search and of finalists; none before the
    /// first.
    pub(super) steps: Option<u64>,
    /// How scores agree with the truth.
    pub(super) scores: Vec<Score>,
}

/// Reads a run's folder; the newest attempt has the files.
///
/// # Errors
/// - the events cannot be read.
pub(super) fn read(
    run: &Path,
    attempt: u32,
    space: Space<'_>,
    table: &Table,
) -> io::Result<Evidence> {
    let (mut derived, mut rows) = (Curve::default(), None);
    let mut steps: BTreeMap<&str, u64> = BTreeMap::new();
    tail::replay(run, 0, |line| {
        match &line.event.body {
            EventBody::Architecture(now) => {
                if let Some(truth) = table.look_up(&Architecture(now.choices.clone())) {
                    let point = (now.step, truth.accuracy);
                    derived.add(line.event.attempt, point, |point| point.0);
                }
            }
            EventBody::Progress(progress) if TRAIN.contains(&progress.phase) => {
                steps.insert(progress.phase.as_str(), progress.step);
            }
            EventBody::Rows(now) => rows = Some(now.rows.clone()),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    let rows = rows.map(|rows| -> Vec<Vec<f64>> {
        rows.into_iter().map(|row| row.into_iter().map(|number| number.0).collect()).collect()
    });
    let artifacts = folder::attempt(run, attempt).join(folder::ARTIFACTS);
    let scored = |name: &str| scored(&artifacts.join(name), space);
    let scores = [
        rows.and_then(|rows| by_rows(&rows, space.choices, table)),
        by_score(ScoreKind::Candidates, &scored(CANDIDATES), table),
        by_score(ScoreKind::Finalists, &scored(FINALISTS), table),
    ];
    let mut curve = derived.points;
    // Of several that hold at one step the last one counts.
    curve.reverse();
    curve.dedup_by_key(|point| point.0);
    curve.reverse();
    let steps = (!steps.is_empty()).then(|| steps.values().sum());
    Ok(Evidence { curve, steps, scores: scores.into_iter().flatten().collect() })
}

/// The agreement of the rows, as likelihoods of all architectures of the table, with the truth.
fn by_rows(rows: &[Vec<f64>], choices: &[Choice], table: &Table) -> Option<Score> {
    let fits = rows.len() == choices.len()
        && rows.iter().zip(choices).all(|(row, choice)| row.len() == choice.options.len());
    if !fits {
        return None;
    }
    let logarithms: Vec<Vec<f64>> =
        rows.iter().map(|row| row.iter().map(|share| share.ln()).collect()).collect();
    let likelihood = |architecture: &Architecture| -> f64 {
        architecture.0.iter().zip(&logarithms).map(|(option, row)| row[*option]).sum()
    };
    let pairs = table.iter().map(|(architecture, truth)| (likelihood(architecture), truth));
    score(ScoreKind::Rows, pairs.collect())
}

fn by_score(kind: ScoreKind, scored: &BTreeMap<Architecture, f64>, table: &Table) -> Option<Score> {
    let pair = |(architecture, score): (&Architecture, &f64)| {
        Some((*score, table.look_up(architecture)?.accuracy))
    };
    score(kind, scored.iter().filter_map(pair).collect())
}

fn score(kind: ScoreKind, pairs: Vec<(f64, f64)>) -> Option<Score> {
    let architectures = pairs.iter().filter(|pair| !pair.0.is_nan()).count();
    let found = agreement(pairs)?;
    Some(Score { kind, architectures, kendall: found.kendall, spearman: found.spearman })
}

/// Validation accuracies of a file, by architecture; of several lines that of the last round counts,
/// without rounds that of the last line. A file that is not there scores nothing.
fn scored(path: &Path, space: Space<'_>) -> BTreeMap<Architecture, f64> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut lines = text.lines();
    let header = cells(lines.next().unwrap_or_default());
    let column = |name: &str| header.iter().position(|known| known == name);
    let (Some(architecture), Some(accuracy)) = (column("architecture"), column("valid_accuracy"))
    else {
        return BTreeMap::new();
    };
    let round = column("round");
    let line = |line: &str| {
        let cells = cells(line);
        let number = |at: usize| cells.get(at)?.parse::<f64>().ok();
        let found = Architecture::parse(cells.get(architecture)?, space.preset, space.choices);
        Some((found.ok()?, round.and_then(number).unwrap_or_default(), number(accuracy)?))
    };
    let mut last: BTreeMap<Architecture, (f64, f64)> = BTreeMap::new();
    for (architecture, round, accuracy) in lines.filter_map(line) {
        let best = last.entry(architecture).or_insert((round, accuracy));
        if round >= best.0 {
            *best = (round, accuracy);
        }
    }
    last.into_iter().map(|(architecture, (_, accuracy))| (architecture, accuracy)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::examples::{choices, event, table, write};
    use super::*;
    use serde_json::json;

    fn read_it(run: &Path) -> Evidence {
        let choices = choices();
        read(run, 2, Space { preset: "toy", choices: &choices }, &table()).unwrap()
    }

    #[test]
    fn a_later_attempt_supersedes_and_an_unknown_architecture_is_no_point() {
        let dir = tempfile::tempdir().unwrap();
        let architecture = |step: u64, choices: [usize; 2]| {
            let cost = json!({"params": 1, "macs": 1, "activations": 1});
            let now =
                json!({"step": step, "epoch": 0, "choices": choices, "text": "t", "cost": cost});
            ("architecture", now)
        };
        let progress = |phase: &str, step: u64| {
            let now = json!({
                "phase": phase, "step": step, "total_steps": 9, "epoch": 0, "epochs": 1,
                "fraction": 0.1, "images_per_s": 1.0, "remaining_s": null
            });
            ("progress", now)
        };
        let first = [architecture(1, [0, 0]), architecture(2, [1, 1]), progress("search", 2)];
        write(dir.path(), "attempts/1/events.jsonl", &event(1, &first));
        let second = [
            architecture(2, [0, 1]),
            architecture(2, [1, 0]),
            architecture(3, [7, 7]),
            progress("search", 4),
            progress("inherit", 9),
            progress("finalists", 3),
        ];
        write(dir.path(), "attempts/2/events.jsonl", &event(2, &second));
        let evidence = read_it(dir.path());
        assert_eq!(evidence.curve, [(1, 0.4), (2, 0.2)]);
        assert_eq!((evidence.steps, evidence.scores), (Some(7), vec![]));
    }

    #[test]
    fn scores_are_held_against_the_truth() {
        let dir = tempfile::tempdir().unwrap();
        // Likelihoods in the order of the table but for the two in the middle: 0.42, 0.28, 0.18,
        // 0.12 of a·c, a·d, b·c, b·d, whose accuracies are 0.4, 0.3, 0.2 and 0.1.
        let rows =
            |row: [f64; 2]| ("rows", json!({"step": 1, "epoch": 0, "rows": [row, [0.6, 0.4]]}));
        write(
            dir.path(),
            "attempts/2/events.jsonl",
            &event(2, &[rows([0.1, 0.9]), rows([0.7, 0.3])]),
        );
        let candidates = "architecture,valid_accuracy,valid_loss,params,macs\n\
            \"toy|n=a,c\",0.5,1,1,1\n\"toy|n=a,d\",0.7,1,1,1\n\"toy|n=b,c\",0.6,1,1,1\n\
            \"other|n=b,c\",0.6,1,1,1\n\"toy|n=b,d\",NaN,1,1,1\ntorn";
        write(dir.path(), "attempts/2/artifacts/candidates.csv", candidates);
        let finalists = "architecture,round,epochs,valid_accuracy\n\
            \"toy|n=a,c\",2,2,0.9\n\"toy|n=a,c\",1,1,0.1\n\"toy|n=b,d\",1,1,0.2\n";
        write(dir.path(), "attempts/2/artifacts/finalists.csv", finalists);
        let scores = read_it(dir.path()).scores;
        let shown: Vec<String> = scores
            .iter()
            .map(|one| {
                let Score { kind, architectures, kendall, spearman } = one;
                format!("{} {architectures} {kendall:.3} {spearman:.3}", kind.as_str())
            })
            .collect();
        // Of three candidates, truth 0.4 > 0.3 > 0.2 and score 0.5 < 0.6 < 0.7 of 1st, 3rd, 2nd.
        assert_eq!(
            shown,
            ["rows 4 1.000 1.000", "candidates 3 -0.333 -0.500", "finalists 2 1.000 1.000"]
        );
    }

    #[test]
    fn rows_that_say_nothing_or_do_not_fit_are_no_scores() {
        let (choices, table) = (choices(), table());
        assert_eq!(by_rows(&[vec![0.5, 0.5], vec![0.5, 0.5]], &choices, &table), None);
        assert_eq!(by_rows(&[vec![0.5, 0.5]], &choices, &table), None);
        assert_eq!(by_rows(&[vec![0.5, 0.2, 0.3], vec![0.5, 0.5]], &choices, &table), None);
        assert!(by_rows(&[vec![1.0, 0.0], vec![0.0, 1.0]], &choices, &table).is_some());
    }
}
