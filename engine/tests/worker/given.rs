//! A given architecture: measured with another run's weights, trained on, trained from scratch.

use std::fs;
use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};
use skein_core::event::{EventBody, PhaseName};
use skein_core::{folder, package};

use crate::again::{TRAINED, copy, summary};
use crate::harness::{Run, killed_when, merge};

/// A search, with a training of what it finds.
fn searched() -> Run {
    let run = Run::new(&json!({"after": {"fine_tune": {"epochs": 1}}}));
    assert!(run.finish(1).success());
    run
}

fn spec(architecture: &Value, patch: &Value) -> Value {
    let optimizer = json!({"kind": "fixed", "architecture": architecture});
    let mut spec = json!({
        "search": {"optimizer": optimizer, "epochs": null, "from_run": TRAINED},
        "after": {"from_scratch": {"epochs": 0}},
    });
    merge(&mut spec, patch);
    spec
}

/// A run of one architecture, with what another run trained as the server lays it out.
fn given(of: &Run, architecture: &Value, patch: &Value) -> Run {
    let run = Run::new(&spec(architecture, patch));
    lay_out(of, &run);
    run
}

fn lay_out(of: &Run, run: &Run) {
    let target = run.folder().join(folder::SUPERNET);
    copy(&of.attempt(1).join(folder::CHECKPOINTS), &target);
    fs::copy(of.folder().join(folder::SPEC), target.join(folder::SPEC)).unwrap();
    let weights = of.attempt(1).join(folder::ARTIFACTS).join(package::WEIGHTS);
    fs::copy(weights, target.join(package::WEIGHTS)).unwrap();
}

/// The measurement with some weights.
fn rung(run: &Run, weights: &str) -> Value {
    let summary = summary(run);
    let mut ladder = summary["ladder"].as_array().unwrap().iter();
    let found = ladder.find(|rung| rung["weights"] == weights);
    found.unwrap_or_else(|| panic!("no {weights} in {}", summary["ladder"])).clone()
}

fn rungs(run: &Run) -> Vec<String> {
    let ladder = summary(run)["ladder"].as_array().unwrap().clone();
    ladder.iter().map(|rung| rung["weights"].as_str().unwrap().to_owned()).collect()
}

/// The same seed draws the same orders, weights and images: what the search's run did to its
/// network is done to it again.
#[test]
fn the_network_of_a_search_scores_and_trains_as_it_did_there() {
    let first = searched();
    let found = summary(&first)["architecture"].clone();
    let trainings = json!({"after": {"fine_tune": {"epochs": 1}, "from_scratch": {"epochs": 1}}});
    let second = given(&first, &found, &trainings);
    assert!(second.finish(1).success(), "{:?}", second.record());
    for weights in ["inherited", "recalibrated", "fine_tuned", "from_scratch"] {
        assert_eq!(rung(&first, weights), rung(&second, weights), "{weights}");
    }
    for part in ["choices", "cost", "architecture", "packaged"] {
        assert_eq!(summary(&first)[part], summary(&second)[part], "{part}");
    }
    for file in ["model.safetensors", "model.py", "model.onnx"] {
        assert!(first.artifact(1, file) == second.artifact(1, file), "{file} differs");
    }
    let phases: Vec<PhaseName> = second
        .events(1)
        .iter()
        .filter_map(|event| match &event.body {
            EventBody::Phase(phase) => Some(phase.name),
            _ => None,
        })
        .collect();
    use PhaseName::{FineTune, Fit, Inherit, Package};
    assert_eq!(phases, [Inherit, FineTune, Fit, Package]);
    let card = String::from_utf8(second.artifact(1, "MODEL_CARD.md")).unwrap();
    assert!(card.contains(TRAINED) && !card.contains("probability"), "{card}");
}

#[test]
fn without_another_run_a_network_is_trained_from_scratch() {
    let none = json!({"search": {"from_run": null}, "after": {"from_scratch": {"epochs": 1}}});
    let run = Run::new(&spec(&json!([3, 1, 0, 2, 2, 1]), &none));
    assert!(run.finish(1).success(), "{:?}", run.record());
    assert_eq!(rungs(&run), ["from_scratch"]);
    let found = summary(&run);
    assert_eq!(found["architecture"], "toy-cell|normal=dil5,sep5,sep3|reduce=dil3,dil3,sep5");
    // A checkpoint holds the training, and nothing of a supernet that nobody trained.
    let kept = run.checkpoint(1).join("weights.safetensors");
    let kept = tch::Tensor::read_safetensors(kept).unwrap();
    assert!(kept.iter().all(|(name, _)| name.starts_with("fit.")), "{kept:?}");
}

/// The weights in a package go on in another run: single precision, as they are packed.
#[test]
fn the_packaged_network_of_any_run_is_trained_on() {
    let first = searched();
    let found = summary(&first)["architecture"].clone();
    let result = json!({"search": {"inherit": "result"}, "after": {"fine_tune": {"epochs": 1}}});
    let second = given(&first, &found, &result);
    assert!(second.finish(1).success(), "{:?}", second.record());
    let packaged = summary(&first)["packaged"].as_str().unwrap().to_owned();
    let (expected, got) = (rung(&first, &packaged), rung(&second, "inherited"));
    for part in ["test_loss", "test_accuracy", "valid_loss", "valid_accuracy"] {
        assert_eq!(expected[part], got[part], "{part}");
    }
    // One that trained a given architecture lends its network too.
    let third = given(&second, &found, &result);
    assert!(third.finish(1).success(), "{:?}", third.record());
    let packaged = summary(&second)["packaged"].as_str().unwrap().to_owned();
    assert_eq!(rung(&second, &packaged)["test_loss"], rung(&third, "inherited")["test_loss"]);
}

#[rstest]
#[case::before_the_training(&[("phase", 2)])]
#[case::within_trainings(&[("checkpoint", 2), ("checkpoint", 2)])]
#[case::three_crashes_in_a_row(&[("phase", 1), ("checkpoint", 1), ("phase", 1)])]
fn killed_it_goes_on_as_if_nothing_had_happened(#[case] deaths: &[(&str, usize)]) {
    let first = searched();
    let trainings =
        json!({"after": {"fine_tune": {"epochs": 2}, "from_scratch": {"epochs": 2}, "ema": 0.9}});
    let architecture = json!("toy-cell|normal=dil5,sep5,sep3|reduce=dil3,dil3,sep5");
    let whole = given(&first, &architecture, &trainings);
    assert!(whole.finish(1).success());
    let killed = given(&first, &architecture, &trainings);
    let last = killed_when(&killed, deaths);
    assert_eq!(summary(&whole)["ladder"], summary(&killed)["ladder"]);
    let model = "model.safetensors";
    assert!(whole.artifact(1, model) == killed.artifact(last, model), "weights differ");
}

/// Coloured images whose class is their brightness, in the layout of CIFAR.
fn write_cifar(folder: &Path, classes: u8, labels: usize, files: [&str; 2]) {
    fs::create_dir_all(folder).unwrap();
    for (name, count) in files.into_iter().zip([120_u8, 40]) {
        let mut bytes = Vec::new();
        for at in 0..count {
            let class = at % classes;
            bytes.extend(std::iter::repeat_n(class, labels));
            bytes.extend((0..3 * 32 * 32).map(|pixel| {
                class.wrapping_mul(20).wrapping_add(u8::try_from(pixel % 7).unwrap())
            }));
        }
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// Ten classes are told from inherited weights, a hundred only with another last layer.
#[test]
fn other_classes_get_a_fresh_last_layer() {
    let data = |run: &Run| {
        let ten = ["data_batch_1.bin", "test_batch.bin"];
        write_cifar(&run.datasets().join("cifar-10"), 10, 1, ten);
        write_cifar(&run.datasets().join("cifar-100"), 60, 2, ["train.bin", "test.bin"]);
    };
    let of = |id: &str, limit: u64| json!({"dataset": {"id": id, "limit": limit}, "search": {"batch_size": 8, "valid_limit": 24}});
    let mut patch = of("cifar-10", 64);
    merge(&mut patch, &json!({"after": {"from_scratch": {"epochs": 0}}}));
    let first = Run::new(&patch);
    data(&first);
    assert!(first.finish(1).success(), "{:?}", first.record());
    let found = summary(&first)["architecture"].clone();
    let mut patch = of("cifar-100", 64);
    let fresh = json!({"search": {"reset_head": true}, "after": {"fine_tune": {"epochs": 1}}});
    merge(&mut patch, &fresh);
    let second = given(&first, &found, &patch);
    data(&second);
    assert!(second.finish(1).success(), "{:?}", second.record());
    assert_eq!(rungs(&second), ["inherited", "recalibrated", "fine_tuned"]);
    let told = second.events(1).iter().any(|event| match &event.body {
        EventBody::Log(log) => {
            log.message.contains("but for fc2.weight, fc2.bias, which start afresh")
        }
        _ => false,
    });
    assert!(told);
    let shape = |run: &Run| {
        let path = run.attempt(1).join(folder::ARTIFACTS).join(package::WEIGHTS);
        let tensors = tch::Tensor::read_safetensors(path).unwrap();
        tensors.into_iter().find(|(name, _)| name == "fc2.weight").unwrap().1.size()[0]
    };
    assert_eq!((shape(&first), shape(&second)), (10, 100));
}
