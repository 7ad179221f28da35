//! The result package: files that leave Skein, each verified or with its digest.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde_json::json;
use skein_core::choice::Architecture;
use skein_core::curve::Curve;
use skein_core::draw::{Scene, svg};
use skein_core::event::{Event, EventBody, Front, Metrics, Rung};
use skein_core::folder;
use skein_core::graph::Graph;
use skein_core::manifest::{Manifest, ManifestFile};
use skein_core::spec::{RunSpec, milliseconds};
use tch::{Device, Kind, Tensor};
use zip::write::SimpleFileOptions;

use super::attempt::Attempt;
use super::front;
use crate::EngineError;
use crate::data::text::vocabulary::Vocabulary;
use crate::device::Compute;
use crate::error::IoContext;
use crate::exec::Pass;
use crate::search::evolve::Tried;
use crate::state::checkpoint::digest;
use crate::store::Store;
use crate::train::network::Network;

/// Version of `architecture.json`.
const ARCHITECTURE_VERSION: u32 = 1;
/// Version of `pareto.json`.
const FRONT_VERSION: u32 = 1;
/// Largest difference between the trained network and its saved copy.
const TOLERANCE: f64 = 1e-5;

/// What is packed.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// The run's specification.
    pub spec: &'a RunSpec,
    /// The space.
    pub space: &'a Graph,
    /// The architecture that was found.
    pub architecture: &'a Architecture,
    /// Its rows at the end, as probabilities.
    pub rows: &'a [Vec<f64>],
    /// Its network.
    pub network: &'a Network,
    /// What it scores with which weights.
    pub ladder: &'a [Rung],
    /// The rung whose weights are packed.
    pub packaged: &'a str,
    /// Candidates of the second stage.
    pub tried: &'a [Tried],
    /// Tokens of a text.
    pub vocabulary: Option<&'a Vocabulary>,
}

/// Writes the package into the attempt's `artifacts`.
///
/// `probe` holds some examples; the saved weights must give the trained network's output on them.
///
/// # Errors
/// - [`EngineError::Io`] if a file cannot be written, [`EngineError::Bug`] if the saved network
///   differs from the trained one.
pub fn write(
    attempt: &Attempt,
    contents: &Contents<'_>,
    probe: &Tensor,
    compute: Compute,
) -> Result<(), EngineError> {
    let folder = attempt.artifacts();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).at(&path)
    };
    put("architecture.json", architecture_json(contents)?.as_bytes())?;
    let scene = Scene {
        graph: contents.space,
        architecture: Some(contents.architecture),
        rows: Some(contents.rows),
    };
    put("architecture.svg", svg(&scene).as_bytes())?;
    put("spec.json", pretty(&contents.spec.to_value())?.as_bytes())?;
    put("metrics.csv", metrics_csv(&attempt.run, attempt.number).as_bytes())?;
    let model = folder.join("model.safetensors");
    save_model(&contents.network.store, &model)?;
    verify(contents.network, &model, probe, compute)?;
    let mut names = vec![
        "architecture.json",
        "architecture.svg",
        "metrics.csv",
        "model.safetensors",
        "spec.json",
    ];
    if !contents.tried.is_empty() {
        put("candidates.csv", candidates_csv(contents)?.as_bytes())?;
        names.insert(2, "candidates.csv");
    }
    if let Some(front) = front::of(contents.spec, contents.space, contents.tried)? {
        put("pareto.json", front_json(&front)?.as_bytes())?;
        names.insert(names.len() - 1, "pareto.json");
    }
    if let Some(vocabulary) = contents.vocabulary {
        let (name, bytes) = vocabulary.file()?;
        put(name, &bytes)?;
        // `tokenizer.json` and `vocabulary.json` come last by the alphabet too.
        names.push(name);
    }
    let mut manifest = Manifest::default();
    for name in &names {
        manifest.files.push(entry(&folder, name)?);
    }
    zip_up(&folder, &names, &manifest)?;
    manifest.files.push(entry(&folder, folder::RESULT_ZIP)?);
    put(folder::MANIFEST, pretty(&json!(manifest))?.as_bytes())
}

fn pretty(value: &serde_json::Value) -> Result<String, EngineError> {
    let text =
        serde_json::to_string_pretty(value).map_err(|error| EngineError::Bug(error.to_string()))?;
    Ok(text + "\n")
}

fn entry(folder: &Path, name: &str) -> Result<ManifestFile, EngineError> {
    let path = folder.join(name);
    let bytes = fs::metadata(&path).at(&path)?.len();
    Ok(ManifestFile { name: name.to_owned(), bytes, sha256: digest(&path)? })
}

fn architecture_json(contents: &Contents<'_>) -> Result<String, EngineError> {
    let Contents { spec, space, architecture, ladder, packaged, .. } = contents;
    let preset = spec.space.preset();
    let choices = space.choices.iter().zip(&architecture.0).map(|(choice, option)| {
        json!({"tensor": choice.tensor, "label": choice.label, "option": choice.options[*option]})
    });
    pretty(&json!({
        "version": ARCHITECTURE_VERSION,
        "space": spec.space,
        "text": architecture.to_text(preset, &space.choices),
        "choices": choices.collect::<Vec<_>>(),
        "cost": space.cost(architecture)?,
        "input_shape": space.input_shape(),
        "ladder": ladder,
        "packaged": packaged,
    }))
}

/// Saves a network's tensors by PyTorch's names, batch norm's counters included.
fn save_model(store: &Store, path: &Path) -> Result<(), EngineError> {
    let mut tensors: Vec<(String, Tensor)> = Vec::new();
    for flat in [&store.weights, &store.stats] {
        for (param, view) in flat.params().iter().zip(flat.views()) {
            tensors.push((param.name.clone(), view.detach().to_device(Device::Cpu).contiguous()));
            if let Some(norm) = param.name.strip_suffix("running_var") {
                tensors.push((format!("{norm}num_batches_tracked"), Tensor::from(0_i64)));
            }
        }
    }
    Tensor::write_safetensors(&tensors, path)?;
    Ok(())
}

/// Reads the saved weights back and compares outputs.
fn verify(
    network: &Network,
    model: &Path,
    probe: &Tensor,
    compute: Compute,
) -> Result<(), EngineError> {
    let store = Store::zeroed(network.graph(), compute);
    let saved: BTreeMap<String, Tensor> = Tensor::read_safetensors(model)?.into_iter().collect();
    for param in network.graph().params() {
        let tensor =
            saved.get(&param.name).ok_or_else(|| EngineError::Missing(param.name.clone()))?;
        store.set(&param.name, tensor)?;
    }
    let copy = Network::with(network.graph().clone(), store, compute)?;
    let difference = tch::no_grad(|| -> Result<f64, EngineError> {
        let outputs =
            (network.forward(probe, Pass::EVALUATE)?, copy.forward(probe, Pass::EVALUATE)?);
        Ok((outputs.0 - outputs.1).abs().max().to_kind(Kind::Double).double_value(&[]))
    })?;
    if difference <= TOLERANCE {
        return Ok(());
    }
    Err(EngineError::Bug(format!(
        "the saved network differs from the trained one by {difference:e}"
    )))
}

fn zip_up(folder: &Path, names: &[&str], manifest: &Manifest) -> Result<(), EngineError> {
    let path = folder.join(folder::RESULT_ZIP);
    let failed =
        |error: zip::result::ZipError| EngineError::Io { path: path.clone(), source: error.into() };
    let mut archive = zip::ZipWriter::new(File::create(&path).at(&path)?);
    let options = SimpleFileOptions::default();
    for name in names {
        archive.start_file(*name, options).map_err(failed)?;
        let source = folder.join(name);
        std::io::copy(&mut File::open(&source).at(&source)?, &mut archive).at(&path)?;
    }
    archive.start_file(folder::MANIFEST, options).map_err(failed)?;
    archive.write_all(pretty(&json!(manifest))?.as_bytes()).at(&path)?;
    archive.finish().map_err(failed)?;
    Ok(())
}

/// All candidates of the second stage, in the order in which they were scored.
fn candidates_csv(contents: &Contents<'_>) -> Result<String, EngineError> {
    use std::fmt::Write as _;

    let timed = !contents.space.timings.is_empty();
    let mut csv = String::from("architecture,valid_accuracy,valid_loss,params,macs");
    csv.push_str(if timed { ",latency_ms\n" } else { "\n" });
    for Tried { architecture, accuracy, loss } in contents.tried {
        let text = architecture.to_text(contents.spec.space.preset(), &contents.space.choices);
        let cost = contents.space.cost(architecture)?;
        // The text form has commas.
        let _ = write!(csv, "\"{text}\",{accuracy},{loss},{},{}", cost.params, cost.macs);
        let latency = cost.latency_ns.map(|ns| format!(",{}", milliseconds(ns)));
        let _ = writeln!(csv, "{}", latency.unwrap_or_default());
    }
    Ok(csv)
}

/// The trade-offs of accuracy against cost.
fn front_json(front: &Front) -> Result<String, EngineError> {
    let Front { step, cost, points, .. } = front;
    pretty(&json!({"version": FRONT_VERSION, "candidates": step, "cost": cost, "points": points}))
}

/// All metrics of a run as one table; points that a later attempt superseded are left out.
fn metrics_csv(run: &Path, last: u32) -> String {
    use std::fmt::Write as _;

    // By phase and name: step and line.
    let mut curves: BTreeMap<(&str, String), Curve<(u64, String)>> = BTreeMap::new();
    for attempt in 1..=last {
        let path = folder::attempt(run, attempt).join(folder::EVENTS);
        let Ok(text) = fs::read_to_string(&path) else { continue };
        // A torn last line does not parse and is skipped.
        for event in text.lines().filter_map(|line| serde_json::from_str::<Event>(line).ok()) {
            let EventBody::Metrics(Metrics { phase, step, epoch, values }) = event.body else {
                continue;
            };
            for (name, value) in values {
                let phase = phase.as_str();
                let line = format!("{phase},{step},{epoch},{name},{value},{attempt}");
                curves
                    .entry((phase, name))
                    .or_default()
                    .add(attempt, (step, line), |point| point.0);
            }
        }
    }
    let mut csv = String::from("phase,step,epoch,name,value,attempt\n");
    for (_, line) in curves.into_values().flat_map(|curve| curve.points) {
        let _ = writeln!(csv, "{line}");
    }
    csv
}
