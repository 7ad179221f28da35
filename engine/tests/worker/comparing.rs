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

/// What each option adds decides, not the best candidate: with the largest tolerance the smaller of
/// two kernels wins in either kind of operation, without any the one that adds more.
#[rstest]
#[case::any(1.0)]
#[case::none(0.0)]
fn the_effects_of_options_decide(#[case] tolerance: f64) {
    let run = Run::new(&json!({
        "search": {
            "optimizer": {"kind": "spos"}, "epochs": 1,
            "second_stage": {"kind": "effects", "candidates": 40, "images": 64, "tolerance": tolerance},
        },
        "after": {"from_scratch": {"epochs": 0}}
    }));
    assert!(run.finish(1).success());
    let csv = String::from_utf8(run.artifact(1, "candidates.csv")).unwrap();
    assert_eq!(candidates(&csv).len(), 40);
    let csv = String::from_utf8(run.artifact(1, "effects.csv")).unwrap();
    let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0], ["choice", "option", "effect", "candidates"]);
    let summary = run.record().unwrap()["outcome"]["summary"].clone();
    let picked = summary["choices"].as_array().unwrap();
    let names =
        ["normal 0→1", "normal 0→2", "normal 1→2", "reduce 0→1", "reduce 0→2", "reduce 1→2"];
    for ((options, name), picked) in lines[1..].chunks(4).zip(names).zip(picked) {
        assert!(options.iter().all(|line| line[0] == name), "{options:?}");
        let operations: Vec<&str> = options.iter().map(|line| line[1]).collect();
        assert_eq!(operations, ["sep3", "sep5", "dil3", "dil5"]);
        let number = |at: usize, of: usize| options[at][of].parse::<f64>().unwrap();
        assert!((0..4).map(|at| number(at, 2)).sum::<f64>().abs() < 1e-9);
        assert!((0..4).map(|at| number(at, 3)).sum::<f64>() == 40.0);
        let picked = usize::try_from(picked.as_u64().unwrap()).unwrap();
        let small = picked - picked % 2;
        let smaller_wins = tolerance > 0.0 || number(small, 2) >= number(small + 1, 2);
        assert_eq!(picked == small, smaller_wins, "{options:?}");
    }
    let told = run.events(1).into_iter().rev().find_map(|event| match event.body {
        EventBody::Architecture(now) => Some(now.text),
        _ => None,
    });
    assert_eq!(told.as_deref(), summary["architecture"].as_str());
    let start = "the effects of the options are estimated from 40 candidates";
    let said =
        |event: &EventBody| matches!(event, EventBody::Log(log) if log.message.starts_with(start));
    assert_eq!(run.said(1).iter().filter(|event| said(event)).count(), 1);
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
