//! Bad input ends in a failure that says what to do.

use std::fs;

use rstest::rstest;
use serde_json::{Value, json};

use crate::harness::{Run, wait, write_dataset};

#[track_caller]
fn check_failure(run: &Run, class: &str, message: &str) {
    assert_eq!(run.finish(1).code(), Some(1));
    let record = run.record().unwrap();
    let failure = &record["outcome"]["failure"];
    assert_eq!(record["outcome"]["status"], "failed", "{record}");
    assert_eq!(failure["class"], class, "{record}");
    assert!(failure["message"].as_str().unwrap().contains(message), "{failure}");
    assert!(!failure["hint"].as_str().unwrap().is_empty());
    assert_eq!(run.events(1).last().map(|event| event.body.kind()), Some("failed"));
}

#[rstest]
#[case::unknown_field(json!({"search": {"epoch": 3}}), "user", "search.epoch is not a known field; did you mean `search.epochs`?")]
#[case::out_of_range(json!({"search": {"batch_size": 1}}), "user", "search.batch_size must be at least 2")]
#[case::limit_out_of_reach(json!({"constraints": {"max_params": 7}}), "user", "constraints.max_params cannot be reached: the smallest architecture has ")]
#[case::no_such_gpu(json!({"resources": {"device": "cuda:99"}}), "user", "device cuda:99: there ")]
#[case::diverging(json!({"search": {"weight_lr": 10, "clip": 1e9, "weight_decay": 1, "epochs": 20}}), "user", " is NaN at step ")]
fn a_wrong_specification_fails_with_the_reason(
    #[case] patch: Value,
    #[case] class: &str,
    #[case] message: &str,
) {
    check_failure(&Run::new(&patch), class, message);
}

#[test]
fn a_missing_data_set_is_named_with_how_to_get_it() {
    let run = Run::new(&json!({}));
    fs::remove_dir_all(run.datasets()).unwrap();
    check_failure(&run, "user", "train-images-idx3-ubyte is missing");
    let hint = run.record().unwrap()["outcome"]["failure"]["hint"].clone();
    assert!(hint.as_str().unwrap().contains("make data"), "{hint}");
}

#[test]
fn a_truncated_data_set_is_named() {
    let run = Run::new(&json!({}));
    let file = run.datasets().join("fashion-mnist/t10k-images-idx3-ubyte");
    fs::File::options().write(true).open(file).unwrap().set_len(10_000).unwrap();
    check_failure(&run, "user", "t10k-images-idx3-ubyte is truncated: 12 of 100 entries");
}

#[test]
fn a_spec_that_is_no_json_is_named() {
    let run = Run::new(&json!({}));
    fs::write(run.folder().join("spec.json"), "{").unwrap();
    check_failure(&run, "infrastructure", "spec.json: EOF while parsing");
}

#[test]
fn fewer_images_than_asked_for_still_make_a_run() {
    let run = Run::new(
        &json!({"dataset": {"limit": 100_000}, "search": {"epochs": 1}, "after": {"from_scratch": {"epochs": 0}}}),
    );
    write_dataset(&run.datasets(), 60, 20);
    assert!(run.finish(1).success());
}

#[test]
fn an_attempt_is_worked_on_once() {
    let run = Run::new(&json!({}));
    let mut first = run.start(1);
    run.wait_for(1, "started", 1, &mut first);
    assert_eq!(run.finish(1).code(), Some(3));
    assert!(wait(&mut first).success());
    assert_eq!(run.record().unwrap()["outcome"]["status"], "succeeded");
}

/// A file system of a few hundred kilobytes, if this user may mount one.
#[test]
fn a_full_disk_fails_as_a_resource_and_can_go_on_elsewhere() {
    let run =
        Run::new(&json!({"space": {"channels": 16}, "after": {"from_scratch": {"epochs": 0}}}));
    let attempts = run.folder().join("attempts");
    fs::create_dir(&attempts).unwrap();
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=600k", "tmpfs"])
        .arg(&attempts)
        .output();
    if !mount.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this user may not mount a small file system");
        return;
    }
    let status = run.finish(1);
    let record = run.record();
    let unmounted = std::process::Command::new("umount").arg(&attempts).status().unwrap();
    assert!(unmounted.success());
    assert_eq!(status.code(), Some(1));
    // The record needs a hard link from the full disk, so it may be missing; it never says success.
    if let Some(record) = record {
        assert_eq!(record["outcome"]["failure"]["class"], "resource", "{record}");
    }
}

/// libtorch cannot get the memory that a large batch needs.
#[test]
fn memory_that_runs_out_fails_as_a_resource_with_advice() {
    let run = Run::new(&json!({"space": {"channels": 512}, "search": {"batch_size": 96}}));
    let script = "ulimit -v 4000000; exec \"$@\"";
    let status = std::process::Command::new("sh")
        .args([
            "-c",
            script,
            "sh",
            env!("CARGO_BIN_EXE_skein-worker"),
            "run",
            "--attempt",
            "1",
            "--run",
        ])
        .arg(run.folder())
        .arg("--datasets")
        .arg(run.datasets())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
    let failure = run.record().unwrap()["outcome"]["failure"].clone();
    assert_eq!(failure["class"], "resource", "{failure}");
    assert!(failure["message"].as_str().unwrap().starts_with("out of memory: "), "{failure}");
    assert!(failure["hint"].as_str().unwrap().contains("smaller batch size"), "{failure}");
}
