//! Latency on the device: measured when a run starts, limited, priced and traded for.

use std::fs;

use serde_json::{Value, json};
use skein_core::event::EventBody;
use skein_core::folder;

use crate::harness::Run;

fn summary(run: &Run) -> Value {
    run.record().unwrap()["outcome"]["summary"].clone()
}

fn nanoseconds(run: &Run) -> u64 {
    summary(run)["cost"]["latency_ns"].as_u64().unwrap()
}

/// Nothing is trained after the search.
fn only(search: &Value) -> Value {
    let mut spec = json!({"after": {"from_scratch": {"epochs": 0}}});
    crate::harness::merge(&mut spec, search);
    spec
}

#[test]
fn a_limit_holds_while_searching_and_after() {
    let free = Run::new(&only(&json!({"constraints": {"penalty": 0.1, "penalty_on": "latency"}})));
    assert!(free.finish(1).success());
    let events = free.events(1);
    let priced = events.iter().any(|event| match &event.body {
        EventBody::Metrics(metrics) => metrics.values.contains_key("expected_latency_ms"),
        _ => false,
    });
    assert!(priced, "the expected latency is a curve");
    assert!(summary(&free)["latency_ms"].as_f64().unwrap() > 0.0, "the whole network is measured");
    // The same device answers faster or slower now: take what this run measured.
    let limit = nanoseconds(&free) - 1;
    let limited = Run::new(&only(
        &json!({"constraints": {"penalty": 0.1, "penalty_on": "latency", "max_latency_ms": limit as f64 / 1e6}}),
    ));
    give_timings(&free, &limited);
    assert!(limited.finish(2).success(), "{:?}", limited.record());
    assert!(nanoseconds(&limited) <= limit);
}

/// Makes the first attempt of a run one that measured what another run did, and then died.
fn give_timings(of: &Run, to: &Run) {
    fs::create_dir_all(to.attempt(1)).unwrap();
    fs::copy(of.attempt(1).join(folder::LATENCY), to.attempt(1).join(folder::LATENCY)).unwrap();
}

#[test]
fn a_limit_that_no_network_meets_fails_with_the_smallest_value() {
    let run = Run::new(&only(&json!({"constraints": {"max_latency_ms": 1e-6}})));
    assert!(!run.finish(1).success());
    let told = run.record().unwrap().to_string();
    assert!(told.contains("constraints.max_latency_ms cannot be reached: the smallest"), "{told}");
}

#[test]
fn accuracy_is_traded_for_latency_and_a_resumed_run_keeps_its_measurements() {
    let run = Run::new(&only(
        &json!({"search": {"optimizer": {"kind": "spos"}, "epochs": 1, "second_stage": {
            "kind": "pareto", "cost": "latency", "population": 5, "mutations": 2, "crossovers": 2, "generations": 3
        }}}),
    ));
    let mut child = run.start(1);
    run.wait_for(1, "checkpoint", 1, &mut child);
    child.kill().unwrap();
    crate::harness::wait(&mut child);
    assert!(run.finish(2).success());
    let measured = |attempt| fs::read(run.attempt(attempt).join(folder::LATENCY)).unwrap();
    assert_eq!(measured(1), measured(2));
    let packed: Value = serde_json::from_slice(&run.artifact(2, "pareto.json")).unwrap();
    let points = packed["points"].as_array().unwrap();
    let numbers = points.iter().map(|point| {
        (point["accuracy"].as_f64().unwrap(), point["cost"]["latency_ns"].as_u64().unwrap())
    });
    let numbers: Vec<(f64, u64)> = numbers.collect();
    assert!(numbers.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1), "{numbers:?}");
    let csv = String::from_utf8(run.artifact(2, "candidates.csv")).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].ends_with(",latency_ms"));
    let of_line = |line: &&str| line.rsplit(',').next().unwrap().parse::<f64>().unwrap();
    assert!(lines[1..].iter().all(|line| of_line(line) > 0.0), "{csv}");
}
