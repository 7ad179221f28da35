//! What recipes do while the derived network is trained, and leave be before and after.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use skein_core::event::{EventBody, MACHINE, Metrics};

use crate::harness::{Run, merge};

/// A run with a training from scratch, and what it says.
fn finished(after: &Value) -> (Run, Vec<EventBody>) {
    // The space's own dropout draws by the place of a node, which drop path's nodes move.
    let mut spec = json!({"space": {"dropout": 0}, "search": {"epochs": 1}, "after": {"from_scratch": {"epochs": 2}, "packaged": "from_scratch"}});
    merge(&mut spec["after"], after);
    let run = Run::new(&spec);
    assert!(run.finish(1).success());
    let said = run.said(1);
    (run, said)
}

fn cost(run: &Run) -> Value {
    let cost = run.record().unwrap()["outcome"]["summary"]["cost"].clone();
    assert!(cost["params"].as_u64().is_some_and(|params| params > 0), "{cost}");
    cost
}

fn metrics_of<'a>(said: &'a [EventBody], phase: &str) -> impl Iterator<Item = &'a Metrics> {
    said.iter().filter_map(move |event| match event {
        EventBody::Metrics(metrics) if metrics.phase.as_str() == phase => Some(metrics),
        _ => None,
    })
}

/// The metrics of a phase as text, but for those of the machine.
fn metrics(said: &[EventBody], phase: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for metrics in metrics_of(said, phase) {
        let values = metrics.values.iter().filter(|(name, _)| !MACHINE.contains(&name.as_str()));
        lines.extend(values.map(|(name, value)| format!("{} {name} {value}", metrics.epoch)));
    }
    lines
}

/// What a phase told of the machine.
fn load<'a>(said: &'a [EventBody], phase: &str) -> BTreeMap<&'a str, Vec<f64>> {
    let mut told = BTreeMap::<&str, Vec<f64>>::new();
    for (name, value) in metrics_of(said, phase).flat_map(|metrics| &metrics.values) {
        if MACHINE.contains(&name.as_str()) {
            told.entry(name).or_default().push(value.0);
        }
    }
    told
}

#[test]
fn searches_and_trainings_tell_what_they_make_of_the_processor() {
    let (_, said) = finished(&json!({}));
    for phase in ["search", "fit"] {
        let told = load(&said, phase);
        let names: Vec<&str> = told.keys().copied().collect();
        assert_eq!(names, ["cpu_busy", "input_wait", "memory_mb"], "{phase}: nothing of a GPU");
        assert!(told["cpu_busy"].iter().all(|share| *share > 0.0), "{phase}: {told:?}");
        assert!(told["memory_mb"].iter().all(|size| *size > 10.0), "{phase}: {told:?}");
    }
}

/// Two thousand steps of the weights by SGD with its decay, and as many of the rows by Adam.
#[test]
fn memory_stays_flat_over_thousands_of_steps() {
    let search = json!({"epochs": 84, "batch_size": 4, "valid_limit": 4});
    let space = json!({"operations": ["conv1", "conv3"]});
    let run = Run::new(
        &json!({"space": space, "search": search, "resources": {"checkpoint_every": 1000}}),
    );
    assert!(run.finish(1).success());
    let said = run.said(1);
    let steps = metrics_of(&said, "search").map(|metrics| metrics.step).max().unwrap();
    assert!(steps >= 2000, "{steps} steps");
    let held = &load(&said, "search")["memory_mb"];
    let (warm, end) = (held[held.len() / 4], held[held.len() - 1]);
    assert!(end < warm + 8.0, "{warm} MB after a quarter, {end} MB at the end: {held:?}");
}

#[test]
fn drop_path_changes_the_training_from_its_second_epoch_on_and_nothing_else() {
    let (without, plain) = finished(&json!({"drop_path": 0}));
    let (with, dropped) = finished(&json!({"drop_path": 0.6}));
    assert_eq!(metrics(&plain, "search"), metrics(&dropped, "search"));
    let epoch = |said: &[EventBody], at: char| -> Vec<String> {
        metrics(said, "fit").into_iter().filter(|line| line.starts_with(at)).collect()
    };
    assert!(!epoch(&plain, '0').is_empty());
    assert_eq!(epoch(&plain, '0'), epoch(&dropped, '0'));
    assert_ne!(epoch(&plain, '1'), epoch(&dropped, '1'));
    let model = |run: &Run| run.artifact(1, "model.safetensors");
    assert_eq!(model(&without).len(), model(&with).len());
    assert!(model(&without) != model(&with));
    assert_eq!(cost(&without), cost(&with));
}

/// The recipe's head is trained and measured, and nothing that leaves the run knows of it.
#[test]
fn the_auxiliary_head_ends_with_the_training() {
    let space = json!({"preset": "darts", "cells": 3, "nodes": 2});
    let run = |auxiliary: f64| {
        let spec = json!({
            "space": space,
            "search": {"epochs": 1},
            "after": {"from_scratch": {"epochs": 2}, "packaged": "from_scratch", "auxiliary": auxiliary}
        });
        let run = Run::new(&spec);
        assert!(run.finish(1).success());
        let said = run.said(1);
        (run, said)
    };
    let (with, headed) = run(0.4);
    let (without, plain) = run(0.0);
    assert_eq!(metrics(&plain, "search"), metrics(&headed, "search"));
    let losses: Vec<f64> = metrics(&headed, "fit")
        .iter()
        .filter_map(|line| line.split_once("auxiliary_loss ")?.1.parse().ok())
        .collect();
    assert!(losses.len() >= 2 && losses.last() < losses.first(), "{losses:?}");
    assert!(!metrics(&plain, "fit").iter().any(|line| line.contains("auxiliary")));
    let tensors = |run: &Run| -> Vec<(String, Vec<i64>)> {
        let path = run.attempt(1).join("artifacts/model.safetensors");
        let tensors = tch::Tensor::read_safetensors(path).unwrap();
        let mut tensors: Vec<_> = tensors.into_iter().map(|(name, t)| (name, t.size())).collect();
        tensors.sort();
        tensors
    };
    assert_eq!(tensors(&with), tensors(&without));
    assert_eq!(cost(&with), cost(&without));
    // The loss of the head changed what the network learned.
    let model = |run: &Run| run.artifact(1, "model.safetensors");
    assert!(model(&with) != model(&without));
}
