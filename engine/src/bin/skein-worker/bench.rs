//! `skein-worker bench`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use skein_core::dataset::{DATASETS, DataKind};
use skein_core::spaces;
use skein_core::spec::{RunSpec, Violation};
use skein_engine::bench;

use crate::{FAILED, USAGE, bench_all, complain, print};

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Preset of the space.
    #[arg(long, required_unless_present = "all")]
    space: Option<String>,
    /// Kind of the optimizer.
    #[arg(long, required_unless_present = "all")]
    optimizer: Option<String>,
    /// Measures every space, and prints a table of times and one of memory.
    #[arg(long, conflicts_with_all = ["space", "optimizer", "dataset", "batch_size", "weights", "fidelity", "keep_activations", "input"])]
    all: bool,
    /// Data set whose shape and changes of images are taken; else one that fits the space.
    #[arg(long)]
    dataset: Option<String>,
    /// Images per step.
    #[arg(long, default_value_t = 64)]
    batch_size: u64,
    /// Iterations to measure.
    #[arg(long, default_value_t = 10)]
    pub(crate) steps: u64,
    /// How candidates share weights.
    #[arg(long, default_value = "entangled")]
    weights: String,
    /// `corrected` or `reference`.
    #[arg(long, default_value = "corrected")]
    fidelity: String,
    /// Share of the activations that is kept; the space's own if absent.
    #[arg(long)]
    keep_activations: Option<f64>,
    /// The device.
    #[arg(long, default_value = "auto")]
    pub(crate) device: String,
    /// Width of the numbers.
    #[arg(long, default_value = "float32")]
    pub(crate) precision: String,
    /// Threads on the CPU; 0 for one per core.
    #[arg(long, default_value_t = 0)]
    pub(crate) threads: u64,
    /// Also measures how fast images are read from a prepared data set and changed.
    #[arg(long)]
    input: bool,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Measures what is asked for, and prints it.
pub(crate) fn measure(args: &BenchArgs) -> ExitCode {
    if args.all {
        return bench_all::measure(args);
    }
    let spec = match bench_spec(args) {
        Ok(spec) => spec,
        Err(violations) => {
            for violation in violations {
                complain(format_args!("{} {}", violation.field, violation.detail));
            }
            return ExitCode::from(USAGE);
        }
    };
    match bench::run(&spec, args.dataset.is_some(), args.steps.max(1), args.input) {
        Ok(report) if args.json => print(json!(report)),
        Ok(report) => print(table(&json!(report))),
        Err(error) => {
            complain(error);
            ExitCode::from(FAILED)
        }
    }
}

fn bench_spec(args: &BenchArgs) -> Result<RunSpec, Vec<Violation>> {
    let space = args.space.as_deref().unwrap_or_default();
    let fits = spaces::find(space).and_then(|preset| {
        let data = (preset.defaults)().data();
        let mut known = DATASETS.iter().filter(|known| {
            known.kind == data && (known.shape == preset.shape || data == DataKind::Text)
        });
        known.next().map(|known| known.id.to_owned())
    });
    let dataset = args.dataset.clone().or(fits).unwrap_or_else(|| DATASETS[0].id.to_owned());
    let mut spec = json!({
        "dataset": {"id": dataset},
        "space": {"preset": space},
        "search": {
            "optimizer": {"kind": args.optimizer},
            "batch_size": args.batch_size,
            "weights": args.weights,
            "fidelity": args.fidelity,
        },
        "resources": {"device": args.device, "threads": args.threads,
                      "precision": args.precision},
    });
    if let Some(keep) = args.keep_activations {
        spec["resources"]["keep_activations"] = json!(keep);
    }
    RunSpec::parse(&spec)
}

fn table(report: &Value) -> String {
    let rows = report.as_object().into_iter().flatten();
    let lines = rows.map(|(name, value)| match value.as_f64().filter(|_| value.is_f64()) {
        Some(number) => format!("{name:<24} {number:.1}"),
        None => format!("{name:<24} {}", value.as_str().map_or(value.to_string(), str::to_owned)),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
pub(crate) fn check<'a>(words: impl Iterator<Item = &'a str>) -> Result<(), String> {
    use clap::Parser as _;
    let crate::Command::Bench(args) =
        crate::Cli::try_parse_from(words).map_err(|error| error.to_string())?.command
    else {
        return Err("another command".to_owned());
    };
    bench_spec(&args).map(drop).map_err(|violations| format!("{violations:?}"))
}
