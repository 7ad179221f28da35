//! Every space in a size that takes a moment.

use skein_core::choice::Architecture;
use skein_core::dataset::DataShape;
use skein_core::graph::Graph;
use skein_core::spaces::darts::partial::{self, Partial};
use skein_core::spaces::{PRESETS, Preset, darts, language};
use skein_core::spec::{Sharing, SpaceSpec};
use tch::{Kind, Tensor};

use crate::EngineError;
use crate::device::Compute;
use crate::state::seed::seeded;

/// The presets that are proven.
#[must_use]
pub fn presets() -> Vec<&'static str> {
    let mut names: Vec<&str> = PRESETS.iter().map(|preset| preset.preset).collect();
    if !names.contains(&language::TINY_STORIES.preset) {
        names.push(language::TINY_STORIES.preset);
    }
    names
}

/// A preset as it is published.
///
/// # Errors
/// - [`EngineError::Missing`] if there is none of that name.
pub fn published(name: &str) -> Result<&'static Preset, EngineError> {
    let mut all = PRESETS.iter().chain([&language::TINY_STORIES]);
    let found = all.find(|known| known.preset == name);
    found.ok_or_else(|| EngineError::Missing(format!("space {name}")))
}

/// A preset in a small size, without dropout, on odd shapes where they fit.
///
/// # Errors
/// - [`EngineError::Missing`] if there is none of that name.
pub fn space(name: &str) -> Result<(SpaceSpec, DataShape), EngineError> {
    let preset = published(name)?;
    let mut shape = DataShape { height: 17, width: 15, ..preset.shape };
    let mut space = (preset.defaults)();
    match &mut space {
        SpaceSpec::ToyCell(options) => (options.channels, options.dropout) = (3, 0.0),
        SpaceSpec::NasBench201(options) => {
            (options.channels, options.cells) = (4, 1);
            (shape.height, shape.width) = (16, 12);
        }
        SpaceSpec::Darts(options) => {
            (options.channels, options.cells) = (2, 3);
            (shape.height, shape.width) = (16, 12);
        }
        SpaceSpec::ConvMacro(options) => {
            // The last convolution is so wide that its channels are weighed by gates.
            options.widths = vec![vec![2, 3, 5], vec![3, 4, 6], vec![8, 16, 24]];
            (options.last_width, options.head, options.dropout) = (24, vec![6], 0.0);
            (shape.height, shape.width) = (16, 16);
        }
        SpaceSpec::AutoformerT(options)
        | SpaceSpec::AutoformerS(options)
        | SpaceSpec::AutoformerB(options) => {
            options.widths = vec![8, 12, 16];
            options.depths = vec![1, 2, 3];
            (options.image_size, options.patch) = (24, 6);
        }
        SpaceSpec::MobilenetV3(options) => {
            options.depths = vec![1, 2];
            (options.width, options.image_size, options.dropout) = (0.1, 32, 0.0);
            shape.classes = 10;
        }
        SpaceSpec::Language(options) | SpaceSpec::LanguageChar(options) => {
            (options.layers, options.widths) = (vec![1, 2, 3], vec![12, 24, 48]);
            (options.heads, options.dropout) = (vec![2, 3, 4], 0.0);
            shape = DataShape { height: 1, width: 9, classes: 17, ..shape };
        }
    }
    Ok((space, shape))
}

/// The space `darts` in that size, of which the operations see one channel in four; after
/// operations were dropped, or before.
///
/// # Errors
/// - [`EngineError::Graph`] if the channels cannot be cut so.
pub fn partial(sharing: Sharing, dropped: bool) -> Result<(Graph, i64), EngineError> {
    let (space, shape) = space(darts::PRESET.preset)?;
    let SpaceSpec::Darts(mut options) = space else {
        return Err(EngineError::Missing("space darts".to_owned()));
    };
    options.channels = 8;
    let edges = darts::build(&options, shape, sharing)?.choices.len();
    let kept: Vec<Vec<usize>> = (0..edges).map(|row| vec![row % 4, 4 + row % 3, 7]).collect();
    let partial = Partial { part: 4, kept: dropped.then_some(kept.as_slice()) };
    Ok((partial::build(&options, shape, sharing, &partial)?, shape.classes))
}

/// An input of noise, images or tokens, in the kind of the weights.
///
/// # Errors
/// - [`EngineError::Tensor`] if memory runs out.
pub fn noise(
    graph: &Graph,
    classes: i64,
    batch: i64,
    compute: Compute,
) -> Result<Tensor, EngineError> {
    let mut size = vec![batch];
    size.extend(graph.input_shape().unwrap_or_default());
    let is_text = size.len() == 2;
    Ok(seeded(7, compute.device, || match is_text {
        true => Tensor::f_randint(classes, &size, (Kind::Int64, compute.device)),
        false => Tensor::f_randn(&size, (compute.kind, compute.device)),
    })?)
}

/// The rows that stand for one architecture.
#[must_use]
pub fn one_hot(graph: &Graph, architecture: &Architecture, compute: Compute) -> Vec<Tensor> {
    let rows = graph.choices.iter().zip(&architecture.0);
    rows.map(|(choice, option)| {
        let mut row = vec![0.0; choice.options.len()];
        row[*option] = 1.0;
        Tensor::from_slice(&row).to_kind(compute.kind).to_device(compute.device)
    })
    .collect()
}
