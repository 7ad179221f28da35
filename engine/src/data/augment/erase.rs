//! Random erasing (arXiv:1708.04896): a rectangle of an image is blanked, with some probability.
//!
//! Drawn as torchvision's `RandomErasing` does: the area is a uniform share of the image's, the
//! logarithm of the aspect ratio is uniform, and the rectangle lies within the image. It is filled
//! with 0 of the normalised image, the mean of the data set.

use rand_xoshiro::Xoshiro256PlusPlus;

use super::resized::{Part, place};
use crate::state::seed::uniform;

/// Smallest and largest share of the image's area.
const AREA: [f64; 2] = [0.02, 0.33];
/// Smallest and largest aspect ratio, height over width.
const ASPECT: [f64; 2] = [0.3, 3.3];
/// Draws that may not fit into the image before it stays as it is.
const TRIES: usize = 10;

/// Draws the rectangle of an image of `height` × `width` pixels; of no size if none is erased.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "sides of images are small"
)]
pub(super) fn rectangle(
    (height, width): (i64, i64),
    probability: f64,
    generator: &mut Xoshiro256PlusPlus,
) -> Part {
    const NONE: Part = Part { top: 0, left: 0, height: 0, width: 0 };
    if uniform(generator) >= probability {
        return NONE;
    }
    for _ in 0..TRIES {
        let area = (AREA[0] + (AREA[1] - AREA[0]) * uniform(generator)) * (height * width) as f64;
        let [low, high] = ASPECT.map(f64::ln);
        let aspect = (low + (high - low) * uniform(generator)).exp();
        let sides =
            [(area * aspect).sqrt(), (area / aspect).sqrt()].map(|side| side.round() as i64);
        if sides[0] < height && sides[1] < width {
            return Part {
                top: place(height - sides[0], generator),
                left: place(width - sides[1], generator),
                height: sides[0],
                width: sides[1],
            };
        }
    }
    NONE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::seed::{Stream, generator};

    #[test]
    fn rectangles_have_the_probability_areas_and_aspect_ratios_of_the_definition() {
        let mut generator = generator(1, Stream::RandomErasing, 0);
        let all: Vec<Part> = (0..4000).map(|_| rectangle((60, 80), 0.25, &mut generator)).collect();
        let erased: Vec<&Part> = all.iter().filter(|part| part.height > 0).collect();
        assert!((900..1100).contains(&erased.len()), "{}", erased.len());
        for Part { top, left, height, width } in &erased {
            assert!(top + height <= 60 && left + width <= 80 && *top >= 0 && *left >= 0);
            let (area, aspect) = ((height * width) as f64 / 4800.0, *height as f64 / *width as f64);
            assert!((0.018..0.34).contains(&area), "{area}");
            assert!((0.25..3.6).contains(&aspect), "{aspect}");
        }
        let of = |test: fn(&Part) -> bool| erased.iter().filter(|part| test(part)).count();
        assert!(of(|part| part.height * part.width > 840) > 300);
        assert!(of(|part| part.height > part.width) > 300);
    }

    #[test]
    fn an_image_that_none_fits_stays_whole() {
        let mut generator = generator(1, Stream::RandomErasing, 0);
        assert!((0..50).all(|_| rectangle((1, 1), 1.0, &mut generator).height == 0));
    }
}
