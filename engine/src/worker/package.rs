//! The result package: files that leave Skein, each verified or with its digest.

mod about;
mod model;
mod runtime;
mod tables;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde_json::json;
use skein_core::choice::Architecture;
use skein_core::dataset::Dataset;
use skein_core::draw::{Scene, svg};
use skein_core::event::Rung;
use skein_core::export::About;
use skein_core::folder;
use skein_core::graph::{Cost, Graph};
use skein_core::manifest::{Manifest, ManifestFile};
use skein_core::number::Num;
use skein_core::package::loaders;
use skein_core::spaces;
use skein_core::spec::RunSpec;
use tch::Tensor;
use zip::write::SimpleFileOptions;

use super::attempt::Attempt;
use super::front;
use crate::EngineError;
use crate::data::text::vocabulary::Vocabulary;
use crate::device::Compute;
use crate::error::IoContext;
use crate::search::evolve::Tried;
use crate::state::checkpoint::digest;
use crate::train::network::Network;
use tables::{architecture_json, candidates_csv, front_json, metrics_csv};

/// What is packed.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// The run's specification.
    pub spec: &'a RunSpec,
    /// The data.
    pub dataset: &'a Dataset,
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
    /// What it costs.
    pub cost: Cost,
    /// What the whole network takes for one example, where latency was asked for.
    pub latency_ms: Option<Num>,
    /// Examples of the weights' split, of the rows' split that validates, and of the test set.
    pub examples: [u64; 3],
    /// Candidates of the second stage.
    pub tried: &'a [Tried],
    /// Tokens of a text.
    pub vocabulary: Option<&'a Vocabulary>,
    /// Where the run works.
    pub compute: Compute,
}

/// A form of the network that could not be offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The file.
    pub file: &'static str,
    /// Why.
    pub fault: String,
}

/// Files of the package, written one by one.
struct Folder<'a> {
    path: &'a Path,
    names: Vec<&'static str>,
}

impl Folder<'_> {
    fn put(&mut self, name: &'static str, bytes: &[u8]) -> Result<(), EngineError> {
        let path = self.path.join(name);
        fs::write(&path, bytes).at(&path)?;
        self.names.push(name);
        Ok(())
    }
}

/// Writes the package into the attempt's `artifacts`, and says what had to be left out.
///
/// `probe` holds some examples; every written form of the network must give the trained one's
/// output on them. The weights must be right; of the other forms only those that are are offered.
///
/// # Errors
/// - [`EngineError::Io`] if a file cannot be written, [`EngineError::Bug`] if the saved weights
///   differ from the trained ones.
pub fn write(
    attempt: &Attempt,
    contents: &Contents<'_>,
    probe: &Tensor,
) -> Result<Vec<LeftOut>, EngineError> {
    let path = attempt.artifacts();
    let mut folder = Folder { path: &path, names: vec![] };
    records(attempt, contents, &mut folder)?;
    let left_out = network(contents, probe, &mut folder)?;
    let mut names = folder.names;
    names.sort_unstable();
    let mut manifest = Manifest::default();
    for name in &names {
        manifest.files.push(entry(&path, name)?);
    }
    zip_up(&path, &names, &manifest)?;
    manifest.files.push(entry(&path, folder::RESULT_ZIP)?);
    let manifest_path = path.join(folder::MANIFEST);
    fs::write(&manifest_path, pretty(&json!(manifest))?).at(&manifest_path)?;
    Ok(left_out)
}

/// What is known of the run.
fn records(
    attempt: &Attempt,
    contents: &Contents<'_>,
    folder: &mut Folder<'_>,
) -> Result<(), EngineError> {
    folder.put("architecture.json", architecture_json(contents)?.as_bytes())?;
    let scene = Scene {
        graph: contents.space,
        architecture: Some(contents.architecture),
        rows: Some(contents.rows),
    };
    folder.put("architecture.svg", svg(&scene).as_bytes())?;
    folder.put("spec.json", pretty(&contents.spec.to_value())?.as_bytes())?;
    folder.put("metrics.csv", metrics_csv(&attempt.run, attempt.number).as_bytes())?;
    folder.put("MODEL_CARD.md", about::model_card(contents).as_bytes())?;
    folder.put("preprocess.json", about::preprocess_json(contents)?.as_bytes())?;
    folder.put("environment.json", about::environment_json(contents)?.as_bytes())?;
    if !contents.tried.is_empty() {
        folder.put("candidates.csv", candidates_csv(contents)?.as_bytes())?;
    }
    if let Some(front) = front::of(contents.spec, contents.space, contents.tried)? {
        folder.put("pareto.json", front_json(&front)?.as_bytes())?;
    }
    if let Some(vocabulary) = contents.vocabulary {
        let (name, bytes) = vocabulary.file()?;
        folder.put(name, &bytes)?;
    }
    Ok(())
}

/// The network in every form.
fn network(
    contents: &Contents<'_>,
    probe: &Tensor,
    folder: &mut Folder<'_>,
) -> Result<Vec<LeftOut>, EngineError> {
    let preset = spaces::preset(&contents.spec.space);
    let architecture = contents.architecture.to_text(preset.preset, &contents.space.choices);
    let about = About { title: preset.title, architecture: &architecture };
    let kind = contents.dataset.kind;
    let written = model::write(contents.network, folder.path, probe)?;
    written.source(&about)?;
    written.example(loaders::input_name(kind))?;
    folder.names.extend([model::WEIGHTS, model::SOURCE, loaders::EXAMPLE]);
    folder.put("load_pytorch.py", loaders::pytorch(kind).as_bytes())?;
    let mut left_out = Vec::new();
    match written.script()? {
        None => folder.names.push(model::SCRIPT),
        Some(fault) => left_out.push(LeftOut { file: model::SCRIPT, fault }),
    }
    match written.onnx(&about)? {
        None => {
            folder.names.push(model::ONNX);
            folder.put("load_onnx.py", loaders::onnx(kind).as_bytes())?;
        }
        Some(fault) => left_out.push(LeftOut { file: model::ONNX, fault }),
    }
    Ok(left_out)
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
