//! A run that was interrupted equals one that was not, bit for bit.

use std::fs;

use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use skein_core::event::{EventBody, PhaseName};

use crate::halves::halves;
use crate::harness::{Run, killed_when, merge, wait, warnings};

/// Everything that must not depend on interruptions.
#[derive(PartialEq)]
struct Trace {
    weights: Vec<u8>,
    optimizer: Vec<u8>,
    model: Vec<u8>,
    architecture: Vec<u8>,
    metrics: Vec<String>,
}

impl Trace {
    fn of(run: &Run, attempt: u32) -> Self {
        let checkpoint = run.checkpoint(attempt);
        Self {
            weights: fs::read(checkpoint.join("weights.safetensors")).unwrap(),
            optimizer: fs::read(checkpoint.join("optimizer.safetensors")).unwrap(),
            model: run.artifact(attempt, "model.safetensors"),
            architecture: run.artifact(attempt, "architecture.json"),
            metrics: run.computed(attempt),
        }
    }

    #[track_caller]
    fn assert_equals(&self, other: &Self) {
        assert!(self.metrics.len() > 20, "only {} numbers", self.metrics.len());
        for (a, b) in self.metrics.iter().zip(&other.metrics) {
            assert_eq!(a, b);
        }
        assert_eq!(self.metrics.len(), other.metrics.len());
        assert_eq!(
            String::from_utf8_lossy(&self.architecture),
            String::from_utf8_lossy(&other.architecture)
        );
        assert!(self.weights == other.weights, "weights differ");
        assert!(self.optimizer == other.optimizer, "states of the optimizers differ");
        assert!(self.model == other.model, "models differ");
    }
}

/// Kills each attempt once it has said so many metrics, then lets one finish.
fn killed_at(run: &Run, deaths: &[usize]) -> u32 {
    let mut attempt = 0;
    for count in deaths {
        attempt += 1;
        let mut child = run.start(attempt);
        run.wait_for(attempt, "metrics", *count, &mut child);
        let _ = child.kill();
        wait(&mut child);
        if run.record().is_some() {
            return attempt;
        }
    }
    attempt += 1;
    assert!(run.finish(attempt).success());
    attempt
}

#[rstest]
#[case::drnas(json!({"kind": "drnas"}), "corrected")]
#[case::drnas_reference(json!({"kind": "drnas"}), "reference")]
#[case::darts(json!({"kind": "darts"}), "corrected")]
#[case::darts_second_order(json!({"kind": "darts", "order": 2}), "corrected")]
#[case::gdas(json!({"kind": "gdas"}), "corrected")]
#[case::spos(json!({"kind": "spos"}), "corrected")]
fn a_killed_run_goes_on_as_if_nothing_had_happened(
    #[case] optimizer: Value,
    #[case] fidelity: &str,
) {
    let mut spec = json!({"search": {"optimizer": optimizer, "fidelity": fidelity}});
    if optimizer["kind"] == "spos" {
        spec["search"]["second_stage"] = json!({"candidates": 6});
    }
    survives(&spec);
}

/// Killed in each half, and with a checkpoint at their border.
#[rstest]
#[case::at_the_border(8, &[("checkpoint", 1), ("checkpoint", 2)])]
#[case::within(3, &[("checkpoint", 2), ("checkpoint", 2)])]
fn a_killed_search_in_halves_goes_on(#[case] every: u64, #[case] deaths: &[(&str, usize)]) {
    let spec =
        halves(&json!({"search": {"batch_size": 16}, "resources": {"checkpoint_every": every}}));
    let whole = Run::new(&spec);
    assert!(whole.finish(1).success());
    let run = Run::new(&spec);
    let last = killed_when(&run, deaths);
    assert!(last > 1, "the run was killed");
    Trace::of(&run, last).assert_equals(&Trace::of(&whole, 1));
}

/// Killed with a checkpoint at each boundary of the stages, and within stages: the sorted channels
/// and the teacher are those of the run that was not killed.
#[rstest]
#[case::at_boundaries(6, &[("checkpoint", 1), ("checkpoint", 1), ("checkpoint", 1)])]
#[case::within_stages(4, &[("checkpoint", 2), ("checkpoint", 1), ("checkpoint", 2)])]
fn a_killed_shrinking_goes_on(#[case] every: u64, #[case] deaths: &[(&str, usize)]) {
    let spec = json!({
        "space": {"preset": "conv-macro", "channels": null, "widths": [[2, 3, 5], [3, 4, 6]], "kernels": [1, 3], "pools": [1, 2], "last_width": 4, "head": []},
        "search": {"optimizer": {"kind": "ofa"}, "epochs": 4, "second_stage": {"candidates": 6}},
        "resources": {"checkpoint_every": every}
    });
    let whole = Run::new(&spec);
    assert!(whole.finish(1).success());
    let run = Run::new(&spec);
    let last = killed_when(&run, deaths);
    Trace::of(&run, last).assert_equals(&Trace::of(&whole, 1));
}

/// Everything random about the images, and every state that an optimizer of the weights has.
#[rstest]
#[case::images(json!({"dataset": {"crop": 3, "flip": true}, "search": {"cutout": 6}}))]
#[case::more_of_images(json!({"dataset": {"flip_vertical": true, "resized_crop": 0.3}, "search": {"color_jitter": 0.4, "random_erasing": 0.5}, "after": {"color_jitter": 0.2, "random_erasing": 0.25}}))]
#[case::adam(json!({"search": {"weight_optimizer": {"kind": "adam", "beta2": 0.995}, "warmup": {"length": 0.5}}}))]
#[case::adamw(json!({"search": {"weight_optimizer": {"kind": "adamw"}, "warmup": {"length": 5, "unit": "steps"}}}))]
#[case::adam_on_paths(json!({"search": {"optimizer": {"kind": "gdas"}, "weight_optimizer": {"kind": "adam"}}}))]
#[case::recomputed(json!({"resources": {"keep_activations": 0.0}}))]
#[case::drop_path(json!({"after": {"fine_tune": {"epochs": 2}, "from_scratch": {"epochs": 3}, "drop_path": 0.4}}))]
#[case::trainings(json!({"after": {"fine_tune": {"epochs": 2, "warmup_epochs": 0.5}, "optimizer": {"kind": "adamw"}, "ema": 0.9, "mixup": 0.4, "cutmix": 1.0, "label_smoothing": 0.1, "cutout": 5, "repeats": 2, "rand_augment": 9}}))]
fn a_killed_run_with_a_recipe_goes_on_as_if_nothing_had_happened(#[case] spec: Value) {
    survives(&spec);
}

fn survives(spec: &Value) {
    let whole = Run::new(spec);
    assert!(whole.finish(1).success());
    let expected = Trace::of(&whole, 1);
    let run = Run::new(spec);
    // Soon, in the middle, in the training from scratch: three crashes in a row.
    let last = killed_at(&run, &[1, 1, 2]);
    assert!(last > 1, "the run was killed");
    Trace::of(&run, last).assert_equals(&expected);
}

fn two_stages(optimizer: &str) -> Value {
    let stage = json!({"kind": "evolution", "population": 4, "parents": 2, "mutations": 2, "crossovers": 1, "generations": 3});
    json!({
        "search": {"optimizer": {"kind": optimizer}, "epochs": 1, "second_stage": stage},
        "resources": {"checkpoint_every": 3}
    })
}

/// The phases of an attempt in their order.
fn phases(run: &Run, attempt: u32) -> Vec<&'static str> {
    let names = run.events(attempt).into_iter().filter_map(|event| match event.body {
        EventBody::Phase(phase) => Some(phase.name.as_str()),
        _ => None,
    });
    names.collect()
}

/// At the first candidate (the checkpoint at the end of the search is the last one), after
/// generations, and at the end of the second stage.
#[rstest]
#[case::at_the_first_boundary(&[("phase", 2)])]
#[case::within_a_generation(&[("checkpoint", 4)])]
#[case::three_crashes_in_a_row(&[("checkpoint", 3), ("checkpoint", 1), ("checkpoint", 1)])]
#[case::at_the_second_boundary(&[("phase", 3)])]
fn a_killed_second_stage_goes_on(
    #[case] deaths: &[(&str, usize)],
    #[values("spos", "drnas")] optimizer: &str,
) {
    let spec = two_stages(optimizer);
    let whole = Run::new(&spec);
    assert!(whole.finish(1).success());
    assert_eq!(phases(&whole, 1), ["search", "select", "inherit", "fit", "package"]);
    let run = Run::new(&spec);
    let last = killed_when(&run, deaths);
    let expected = (Trace::of(&whole, 1), whole.artifact(1, "candidates.csv"));
    Trace::of(&run, last).assert_equals(&expected.0);
    assert!(run.artifact(last, "candidates.csv") == expected.1, "candidates differ");
}

/// Effects are no part of a checkpoint: they follow from the scores.
#[rstest]
#[case::within(&[("phase", 2), ("checkpoint", 2)])]
#[case::three_crashes_in_a_row(&[("phase", 2), ("checkpoint", 1), ("checkpoint", 1)])]
#[case::at_the_end(&[("phase", 3)])]
fn a_killed_second_stage_by_effects_goes_on(#[case] deaths: &[(&str, usize)]) {
    let mut spec = two_stages("spos");
    spec["search"]["epochs"] = json!(2);
    spec["search"]["second_stage"] = json!({"kind": "effects", "candidates": 12});
    outlives(&spec, deaths, ["candidates.csv", "effects.csv"]);
}

/// A run that is killed so ends as one that is not, with the same files.
fn outlives(spec: &Value, deaths: &[(&str, usize)], files: [&str; 2]) {
    let whole = Run::new(spec);
    assert!(whole.finish(1).success());
    let run = Run::new(spec);
    let last = killed_when(&run, deaths);
    Trace::of(&run, last).assert_equals(&Trace::of(&whole, 1));
    for name in files {
        assert!(run.artifact(last, name) == whole.artifact(1, name), "{name} differs");
    }
}

/// NSGA-II's survivors are no part of a checkpoint: they follow from the scores.
#[rstest]
#[case::within_a_generation(&[("checkpoint", 4)])]
#[case::three_crashes_in_a_row(&[("checkpoint", 3), ("checkpoint", 1), ("checkpoint", 1)])]
#[case::at_the_second_boundary(&[("phase", 3)])]
fn a_killed_trade_off_goes_on(#[case] deaths: &[(&str, usize)]) {
    let mut spec = two_stages("spos");
    spec["search"]["second_stage"] = json!({"kind": "pareto", "cost": "macs", "population": 4, "mutations": 2, "crossovers": 1, "generations": 3});
    outlives(&spec, deaths, ["candidates.csv", "pareto.json"]);
}

#[test]
fn asked_to_stop_within_a_generation_a_worker_goes_on_from_there() {
    let mut spec = two_stages("spos");
    spec["resources"]["checkpoint_every"] = json!(1000);
    let whole = Run::new(&spec);
    assert!(whole.finish(1).success());
    let run = Run::new(&spec);
    let mut child = run.start(1);
    run.wait_for(1, "phase", 2, &mut child);
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert!(wait(&mut child).success());
    assert!(run.record().is_none());
    assert!(run.finish(2).success());
    Trace::of(&run, 2).assert_equals(&Trace::of(&whole, 1));
}

/// Killed in the fine-tuning, at its end and in the training from scratch.
#[rstest]
#[case::plain(json!({"after": {"fine_tune": {"epochs": 1}}}))]
#[case::darts(json!({"space": {"preset": "darts", "cells": 3, "nodes": 2}, "search": {"epochs": 1}, "after": {"recipe": "darts", "fine_tune": {"epochs": 2}, "from_scratch": {"epochs": 2}}}))]
fn each_training_goes_on_from_its_own_checkpoints(#[case] mut spec: Value) {
    merge(&mut spec, &json!({"after": {"ema": 0.9, "packaged": "fine_tuned"}}));
    let whole = Run::new(&spec);
    assert!(whole.finish(1).success());
    let expected = Trace::of(&whole, 1);
    let said = whole.events(1);
    let phase = |name: PhaseName| {
        said.iter()
            .position(|event| matches!(&event.body, EventBody::Phase(phase) if phase.name == name))
    };
    let checkpoints = |until: usize| {
        said[..until].iter().filter(|event| event.body.kind() == "checkpoint").count()
    };
    let (tuned, fresh) = (phase(PhaseName::FineTune).unwrap(), phase(PhaseName::Fit).unwrap());
    for count in [checkpoints(tuned) + 1, checkpoints(fresh), checkpoints(fresh) + 1] {
        let run = Run::new(&spec);
        let mut child = run.start(1);
        run.wait_for(1, "checkpoint", count, &mut child);
        let _ = child.kill();
        wait(&mut child);
        let last = if run.record().is_some() { 1 } else { 2 };
        assert!(last == 1 || run.finish(2).success());
        Trace::of(&run, last).assert_equals(&expected);
    }
}

/// Dies at a point that no one chose.
#[test]
fn a_run_killed_at_any_moment_goes_on() {
    let spec = json!({"resources": {"checkpoint_every": 3}});
    let whole = Run::new(&spec);
    assert!(whole.finish(1).success());
    let expected = Trace::of(&whole, 1);
    let run = Run::new(&spec);
    let mut attempt = 1;
    while attempt < 12 {
        let mut child = run.start(attempt);
        run.wait_for(attempt, "phase", 1, &mut child);
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .subsec_nanos();
        std::thread::sleep(std::time::Duration::from_micros(u64::from(nanos % 700_000)));
        let _ = child.kill();
        wait(&mut child);
        if run.record().is_some() {
            break;
        }
        attempt += 1;
    }
    if run.record().is_none() {
        assert!(run.finish(attempt).success());
    }
    Trace::of(&run, attempt).assert_equals(&expected);
}

#[test]
fn a_torn_checkpoint_is_passed_over_and_told() {
    let spec = json!({});
    let whole = Run::new(&spec);
    assert!(whole.finish(1).success());
    let run = Run::new(&spec);
    let mut child = run.start(1);
    run.wait_for(1, "checkpoint", 3, &mut child);
    child.kill().unwrap();
    wait(&mut child);
    let torn = run.checkpoint(1);
    let file = torn.join("weights.safetensors");
    let length = fs::metadata(&file).unwrap().len();
    fs::File::options().write(true).open(&file).unwrap().set_len(length / 2).unwrap();
    assert!(run.finish(2).success());
    let events = run.events(2);
    assert_eq!(warnings(&events), ["checkpoint_damaged"]);
    let EventBody::Started(started) = &events[0].body else { panic!("{:?}", events[0]) };
    let torn_step =
        torn.file_name().unwrap().to_str().and_then(skein_core::folder::checkpoint_step);
    assert_eq!(started.resumed_from, torn_step.map(|step| step - 2));
    Trace::of(&run, 2).assert_equals(&Trace::of(&whole, 1));
}

#[test]
fn asked_to_stop_a_worker_leaves_a_checkpoint_and_no_verdict() {
    let spec = json!({"resources": {"checkpoint_every": 1000}});
    let whole = Run::new(&spec);
    assert!(whole.finish(1).success());
    let run = Run::new(&spec);
    let mut child = run.start(1);
    run.wait_for(1, "rows", 3, &mut child);
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert!(wait(&mut child).success());
    assert!(run.record().is_none());
    assert!(run.checkpoint(1).join("state.json").exists());
    assert!(run.finish(2).success());
    let EventBody::Started(started) = &run.events(2)[0].body.clone() else { panic!("not started") };
    assert!(started.resumed_from.is_some_and(|step| step > 0));
    Trace::of(&run, 2).assert_equals(&Trace::of(&whole, 1));
}
