//! `skein-worker bench --all`: every line of the tables of `docs/performance.md`.

use std::process::{Command, ExitCode, Stdio};

use serde_json::{Value, json};
use skein_engine::device;

use crate::bench::BenchArgs;
use crate::{FAILED, complain, print};

/// What a line measures: space, optimizer, weights, fidelity, images or texts per step.
type Line = (&'static str, &'static str, &'static str, &'static str, u64);

/// Every space with DrNAS, and the toy cell in every way that its weights can be shared and searched.
const LINES: [Line; 15] = [
    ("toy-cell", "drnas", "entangled", "corrected", 64),
    ("toy-cell", "drnas", "entangled", "reference", 64),
    ("toy-cell", "drnas", "entangled_outputs", "corrected", 64),
    ("toy-cell", "drnas", "shared", "corrected", 64),
    ("toy-cell", "darts", "entangled", "corrected", 64),
    ("toy-cell", "gdas", "entangled", "corrected", 64),
    ("toy-cell", "spos", "entangled", "corrected", 64),
    ("nas-bench-201", "drnas", "entangled", "corrected", 64),
    ("nas-bench-201", "gdas", "entangled", "corrected", 64),
    ("darts", "drnas", "entangled", "corrected", 64),
    ("conv-macro", "drnas", "entangled", "corrected", 64),
    ("mobilenet-v3", "drnas", "entangled", "corrected", 4),
    ("autoformer-t", "drnas", "entangled", "corrected", 8),
    ("language", "drnas", "entangled", "corrected", 2),
    ("language-char", "drnas", "entangled", "corrected", 8),
];

/// Columns of both tables: a title and a field of the report.
type Columns = &'static [(&'static str, &'static str)];

const TIME: Columns = &[
    ("iteration ms", "iteration_ms"),
    ("architecture ms", "arch_step_ms"),
    ("weights ms", "weight_step_ms"),
    ("largest network ms", "largest_network_ms"),
    ("superposed / largest", "superposed_ratio"),
    ("iteration / step", "iteration_ratio"),
    ("step / evaluation", "evaluation_ratio"),
];

const MEMORY: Columns = &[
    ("kept", "keep_activations"),
    ("segments", "segments"),
    ("peak MB", "peak_rss_mb"),
    ("peak MB, all kept", "kept_peak_rss_mb"),
    ("time of computing again", "recompute_ratio"),
];

/// Measures every line in a process of its own, since a process has one peak of memory.
pub(crate) fn measure(args: &BenchArgs) -> ExitCode {
    let mut reports = Vec::new();
    let mut failed = false;
    for line in LINES {
        match report(args, line) {
            Ok(report) => reports.push(report),
            Err(error) => {
                complain(format_args!("{} with {}: {error}", line.0, line.1));
                failed = true;
            }
        }
    }
    let processor = device::processor();
    let printed = if args.json {
        print(json!({"processor": processor, "reports": reports}))
    } else {
        let processor = processor.unwrap_or_else(|| "a processor without a name".to_owned());
        let (time, memory) = (table(&reports, TIME), table(&reports, MEMORY));
        print(format_args!("{processor}\n\n{time}\n{memory}"))
    };
    if failed { ExitCode::from(FAILED) } else { printed }
}

fn report(args: &BenchArgs, line: Line) -> Result<Value, String> {
    let (space, optimizer, weights, fidelity, batch) = line;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .args(["bench", "--json", "--space", space, "--optimizer", optimizer])
        .args(["--weights", weights, "--fidelity", fidelity])
        .args(["--batch-size", &batch.to_string(), "--steps", &args.steps.to_string()])
        .args(["--device", &args.device, "--precision", &args.precision])
        .args(["--threads", &args.threads.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(output.status.to_string());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// A table in Markdown.
fn table(reports: &[Value], columns: Columns) -> String {
    const NAMES: [&str; 5] = ["space", "batch_size", "optimizer", "weights", "fidelity"];
    let titles = ["space", "batch", "optimizer", "weights", "fidelity"].into_iter();
    let titles: Vec<&str> = titles.chain(columns.iter().map(|(title, _)| *title)).collect();
    let mut text = format!("| {} |\n|{}\n", titles.join(" | "), " --- |".repeat(titles.len()));
    for report in reports {
        let names = NAMES.iter().map(|name| cell(&report[name]));
        let cells: Vec<String> =
            names.chain(columns.iter().map(|(_, field)| cell(&report[field]))).collect();
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

/// Numbers below ten with two digits behind the point, larger ones with none.
fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.replace('_', " "),
        Value::Number(number) if number.is_f64() => {
            let number = number.as_f64().unwrap_or(0.0);
            if number < 10.0 { format!("{number:.2}") } else { format!("{number:.0}") }
        }
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_name_every_line_and_round_what_is_long() {
        let report = json!({"space": "toy-cell", "batch_size": 64, "optimizer": "drnas",
            "weights": "entangled_outputs", "fidelity": "corrected", "segments": 3,
            "keep_activations": 1.0, "peak_rss_mb": 420.75, "kept_peak_rss_mb": 1234.5,
            "recompute_ratio": 1.256});
        let table = table(&[report], MEMORY);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines[2],
            "| toy-cell | 64 | drnas | entangled outputs | corrected | 1.00 | 3 | 421 | 1234 | 1.26 |"
        );
        assert!(lines.iter().all(|line| line.matches('|').count() == 11));
    }

    #[test]
    fn every_line_is_a_bench_that_can_be_asked_for() {
        for (space, optimizer, weights, fidelity, batch) in LINES {
            let batch = batch.to_string();
            let words = ["skein-worker", "bench", "--space", space, "--optimizer", optimizer];
            let more = ["--weights", weights, "--fidelity", fidelity, "--batch-size", &batch];
            crate::bench::check(words.iter().chain(&more).copied()).unwrap();
        }
    }
}
