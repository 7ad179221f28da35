//! What fits the data: the size that networks should read, and the fields of a specification.

use skein_core::dataset::report::{Setting, Suggestion};

use crate::look::Look;

/// Sides that are suggested. A search on a CPU takes no larger ones in reasonable time; larger ones
/// are taken if they are asked for.
const SIDES: [u32; 4] = [28, 32, 48, 64];

/// The side that images should have: their own, if all are squares of one size up to 64 pixels;
/// else the largest of 28, 32, 48 and 64 that the median of their short sides reaches, so that most
/// images are made smaller and few larger; 28 if it reaches none.
pub(crate) fn side(look: &Look) -> u32 {
    let mut sides = look.sides.keys();
    if let (Some((width, height)), None) = (sides.next(), sides.next())
        && width == height
        && *width <= SIDES[3]
        && *width >= 8
    {
        return *width;
    }
    let short = look.short_side();
    SIDES.into_iter().rev().find(|side| *side <= short).unwrap_or(SIDES[0])
}

/// The suggestion for a report.
pub(crate) fn suggestion(
    size: u32,
    channels: u32,
    (mean, std): (Vec<f64>, Vec<f64>),
) -> Suggestion {
    let stem = if size <= SIDES[3] {
        "one convolution that keeps the size"
    } else {
        "two convolutions that halve the size each"
    };
    let mut augmentation = vec![Setting {
        field: "dataset.crop".to_owned(),
        value: (size / 8).into(),
        why: "an eighth of the side, as usual: images that are shifted a little show the same"
            .to_owned(),
    }];
    augmentation.push(if channels >= 3 {
        Setting {
            field: "dataset.flip".to_owned(),
            value: true.into(),
            why:
                "colour images are mostly photographs, which show the same mirrored; switch it off \
                  if left and right differ, as in texts or signs"
                    .to_owned(),
        }
    } else {
        Setting {
            field: "dataset.flip".to_owned(),
            value: false.into(),
            why: "grey images are often letters or digits, which mirrored are others".to_owned(),
        }
    });
    Suggestion { size, channels, mean, std, stem: stem.to_owned(), augmentation }
}
