//! What a run leaves behind.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};

use rstest::rstest;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use skein_core::benchmark::Table;
use skein_core::choice::Architecture;
use skein_core::event::EventBody;
use skein_core::manifest::Manifest;
use skein_core::spaces;
use skein_core::spec::{BenchmarkSpec, Sharing, SpaceSpec};
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
    let expected = [
        "MODEL_CARD.md",
        "architecture.json",
        "architecture.svg",
        "environment.json",
        "example.npz",
        "load_onnx.py",
        "load_pytorch.py",
        "metrics.csv",
        "model.onnx",
        "model.py",
        "model.safetensors",
        "model.torchscript.pt",
        "preprocess.json",
        "spec.json",
        "split.json",
    ];
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

/// With rows, by evolution, and by a glance: nothing that is derived costs more than is allowed.
#[rstest]
#[case::rows(toy(), json!({"optimizer": {"kind": "drnas"}}))]
#[case::second_stage(toy(), json!({"optimizer": {"kind": "spos"}, "second_stage": {"kind": "evolution", "population": 4, "generations": 2}}))]
#[case::effects(toy(), json!({"optimizer": {"kind": "spos"}, "second_stage": {"kind": "effects", "candidates": 9, "tolerance": 0}}))]
#[case::pruned_effects(darts(), json!({"optimizer": {"kind": "spos"}, "second_stage": {"kind": "effects", "candidates": 9, "tolerance": 0}}))]
#[case::pruned_rows(darts(), json!({"optimizer": {"kind": "darts"}}))]
#[case::pruned_second_stage(darts(), json!({"optimizer": {"kind": "spos"}, "second_stage": {"kind": "evolution", "population": 3, "generations": 2}}))]
fn no_architecture_exceeds_the_limits(#[case] space: SpaceSpec, #[case] mut search: Value) {
    search["epochs"] = json!(1);
    let shape = spaces::toy_cell::PRESET.shape;
    let graph = spaces::build(&space, shape, Sharing::Entangled);
    let range = graph.unwrap().cost_range().unwrap();
    let max = range.min.params + (range.max.params - range.min.params) / 4;
    let limits = json!({"max_params": max, "max_macs": range.max.macs});
    let spec = json!({"space": space, "search": search, "constraints": limits, "after": {"from_scratch": {"epochs": 0}}});
    let run = Run::new(&spec);
    assert!(run.finish(1).success());
    let mut seen = 0;
    for event in run.events(1) {
        if let EventBody::Architecture(now) = event.body {
            assert!(now.cost.params <= max, "{} of {max}", now.cost.params);
            seen += 1;
        }
    }
    assert!(seen > 1);
    assert!(run.record().unwrap()["outcome"]["summary"]["cost"]["params"].as_u64() <= Some(max));
}

/// A price that outweighs every loss leaves the cheapest architecture.
#[rstest]
#[case::drnas(json!({"kind": "drnas"}), "params")]
#[case::darts(json!({"kind": "darts"}), "macs")]
#[case::darts_second_order(json!({"kind": "darts", "order": 2}), "params")]
#[case::gdas(json!({"kind": "gdas"}), "params")]
fn a_strong_price_derives_a_cheap_architecture(#[case] optimizer: Value, #[case] on: &str) {
    let graph = spaces::build(&toy(), spaces::toy_cell::PRESET.shape, Sharing::Entangled).unwrap();
    let range = graph.cost_range().unwrap();
    let run = |constraints: Value| {
        let mut spec = json!({"search": {"optimizer": optimizer, "epochs": 3, "arch_lr": 0.1}, "after": {"from_scratch": {"epochs": 0}}});
        spec["constraints"] = constraints;
        let run = Run::new(&spec);
        assert!(run.finish(1).success());
        (run.record().unwrap()["outcome"]["summary"]["cost"].clone(), run)
    };
    let (cost, priced) = run(json!({"penalty": 300, "penalty_on": on}));
    let least = if on == "params" { range.min.params } else { range.min.macs };
    assert_eq!(cost[on], least);
    let metrics = String::from_utf8(priced.artifact(1, "metrics.csv")).unwrap();
    let name = format!(",expected_{on},");
    let told: Vec<f64> = metrics
        .lines()
        .filter_map(|line| line.split_once(&name)?.1.split(',').next()?.parse().ok())
        .collect();
    assert!(told.len() == 3 && told[2] < told[0], "{told:?}");
    // Adam's steps are as large whatever the price, so the losses decide without one.
    assert!(run(json!({})).0[on].as_u64() > cost[on].as_u64());
}

/// Rows that have hardly moved tie everywhere, and then the cheapest architecture is derived, in the
/// events as in the result; without parsimony it is another one.
#[rstest]
#[case("params")]
#[case("macs")]
fn parsimony_derives_the_cheapest_of_what_is_near(#[case] on: &str) {
    let graph = spaces::build(&toy(), spaces::toy_cell::PRESET.shape, Sharing::Entangled).unwrap();
    let range = graph.cost_range().unwrap();
    let derived = |parsimony: f64| {
        let constraints = json!({"parsimony": parsimony, "penalty_on": on});
        let run = Run::new(&json!({"search": {"epochs": 1}, "constraints": constraints}));
        assert!(run.finish(1).success());
        let last = run.events(1).into_iter().rev().find_map(|event| match event.body {
            EventBody::Architecture(now) => Some(now.choices),
            _ => None,
        });
        let summary = run.record().unwrap()["outcome"]["summary"].clone();
        assert_eq!(summary["choices"], json!(last.unwrap()));
        summary["cost"][on].as_u64().unwrap()
    };
    let least = if on == "params" { range.min.params } else { range.min.macs };
    assert_eq!(derived(0.5), least);
    assert!(derived(0.0) > least);
}

fn toy() -> SpaceSpec {
    let SpaceSpec::ToyCell(mut options) = (spaces::toy_cell::PRESET.defaults)() else {
        panic!("the preset is another space")
    };
    options.channels = 8;
    SpaceSpec::ToyCell(options)
}

/// A space in which only some edges are kept.
fn darts() -> SpaceSpec {
    let SpaceSpec::Darts(mut options) = (spaces::darts::PRESET.defaults)() else {
        panic!("the preset is another space")
    };
    (options.channels, options.cells, options.nodes) = (2, 3, 2);
    SpaceSpec::Darts(options)
}

/// A table in which an architecture's accuracy follows from its options.
#[test]
fn an_attached_benchmark_tells_accuracy_and_rank_of_what_is_derived() {
    let run = Run::new(&json!({
        "search": {"epochs": 3},
        "after": {"fit_epochs": 0},
        "benchmark": {"table": "any.csv", "columns": "a,b,c,d,e,f"}
    }));
    let accuracy = |id: usize| 50.0 + f64::from(u32::try_from(id * 2741 % 4096).unwrap()) / 100.0;
    let mut table = "a,b,c,d,e,f,test_acc\n".to_owned();
    for id in 0..4096 {
        let digits = (0..6).map(|digit| (id >> (2 * digit) & 3).to_string());
        table += &format!("{},{}\n", digits.collect::<Vec<_>>().join(","), accuracy(id));
    }
    std::fs::write(run.folder().join("benchmark.csv"), table).unwrap();
    assert!(run.finish(1).success());
    let mut seen = 0;
    for event in run.events(1) {
        let EventBody::Architecture(now) = event.body else { continue };
        let id = now.choices.iter().rev().fold(0, |id, option| id << 2 | option);
        let better = (0..4096).filter(|other| accuracy(*other) > accuracy(id)).count();
        assert!((now.true_accuracy.unwrap().0 - accuracy(id) / 100.0).abs() < 1e-12);
        assert_eq!(now.true_rank, Some(better as u64 + 1));
        seen += 1;
    }
    assert!(seen >= 3);
    let metrics = String::from_utf8(run.artifact(1, "metrics.csv")).unwrap();
    assert_eq!(metrics.lines().filter(|line| line.contains(",true_rank,")).count(), 3);
}

/// The published table of the toy cell, where it is at hand.
#[test]
fn the_published_table_of_the_toy_cell_is_read() {
    let Ok(path) = std::env::var("SKEIN_TOY_TABLE") else {
        eprintln!("skipped: SKEIN_TOY_TABLE names no table");
        return;
    };
    let text = std::fs::read_to_string(path).unwrap();
    let preset = spaces::toy_cell::PRESET;
    let graph = spaces::build(&(preset.defaults)(), preset.shape, Sharing::Entangled).unwrap();
    let columns = Some("n01,n02,n12,r01,r02,r12".to_owned());
    let spec = BenchmarkSpec { table: None, columns, accuracy: Some("test_acc".to_owned()) };
    let table = Table::read(&text, &graph.choices, &spec).unwrap();
    let best = table.look_up(&Architecture(vec![0, 0, 2, 0, 2, 0])).unwrap();
    assert_eq!((table.count(), best.accuracy, best.rank), (4096, 0.9163, 1));
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
