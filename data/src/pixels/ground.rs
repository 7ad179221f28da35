//! What stands behind a picture's transparent parts: the ground on which its ink can be seen.
//!
//! Black, as most data sets of drawings have it, unless the picture stands out from white much
//! more: black ink on black would be no picture at all.

use image::{DynamicImage, Rgba, RgbaImage};

/// White is taken if the picture stands out from it more than so many times as much.
const MUCH_MORE: f64 = 2.0;
/// Values of a picture of one colour differ by less than this, which files that lose some of a
/// picture (JPEG) may add; `0..=255`.
const ONE_COLOUR: u8 = 8;

/// What is put behind transparent parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// All zeros.
    Black,
    /// All ones.
    White,
}

impl Ground {
    /// How it is told.
    #[must_use]
    pub fn said(self) -> &'static str {
        match self {
            Self::Black => "on black",
            Self::White => "on white",
        }
    }

    fn value(self) -> u32 {
        match self {
            Self::Black => 0,
            Self::White => 255,
        }
    }
}

/// The picture on a ground that makes it visible, and which that was; as it is if nothing shows
/// through it.
#[must_use]
pub fn opaque(image: DynamicImage) -> (DynamicImage, Option<Ground>) {
    if !image.color().has_alpha() {
        return (image, None);
    }
    let mut rgba = image.into_rgba8();
    if rgba.pixels().all(|pixel| pixel.0[3] == 255) {
        return (DynamicImage::ImageRgba8(rgba).into_rgb8().into(), None);
    }
    let ground = best(&rgba);
    rgba.pixels_mut().for_each(|pixel| *pixel = on(ground, *pixel));
    (DynamicImage::ImageRgba8(rgba).into_rgb8().into(), Some(ground))
}

fn best(rgba: &RgbaImage) -> Ground {
    let [black, white] = [Ground::Black, Ground::White].map(|ground| spread(rgba, ground));
    if white > MUCH_MORE * black { Ground::White } else { Ground::Black }
}

fn on(ground: Ground, Rgba([colours @ .., alpha]): Rgba<u8>) -> Rgba<u8> {
    let alpha = u32::from(alpha);
    let mixed = colours.map(|colour| {
        let value = (u32::from(colour) * alpha + ground.value() * (255 - alpha)) / 255;
        u8::try_from(value).unwrap_or(255)
    });
    let [red, green, blue] = mixed;
    Rgba([red, green, blue, 255])
}

/// Standard deviation of the brightness on a ground.
fn spread(rgba: &RgbaImage, ground: Ground) -> f64 {
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
    for pixel in rgba.pixels() {
        let [red, green, blue, _] = on(ground, *pixel).0.map(f64::from);
        let brightness = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
        sum += brightness;
        squares += brightness * brightness;
        count += 1.0;
    }
    let mean = sum / f64::max(count, 1.0);
    (squares / f64::max(count, 1.0) - mean * mean).max(0.0).sqrt()
}

/// Whether a picture, channel by channel, is of one colour.
#[must_use]
pub fn is_one_colour(bytes: &[u8], channels: usize) -> bool {
    let size = (bytes.len() / channels.max(1)).max(1);
    bytes.chunks(size).all(|channel| {
        let (least, most) = (channel.iter().min(), channel.iter().max());
        least.zip(most).is_none_or(|(least, most)| most - least < ONE_COLOUR)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// A bar of some grey on a transparent ground whose hidden colour is `below`.
    fn bar(ink: u8, below: u8) -> DynamicImage {
        let mut image = RgbaImage::from_pixel(28, 28, Rgba([below, below, below, 0]));
        for (x, _, pixel) in image.enumerate_pixels_mut() {
            if (12..16).contains(&x) {
                *pixel = Rgba([ink, ink, ink, 255]);
            }
        }
        image.into()
    }

    #[rstest]
    #[case::black_ink(0, Ground::White)]
    #[case::dark_ink(60, Ground::White)]
    #[case::grey_ink(128, Ground::Black)]
    #[case::white_ink(255, Ground::Black)]
    fn ink_can_be_seen_on_its_ground(#[case] ink: u8, #[case] wanted: Ground) {
        for below in [0, 255] {
            let (image, ground) = opaque(bar(ink, below));
            assert_eq!(ground, Some(wanted), "hidden {below}");
            let grey = image.to_luma8();
            let (rim, middle) = (grey.get_pixel(0, 0).0[0], grey.get_pixel(13, 13).0[0]);
            assert_eq!((u32::from(rim), middle), (wanted.value(), ink));
        }
    }

    #[test]
    fn what_hides_nothing_has_no_ground() {
        let opaque_already: DynamicImage = RgbaImage::from_pixel(2, 2, Rgba([9, 9, 9, 255])).into();
        assert_eq!(opaque(opaque_already).1, None);
        assert_eq!(opaque(DynamicImage::new_luma8(2, 2)).1, None);
    }

    #[test]
    fn one_colour_is_told_whatever_the_colour() {
        assert!(is_one_colour(&[7; 12], 1) && is_one_colour(&[1, 1, 90, 90, 200, 200], 3));
        assert!(is_one_colour(&[100, 103, 100, 101], 1), "as a JPEG has it");
        assert!(!is_one_colour(&[0, 0, 0, 40], 1) && !is_one_colour(&[1, 1, 90, 0, 200, 200], 3));
    }
}
