//! Random resized crops: a part of each image, scaled to the image's whole size.
//!
//! The part is drawn as for Inception (arXiv:1409.4842) and as torchvision's `RandomResizedCrop`
//! does: its area is a uniform share of the image's, the logarithm of its aspect ratio is uniform
//! in 3/4 to 4/3, and it lies anywhere within the image. It is scaled bilinearly; since no part is
//! larger than the image, nothing is made smaller, and no filter is needed.

use rand_xoshiro::Xoshiro256PlusPlus;
use tch::{Kind, Tensor};

use super::column;
use crate::EngineError;
use crate::state::seed::{below, uniform};

/// Smallest and largest aspect ratio, width over height.
const ASPECT: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];
/// Draws that may not fit into the image before its middle is taken.
const TRIES: usize = 10;

/// A part of an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) top: i64,
    pub(super) left: i64,
    pub(super) height: i64,
    pub(super) width: i64,
}

/// Draws a part of an image of `height` × `width` pixels that has at least the `smallest` share of
/// its area.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "sides of images are small"
)]
pub(super) fn part(
    (height, width): (i64, i64),
    smallest: f64,
    generator: &mut Xoshiro256PlusPlus,
) -> Part {
    for _ in 0..TRIES {
        let area = (smallest + (1.0 - smallest) * uniform(generator)) * (height * width) as f64;
        let [low, high] = ASPECT.map(f64::ln);
        let aspect = (low + (high - low) * uniform(generator)).exp();
        let sides =
            [(area / aspect).sqrt(), (area * aspect).sqrt()].map(|side| side.round() as i64);
        if (1..=height).contains(&sides[0]) && (1..=width).contains(&sides[1]) {
            return Part {
                top: place(height - sides[0], generator),
                left: place(width - sides[1], generator),
                height: sides[0],
                width: sides[1],
            };
        }
    }
    let ratio = (width as f64 / height as f64).clamp(ASPECT[0], ASPECT[1]);
    let sides = [
        height.min((width as f64 / ratio).round() as i64),
        width.min((height as f64 * ratio).round() as i64),
    ];
    let [top, left] = [(height - sides[0]) / 2, (width - sides[1]) / 2];
    Part { top, left, height: sides[0], width: sides[1] }
}

/// A place in `0..=last`.
pub(super) fn place(last: i64, generator: &mut Xoshiro256PlusPlus) -> i64 {
    let bound = usize::try_from(last).unwrap_or(0) + 1;
    i64::try_from(below(generator, bound)).unwrap_or(0)
}

/// Scales a part of each image `[batch, channels, height, width]` of bytes to the whole size.
pub(super) fn scale(pixels: &Tensor, parts: &[Part]) -> Result<Tensor, EngineError> {
    let size = pixels.size();
    let [count, _, height, width] = size[..] else {
        return Err(EngineError::Bug(format!("{size:?} are no images")));
    };
    let rows = positions(parts.iter().map(|part| (part.top, part.height)), height, pixels)?;
    let columns = positions(parts.iter().map(|part| (part.left, part.width)), width, pixels)?;
    let grid = Tensor::f_stack(
        &[
            columns.view([count, 1, width]).f_expand([count, height, width], false)?,
            rows.view([count, height, 1]).f_expand([count, height, width], false)?,
        ],
        -1,
    )?;
    // Bilinear, repeating the border, corners of the grid at the corners of the image.
    let mut scaled = pixels.f_to_kind(Kind::Float)?.f_grid_sampler(&grid, 0, 1, false)?;
    Ok(scaled.f_round_()?.f_clamp_(0.0, 255.0)?.f_to_kind(Kind::Uint8)?)
}

/// Where the pixels of a whole side come from, for each image `[batch, side]`, in the grid's units:
/// -1 and 1 are the ends of the side. Nothing comes from outside the part.
#[expect(clippy::cast_precision_loss, reason = "sides of images are small")]
fn positions(
    spans: impl Iterator<Item = (i64, i64)>,
    side: i64,
    pixels: &Tensor,
) -> Result<Tensor, EngineError> {
    let (first, lengths): (Vec<f64>, Vec<f64>) =
        spans.map(|(first, length)| (first as f64, length as f64)).unzip();
    let each = |values: &[f64]| -> Result<Tensor, EngineError> {
        Ok(column(values, pixels.device())?.view([-1, 1]))
    };
    let (first, lengths) = (each(&first)?, each(&lengths)?);
    let centres = Tensor::f_arange(side, (Kind::Double, pixels.device()))? + 0.5;
    let within = centres * &lengths / side as f64 - 0.5;
    let within = within.f_clamp_min(0.0)?.f_minimum(&(lengths - 1.0))?;
    Ok((((within + first) * 2.0 + 1.0) / side as f64 - 1.0).f_to_kind(Kind::Float)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::seed::{Stream, generator};

    fn images(count: i64, channels: i64, height: i64, width: i64) -> Tensor {
        let all =
            Tensor::arange(count * channels * height * width, (Kind::Int64, tch::Device::Cpu));
        (all * 91).remainder(256).to_kind(Kind::Uint8).view([count, channels, height, width])
    }

    #[test]
    fn parts_have_the_areas_and_aspect_ratios_that_were_asked_for() {
        let mut generator = generator(1, Stream::ResizedCrop, 0);
        let parts: Vec<Part> = (0..2000).map(|_| part((60, 80), 0.2, &mut generator)).collect();
        let (mut small, mut wide) = (0, 0);
        for Part { top, left, height, width } in &parts {
            assert!(*top >= 0 && top + height <= 60 && *left >= 0 && left + width <= 80);
            let (area, aspect) = ((height * width) as f64 / 4800.0, *width as f64 / *height as f64);
            assert!((0.19..=1.0).contains(&area), "{area}");
            assert!((0.71..1.4).contains(&aspect), "{aspect}");
            small += i32::from(area < 0.4);
            wide += i32::from(aspect > 1.0);
        }
        // A quarter of the areas, and about half of the ratios; large parts that do not fit are
        // drawn again.
        assert!((450..750).contains(&small) && (900..1300).contains(&wide), "{small} {wide}");
        assert!(parts.iter().any(|part| part.top == 0) && parts.iter().any(|part| part.left > 30));
    }

    #[test]
    fn an_image_that_no_part_fits_keeps_its_middle() {
        // As large as the image, but never as flat.
        let found = part((4, 400), 1.0, &mut generator(1, Stream::ResizedCrop, 0));
        assert_eq!(found, Part { top: 0, left: 197, height: 4, width: 5 });
        let found = part((400, 4), 1.0, &mut generator(1, Stream::ResizedCrop, 0));
        assert_eq!(found, Part { top: 197, left: 0, height: 5, width: 4 });
    }

    /// libtorch scales one image after the other, as torchvision has it do.
    #[test]
    fn each_part_is_scaled_as_if_it_were_alone() {
        for channels in [1, 3, 4] {
            let before = images(30, channels, 9, 13);
            let mut generator = generator(1, Stream::ResizedCrop, 0);
            let parts: Vec<Part> = (0..30).map(|_| part((9, 13), 0.08, &mut generator)).collect();
            let after = scale(&before, &parts).unwrap();
            assert_eq!((after.kind(), after.size()), (Kind::Uint8, before.size()));
            for (index, part) in (0..).zip(&parts) {
                let alone = before
                    .narrow(0, index, 1)
                    .narrow(2, part.top, part.height)
                    .narrow(3, part.left, part.width)
                    .to_kind(Kind::Float)
                    .upsample_bilinear2d([9, 13], false, None, None);
                let apart = (alone - after.narrow(0, index, 1).to_kind(Kind::Float)).abs().max();
                // What lies on half a byte may be rounded either way.
                assert!(apart.double_value(&[]) <= 0.501, "{part:?}: {apart:?}");
            }
        }
    }

    #[test]
    fn the_whole_image_stays_as_it_is() {
        let before = images(2, 3, 7, 5);
        let whole = Part { top: 0, left: 0, height: 7, width: 5 };
        assert_eq!(scale(&before, &[whole; 2]).unwrap(), before);
    }
}
