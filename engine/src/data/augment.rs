//! Random changes of training images: crop, resized crop, flips, `RandAugment`, colour jitter,
//! cutout, random erasing, in this order.
//!
//! Where and whether is drawn on the host, counted by (seed, stream, step), so that a resumed run
//! and one on another device change the same images in the same way. What is drawn is then done
//! to the whole batch at once. Every change that came later draws from a generator of its own, so
//! that it does not move what the others draw.

mod erase;
mod jitter;
mod resized;
mod window;

use rand_xoshiro::Xoshiro256PlusPlus;
use skein_core::spec::RunSpec;
use tch::{Device, Kind, Tensor, kind};

use super::rand_augment;
use crate::EngineError;
use crate::search::sampler::At;
use crate::state::seed::{Stream, below, derive, generator};
use resized::Part;

/// What is done to training images.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Augment {
    /// Black pixels on each side before a random part of the old size is taken; 0 for none.
    pub crop: u64,
    /// Smallest share of the area of a random part that is scaled to the whole size; 0 for none.
    pub resized_crop: f64,
    /// Whether images are mirrored, left to right, with probability one half.
    pub flip: bool,
    /// The same, top to bottom.
    pub flip_vertical: bool,
    /// Side of the square that is blanked, 0 for none (cutout, arXiv:1708.04552). Its centre lies
    /// within the image, so part of it may not.
    pub cutout: u64,
    /// Magnitude of `RandAugment`, `0..=10`; 0 for none.
    pub rand_augment: f64,
    /// Strength of the colour jitter, `0..=1`; 0 for none.
    pub color_jitter: f64,
    /// Probability with which a rectangle is erased.
    pub random_erasing: f64,
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

/// A generator for a change with draws of its own: those of crop, flip and cutout end at no fixed
/// number.
fn own(at: At, stream: Stream) -> Xoshiro256PlusPlus {
    generator(derive(at.seed, at.stream, at.step), stream, 0)
}

/// One number an image, `[batch, 1, 1, 1]`.
fn column<T: kind::Element>(values: &[T], device: Device) -> Result<Tensor, EngineError> {
    Ok(Tensor::f_from_slice(values)?.f_to(device)?.view([-1, 1, 1, 1]))
}

impl Augment {
    /// What a search does to the images of its steps.
    #[must_use]
    pub fn searching(spec: &RunSpec) -> Self {
        let search = &spec.search;
        Self {
            cutout: search.cutout,
            rand_augment: search.rand_augment,
            color_jitter: search.color_jitter,
            random_erasing: search.random_erasing,
            ..Self::of_data(spec)
        }
    }

    /// What the trainings after the search do to theirs.
    #[must_use]
    pub fn training(spec: &RunSpec) -> Self {
        let after = &spec.after;
        Self {
            cutout: after.cutout,
            rand_augment: after.rand_augment,
            color_jitter: after.color_jitter,
            random_erasing: after.random_erasing,
            ..Self::of_data(spec)
        }
    }

    fn of_data(spec: &RunSpec) -> Self {
        let data = &spec.dataset;
        Self {
            crop: data.crop,
            resized_crop: data.resized_crop,
            flip: data.flip,
            flip_vertical: data.flip_vertical,
            ..Self::default()
        }
    }

    /// Crops, mirrors and recolours images `[batch, channels, height, width]` of bytes, which may be
    /// written over.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if memory runs out.
    pub fn place(&self, pixels: Tensor, at: At) -> Result<Tensor, EngineError> {
        let mut placed = self.crop_and_flip(pixels, at)?;
        if self.resized_crop > 0.0 {
            placed = resized::scale(&placed, &self.parts(&placed, at))?;
        }
        if self.flip_vertical {
            let which = upside_down(&placed, at);
            placed = window::mirror(placed, 2, &which)?;
        }
        if self.rand_augment > 0.0 {
            let mut generator = own(at, Stream::RandAugment);
            placed = rand_augment::apply(&placed, self.rand_augment, &mut generator)?;
        }
        if self.color_jitter > 0.0 {
            let mut generator = own(at, Stream::ColorJitter);
            placed = jitter::apply(&placed, self.color_jitter, &mut generator)?;
        }
        Ok(placed)
    }

    fn crop_and_flip(&self, pixels: Tensor, at: At) -> Result<Tensor, EngineError> {
        if self.crop == 0 && !self.flip {
            return Ok(pixels);
        }
        let (_, places) = self.places(&pixels, at);
        let mut placed = pixels;
        if self.crop > 0 {
            let border = i64::try_from(self.crop).unwrap_or(0);
            placed = window::cut(&placed, border, &places.corner)?;
        }
        if self.flip {
            placed = window::mirror(placed, 3, &places.flipped)?;
        }
        Ok(placed)
    }

    /// Blanks a square and a rectangle of each normalised image `[batch, channels, height, width]`.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if memory runs out.
    pub fn blank(&self, x: Tensor, at: At) -> Result<Tensor, EngineError> {
        let mut x = x;
        if self.cutout > 0 {
            let (_, places) = self.places(&x, at);
            let side = i64::try_from(self.cutout).unwrap_or(0);
            let square = |[row, column]: &[i64; 2]| Part {
                top: row - side / 2,
                left: column - side / 2,
                height: side,
                width: side,
            };
            x = blanked(&x, &places.centre.iter().map(square).collect::<Vec<_>>())?;
        }
        if self.random_erasing > 0.0 {
            x = blanked(&x, &self.rectangles(&x, at))?;
        }
        Ok(x)
    }

    /// The part that is scaled of each image.
    fn parts(&self, images: &Tensor, at: At) -> Vec<Part> {
        let mut generator = own(at, Stream::ResizedCrop);
        let (count, sides) = measured(images);
        (0..count).map(|_| resized::part(sides, self.resized_crop, &mut generator)).collect()
    }

    /// The rectangle that is erased of each image.
    fn rectangles(&self, images: &Tensor, at: At) -> Vec<Part> {
        let mut generator = own(at, Stream::RandomErasing);
        let (count, sides) = measured(images);
        (0..count).map(|_| erase::rectangle(sides, self.random_erasing, &mut generator)).collect()
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

/// Number, height and width of images.
fn measured(images: &Tensor) -> (i64, (i64, i64)) {
    match images.size()[..] {
        [count, _, height, width] => (count, (height, width)),
        _ => (0, (0, 0)),
    }
}

/// Which images are mirrored top to bottom.
fn upside_down(images: &Tensor, at: At) -> Vec<bool> {
    let mut generator = own(at, Stream::FlipVertical);
    (0..measured(images).0).map(|_| below(&mut generator, 2) == 1).collect()
}

/// The images with a part of each filled with 0; parts may lie outside.
fn blanked(x: &Tensor, parts: &[Part]) -> Result<Tensor, EngineError> {
    let (_, (height, width)) = measured(x);
    let inside = |spans: Vec<(i64, i64)>, length: i64, dimension: usize| {
        let (first, sizes): (Vec<i64>, Vec<i64>) = spans.into_iter().unzip();
        let mut shape = [1; 4];
        shape[dimension] = length;
        let counted = Tensor::f_arange(length, (Kind::Int64, x.device()))?.view(shape);
        let offset = counted - column(&first, x.device())?;
        let sizes = column(&sizes, x.device())?;
        Ok::<_, EngineError>(offset.ge(0).logical_and(&offset.lt_tensor(&sizes)))
    };
    let rows = inside(parts.iter().map(|part| (part.top, part.height)).collect(), height, 2)?;
    let columns = inside(parts.iter().map(|part| (part.left, part.width)).collect(), width, 3)?;
    Ok(x.f_masked_fill(&rows.logical_and(&columns), 0.0)?)
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

    #[test]
    fn what_came_later_does_not_move_what_was_drawn_before() {
        let old = Augment { crop: 2, flip: true, ..Augment::default() };
        let new = Augment { flip_vertical: true, ..old };
        let (before, after) =
            (old.place(images(40), at(1)).unwrap(), new.place(images(40), at(1)).unwrap());
        let turned = upside_down(&before, at(1));
        for (index, turned) in (0..).zip(&turned) {
            let expected = before.get(index);
            let expected = if *turned { expected.flip([1]) } else { expected };
            assert_eq!(bytes(&after.get(index)), bytes(&expected), "image {index}");
        }
        let count = turned.iter().filter(|turned| **turned).count();
        assert!((10..30).contains(&count), "{count} of 40");
        assert_ne!(turned, old.places(&before, at(1)).1.flipped);
    }

    #[test]
    fn erasing_blanks_the_drawn_rectangle_after_the_cutout() {
        let augment = Augment { cutout: 2, random_erasing: 0.7, ..Augment::default() };
        let x = || Tensor::ones([30, 3, 12, 10], tch::kind::FLOAT_CPU);
        let after = augment.blank(x(), at(1)).unwrap();
        let cut = Augment { random_erasing: 0.0, ..augment }.blank(x(), at(1)).unwrap();
        let rectangles = augment.rectangles(&x(), at(1));
        for (index, part) in (0..).zip(&rectangles) {
            for (row, column) in (0..12).flat_map(|row| (0..10).map(move |column| (row, column))) {
                let erased = (part.top..part.top + part.height).contains(&row)
                    && (part.left..part.left + part.width).contains(&column);
                for channel in 0..3 {
                    let at = [index, channel, row, column];
                    let expected = if erased { 0.0 } else { cut.double_value(&at) };
                    assert_eq!(after.double_value(&at), expected, "{at:?}");
                }
            }
        }
        let erased = rectangles.iter().filter(|part| part.height > 0).count();
        assert!((10..30).contains(&erased), "{erased} of 30");
    }

    /// Everything at once, in the shapes that data sets have.
    #[test]
    fn equal_seeds_change_images_of_any_channels_equally() {
        let all = Augment {
            crop: 2,
            resized_crop: 0.3,
            flip: true,
            flip_vertical: true,
            cutout: 3,
            rand_augment: 9.0,
            color_jitter: 0.4,
            random_erasing: 0.5,
        };
        for channels in [1, 2, 3, 4] {
            let pixels = || {
                let all = Tensor::arange(60 * channels * 63, (Kind::Int64, Device::Cpu));
                (all * 37).remainder(251).to_kind(Kind::Uint8).view([60, channels, 9, 7])
            };
            let of = |at| {
                let placed = all.place(pixels(), at).unwrap();
                assert_eq!((placed.kind(), placed.size()), (Kind::Uint8, pixels().size()));
                all.blank(placed.to_kind(Kind::Float), at).unwrap()
            };
            assert_eq!(of(at(5)), of(at(5)));
            assert_ne!(of(at(5)), of(at(6)));
            assert_ne!(of(at(5)), of(At { seed: 4, ..at(5) }));
            assert_ne!(of(at(5)), of(At { stream: Stream::ArchAugment, ..at(5) }));
        }
    }
}
