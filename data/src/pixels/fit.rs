//! A picture brought to the size that is wanted.

use std::fmt;

use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, GenericImageView as _, GrayImage, RgbImage, RgbaImage};

use super::ground::{self, Ground};
use super::look::{Fault, decode, turns};

/// What a picture is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// 1: grey, 3: colours. Arrays may have 4.
    pub channels: u32,
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

impl Target {
    /// Bytes of a picture.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.channels as usize * self.width as usize * self.height as usize
    }
}

/// A picture as a data set holds it.
#[derive(Debug, PartialEq, Eq)]
pub struct Fitted {
    /// Channel by channel, row by row.
    pub bytes: Vec<u8>,
    /// What was done.
    pub how: How,
}

/// What was done to a picture; as text it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct How {
    /// Width and height of the picture as it is stored.
    pub from: (u32, u32),
    /// The same of its middle part.
    pub part: (u32, u32),
    /// The same of what came out.
    pub to: (u32, u32),
    /// What was put behind transparent parts.
    pub ground: Option<Ground>,
    /// Whether it has one channel.
    pub grey: bool,
}

impl fmt::Display for How {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}×{} pixels", self.from.0, self.from.1)?;
        if self.part != self.from {
            write!(out, ", of which the middle {}×{}", self.part.0, self.part.1)?;
        }
        if self.part != self.to {
            write!(out, ", scaled to {}×{}", self.to.0, self.to.1)?;
        }
        if let Some(ground) = self.ground {
            write!(out, ", {}", ground.said())?;
        }
        out.write_str(if self.grey { ", grey" } else { "" })
    }
}

/// Decodes a file and fits its picture.
///
/// # Errors
/// - [`Fault`]
pub fn fit(file: &[u8], target: Target) -> Result<Fitted, Fault> {
    let (image, orientation) = decode(file)?;
    let to = (target.width, target.height);
    let (from, part) = (image.dimensions(), largest_part(&image, orientation, to));
    // Before it is scaled, so that no hidden colour mixes with a visible one.
    let (whole, ground) = ground::opaque(middle(image, part));
    let fitted = scaled(whole, orientation, to);
    let grey = target.channels == 1;
    let bytes =
        if grey { fitted.into_luma8().into_raw() } else { planes(fitted.into_rgb8().as_raw(), 3) };
    Ok(Fitted { bytes, how: How { from, part, to, ground, grey } })
}

/// Fits pixels that come without a file, channel by channel; all channels are treated alike.
///
/// # Errors
/// - [`Fault::Empty`] if there are not as many as the sides tell, or neither 1, 3 nor 4 channels.
pub fn fit_raw(pixels: &[u8], from: (u32, u32), target: Target) -> Result<Vec<u8>, Fault> {
    let to = (target.width, target.height);
    if from == to && pixels.len() == target.bytes() {
        return Ok(pixels.to_vec());
    }
    let channels = target.channels as usize;
    let mixed = interleaved(pixels, channels);
    let (width, height) = from;
    let image: Option<DynamicImage> = match channels {
        1 => GrayImage::from_raw(width, height, mixed).map(Into::into),
        3 => RgbImage::from_raw(width, height, mixed).map(Into::into),
        4 => RgbaImage::from_raw(width, height, mixed).map(Into::into),
        _ => None,
    };
    let image = image.filter(|_| width > 0 && height > 0).ok_or(Fault::Empty)?;
    let upright = Orientation::NoTransforms;
    let part = largest_part(&image, upright, to);
    let fitted = scaled(middle(image, part), upright, to);
    Ok(planes(fitted.as_bytes(), channels))
}

/// Channel by channel what lies pixel by pixel.
pub(crate) fn planes(mixed: &[u8], channels: usize) -> Vec<u8> {
    let of = |channel| mixed.iter().skip(channel).step_by(channels).copied();
    (0..channels).flat_map(of).collect()
}

/// Pixel by pixel what lies channel by channel.
pub(crate) fn interleaved(planes: &[u8], channels: usize) -> Vec<u8> {
    let size = planes.len() / channels.max(1);
    (0..size).flat_map(|at| planes.iter().skip(at).step_by(size.max(1)).copied()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn planes_and_pixels_are_turned_into_each_other() {
        let mixed = [1, 2, 3, 11, 12, 13];
        assert_eq!(planes(&mixed, 3), [1, 11, 2, 12, 3, 13]);
        assert_eq!(interleaved(&planes(&mixed, 3), 3), mixed);
    }

    #[test]
    fn raw_pixels_keep_their_channels_apart() {
        let flat: Vec<u8> = [10, 20, 30, 40].into_iter().flat_map(|value| [value; 12]).collect();
        let target = Target { channels: 4, width: 2, height: 2 };
        let fitted = fit_raw(&flat, (4, 3), target).unwrap();
        let wanted: Vec<u8> = [10, 20, 30, 40].into_iter().flat_map(|value| [value; 4]).collect();
        assert_eq!(fitted, wanted);
        assert_eq!(fit_raw(&flat, (4, 4), target), Err(Fault::Empty));
        assert_eq!(
            fit_raw(&flat[..4], (1, 1), Target { channels: 2, ..target }),
            Err(Fault::Empty)
        );
    }
}
