//! Finalists: who they are, how the best goes on, and what a killed tournament does.

use rstest::rstest;
use serde_json::{Value, json};
use skein_core::event::{EventBody, Finalists, PhaseName};

use crate::harness::{Run, killed_when, merge};

/// Five finalists in two rounds on the images of a small search.
fn spec(patch: &Value) -> Value {
    let mut spec = json!({
        "search": {"epochs": 1},
        "after": {
            "finalists": {"count": 5, "rounds": 2, "epochs": 1, "limit": 64, "images": 90},
            "from_scratch": {"epochs": 0},
        },
    });
    merge(&mut spec, patch);
    spec
}

/// Random search, which trains no supernet.
fn random() -> Value {
    json!({"search": {"optimizer": {"kind": "random"}, "epochs": null}, "after": {"from_scratch": {"epochs": 1}}})
}

fn told(run: &Run, attempt: u32) -> Vec<Finalists> {
    let finalists = run.said(attempt).into_iter().filter_map(|body| match body {
        EventBody::Finalists(told) => Some(told),
        _ => None,
    });
    finalists.collect()
}

/// The lines of `finalists.csv`: text, round, epochs, accuracy.
fn lines(run: &Run, attempt: u32) -> Vec<(String, u64, u64, f64)> {
    let csv = String::from_utf8(run.artifact(attempt, "finalists.csv")).unwrap();
    let line = |line: &str| {
        let (text, numbers) = line[1..].split_once("\",").unwrap();
        let numbers: Vec<&str> = numbers.split(',').collect();
        let whole = |at: usize| numbers[at].parse().unwrap();
        (text.to_owned(), whole(0), whole(1), numbers[2].parse().unwrap())
    };
    csv.lines().skip(1).map(line).collect()
}

#[rstest]
#[case::of_the_rows(json!({}))]
#[case::of_a_second_stage(json!({"search": {"optimizer": {"kind": "spos"}, "second_stage": {"candidates": 7, "images": 64}}}))]
#[case::of_effects(json!({"search": {"optimizer": {"kind": "spos"}, "second_stage": {"kind": "effects", "candidates": 7, "images": 64}}}))]
#[case::at_random(random())]
fn the_best_of_the_last_round_goes_on(#[case] patch: Value) {
    let run = Run::new(&spec(&patch));
    assert!(run.finish(1).success());
    let told = told(&run, 1);
    assert_eq!(told.iter().map(|one| one.rounds).collect::<Vec<_>>(), [1, 1, 1, 1, 1, 2, 2, 2, 2]);
    let (first, last) = (&told[0], told.last().unwrap());
    assert!(!first.over && last.over);
    assert_eq!(last.step, 5 * 4 + 3 * 8);
    assert_eq!(last.finalists.iter().filter(|one| one.out).count(), 2);
    for one in &last.finalists {
        let epochs: Vec<u64> = one.scores.iter().map(|score| score.epochs).collect();
        assert_eq!(epochs, if one.out { &[1][..] } else { &[1, 2] });
        for score in &one.scores {
            let right = 90.0 * score.accuracy.0;
            assert!((right - right.round()).abs() < 1e-6, "{right} of 90");
        }
    }
    // Nobody who left was better than one who stayed.
    let reached = |out: bool| {
        let of = last.finalists.iter().filter(move |one| one.out == out);
        of.map(|one| one.scores[0].accuracy.0)
    };
    assert!(reached(true).fold(0.0, f64::max) <= reached(false).fold(1.0, f64::min));
    let lines = lines(&run, 1);
    assert_eq!(lines.len(), 8);
    let final_round: Vec<_> = lines.iter().filter(|(_, round, ..)| *round == 2).collect();
    let best = final_round.iter().map(|(.., accuracy)| *accuracy).fold(0.0, f64::max);
    let summary = run.record().unwrap()["outcome"]["summary"].clone();
    let winner = final_round.iter().find(|(text, ..)| *text == summary["architecture"]);
    assert_eq!(winner.map(|(.., accuracy)| *accuracy), Some(best));
}

/// The likeliest come from the rows, the first of them is what would have been derived.
#[test]
fn finalists_are_what_the_rows_prefer() {
    let run = Run::new(&spec(&json!({})));
    assert!(run.finish(1).success());
    let (mut rows, mut derived) = (vec![], String::new());
    for body in run.said(1) {
        match body {
            EventBody::Rows(now) => rows = now.rows,
            EventBody::Architecture(now) if now.epoch == 0 => derived = now.text,
            _ => {}
        }
    }
    let finalists = told(&run, 1)[0].finalists.clone();
    assert_eq!(finalists[0].text, derived);
    let likelihood = |choices: &[usize]| -> f64 {
        rows.iter().zip(choices).map(|(row, option)| row[*option].0).product()
    };
    let told: Vec<f64> = finalists.iter().map(|one| likelihood(&one.choices)).collect();
    assert!(told.is_sorted_by(|a, b| a >= b), "{told:?}");
    let phases: Vec<PhaseName> = run
        .said(1)
        .into_iter()
        .filter_map(|body| match body {
            EventBody::Phase(phase) => Some(phase.name),
            _ => None,
        })
        .collect();
    let expected =
        [PhaseName::Search, PhaseName::Finalists, PhaseName::Inherit, PhaseName::Package];
    assert_eq!(phases, expected);
}

/// The search of six steps leaves three checkpoints; then every second step of the trainings does,
/// and every end of one.
#[rstest]
#[case::at_the_start(&[("phase", 2)])]
#[case::in_the_first_training(&[("checkpoint", 4)])]
#[case::between_two(&[("finalists", 3)])]
#[case::three_crashes_in_a_row(&[("finalists", 2), ("checkpoint", 2), ("finalists", 5)])]
#[case::at_the_end(&[("finalists", 9)])]
fn killed_finals_go_on(#[case] deaths: &[(&str, usize)]) {
    let spec = spec(&json!({}));
    let whole = Run::new(&spec);
    assert!(whole.finish(1).success());
    let run = Run::new(&spec);
    let last = killed_when(&run, deaths);
    assert!(run.artifact(last, "finalists.csv") == whole.artifact(1, "finalists.csv"));
    assert_eq!(told(&run, last).last(), told(&whole, 1).last());
    assert_eq!(run.computed(last), whole.computed(1));
    assert!(run.artifact(last, "model.safetensors") == whole.artifact(1, "model.safetensors"));
}

/// Equal seeds draw equal finalists, others draw others; limits hold.
#[test]
fn random_finalists_are_drawn_by_the_seed_within_the_limits() {
    let drawn = |patch: &Value| {
        let mut spec = spec(&random());
        merge(&mut spec, patch);
        let run = Run::new(&spec);
        assert!(run.finish(1).success());
        let first = told(&run, 1)[0].finalists.clone();
        (first.into_iter().map(|one| (one.text, one.cost.params)).collect::<Vec<_>>(), run)
    };
    let (first, run) = drawn(&json!({}));
    let mut params: Vec<u64> = first.iter().map(|one| one.1).collect();
    params.sort_unstable();
    assert_eq!(first.iter().collect::<std::collections::BTreeSet<_>>().len(), 5);
    let max = params[2];
    let (limited, _) = drawn(&json!({"constraints": {"max_params": max}, "seed": 6}));
    assert!(limited != first && limited.iter().all(|one| one.1 <= max), "{limited:?}");
    let summary = run.record().unwrap()["outcome"]["summary"].clone();
    let rungs: Vec<&str> = summary["ladder"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|rung| rung["weights"].as_str())
        .collect();
    assert_eq!(rungs, ["from_scratch"], "nothing is inherited");
    let log: Vec<String> = run
        .said(1)
        .into_iter()
        .filter_map(|body| match body {
            EventBody::Log(log) => Some(log.message),
            EventBody::Rows(_) => panic!("random search has no rows"),
            _ => None,
        })
        .collect();
    assert!(
        log.iter().any(|line| line.starts_with("the best of random ones: toy-cell|")),
        "{log:?}"
    );
}

#[test]
fn a_killed_random_search_goes_on() {
    let spec = spec(&random());
    let whole = Run::new(&spec);
    assert!(whole.finish(1).success());
    let run = Run::new(&spec);
    let last = killed_when(&run, &[("finalists", 3), ("checkpoint", 1)]);
    assert_eq!(told(&run, last).last(), told(&whole, 1).last());
    assert_eq!(run.computed(last), whole.computed(1));
    assert!(run.artifact(last, "model.safetensors") == whole.artifact(1, "model.safetensors"));
}

/// A finalist that diverges leaves the tournament and not the run; only if all do, the run fails. Here
/// all do: decay alone multiplies a weight by -9 in each step.
#[test]
fn a_finalist_that_diverges_is_ranked_last() {
    let wild = json!({
        "after": {
            "finalists": {"epochs": 25, "rounds": 1},
            "from_scratch": {"lr": 10, "lr_min": 10},
            "weight_decay": 1,
            "clip": 1e9,
        },
    });
    let run = Run::new(&spec(&wild));
    run.finish(1);
    let left = "the loss is not a number after";
    let log = run.said(1).into_iter().filter_map(|body| match body {
        EventBody::Log(log) if log.message.contains(left) => Some(log.message),
        _ => None,
    });
    assert_eq!(log.count(), 5);
    let failure = run.record().unwrap()["outcome"]["failure"].clone();
    assert_eq!(failure["class"], "user");
    let message = failure["message"].as_str().unwrap();
    assert!(message.starts_with("the loss of every finalist is NaN at step "), "{message}");
}
