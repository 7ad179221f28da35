//! The result package: files that leave Skein, each verified or with its digest.

mod about;
pub(crate) mod model;
mod runtime;
mod tables;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde_json::json;
use skein_core::draw::{Scene, svg};
use skein_core::export::{About, input_name};
use skein_core::folder::{self, SPLIT};
use skein_core::manifest::{Manifest, ManifestFile};
use skein_core::package::card::{self, Facts};
use skein_core::package::{self, LeftOut, loaders};
use skein_core::spaces;
use tch::Tensor;
use zip::write::SimpleFileOptions;

use super::attempt::Attempt;
use super::front;
use crate::EngineError;
use crate::data::text::vocabulary::Vocabulary;
use crate::error::IoContext;
use crate::search::evolve::Tried;
use crate::state::checkpoint::digest;
use crate::train::network::Network;
use crate::train::tournament::Played;
use tables::{
    architecture_json, candidates_csv, effects_csv, finalists_csv, front_json, metrics_csv,
};

/// What is packed.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// What is known of the network.
    pub facts: Facts<'a>,
    /// The network.
    pub network: &'a Network,
    /// Candidates of the second stage.
    pub tried: &'a [Tried],
    /// Trainings of finalists.
    pub finals: &'a [Played],
    /// Tokens of a text.
    pub vocabulary: Option<&'a Vocabulary>,
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
    let left_out = network(contents, probe, &mut folder)?;
    records(attempt, contents, &left_out, &mut folder)?;
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
    left_out: &[LeftOut],
    folder: &mut Folder<'_>,
) -> Result<(), EngineError> {
    folder.put(package::ARCHITECTURE, architecture_json(contents)?.as_bytes())?;
    let scene = Scene {
        architecture: Some(contents.facts.architecture),
        rows: Some(contents.facts.rows),
        ..Scene::of(contents.facts.space)
    };
    folder.put("architecture.svg", svg(&scene).as_bytes())?;
    folder.put("spec.json", pretty(&contents.facts.spec.to_value())?.as_bytes())?;
    folder.put("metrics.csv", metrics_csv(&attempt.run, attempt.number).as_bytes())?;
    folder.put("MODEL_CARD.md", card::card(&contents.facts, left_out).as_bytes())?;
    folder.put(package::PREPROCESS, about::preprocess_json(contents)?.as_bytes())?;
    let split = attempt.folder.join(SPLIT);
    folder.put(SPLIT, &fs::read(&split).at(&split)?)?;
    folder.put("environment.json", about::environment_json(contents)?.as_bytes())?;
    if !contents.tried.is_empty() {
        folder.put("candidates.csv", candidates_csv(contents)?.as_bytes())?;
    }
    if let Some(effects) = effects_csv(contents)? {
        folder.put("effects.csv", effects.as_bytes())?;
    }
    if !contents.finals.is_empty() {
        folder.put("finalists.csv", finalists_csv(contents)?.as_bytes())?;
    }
    if let Some(front) = front::of(contents.facts.spec, contents.facts.space, contents.tried)? {
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
    let preset = spaces::preset(&contents.facts.spec.space);
    let architecture =
        contents.facts.architecture.to_text(preset.preset, &contents.facts.space.choices);
    let about = About { title: preset.title, architecture: &architecture };
    let input = input_name(contents.network.graph());
    let written = model::write(contents.network, folder.path, probe)?;
    written.source(&about)?;
    written.example(input)?;
    folder.names.extend([package::WEIGHTS, package::SOURCE, loaders::EXAMPLE]);
    folder.put("load_pytorch.py", loaders::pytorch(input).as_bytes())?;
    let mut left_out = Vec::new();
    match written.script()? {
        None => folder.names.push(package::SCRIPT),
        Some(fault) => left_out.push(LeftOut { file: package::SCRIPT, fault }),
    }
    match written.onnx(&about)? {
        None => {
            folder.names.push(package::ONNX);
            folder.put("load_onnx.py", loaders::onnx(input).as_bytes())?;
        }
        Some(fault) => left_out.push(LeftOut { file: package::ONNX, fault }),
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
