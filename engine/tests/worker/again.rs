//! A trained supernet that another run searches again.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use skein_core::event::{EventBody, PhaseName};
use skein_core::folder;

use crate::harness::{Run, merge, wait};

pub(crate) const TRAINED: &str = "00000000-0000-4000-8000-000000000001";

fn trained() -> Run {
    let run = Run::new(&json!({"after": {"from_scratch": {"epochs": 0}}}));
    assert!(run.finish(1).success());
    run
}

/// A run on the supernet of another one, as the server lays it out.
fn again(on: &Run, patch: &Value) -> Run {
    let mut spec =
        json!({"search": {"from_run": TRAINED}, "after": {"from_scratch": {"epochs": 0}}});
    merge(&mut spec, patch);
    let run = Run::new(&spec);
    copy(&on.attempt(1).join(folder::CHECKPOINTS), &run.folder().join(folder::SUPERNET));
    run
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

pub(crate) fn summary(run: &Run) -> Value {
    run.record().unwrap()["outcome"]["summary"].clone()
}

#[test]
fn without_another_limit_it_is_the_same_network() {
    let first = trained();
    let second = again(&first, &json!({}));
    assert!(second.finish(1).success());
    let [first, second] = [summary(&first), summary(&second)];
    for part in ["choices", "cost", "ladder"] {
        assert_eq!(first[part], second[part], "{part}");
    }
}

#[test]
fn within_another_limit_nothing_is_trained_anew() {
    let first = trained();
    let free = summary(&first)["cost"]["params"].as_u64().unwrap();
    let second = again(&first, &json!({"constraints": {"max_params": free - 1}}));
    assert!(second.finish(1).success());
    assert!(summary(&second)["cost"]["params"].as_u64().unwrap() < free);
    let events = second.events(1);
    let phases: Vec<PhaseName> = events
        .iter()
        .filter_map(|event| match &event.body {
            EventBody::Phase(phase) => Some(phase.name),
            _ => None,
        })
        .collect();
    assert_eq!(phases, [PhaseName::Inherit, PhaseName::Package]);
    let seen = |wanted: fn(&EventBody) -> bool| events.iter().any(|event| wanted(&event.body));
    assert!(seen(|body| matches!(body, EventBody::Rows(_))), "the rows are shown");
    assert!(!seen(|body| matches!(body, EventBody::Metrics(_))), "no step was made");
}

#[test]
fn a_second_stage_on_it_goes_on_after_a_stop() {
    let first = trained();
    let stage = json!({"search": {"second_stage": {"kind": "pareto", "population": 5, "mutations": 2, "crossovers": 2, "generations": 3}}});
    let whole = again(&first, &stage);
    assert!(whole.finish(1).success());
    let stopped = again(&first, &stage);
    let mut child = stopped.start(1);
    stopped.wait_for(1, "checkpoint", 1, &mut child);
    child.kill().unwrap();
    wait(&mut child);
    assert!(stopped.finish(2).success());
    assert_eq!(whole.artifact(1, "pareto.json"), stopped.artifact(2, "pareto.json"));
    assert_eq!(summary(&whole)["ladder"], summary(&stopped)["ladder"]);
}

/// A shrunk supernet needs no teacher any more.
#[test]
fn a_shrunk_supernet_is_searched_again() {
    let spec = crate::shrinking::convolutions(&json!({"after": {"from_scratch": {"epochs": 0}}}));
    let first = Run::new(&spec);
    assert!(first.finish(1).success());
    let weights = first.checkpoint(1).join("weights.safetensors");
    let kept = tch::Tensor::read_safetensors(weights).unwrap();
    assert!(kept.iter().any(|(name, _)| name == "supernet.weights"));
    assert!(!kept.iter().any(|(name, _)| name.starts_with("teacher")));
    let stage = json!({"kind": "evolution", "population": 5, "generations": 2});
    let mut patch = spec;
    patch["search"]["second_stage"] = stage;
    let second = again(&first, &patch);
    assert!(second.finish(1).success(), "{:?}", second.record());
    let candidates = String::from_utf8(second.artifact(1, "candidates.csv")).unwrap();
    assert_eq!(candidates.lines().count(), 11);
}

#[test]
fn a_supernet_whose_search_had_not_ended_is_refused() {
    let first = trained();
    let second = again(&first, &json!({"search": {"epochs": 3}}));
    assert!(!second.finish(1).success());
    let told = second.record().unwrap().to_string();
    assert!(told.contains("its search had not ended"), "{told}");
}
