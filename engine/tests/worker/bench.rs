//! `skein-worker bench` and `devices`.

use std::process::Command;

use serde_json::Value;

fn worker(arguments: &[&str]) -> (Option<i32>, Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_skein-worker")).args(arguments).output().unwrap();
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code(), json, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_bench_prints_what_scripts_rely_on() {
    let fixed = [
        "bench",
        "--space",
        "toy-cell",
        "--optimizer",
        "drnas",
        "--batch-size",
        "8",
        "--steps",
        "2",
        "--json",
    ];
    let (code, report, _) = worker(&fixed);
    assert_eq!(code, Some(0));
    for name in [
        "iteration_ms",
        "arch_step_ms",
        "weight_step_ms",
        "superposed_ms",
        "largest_network_ms",
        "largest_network_step_ms",
        "evaluation_ms",
        "evaluation_ratio",
        "superposed_ratio",
        "iteration_ratio",
        "peak_rss_mb",
        "kept_peak_rss_mb",
        "recompute_ratio",
    ] {
        assert!(report[name].as_f64().unwrap() > 0.0, "{name}: {report}");
    }
    let wait = report["input_wait_percent"].as_f64().unwrap();
    assert!((0.0..=100.0).contains(&wait) && report["input_ms"].as_f64().unwrap() > 0.0);
    assert!(report["threads"].as_u64().unwrap() > 0);
    assert_eq!((&report["batch_size"], &report["steps"]), (&Value::from(8), &Value::from(2)));
    assert!(report["iteration_ms"].as_f64() >= report["weight_step_ms"].as_f64());
}

/// The saving is that of the activations, so most of a small process stays.
#[test]
fn a_bench_says_what_computing_again_saves_and_costs() {
    let bench = |keep: &str| {
        let fixed = ["bench", "--space", "toy-cell", "--optimizer", "drnas", "--steps", "2"];
        let (code, report, error) =
            worker(&[&fixed[..], &["--keep-activations", keep, "--json"]].concat());
        assert_eq!(code, Some(0), "{error}");
        report
    };
    let (cut, whole) = (bench("0"), bench("1"));
    let number = |report: &Value, name: &str| report[name].as_f64().unwrap();
    assert!(number(&cut, "segments") > 1.0 && number(&whole, "segments") == 1.0);
    assert_eq!((&whole["recompute_ratio"], &cut["keep_activations"]), (&1.0.into(), &0.0.into()));
    // Other work on the machine may slow either kind of iteration.
    assert!(number(&cut, "recompute_ratio") > 0.5, "{cut}");
    let saved = number(&cut, "kept_peak_rss_mb") - number(&cut, "peak_rss_mb");
    assert!(saved > 20.0, "{cut}");
    assert!(number(&whole, "peak_rss_mb") - number(&cut, "peak_rss_mb") > 20.0, "{whole} {cut}");
}

#[test]
fn a_bench_takes_the_images_of_a_data_set() {
    let fixed = ["bench", "--space", "toy-cell", "--optimizer", "spos", "--dataset", "cifar-10"];
    let (code, report, _) = worker(&[&fixed[..], &["--steps", "1", "--json"]].concat());
    assert_eq!(code, Some(0));
    assert!(report["input_ms"].as_f64().unwrap() > 0.0, "{report}");
}

#[test]
fn a_bench_of_the_input_reads_images_from_a_file() {
    let fixed = ["bench", "--space", "toy-cell", "--optimizer", "spos", "--dataset", "cifar-10"];
    let (code, report, error) =
        worker(&[&fixed[..], &["--steps", "1", "--input", "--json"]].concat());
    assert_eq!(code, Some(0), "{error}");
    let number = |name: &str| report[name].as_f64().unwrap();
    for (rate, ratio) in [
        ("read_images_per_s", "read_ratio"),
        ("changed_images_per_s", "changed_ratio"),
        ("all_changes_images_per_s", "all_changes_ratio"),
    ] {
        let expected = number(rate) / number("used_images_per_s");
        assert!(expected > 0.0 && (number(ratio) / expected - 1.0).abs() < 1e-9, "{report}");
    }
    let (_, without, _) = worker(&[&fixed[..], &["--steps", "1", "--json"]].concat());
    assert_eq!(without.get("read_ratio"), None);
}

#[test]
fn a_bench_of_a_language_model_takes_random_tokens() {
    let fixed = ["bench", "--space", "language-char", "--optimizer", "spos", "--batch-size", "2"];
    let (code, report, error) = worker(&[&fixed[..], &["--steps", "1", "--json"]].concat());
    assert_eq!(code, Some(0), "{error}");
    assert!(report["weight_step_ms"].as_f64().unwrap() > 0.0, "{report}");
}

/// Four sub-nets and the teacher take longer than one sub-net.
#[test]
fn a_bench_of_progressive_shrinking_takes_its_whole_steps() {
    let step = |optimizer| {
        let fixed = ["bench", "--space", "conv-macro", "--batch-size", "4", "--steps", "3"];
        let (code, report, error) =
            worker(&[&fixed[..], &["--optimizer", optimizer, "--json"]].concat());
        assert_eq!(code, Some(0), "{error}");
        report["iteration_ms"].as_f64().unwrap()
    };
    let (whole, single) = (step("ofa"), step("spos"));
    assert!(whole > 1.5 * single, "{whole} against {single}");
}

#[test]
fn a_bench_of_something_unknown_is_refused_by_name() {
    let (code, _, error) = worker(&["bench", "--space", "toy", "--optimizer", "adam"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("space.preset must be one of `toy-cell`, "), "{error}");
    assert!(error.contains("not \"toy\""), "{error}");
    assert!(error.contains("search.optimizer.kind must be one of"), "{error}");
}

#[test]
fn devices_are_listed_for_the_server() {
    let (code, list, _) = worker(&["devices", "--json"]);
    assert_eq!(code, Some(0));
    assert_eq!(list[0]["id"], "cpu");
    assert!(list[0]["memory_bytes"].as_u64().unwrap() > 1 << 28);
}

/// Threads that wait by spinning stop each other where cores are shared; see `prepare_process`.
#[test]
fn a_worker_waits_politely() {
    let run = crate::harness::Run::new(&serde_json::json!({}));
    let mut child = run.start(1);
    run.wait_for(1, "started", 1, &mut child);
    let environment = std::fs::read(format!("/proc/{}/environ", child.id())).unwrap();
    child.kill().unwrap();
    crate::harness::wait(&mut child);
    assert!(
        String::from_utf8_lossy(&environment).split('\0').any(|pair| pair == "GOMP_SPINCOUNT=2000")
    );
}
