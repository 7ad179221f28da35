//! The network of a package in each of its forms, for every space.
//!
//! With `SKEIN_KEEP_PACKAGES=FOLDER` the packages stay, for `tests/export/packages.py`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};
use skein_core::event::EventBody;
use skein_core::folder;
use skein_core::manifest::Manifest;
use skein_core::package;
use tch::{CModule, Device, Kind, Tensor};

use crate::harness::Run;
use crate::language;

/// A space with all of its options in a small size, searched for an epoch.
fn images(space: &Value, optimizer: &str) -> Run {
    let stage =
        if optimizer == "spos" { json!({"kind": "random", "candidates": 2}) } else { Value::Null };
    Run::new(&json!({
        "space": space,
        "search": {"optimizer": {"kind": optimizer}, "epochs": 1, "second_stage": stage},
        "after": {"from_scratch": {"epochs": 1}},
    }))
}

fn names(run: &Run) -> Vec<String> {
    let manifest: Manifest = serde_json::from_slice(&run.artifact(1, folder::MANIFEST)).unwrap();
    manifest.files.into_iter().map(|file| file.name).collect()
}

fn keep(run: &Run, name: &str) {
    let Some(kept) = std::env::var_os("SKEIN_KEEP_PACKAGES") else { return };
    let to = Path::new(&kept).join(name);
    fs::create_dir_all(&to).unwrap();
    for name in names(run) {
        fs::write(to.join(&name), run.artifact(1, &name)).unwrap();
    }
}

/// Every form is offered, which the worker does only if it was right; the example is the network's.
#[track_caller]
fn check(run: &Run, input: &str) -> BTreeMap<String, Tensor> {
    let left_out = run.events(1).into_iter().find_map(|event| match event.body {
        EventBody::Warning(warning) if warning.code == "export_left_out" => Some(warning.message),
        _ => None,
    });
    assert_eq!(left_out, None);
    let found = names(run);
    let forms = [
        "MODEL_CARD.md",
        "environment.json",
        "example.npz",
        "load_onnx.py",
        "load_pytorch.py",
        "model.onnx",
        "model.py",
        "model.safetensors",
        "model.torchscript.pt",
        "preprocess.json",
    ];
    for form in forms {
        assert!(found.iter().any(|name| name == form), "{form} is not in {found:?}");
    }
    let unknown: Vec<&String> = found.iter().filter(|name| package::find(name).is_none()).collect();
    assert!(unknown.is_empty(), "no page says what {unknown:?} are");
    let path = run.attempt(1).join("artifacts");
    let example: BTreeMap<String, Tensor> =
        Tensor::read_npz(path.join("example.npz")).unwrap().into_iter().collect();
    let (x, expected) = (&example[input], &example["logits"]);
    assert_eq!((x.size()[0], expected.size()[0]), (8, 8));
    let module = CModule::load_on_device(path.join("model.torchscript.pt"), Device::Cpu).unwrap();
    let got = tch::no_grad(|| module.forward_ts(&[x.narrow(0, 2, 5)]).unwrap());
    let difference = (got - expected.narrow(0, 2, 5)).abs().max().double_value(&[]);
    assert!(difference < 1e-4, "{difference}");
    example
}

#[rstest]
#[case::toy_cell(json!({"preset": "toy-cell", "channels": 4}), "drnas")]
#[case::conv_macro(json!({"preset": "conv-macro", "channels": null, "widths": [[2, 3, 5], [3, 4, 6]], "kernels": [1, 3], "pools": [1, 2], "last_width": 4, "head": [6]}), "gdas")]
#[case::nas_bench_201(json!({"preset": "nas-bench-201", "channels": 4, "cells": 1}), "drnas")]
#[case::darts(json!({"preset": "darts", "channels": 4, "cells": 3, "nodes": 2}), "darts")]
#[case::autoformer(json!({"preset": "autoformer-t", "channels": null, "embed_widths": [16, 24], "depths": [1, 2], "image_size": 24, "patch": 8}), "spos")]
#[case::mobilenet_v3(json!({"preset": "mobilenet-v3", "channels": null, "width": 0.1, "image_size": 32, "depths": [1, 2], "expansions": [2, 3]}), "drnas")]
fn a_network_of_every_space_leaves_in_every_form(#[case] space: Value, #[case] optimizer: &str) {
    let run = images(&space, optimizer);
    assert!(run.finish(1).success(), "{:?}", run.record());
    check(&run, "images");
    keep(&run, space["preset"].as_str().unwrap());
    let file = |name: &str| -> Value { serde_json::from_slice(&run.artifact(1, name)).unwrap() };
    let preprocess = file("preprocess.json");
    assert_eq!(preprocess["shape"], json!([1, 28, 28]));
    assert_eq!((&preprocess["mean"], &preprocess["std"]), (&json!([0.2859]), &json!([0.353])));
    assert_eq!(preprocess["classes"].as_array().unwrap().len(), 10);
    let environment = file("environment.json");
    assert_eq!((&environment["seed"], &environment["device"]), (&json!(5), &json!("cpu")));
    assert_eq!(environment["skein"], env!("CARGO_PKG_VERSION"));
    // The card says what the record says.
    let card = String::from_utf8(run.artifact(1, "MODEL_CARD.md")).unwrap();
    let summary = run.record().unwrap()["outcome"]["summary"].clone();
    let number = |value: &Value| value.as_f64().unwrap();
    let test = format!("{:.2} %", 100.0 * number(&summary["test_accuracy"]));
    for said in
        [summary["architecture"].as_str().unwrap(), &summary["cost"]["params"].to_string(), &test]
    {
        assert!(card.contains(said), "{said} is not in {card}");
    }
}

#[rstest]
#[case::characters("language-char", "characters")]
#[case::pairs("language", "bpe")]
fn a_language_model_leaves_in_every_form(#[case] preset: &str, #[case] tokens: &str) {
    let run = language::run(&json!({
        "space": {"preset": preset}, "dataset": {"tokens": tokens},
        "search": {"epochs": 1}, "after": {"from_scratch": {"epochs": 1}},
    }));
    assert!(run.finish(1).success(), "{:?}", run.record());
    let example = check(&run, "tokens");
    keep(&run, preset);
    assert_eq!(example["tokens"].kind(), Kind::Int64);
    // A text may be shorter than the window.
    let path = run.attempt(1).join("artifacts/model.torchscript.pt");
    let module = CModule::load_on_device(path, Device::Cpu).unwrap();
    for length in [1, 7] {
        let first = |name: &str| example[name].narrow(1, 0, length);
        let got = tch::no_grad(|| module.forward_ts(&[first("tokens")]).unwrap());
        let difference = (got - first("logits")).abs().max().double_value(&[]);
        assert!(difference < 1e-4, "{length} tokens: {difference}");
    }
    let preprocess: Value = serde_json::from_slice(&run.artifact(1, "preprocess.json")).unwrap();
    assert_eq!((&preprocess["tokens"], &preprocess["context"]), (&json!(tokens), &json!(16)));
    let file = preprocess["file"].as_str().unwrap();
    assert!(names(&run).iter().any(|name| name == file), "{file}");
    assert_eq!(preprocess["vocabulary"], json!(example["logits"].size()[2]));
}

/// A network that is trained in double precision leaves in single precision, in which other
/// programs run it.
#[test]
fn a_network_of_doubles_leaves_in_single_precision() {
    let run = Run::new(&json!({"search": {"epochs": 1}, "resources": {"precision": "float64"}}));
    assert!(run.finish(1).success(), "{:?}", run.record());
    let example = check(&run, "images");
    assert_eq!(example["logits"].kind(), Kind::Float);
    let path = run.attempt(1).join("artifacts/model.safetensors");
    let floats = Tensor::read_safetensors(path).unwrap();
    let kept = Tensor::read_safetensors(run.checkpoint(1).join("weights.safetensors")).unwrap();
    let trained = kept.iter().find(|(name, _)| name == "supernet.weights").unwrap();
    assert_eq!(trained.1.kind(), Kind::Double);
    assert!(floats.iter().all(|(_, tensor)| matches!(tensor.kind(), Kind::Float | Kind::Int64)));
}

/// However a run rounds its products, what it leaves is held against the same network in full.
#[test]
fn a_network_of_rounded_products_is_searched_and_leaves() {
    let rounded = |precision: &str| {
        let run = Run::new(&json!({
            "search": {"epochs": 2}, "after": {"from_scratch": {"epochs": 1}},
            "resources": {"precision": precision, "keep_activations": 0.5},
        }));
        assert!(run.finish(1).success(), "{precision}: {:?}", run.record());
        let example = check(&run, "images");
        assert_eq!(example["logits"].kind(), Kind::Float);
        let environment: Value =
            serde_json::from_slice(&run.artifact(1, "environment.json")).unwrap();
        assert_eq!(environment["precision"], json!(precision));
        let path = run.attempt(1).join("artifacts/model.safetensors");
        Tensor::read_safetensors(path).unwrap().into_iter().collect::<BTreeMap<_, _>>()
    };
    let (single, tf32, mixed) = (rounded("float32"), rounded("tf32"), rounded("bfloat16"));
    assert_eq!(single, tf32, "a CPU has no TF32");
    assert_ne!(single, mixed);
    assert!(mixed.values().all(|tensor| tensor.kind() != Kind::BFloat16));
}
