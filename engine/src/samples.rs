//! A sheet of images of a data set, each beside what a search would make of it.
//!
//! The data set is a stranger's, so the process bounds itself first, as one that predicts does.

use std::path::Path;

use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};
use serde_json::{Value, json};
use skein_core::dataset::{self, DataKind};
use skein_core::event::{Failure, FailureClass};
use skein_core::samples::{MOST_PIXELS, MOST_SAMPLES, MOST_VIEWS, Sheet};
use skein_core::spec::{RunSpec, Violation};
use tch::Tensor;

use crate::EngineError;
use crate::data::augment::Augment;
use crate::data::{self, Images};
use crate::device::Compute;
use crate::search::sampler::At;
use crate::state::seed::Stream;

/// Which images are shown, and how.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Their positions among the training images.
    pub positions: Vec<i64>,
    /// Views of each.
    pub views: u32,
    /// Seed of the draws.
    pub seed: u64,
}

/// Parts of a specification's search that change images.
const CHANGES: [&str; 4] = ["cutout", "rand_augment", "color_jitter", "random_erasing"];

/// Makes a sheet, as the bytes of a PNG file with where what is on it. `datasets` is the folder of
/// all data sets; of the specification the section `dataset` and the changes of images in `search`
/// count.
///
/// # Errors
/// - a [`Failure`]: of class `user` if there is no such image.
pub fn sheet(
    datasets: &Path,
    specification: &Value,
    asked: &Asked,
) -> Result<(Sheet, Vec<u8>), Failure> {
    let spec = understood(specification)?;
    let (dataset, folder) = data::find(datasets, &spec.dataset).map_err(|error| error.failure())?;
    let size = [dataset.shape.width, dataset.shape.height];
    let size = size.map(|side| u32::try_from(side).unwrap_or(u32::MAX));
    let sheet = laid_out(size, asked)?;
    let _guard = tch::no_grad_guard();
    let drawn = || {
        let images = data::training_images(&folder, &dataset, Compute::PLAIN)?;
        drawn(&images, &spec, asked, &sheet)
    };
    let bytes = drawn().map_err(|error| error.failure())?;
    Ok((sheet, bytes))
}

/// The specification, whatever space and optimizer it is for.
fn understood(specification: &Value) -> Result<RunSpec, Failure> {
    let dataset = specification.get("dataset").cloned().unwrap_or_default();
    let text = json!(DataKind::Text);
    let id = dataset.get("id").and_then(Value::as_str).unwrap_or("");
    let known = dataset::find(id).is_some_and(|known| known.kind == DataKind::Text);
    if known || dataset.get("kind") == Some(&text) {
        return Err(refused("the data set is a text, and has no images".to_owned()));
    }
    let mut whole = json!({
        "dataset": dataset,
        "space": {"preset": "toy-cell"},
        "search": {"optimizer": {"kind": "spos"}, "batch_size": 2},
    });
    for name in CHANGES {
        if let Some(value) = specification.get("search").and_then(|search| search.get(name)) {
            whole["search"][name] = value.clone();
        }
    }
    RunSpec::parse(&whole).map_err(|violations| {
        let said = |one: &Violation| format!("{} {}", one.field, one.detail);
        refused(violations.iter().map(said).collect::<Vec<_>>().join("; "))
    })
}

fn refused(message: String) -> Failure {
    Failure { class: FailureClass::User, message, hint: "ask for something else".to_owned() }
}

fn laid_out(size: [u32; 2], asked: &Asked) -> Result<Sheet, Failure> {
    let samples = asked.positions.len();
    if !(1..=MOST_SAMPLES).contains(&samples) || asked.views > MOST_VIEWS {
        let message = format!("1 to {MOST_SAMPLES} images and up to {MOST_VIEWS} views are shown");
        return Err(refused(message));
    }
    let sheet = Sheet::of(size, u32::try_from(samples).unwrap_or(0), asked.views);
    if u64::from(sheet.width) * u64::from(sheet.height) > MOST_PIXELS {
        let message = format!(
            "a sheet of {}×{} pixels is too large; take fewer images or views",
            sheet.width, sheet.height
        );
        return Err(refused(message));
    }
    Ok(sheet)
}

fn drawn(
    images: &Images,
    spec: &RunSpec,
    asked: &Asked,
    sheet: &Sheet,
) -> Result<Vec<u8>, EngineError> {
    let outside = |at: &&i64| usize::try_from(**at).map_or(true, |at| at >= images.count());
    if let Some(at) = asked.positions.iter().find(outside) {
        let detail = format!("there is no image {at}: there are {}", images.count());
        let violation = Violation { field: "positions".to_owned(), detail };
        return Err(EngineError::Spec(vec![violation]));
    }
    let mut canvas = vec![0; 4 * sheet.width as usize * sheet.height as usize];
    let augment = Augment::searching(spec);
    for view in 0..=asked.views {
        let x = match view {
            0 => images.batch(&asked.positions)?.x,
            _ => {
                let step = u64::from(view - 1);
                let at = At { seed: asked.seed, stream: Stream::WeightAugment, step };
                images.augmented(&asked.positions, &augment, at)?.x
            }
        };
        let pixels = images.pixels_of(&x)?;
        for sample in 0..sheet.samples {
            paint(&mut canvas, sheet, [sample, view], &pixels.get(i64::from(sample)))?;
        }
    }
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(&canvas, sheet.width, sheet.height, ExtendedColorType::Rgba8)
        .map_err(|error| EngineError::Bug(format!("the sheet cannot be written: {error}")))?;
    Ok(bytes)
}

/// Paints an image `[channels, height, width]` of bytes into its cell, each pixel as often as it is
/// enlarged. Of three channels or more the first three are colours; of fewer the first is grey.
fn paint(
    canvas: &mut [u8],
    sheet: &Sheet,
    [sample, view]: [u32; 2],
    pixels: &Tensor,
) -> Result<(), EngineError> {
    let coloured = pixels.size()[0] >= 3;
    let channels: Vec<Vec<u8>> = (0..if coloured { 3 } else { 1 })
        .map(|channel| Ok(Vec::try_from(&pixels.f_get(channel)?.reshape([-1]))?))
        .collect::<Result<_, EngineError>>()?;
    let [left, top] = sheet.corner(sample, view);
    let across = (sheet.cell[0] / sheet.scale) as usize;
    for row in 0..sheet.cell[1] {
        let start = 4 * ((top + row) as usize * sheet.width as usize + left as usize);
        let line = &mut canvas[start..start + 4 * sheet.cell[0] as usize];
        for (column, to) in line.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let at = (row / sheet.scale) as usize * across + column / sheet.scale as usize;
            let value = |channel: usize| channels[channel.min(channels.len() - 1)][at];
            *to = [value(0), value(1), value(2), u8::MAX];
        }
    }
    Ok(())
}
