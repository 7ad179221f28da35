//! What a second stage compares, on what, and what becomes of it.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::{Value, json};
use skein_core::event::{EventBody, PhaseName};

use crate::harness::Run;

/// The second stage measures as the ladder does, picks the best, and tells all it compared.
#[test]
fn the_second_stage_picks_its_best_candidate() {
    let run = Run::new(&json!({
        "search": {"optimizer": {"kind": "spos"}, "epochs": 1, "second_stage": {"candidates": 7, "images": 64}},
        "after": {"fit_epochs": 0}
    }));
    assert!(run.finish(1).success());
    let csv = String::from_utf8(run.artifact(1, "candidates.csv")).unwrap();
    let candidates = candidates(&csv);
    assert_eq!(candidates.iter().map(|(text, _)| text).collect::<BTreeSet<_>>().len(), 7);
    let best = candidates.iter().map(|(_, accuracy)| *accuracy).fold(0.0, f64::max);
    let summary = run.record().unwrap()["outcome"]["summary"].clone();
    let rung = &summary["ladder"][1];
    assert_eq!(
        (&rung["weights"], rung["valid_accuracy"].as_f64()),
        (&json!("recalibrated"), Some(best))
    );
    assert!(candidates.contains(&(summary["architecture"].as_str().unwrap(), best)));
    let events = run.events(1);
    let told = events.iter().rev().find_map(|event| match &event.body {
        EventBody::Architecture(now) => Some(now.text.clone()),
        _ => None,
    });
    assert_eq!(told.as_deref(), summary["architecture"].as_str());
}

/// Text form and accuracy of what a second stage compared.
fn candidates(csv: &str) -> Vec<(&str, f64)> {
    csv.lines()
        .skip(1)
        .map(|line| {
            let (text, numbers) = line[1..].split_once("\",").unwrap();
            (text, numbers.split(',').next().unwrap().parse().unwrap())
        })
        .collect()
}

/// Candidates answer as many images as were asked for, and how long that takes is told before.
#[test]
fn a_second_stage_says_on_what_and_how_long_it_compares() {
    let run = Run::new(&json!({
        "search": {"optimizer": {"kind": "spos"}, "epochs": 1, "second_stage": {"candidates": 4, "images": 83}},
        "after": {"from_scratch": {"epochs": 0}}
    }));
    assert!(run.finish(1).success());
    let csv = String::from_utf8(run.artifact(1, "candidates.csv")).unwrap();
    for (text, accuracy) in candidates(&csv) {
        let right = accuracy * 83.0;
        assert!((right - right.round()).abs() < 1e-6, "{text}: {right} of 83");
    }
    let events = run.events(1);
    let begun = events.iter().position(
        |event| matches!(&event.body, EventBody::Phase(phase) if phase.name == PhaseName::Select),
    );
    let mut told = events[begun.unwrap() + 1..].iter().map(|event| &event.body);
    let Some(EventBody::Log(log)) = told.next() else { panic!("nothing was told") };
    let start = "comparing 4 architectures on 83 of 96 images of the architecture split: about ";
    assert!(log.message.starts_with(start), "{}", log.message);
    let Some(EventBody::Progress(first)) = told.next() else { panic!("no progress") };
    assert_eq!((first.step, first.total_steps), (0, 4));
    assert!((0.001..60.0).contains(&first.remaining_s.unwrap().0), "{first:?}");
}

/// Nothing that was compared beats a point of the front, and the most accurate one goes on.
#[rstest]
#[case::params("params")]
#[case::macs("macs")]
fn the_front_of_accuracy_against_cost_is_told_and_packed(#[case] cost: &str) {
    let stage = json!({"kind": "pareto", "cost": cost, "population": 5, "mutations": 2, "crossovers": 2, "generations": 3});
    let run = Run::new(&json!({
        "search": {"optimizer": {"kind": "spos"}, "epochs": 1, "second_stage": stage},
        "after": {"from_scratch": {"epochs": 0}}
    }));
    assert!(run.finish(1).success());
    let packed: Value = serde_json::from_slice(&run.artifact(1, "pareto.json")).unwrap();
    let points = packed["points"].as_array().unwrap().clone();
    let numbers = |point: &Value| {
        (point["accuracy"].as_f64().unwrap(), point["cost"][cost].as_u64().unwrap())
    };
    assert!(points.is_sorted_by(|a, b| numbers(a).0 < numbers(b).0 && numbers(a).1 < numbers(b).1));
    let csv = String::from_utf8(run.artifact(1, "candidates.csv")).unwrap();
    let mut compared = 0;
    for line in csv.lines().skip(1) {
        let fields: Vec<&str> = line.rsplitn(5, ',').collect();
        let accuracy: f64 = fields[3].parse().unwrap();
        let spent: u64 = fields[usize::from(cost == "params")].parse().unwrap();
        let beats = |point: &Value| {
            let (known, price) = numbers(point);
            accuracy >= known && spent <= price && (accuracy, spent) != (known, price)
        };
        assert!(!points.iter().any(beats), "{line}");
        compared += 1;
    }
    assert_eq!((compared, packed["candidates"].as_u64()), (15, Some(15)));
    let fronts: Vec<_> = run
        .events(1)
        .into_iter()
        .filter_map(|event| match event.body {
            EventBody::Front(front) => Some(front),
            _ => None,
        })
        .collect();
    assert_eq!(fronts.iter().map(|front| front.step).collect::<Vec<_>>(), [5, 10, 15]);
    assert_eq!(json!(fronts[2].points), packed["points"]);
    let summary = run.record().unwrap()["outcome"]["summary"].clone();
    assert_eq!(Some(&summary["architecture"]), points.last().map(|point| &point["text"]));
}
