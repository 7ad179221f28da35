//! What a run leaves behind.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use skein_core::event::EventBody;
use skein_core::manifest::Manifest;
use tch::Tensor;

use crate::harness::Run;

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_run_ends_with_a_package_whose_digests_hold() {
    let run = Run::new(&json!({"search": {"epochs": 1}}));
    assert!(run.finish(1).success());
    let folder: Manifest = serde_json::from_slice(&run.artifact(1, "manifest.json")).unwrap();
    for file in &folder.files {
        let content = run.artifact(1, &file.name);
        assert_eq!(
            (file.bytes, &file.sha256),
            (content.len() as u64, &hex(&content)),
            "{}",
            file.name
        );
    }
    let mut archive = zip::ZipArchive::new(Cursor::new(run.artifact(1, "result.zip"))).unwrap();
    let mut read = |name: &str| {
        let mut content = Vec::new();
        archive.by_name(name).unwrap().read_to_end(&mut content).unwrap();
        content
    };
    let inner: Manifest = serde_json::from_slice(&read("manifest.json")).unwrap();
    let names: BTreeSet<&str> = inner.files.iter().map(|file| file.name.as_str()).collect();
    let expected =
        ["architecture.json", "architecture.svg", "metrics.csv", "model.safetensors", "spec.json"];
    assert_eq!(names, expected.into());
    for file in &inner.files {
        let content = read(&file.name);
        assert_eq!(
            (file.bytes, &file.sha256),
            (content.len() as u64, &hex(&content)),
            "{}",
            file.name
        );
    }
}

#[test]
fn the_model_holds_as_many_numbers_as_the_summary_says() {
    let run = Run::new(
        &json!({"search": {"epochs": 1}, "after": {"from_scratch": {"epochs": 0}, "packaged": "recalibrated"}}),
    );
    assert!(run.finish(1).success());
    let summary = run.record().unwrap()["outcome"]["summary"].clone();
    let path = run.attempt(1).join("artifacts/model.safetensors");
    let tensors = Tensor::read_safetensors(path).unwrap();
    let statistics = ["running_mean", "running_var", "num_batches_tracked"];
    let trained =
        tensors.iter().filter(|(name, _)| !statistics.iter().any(|end| name.ends_with(end)));
    let numbers: usize = trained.map(|(_, tensor)| tensor.numel()).sum();
    assert_eq!(json!(numbers), summary["cost"]["params"]);
    let architecture: Value =
        serde_json::from_slice(&run.artifact(1, "architecture.json")).unwrap();
    assert_eq!(architecture["text"], summary["architecture"]);
    assert_eq!(architecture["choices"].as_array().unwrap().len(), 6);
    let weights: Vec<&str> = summary["ladder"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|rung| rung["weights"].as_str())
        .collect();
    assert_eq!(weights, ["inherited", "recalibrated"]);
    assert_eq!(summary["packaged"], "recalibrated");
}

#[test]
fn events_are_counted_and_tell_the_whole_story() {
    let run = Run::new(&json!({}));
    assert!(run.finish(1).success());
    let events = run.events(1);
    assert!(events.iter().zip(1..).all(|(event, seq)| event.seq == seq && event.attempt == 1));
    let kinds: BTreeSet<&str> = events.iter().map(|event| event.body.kind()).collect();
    let expected = [
        "architecture",
        "checkpoint",
        "finished",
        "log",
        "metrics",
        "phase",
        "progress",
        "rows",
        "started",
    ];
    assert_eq!(kinds, expected.into());
    for event in &events {
        match &event.body {
            EventBody::Rows(rows) => {
                assert_eq!(rows.rows.len(), 6);
                let sums = rows.rows.iter().map(|row| row.iter().map(|p| p.0).sum::<f64>());
                assert!(sums.into_iter().all(|sum| (sum - 1.0).abs() < 1e-9));
            }
            EventBody::Progress(progress) => assert!((0.0..=1.0).contains(&progress.fraction.0)),
            _ => {}
        }
    }
    let EventBody::Progress(last) =
        &events.iter().rev().find(|e| e.body.kind() == "progress").unwrap().body
    else {
        panic!("no progress");
    };
    assert_eq!((last.step, last.fraction.0), (last.total_steps, 1.0));
}

#[test]
fn double_precision_runs_too() {
    let run = Run::new(
        &json!({"resources": {"precision": "float64"}, "search": {"epochs": 1}, "after": {"from_scratch": {"epochs": 0}}}),
    );
    assert!(run.finish(1).success());
    let tensors =
        Tensor::read_safetensors(run.attempt(1).join("artifacts/model.safetensors")).unwrap();
    assert!(
        tensors
            .iter()
            .filter(|(name, _)| name.ends_with("weight"))
            .all(|(_, t)| t.kind() == tch::Kind::Double)
    );
}

fn summary(run: &Run) -> Value {
    assert!(run.finish(1).success());
    run.record().unwrap()["outcome"]["summary"].clone()
}

fn kernels(run: &Run) -> BTreeMap<String, Tensor> {
    let path = run.attempt(1).join("artifacts/model.safetensors");
    let tensors = Tensor::read_safetensors(path).unwrap();
    tensors.into_iter().filter(|(name, _)| name.ends_with("weight")).collect()
}

#[test]
fn the_ladder_holds_every_training_and_the_package_the_best() {
    let run = Run::new(&json!({
        "search": {"epochs": 1},
        "after": {"recipe": "cifar", "fine_tune": {"epochs": 1}, "from_scratch": {"epochs": 1}, "mixup": 0.2, "ema": 0.5}
    }));
    let summary = summary(&run);
    let ladder = summary["ladder"].as_array().unwrap();
    let names: Vec<&str> = ladder.iter().filter_map(|rung| rung["weights"].as_str()).collect();
    let expected = [
        "inherited",
        "recalibrated",
        "fine_tuned",
        "fine_tuned_ema",
        "from_scratch",
        "from_scratch_ema",
    ];
    assert_eq!(names, expected);
    let valid = |rung: &Value| rung["valid_accuracy"].as_f64().unwrap();
    let best = ladder.iter().map(valid).fold(0.0, f64::max);
    assert_eq!(summary["valid_accuracy"].as_f64(), Some(best));
    let packaged = ladder.iter().find(|rung| rung["weights"] == summary["packaged"]).unwrap();
    assert_eq!(valid(packaged), best);
}

#[test]
fn fine_tuning_starts_from_the_inherited_weights_and_its_choice_is_packed() {
    let run = |after: Value| {
        let mut spec = json!({"search": {"epochs": 1}, "after": {"from_scratch": {"epochs": 0}}});
        crate::harness::merge(&mut spec["after"], &after);
        let run = Run::new(&spec);
        (summary(&run)["packaged"].clone(), kernels(&run))
    };
    let tuned = |lr: f64| {
        run(
            json!({"packaged": "fine_tuned", "fine_tune": {"epochs": 1, "lr": lr}, "weight_decay": 0}),
        )
    };
    let (name, inherited) = run(json!({"packaged": "recalibrated"}));
    assert_eq!(name, "recalibrated");
    let (name, still) = tuned(0.0);
    assert_eq!(name, "fine_tuned");
    assert!(still == inherited, "at a rate of zero nothing moves");
    assert!(tuned(0.01).1 != inherited);
}
