//! Random changes of training images: crop, flip, `RandAugment`, cutout.
//!
//! Where and whether is drawn on the host, counted by (seed, stream, step), so that a resumed run
//! and one on another device change the same images in the same way. What is drawn is then done
//! to the whole batch at once.

use tch::{Kind, Tensor};

use super::rand_augment;
use crate::EngineError;
use crate::search::sampler::At;
use crate::state::seed::{Stream, below, derive, generator};

/// What is done to training images.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Augment {
    /// Black pixels on each side before a random part of the old size is taken; 0 for none.
    pub crop: u64,
    /// Whether images are mirrored, left to right, with probability one half.
    pub flip: bool,
    /// Side of the square that is blanked, 0 for none (cutout, arXiv:1708.04552). Its centre lies
    /// within the image, so part of it may not.
    pub cutout: u64,
    /// Magnitude of `RandAugment`, `0..=10`; 0 for none.
    pub rand_augment: f64,
}

/// What was drawn for the images of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Places {
    /// First row and first column of the crop, in the enlarged image.
    corner: Vec<[i64; 2]>,
    flipped: Vec<bool>,
    /// Row and column of the centre of the cutout.
    centre: Vec<[i64; 2]>,
}

impl Augment {
    /// Crops, mirrors and recolours images `[batch, channels, height, width]` of bytes.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if memory runs out.
    pub fn place(&self, pixels: Tensor, at: At) -> Result<Tensor, EngineError> {
        let placed = self.crop_and_flip(pixels, at)?;
        if self.rand_augment == 0.0 {
            return Ok(placed);
        }
        // The draws above end at no fixed number, so these have a generator of their own.
        let seed = derive(at.seed, at.stream, at.step);
        let mut generator = generator(seed, Stream::RandAugment, 0);
        rand_augment::apply(&placed, self.rand_augment, &mut generator)
    }

    fn crop_and_flip(&self, pixels: Tensor, at: At) -> Result<Tensor, EngineError> {
        if self.crop == 0 && !self.flip {
            return Ok(pixels);
        }
        let (size, places) = self.places(&pixels, at);
        let [count, channels, height, width] = size;
        let border = i64::try_from(self.crop).unwrap_or(0);
        let wide = width + 2 * border;
        let mut from: Vec<i64> = Vec::new();
        for ([top, left], flipped) in places.corner.iter().zip(&places.flipped) {
            for row in 0..height {
                let start = (top + row) * wide + left;
                if self.flip && *flipped {
                    from.extend((start..start + width).rev());
                } else {
                    from.extend(start..start + width);
                }
            }
        }
        let from = Tensor::f_from_slice(&from)?
            .f_to(pixels.device())?
            .view([count, 1, height * width])
            .f_expand([count, channels, height * width], false)?;
        let enlarged = pixels.f_constant_pad_nd([border; 4])?.view([count, channels, -1]);
        Ok(enlarged.f_gather(2, &from, false)?.view(size))
    }

    /// Blanks a square of each normalised image `[batch, channels, height, width]`.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if memory runs out.
    pub fn blank(&self, x: Tensor, at: At) -> Result<Tensor, EngineError> {
        if self.cutout == 0 {
            return Ok(x);
        }
        let ([count, _, height, width], places) = self.places(&x, at);
        let half = i64::try_from(self.cutout / 2).unwrap_or(0);
        let side = i64::try_from(self.cutout).unwrap_or(0);
        let inside = |axis: usize, length: i64| -> Result<Tensor, EngineError> {
            let first: Vec<i64> = places.centre.iter().map(|centre| centre[axis] - half).collect();
            let first = Tensor::f_from_slice(&first)?.f_to(x.device())?.view([count, 1]);
            let offset = Tensor::arange(length, (Kind::Int64, x.device())) - first;
            Ok(offset.ge(0).logical_and(&offset.lt(side)))
        };
        let rows = inside(0, height)?.view([count, 1, height, 1]);
        let columns = inside(1, width)?.view([count, 1, 1, width]);
        Ok(x.f_masked_fill(&rows.logical_and(&columns), 0.0)?)
    }

    /// The draws of a batch; as many for each image whatever is switched on.
    fn places(&self, images: &Tensor, at: At) -> ([i64; 4], Places) {
        let size: [i64; 4] = images.size().try_into().unwrap_or([0; 4]);
        let mut generator = generator(at.seed, at.stream, at.step);
        let mut draw = |bound: i64| {
            let bound = usize::try_from(bound).unwrap_or(1).max(1);
            i64::try_from(below(&mut generator, bound)).unwrap_or(0)
        };
        let corners = 2 * i64::try_from(self.crop).unwrap_or(0) + 1;
        let mut places = Places { corner: vec![], flipped: vec![], centre: vec![] };
        for _ in 0..size[0] {
            places.corner.push([draw(corners), draw(corners)]);
            places.flipped.push(draw(2) == 1);
            places.centre.push([draw(size[2]), draw(size[3])]);
        }
        (size, places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(step: u64) -> At {
        At { seed: 3, stream: Stream::WeightAugment, step }
    }

    /// Two channels of 4 × 5 pixels, all different and none black.
    fn images(count: i64) -> Tensor {
        let one = Tensor::arange(40, (Kind::Int64, tch::Device::Cpu)) + 1;
        one.view([1, 2, 4, 5]).repeat([count, 1, 1, 1]).to_kind(Kind::Uint8)
    }

    fn bytes(image: &Tensor) -> Vec<i64> {
        Vec::try_from(&image.to_kind(Kind::Int64).reshape([-1])).unwrap()
    }

    /// Pixel by pixel, as the definition says.
    fn by_hand(image: &Tensor, border: i64, [top, left]: [i64; 2], flipped: bool) -> Vec<i64> {
        let mut out = Vec::new();
        for channel in 0..2 {
            for row in 0..4 {
                for column in 0..5 {
                    let across = if flipped { 4 - column } else { column };
                    let (y, x) = (top + row - border, left + across - border);
                    let inside = (0..4).contains(&y) && (0..5).contains(&x);
                    out.push(if inside { image.int64_value(&[channel, y, x]) } else { 0 });
                }
            }
        }
        out
    }

    #[test]
    fn crop_and_flip_move_each_image_as_drawn() {
        let augment = Augment { crop: 2, flip: true, ..Augment::default() };
        let before = images(40);
        let (_, places) = augment.places(&before, at(1));
        let after = augment.place(before.shallow_clone(), at(1)).unwrap();
        assert_eq!(after.kind(), Kind::Uint8);
        for (image, index) in places.corner.iter().zip(0..) {
            let flipped = places.flipped[usize::try_from(index).unwrap()];
            let expected = by_hand(&before.get(index), 2, *image, flipped);
            assert_eq!(bytes(&after.get(index)), expected);
        }
        // Every corner and both directions occur, so nothing above was trivial.
        let mut corners = places.corner.clone();
        corners.sort_unstable();
        corners.dedup();
        assert!(corners.len() > 15 && places.flipped.contains(&true));
        assert!(places.flipped.contains(&false));
        assert!(places.corner.iter().flatten().all(|at| (0..=4).contains(at)));
    }

    #[test]
    fn cutout_blanks_a_square_around_the_drawn_centre() {
        let augment = Augment { cutout: 2, ..Augment::default() };
        let x = Tensor::ones([30, 2, 4, 5], tch::kind::FLOAT_CPU);
        let (_, places) = augment.places(&x, at(1));
        let after = augment.blank(x, at(1)).unwrap();
        for ([row, column], index) in places.centre.iter().zip(0..) {
            for y in 0..4 {
                for x in 0..5 {
                    let blank =
                        (row - 1..=*row).contains(&y) && (column - 1..=*column).contains(&x);
                    for channel in 0..2 {
                        let value = after.double_value(&[index, channel, y, x]);
                        assert_eq!(value == 0.0, blank, "image {index} at {y}, {x}");
                    }
                }
            }
        }
    }

    #[test]
    fn draws_are_counted_and_nothing_is_done_where_nothing_is_asked_for() {
        let augment = Augment { crop: 1, flip: true, ..Augment::default() };
        let of = |step| bytes(&augment.place(images(8), at(step)).unwrap());
        assert_eq!(of(5), of(5));
        assert_ne!(of(5), of(6));
        let plain = Augment::default();
        assert_eq!(bytes(&plain.place(images(2), at(1)).unwrap()), bytes(&images(2)));
    }
}
