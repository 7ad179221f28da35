//! The built-in search spaces; each file below builds one elastic graph from its options.

pub mod autoformer;
pub mod cell;
pub mod conv_macro;
pub mod darts;
pub mod language;
pub mod mobilenet_v3;
pub mod nas_bench_201;
pub mod toy_cell;
pub mod trained;
pub mod transfer;

use serde::{Deserialize, Serialize};

use crate::choice::Architecture;
use crate::dataset::DataShape;
use crate::graph::{CostRange, Graph, GraphError};
use crate::spec::{Sharing, SpaceSpec};

/// What is the same for every run in a space.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// Id in a run specification.
    pub preset: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// One sentence on what is searched.
    pub summary: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// The data of the paper, for counts before a data set is chosen.
    pub shape: DataShape,
    /// The options as a run without any gets them.
    pub defaults: fn() -> SpaceSpec,
}

/// All presets, in the order in which a page lists them.
pub const PRESETS: &[Preset] = &[
    toy_cell::PRESET,
    conv_macro::PRESET,
    nas_bench_201::PRESET,
    darts::PRESET,
    autoformer::TINY,
    autoformer::SMALL,
    autoformer::BASE,
    mobilenet_v3::PRESET,
    language::TINY_STORIES,
    language::CHARACTERS,
];

/// What a list of spaces says about one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceInfo {
    /// Id in a run specification.
    pub preset: String,
    /// Name for people.
    pub title: String,
    /// One sentence on what is searched.
    pub summary: String,
    /// Where it comes from.
    pub source: String,
    /// Number of architectures, in decimal.
    pub architectures: String,
    /// Number of decisions.
    pub choices: usize,
    /// Trained numbers of the smallest architecture.
    pub min_params: u64,
    /// Trained numbers of the largest architecture.
    pub max_params: u64,
    /// Cost of the smallest and the largest architecture.
    pub cost: CostRange,
    /// Numbers that the supernet with entangled weights stores.
    pub entangled_params: u64,
    /// Numbers that the supernet with separate weights per candidate stores.
    pub shared_params: u64,
}

/// Finds a preset by its id.
#[must_use]
pub fn find(preset: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|known| known.preset == preset)
}

/// Builds the graph of a space for some data.
///
/// # Errors
/// - [`GraphError`] if the options do not fit the data, for example a map too small to pool.
pub fn build(space: &SpaceSpec, shape: DataShape, sharing: Sharing) -> Result<Graph, GraphError> {
    match space {
        SpaceSpec::ToyCell(options) => toy_cell::build(options, shape, sharing),
        SpaceSpec::ConvMacro(options) => conv_macro::build(options, shape, sharing),
        SpaceSpec::NasBench201(options) => nas_bench_201::build(options, shape, sharing),
        SpaceSpec::Darts(options) => darts::build(options, shape, sharing),
        SpaceSpec::AutoformerT(options)
        | SpaceSpec::AutoformerS(options)
        | SpaceSpec::AutoformerB(options) => autoformer::build(options, shape, sharing),
        SpaceSpec::MobilenetV3(options) => mobilenet_v3::build(options, shape, sharing),
        SpaceSpec::Language(options) | SpaceSpec::LanguageChar(options) => {
            language::build(options, shape, sharing)
        }
    }
}

/// The preset that some options belong to.
#[must_use]
pub fn preset(space: &SpaceSpec) -> &'static Preset {
    match space {
        SpaceSpec::ToyCell(_) => &toy_cell::PRESET,
        SpaceSpec::ConvMacro(_) => &conv_macro::PRESET,
        SpaceSpec::NasBench201(_) => &nas_bench_201::PRESET,
        SpaceSpec::Darts(_) => &darts::PRESET,
        SpaceSpec::AutoformerT(_) => &autoformer::TINY,
        SpaceSpec::AutoformerS(_) => &autoformer::SMALL,
        SpaceSpec::AutoformerB(_) => &autoformer::BASE,
        SpaceSpec::MobilenetV3(_) => &mobilenet_v3::PRESET,
        SpaceSpec::Language(_) => &language::TINY_STORIES,
        SpaceSpec::LanguageChar(_) => &language::CHARACTERS,
    }
}

/// Reads the names of operations.
fn operations(names: &[String]) -> Result<Vec<cell::Operation>, GraphError> {
    let unknown = |name: &String| GraphError::Structure {
        node: "cell".to_owned(),
        reason: format!("there is no operation `{name}`"),
    };
    let read = |name: &String| cell::Operation::parse(name).ok_or_else(|| unknown(name));
    names.iter().map(read).collect()
}

/// Describes one architecture of a space, whose graph is given, as if there were no other.
///
/// # Errors
/// - [`GraphError`] if it does not belong to the space.
pub fn describe_one(
    space: &SpaceSpec,
    graph: &Graph,
    architecture: &Architecture,
) -> Result<SpaceInfo, GraphError> {
    let cost = graph.cost(architecture)?;
    let stored = graph.specialise(architecture)?.graph.stored_params();
    Ok(info(preset(space), "1".to_owned(), CostRange { min: cost, max: cost }, [stored; 2], 0))
}

/// Describes a space with its options and for the given data.
///
/// # Errors
/// - [`GraphError`] if the options do not fit the data.
pub fn describe(space: &SpaceSpec, shape: DataShape) -> Result<SpaceInfo, GraphError> {
    let preset = preset(space);
    let graph = build(space, shape, Sharing::Entangled)?;
    let stored = [graph.stored_params(), build(space, shape, Sharing::Shared)?.stored_params()];
    let (count, choices) = (graph.count().to_string(), graph.choices.len());
    Ok(info(preset, count, graph.cost_range()?, stored, choices))
}

fn info(
    preset: &Preset,
    architectures: String,
    cost: CostRange,
    [entangled_params, shared_params]: [u64; 2],
    choices: usize,
) -> SpaceInfo {
    SpaceInfo {
        preset: preset.preset.to_owned(),
        title: preset.title.to_owned(),
        summary: preset.summary.to_owned(),
        source: preset.source.to_owned(),
        architectures,
        choices,
        min_params: cost.min.params,
        max_params: cost.max.params,
        cost,
        entangled_params,
        shared_params,
    }
}
