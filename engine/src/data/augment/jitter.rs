//! Colour jitter: another brightness, contrast and saturation for each image.
//!
//! As torchvision's `ColorJitter` with one strength for all three: each factor is uniform within
//! `1 - strength..=1 + strength`, and the three changes are done in a random order. Between them
//! values stay within bytes' range but are not rounded. Only images of three channels have colours;
//! any other image keeps its saturation, and all its channels change alike.

use rand_xoshiro::Xoshiro256PlusPlus;
use tch::{Kind, Tensor};

use super::column;
use crate::EngineError;
use crate::data::rand_augment::grey;
use crate::state::seed::{below, uniform};

/// A change of an image's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Brightness,
    Contrast,
    Saturation,
}

const CHANGES: [Change; 3] = [Change::Brightness, Change::Contrast, Change::Saturation];

/// The three changes of an image in their order, each with its factor.
type Drawn = [(Change, f64); 3];

/// Draws what happens to an image.
fn draw(strength: f64, generator: &mut Xoshiro256PlusPlus) -> Drawn {
    let mut drawn =
        CHANGES.map(|change| (change, 1.0 + strength * (2.0 * uniform(generator) - 1.0)));
    for last in (1..drawn.len()).rev() {
        drawn.swap(last, below(generator, last + 1));
    }
    drawn
}

/// Changes images `[batch, channels, height, width]` of bytes.
pub(super) fn apply(
    pixels: &Tensor,
    strength: f64,
    generator: &mut Xoshiro256PlusPlus,
) -> Result<Tensor, EngineError> {
    let count = usize::try_from(pixels.size()[0]).unwrap_or(0);
    let drawn: Vec<Drawn> = (0..count).map(|_| draw(strength, generator)).collect();
    change(pixels, &drawn)
}

fn change(pixels: &Tensor, drawn: &[Drawn]) -> Result<Tensor, EngineError> {
    let mut x = pixels.f_to_kind(Kind::Float)?;
    let coloured = x.size()[1] == 3;
    for turn in 0..CHANGES.len() {
        for change in CHANGES.into_iter().filter(|change| coloured || *change != Change::Saturation)
        {
            let of = drawn.iter().zip(0_i64..).filter_map(|(image, at)| {
                let (drawn, factor) = image[turn];
                (drawn == change).then_some((at, factor))
            });
            let (at, factors): (Vec<i64>, Vec<f64>) = of.unzip();
            if at.is_empty() {
                continue;
            }
            let at = Tensor::f_from_slice(&at)?.f_to(x.device())?;
            let factors = column(&factors, x.device())?.f_to_kind(Kind::Float)?;
            let some = x.f_index_select(0, &at)?;
            let far = match change {
                Change::Brightness => &some * &factors,
                Change::Contrast => {
                    let mean = grey(&some).mean_dim([1, 2, 3].as_slice(), true, Kind::Float);
                    &mean + (&some - &mean) * &factors
                }
                Change::Saturation => {
                    let pale = grey(&some);
                    &pale + (&some - &pale) * &factors
                }
            };
            x = x.f_index_copy_(0, &at, &far.clamp(0.0, 255.0))?;
        }
    }
    Ok(x.f_round_()?.f_to_kind(Kind::Uint8)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::seed::{Stream, generator};

    fn images(channels: i64) -> Tensor {
        let all = Tensor::arange(40 * channels * 30, (Kind::Int64, tch::Device::Cpu));
        (all * 47).remainder(256).to_kind(Kind::Uint8).view([40, channels, 5, 6])
    }

    fn luma(pixel: &[f64]) -> f64 {
        match pixel {
            [r, g, b] => 0.299 * r + 0.587 * g + 0.114 * b,
            other => other.iter().sum::<f64>() / other.len() as f64,
        }
    }

    /// Pixel by pixel, as the definition says. `image` holds the channels of each pixel.
    fn by_hand(mut image: Vec<Vec<f64>>, drawn: &Drawn) -> Vec<Vec<f64>> {
        for (change, factor) in drawn {
            let mean = image.iter().map(|pixel| luma(pixel)).sum::<f64>() / image.len() as f64;
            for pixel in &mut image {
                let other = match change {
                    Change::Brightness => 0.0,
                    Change::Contrast => mean,
                    Change::Saturation if pixel.len() != 3 => continue,
                    Change::Saturation => luma(pixel),
                };
                for value in pixel {
                    *value = (factor * *value + (1.0 - factor) * other).clamp(0.0, 255.0);
                }
            }
        }
        image
    }

    #[test]
    fn each_image_is_changed_as_drawn() {
        for channels in [1, 3, 4] {
            let before = images(channels);
            let mut generator = generator(1, Stream::ColorJitter, 0);
            let drawn: Vec<Drawn> = (0..40).map(|_| draw(0.4, &mut generator)).collect();
            let after = change(&before, &drawn).unwrap();
            assert_eq!((after.kind(), after.size()), (Kind::Uint8, before.size()));
            for (index, drawn) in (0..).zip(&drawn) {
                let pixels = |images: &Tensor| {
                    let all = images.get(index).view([channels, -1]).transpose(0, 1);
                    Vec::<Vec<f64>>::try_from(all.to_kind(Kind::Double)).unwrap()
                };
                let expected = by_hand(pixels(&before), drawn).concat();
                let found = pixels(&after).concat();
                let apart = expected.iter().zip(&found).map(|(a, b)| (a - b).abs());
                assert!(apart.fold(0.0, f64::max) < 0.501, "image {index}: {drawn:?}");
            }
        }
    }

    #[test]
    fn factors_lie_within_the_strength_and_all_orders_occur() {
        let mut generator = generator(1, Stream::ColorJitter, 0);
        let drawn: Vec<Drawn> = (0..200).map(|_| draw(0.3, &mut generator)).collect();
        let factors = || drawn.iter().flatten().map(|(_, factor)| *factor);
        assert!(factors().all(|factor| (0.7..=1.3).contains(&factor)));
        assert!(factors().any(|factor| factor < 0.75) && factors().any(|factor| factor > 1.25));
        let mut orders: Vec<String> =
            drawn.iter().map(|image| format!("{:?}", image.map(|(change, _)| change))).collect();
        orders.sort_unstable();
        orders.dedup();
        assert_eq!(orders.len(), 6);
    }
}
