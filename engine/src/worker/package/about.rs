//! What the package says of the network and of where it was made.

use std::fs;

use serde_json::{Value, json};
use skein_core::package::card::{self, Facts};
use skein_core::package::preprocess::Preprocess;
use skein_core::spec::Precision;

use super::{Contents, pretty};
use crate::EngineError;
use crate::device;

/// Version of `environment.json`.
const ENVIRONMENT_VERSION: u32 = 1;

/// `MODEL_CARD.md`.
pub(super) fn model_card(contents: &Contents<'_>) -> String {
    card::card(&Facts {
        spec: contents.spec,
        dataset: contents.dataset,
        space: contents.space,
        architecture: contents.architecture,
        rows: contents.rows,
        ladder: contents.ladder,
        packaged: contents.packaged,
        cost: contents.cost,
        latency_ms: contents.latency_ms,
        device: &device::name(contents.compute.device),
        examples: contents.examples,
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// `preprocess.json`.
pub(super) fn preprocess_json(contents: &Contents<'_>) -> Result<String, EngineError> {
    let graph = contents.network.graph();
    let shapes = graph.shapes()?;
    let input = graph.input_shape().unwrap_or_default();
    let outputs = shapes.get(graph.output).and_then(|shape| shape.last()).copied().unwrap_or(0);
    let said = Preprocess::of(contents.dataset, &contents.spec.dataset, &input, outputs);
    pretty(&json!(said))
}

/// `environment.json`: what the run was made with.
pub(super) fn environment_json(contents: &Contents<'_>) -> Result<String, EngineError> {
    let system = rustix::system::uname();
    let precision = match contents.spec.resources.precision {
        Precision::Float32 => "float32",
        Precision::Float64 => "float64",
    };
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    pretty(&json!({
        "version": ENVIRONMENT_VERSION,
        "skein": env!("CARGO_PKG_VERSION"),
        "commit": option_env!("SKEIN_COMMIT").map_or(Value::Null, Value::from),
        "libtorch": option_env!("SKEIN_LIBTORCH_VERSION").map_or(Value::Null, Value::from),
        "device": device::name(contents.compute.device),
        "processor": processor(),
        "threads": tch::get_num_threads(),
        "precision": precision,
        "seed": contents.spec.seed,
        "system": text(system.sysname()),
        "release": text(system.release()),
        "machine": text(system.machine()),
    }))
}

/// What the machine's processor calls itself.
fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim().to_owned())
}
