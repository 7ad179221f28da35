//! An image of any size as a network's input, and the classes that the network tells.
//!
//! It is brought to the input's size as the images of a data set are ([`skein_data::pixels`]). What
//! comes after is the data set's own: division by 255, mean, standard deviation.

use std::time::Instant;

use skein_core::predict::{Class, MOST_CLASSES, Prediction};
use skein_data::pixels::{self, Target, ground};
use tch::Tensor;

use super::Fault;
use crate::EngineError;
use crate::data::images::Normalise;
use crate::device::Compute;
use crate::exec::Pass;
use crate::train::network::Network;

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
    let target = Target { channels, width, height };
    let fitted = pixels::fit(file, target).map_err(|fault| fault.to_string())?;
    let (mut bytes, mut said) = (fitted.bytes, fitted.how.to_string());
    if invert {
        bytes.iter_mut().for_each(|byte| *byte = u8::MAX - *byte);
        said += ", inverted";
    }
    let grey = channels == 1;
    let size = (width as usize, height as usize);
    let dark = grey && scale.mean.first().is_some_and(|mean| *mean < 0.5);
    let hint = if ground::is_one_colour(&bytes, if grey { 1 } else { 3 }) {
        Some(NOTHING_TO_SEE)
    } else if dark && has_bright_rim(&bytes, size) {
        Some(if invert { LIGHT_BY_INVERSION } else { LIGHT })
    } else {
        None
    };
    Ok(Pixels { bytes, fitted: said, hint: hint.map(str::to_owned) })
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
    use std::io::Cursor;

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
}
