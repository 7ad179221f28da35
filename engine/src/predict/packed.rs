//! The network of a result package, exactly as it was packed.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use skein_core::choice::Architecture;
use skein_core::dataset::DataShape;
use skein_core::folder;
use skein_core::package::preprocess::{self, Input, Preprocess};
use skein_core::package::{ARCHITECTURE, PREPROCESS, WEIGHTS};
use skein_core::spaces;
use skein_core::spec::{LineEnds, RunSpec, Tokens};

use crate::EngineError;
use crate::data::text::vocabulary::Vocabulary;
use crate::device::Compute;
use crate::error::IoContext;
use crate::train::network::Network;
use crate::worker::package::model;

/// Most bytes of a description in a package; they have some thousand.
const MOST_BYTES: u64 = 16 << 20;

/// A package that was read.
#[derive(Debug)]
pub(super) struct Packed {
    folder: PathBuf,
    /// With the weights of the package.
    pub(super) network: Network,
    /// What it reads and gives.
    pub(super) input: Input,
    /// What happened to the line ends of the text that it has learned from, if it was one.
    pub(super) line_ends: Option<LineEnds>,
}

/// What is needed of `architecture.json`.
#[derive(Deserialize)]
struct Chosen {
    text: String,
}

impl Packed {
    /// Rebuilds the network: the space of `spec.json` for the data of `preprocess.json`, the
    /// options of `architecture.json`, the tensors of `model.safetensors`, none more and none less.
    ///
    /// # Errors
    /// - [`EngineError`] if a file is missing or damaged, or if they do not fit each other.
    pub(super) fn open(folder: &Path) -> Result<Self, EngineError> {
        let spec: Value = read(&folder.join(folder::SPEC))?;
        let spec = RunSpec::parse(&spec).map_err(EngineError::Spec)?;
        let path = folder.join(PREPROCESS);
        let Preprocess { version, input } = read(&path)?;
        if version != preprocess::VERSION {
            let reason = format!("its version is {version}, not {}", preprocess::VERSION);
            return Err(EngineError::Content { path, reason });
        }
        let space = spaces::build(&spec.space, shape(&input), spec.search.weights)?;
        let path = folder.join(ARCHITECTURE);
        let Chosen { text } = read(&path)?;
        let architecture = Architecture::parse(&text, spec.space.preset(), &space.choices)
            .map_err(|error| EngineError::Content { path, reason: error.to_string() })?;
        let graph = space.specialise(&architecture)?.graph;
        let network = model::read(graph, &folder.join(WEIGHTS), Compute::PLAIN)?.held();
        let line_ends = spec.dataset.line_ends;
        Ok(Self { folder: folder.to_owned(), network, input, line_ends })
    }

    /// The tokens of a text.
    ///
    /// # Errors
    /// - [`EngineError`] if the file is missing or damaged, or knows more or fewer than the network.
    pub(super) fn vocabulary(&self, file: &str, tokens: Tokens) -> Result<Vocabulary, EngineError> {
        let path = self.folder.join(file);
        let vocabulary = Vocabulary::read(&path, tokens)?;
        let (size, expected) = (vocabulary.size() as i64, shape(&self.input).classes);
        if size == expected {
            return Ok(vocabulary);
        }
        let reason = format!("it has {size} tokens, but the network {expected}");
        Err(EngineError::Content { path, reason })
    }
}

/// What the space was built for.
fn shape(input: &Input) -> DataShape {
    match input {
        Input::Images { shape: [channels, height, width], classes, .. } => DataShape {
            channels: *channels,
            height: *height,
            width: *width,
            classes: i64::try_from(classes.len()).unwrap_or(0),
        },
        Input::Text { vocabulary, .. } => {
            DataShape { channels: 1, height: 1, width: 1, classes: *vocabulary }
        }
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, EngineError> {
    let content = |reason: String| EngineError::Content { path: path.to_owned(), reason };
    let bytes = std::fs::metadata(path).at(path)?.len();
    if bytes > MOST_BYTES {
        return Err(content(format!("it has {bytes} bytes")));
    }
    serde_json::from_slice(&std::fs::read(path).at(path)?)
        .map_err(|error| content(error.to_string()))
}
