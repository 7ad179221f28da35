//! An image of any size as a network's input, and the classes that the network tells.
//!
//! The middle of the image, as much of it as has the input's aspect ratio, is scaled to the
//! input's size; an image of that size stays as it is. What comes after is the data set's own:
//! division by 255, mean, standard deviation.

use std::io::Cursor;
use std::time::Instant;

use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, GenericImageView as _, ImageDecoder as _, ImageReader, Limits};
use skein_core::predict::{Class, MOST_CLASSES, Prediction};
use tch::Tensor;

use super::{Fault, ground};
use crate::EngineError;
use crate::data::images::Normalise;
use crate::device::Compute;
use crate::exec::Pass;
use crate::train::network::Network;

/// Most pixels from one side to the other.
const MOST_SIDE: u32 = 16_384;
/// Most bytes of an image once it is decoded: 64 million pixels of three colours.
const MOST_BYTES: u64 = 192 << 20;
/// A rim at least so bright, of an image for a network that has learned from dark ones, is worth
/// a word; `0..=255`.
const BRIGHT: f64 = 150.0;

const LIGHT: &str = "The image has a light background, but the network has learned from dark ones; try it \
                     inverted.";
const LIGHT_BY_INVERSION: &str = "Inverted, the image has a light background, but the network has learned from dark ones; try \
                                  it as it is.";
const NOTHING_TO_SEE: &str =
    "The image is of one colour: there is nothing on it that the network could tell.";

/// An image as a data set holds it.
#[derive(Debug, PartialEq)]
pub(super) struct Pixels {
    /// Channel by channel, row by row.
    bytes: Vec<u8>,
    /// What was done to the image.
    fitted: String,
    /// What may mislead the network.
    hint: Option<String>,
}

/// How bytes become numbers; see [`skein_core::package::preprocess::Input::Images`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale<'a> {
    /// Channels, height, width.
    pub(super) shape: [i64; 3],
    /// What bytes are divided by.
    pub(super) divide: f64,
    /// Mean of each channel, after that.
    pub(super) mean: &'a [f64],
    /// Standard deviation of each channel, after that.
    pub(super) std: &'a [f64],
}

/// Reads a file of an image.
///
/// # Errors
/// - in words: it is no image, or too large a one.
pub(super) fn read(file: &[u8], scale: &Scale<'_>, invert: bool) -> Result<Pixels, String> {
    let [channels, height, width] = scale.shape.map(|size| u32::try_from(size).unwrap_or(0));
    let (image, orientation) = decode(file)?;
    let (from, part) = (image.dimensions(), largest_part(&image, orientation, (width, height)));
    // Before it is scaled, so that no hidden colour mixes with a visible one.
    let (whole, ground) = ground::opaque(middle(image, part));
    let mut fitted = scaled(whole, orientation, (width, height));
    if invert {
        fitted.invert();
    }
    let colour = channels != 1;
    let mut said = describe(from, part, (width, height));
    if let Some(ground) = ground {
        said += &format!(", {}", ground.said());
    }
    said += if colour { "" } else { ", grey" };
    said += if invert { ", inverted" } else { "" };
    let bytes = if colour {
        let rgb = fitted.to_rgb8();
        (0..3).flat_map(|channel| rgb.pixels().map(move |pixel| pixel.0[channel])).collect()
    } else {
        fitted.to_luma8().into_raw()
    };
    let size = (width as usize, height as usize);
    let dark = !colour && scale.mean.first().is_some_and(|mean| *mean < 0.5);
    let hint = if ground::is_one_colour(&bytes, if colour { 3 } else { 1 }) {
        Some(NOTHING_TO_SEE)
    } else if dark && has_bright_rim(&bytes, size) {
        Some(if invert { LIGHT_BY_INVERSION } else { LIGHT })
    } else {
        None
    };
    Ok(Pixels { bytes, fitted: said, hint: hint.map(str::to_owned) })
}

/// Sizes are looked at before anything is decoded: a small file may claim a huge image.
fn decode(file: &[u8]) -> Result<(DynamicImage, Orientation), String> {
    let plain = |error: image::ImageError| format!("the image cannot be read: {error}");
    let reader = ImageReader::new(Cursor::new(file)).with_guessed_format();
    let mut reader = reader.map_err(|error| format!("the image cannot be read: {error}"))?;
    if reader.format().is_none() {
        return Err("this is no PNG, JPEG, WebP, GIF or BMP image".to_owned());
    }
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(MOST_SIDE), Some(MOST_SIDE));
    limits.max_alloc = Some(2 * MOST_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(plain)?;
    let (width, height) = decoder.dimensions();
    if width.max(height) > MOST_SIDE || decoder.total_bytes() > MOST_BYTES {
        let most = MOST_BYTES / 3_000_000;
        return Err(format!(
            "the image is too large: {width}×{height} pixels; send one of at most {most} million"
        ));
    }
    if width == 0 || height == 0 {
        return Err("the image has no pixels".to_owned());
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((DynamicImage::from_decoder(decoder).map_err(plain)?, orientation))
}

/// Whether a camera that was held like that swaps the sides.
fn turns(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// The sides of the largest part that has the aspect ratio of the input.
fn largest_part(
    image: &DynamicImage,
    orientation: Orientation,
    (width, height): (u32, u32),
) -> (u32, u32) {
    let (across, down) = image.dimensions();
    let (width, height) = if turns(orientation) { (height, width) } else { (width, height) };
    let side = |other: u32, over: u32, under: u32| {
        let part = u64::from(other) * u64::from(over) / u64::from(under.max(1));
        u32::try_from(part).unwrap_or(u32::MAX).max(1)
    };
    let (by_height, by_width) = (side(down, width, height), side(across, height, width));
    if by_height <= across { (by_height, down) } else { (across, by_width.min(down)) }
}

/// The middle part of an image.
fn middle(image: DynamicImage, part: (u32, u32)) -> DynamicImage {
    let (across, down) = image.dimensions();
    if (across, down) == part {
        return image;
    }
    image.crop_imm((across - part.0) / 2, (down - part.1) / 2, part.0, part.1)
}

/// An image in the input's size, upright.
fn scaled(
    image: DynamicImage,
    orientation: Orientation,
    (width, height): (u32, u32),
) -> DynamicImage {
    let size = if turns(orientation) { (height, width) } else { (width, height) };
    let mut fitted = image;
    if fitted.dimensions() != size {
        fitted = fitted.resize_exact(size.0, size.1, FilterType::Triangle);
    }
    fitted.apply_orientation(orientation);
    fitted
}

fn describe(from: (u32, u32), part: (u32, u32), to: (u32, u32)) -> String {
    let mut said = format!("{}×{} pixels", from.0, from.1);
    if part != from {
        said += &format!(", of which the middle {}×{}", part.0, part.1);
    }
    if part != to {
        said += &format!(", scaled to {}×{}", to.0, to.1);
    }
    said
}

/// Whether the background is light.
fn has_bright_rim(grey: &[u8], (width, height): (usize, usize)) -> bool {
    let on_rim = |at: usize| {
        at < width
            || at >= width * (height - 1)
            || matches!(at % width, 0)
            || at % width == width - 1
    };
    let rim: Vec<f64> = grey
        .iter()
        .enumerate()
        .filter(|(at, _)| on_rim(*at))
        .map(|(_, value)| f64::from(*value))
        .collect();
    let mean = rim.iter().sum::<f64>() / u32::try_from(rim.len().max(1)).map_or(1.0, f64::from);
    mean >= BRIGHT
}

/// The likeliest classes.
///
/// # Errors
/// - [`Fault::Engine`] if the network cannot be computed, or gives what is no number.
pub(super) fn classify(
    network: &Network,
    pixels: Pixels,
    scale: &Scale<'_>,
    names: &[String],
) -> Result<Prediction, Fault> {
    let began = Instant::now();
    let scores = scores(network, &pixels.bytes, scale).map_err(Fault::Engine)?;
    let milliseconds = 1000.0 * began.elapsed().as_secs_f64();
    let probabilities = softmax(&scores, 1.0).map_err(Fault::Engine)?;
    let named = probabilities.iter().enumerate().map(|(number, probability)| Class {
        number,
        name: names.get(number).cloned().unwrap_or_else(|| number.to_string()),
        probability: *probability,
    });
    let mut classes: Vec<Class> = named.collect();
    classes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    classes.truncate(MOST_CLASSES);
    let (of, Pixels { fitted, hint, .. }) = (probabilities.len(), pixels);
    Ok(Prediction::Classes { classes, of, fitted, hint, milliseconds })
}

/// Class scores of one image, normalised as the images of a data set are.
fn scores(network: &Network, bytes: &[u8], scale: &Scale<'_>) -> Result<Vec<f64>, EngineError> {
    let [channels, height, width] = scale.shape;
    let pixels = Tensor::f_from_slice(bytes)?.f_view([1, channels, height, width])?;
    let normalise = Normalise::new(scale.divide, scale.mean, scale.std, Compute::PLAIN);
    let logits = network.forward(&normalise.apply(&pixels)?, Pass::EVALUATE)?;
    Ok(Vec::<f64>::try_from(&logits.to_kind(tch::Kind::Double).f_view([-1])?)?)
}

/// Probabilities of scores, after these were divided by a temperature.
///
/// # Errors
/// - [`EngineError::Bug`] if a score is no number.
pub(super) fn softmax(scores: &[f64], temperature: f64) -> Result<Vec<f64>, EngineError> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !scores.iter().all(|score| score.is_finite()) {
        return Err(EngineError::Bug("the network's output is not a number".to_owned()));
    }
    let raised: Vec<f64> =
        scores.iter().map(|score| ((score - largest) / temperature).exp()).collect();
    let sum: f64 = raised.iter().sum();
    Ok(raised.into_iter().map(|one| one / sum).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_whatever_the_size_of_scores() {
        let found = softmax(&[1e4, 1e4 - 1.0, -1e300], 1.0).unwrap();
        let e = (-1.0_f64).exp();
        assert!((found[0] - 1.0 / (1.0 + e)).abs() < 1e-12 && found[2] == 0.0, "{found:?}");
        let cold = softmax(&[0.0, 1.0], 0.5).unwrap();
        assert!((cold[1] / cold[0] - 2.0_f64.exp()).abs() < 1e-9, "{cold:?}");
        assert!(softmax(&[0.0, f64::NAN], 1.0).is_err());
        assert!(softmax(&[f64::INFINITY, 0.0], 1.0).is_err());
    }

    /// A drawing of a ring with a transparent ground.
    fn drawing(ink: u8) -> Vec<u8> {
        let ring = image::RgbaImage::from_fn(56, 56, |x, y| {
            let away = (f64::from(x) - 27.5).hypot(f64::from(y) - 27.5);
            let alpha = if (14.0..20.0).contains(&away) { 255 } else { 0 };
            image::Rgba([ink, ink, ink, alpha])
        });
        let mut file = Cursor::new(Vec::new());
        ring.write_to(&mut file, image::ImageFormat::Png).unwrap();
        file.into_inner()
    }

    fn read_grey(file: &[u8], invert: bool) -> Pixels {
        let scale = Scale { shape: [1, 28, 28], divide: 255.0, mean: &[0.29], std: &[0.35] };
        read(file, &scale, invert).unwrap()
    }

    #[test]
    fn a_drawing_on_a_transparent_ground_can_be_seen() {
        let black = read_grey(&drawing(0), false);
        assert_eq!(black.fitted, "56×56 pixels, scaled to 28×28, on white, grey");
        assert_eq!((black.bytes[0], black.hint.as_deref()), (255, Some(LIGHT)));
        // What the hint advises helps: it is what white ink gives.
        let (inverted, white) = (read_grey(&drawing(0), true), read_grey(&drawing(255), false));
        let pairs = inverted.bytes.iter().zip(&white.bytes);
        assert!(pairs.into_iter().all(|(one, other)| one.abs_diff(*other) <= 1));
        assert_eq!((&inverted.hint, &white.hint), (&None, &None));
        assert!(white.bytes.contains(&255) && white.bytes[0] == 0);
        let back = read_grey(&drawing(255), true);
        assert_eq!(back.hint.as_deref(), Some(LIGHT_BY_INVERSION));
    }

    #[test]
    fn an_image_of_one_colour_is_told_as_that() {
        for value in [0, 128, 255] {
            let mut file = Cursor::new(Vec::new());
            let image = image::GrayImage::from_pixel(28, 28, image::Luma([value]));
            image.write_to(&mut file, image::ImageFormat::Png).unwrap();
            for invert in [false, true] {
                let found = read_grey(file.get_ref(), invert);
                assert_eq!(found.hint.as_deref(), Some(NOTHING_TO_SEE), "{value}");
            }
        }
    }

    #[test]
    fn the_largest_part_has_the_aspect_ratio_of_the_input() {
        let part = |width, height, orientation, to| {
            largest_part(&DynamicImage::new_luma8(width, height), orientation, to)
        };
        let straight = Orientation::NoTransforms;
        assert_eq!(part(28, 28, straight, (28, 28)), (28, 28));
        assert_eq!(part(300, 200, straight, (28, 28)), (200, 200));
        assert_eq!(part(200, 300, straight, (28, 28)), (200, 200));
        assert_eq!(part(300, 200, straight, (40, 20)), (300, 150));
        assert_eq!(part(300, 200, Orientation::Rotate90, (40, 20)), (100, 200));
        assert_eq!(part(1, 5000, straight, (28, 28)), (1, 1));
    }
}
