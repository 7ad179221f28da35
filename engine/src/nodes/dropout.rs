//! Dropout with counted randomness.
//!
//! libtorch's CPU generator is serial; masks are drawn here from a generator of our own, sixteen
//! bits an element, and laid out as the map lies in memory.

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use skein_core::graph::{Dropout, Unit};
use tch::{Kind, Tensor};

use crate::state::seed::seeded;

/// Elements of a mask that are drawn at a time, a multiple of the four that one number gives: the
/// whole lies in libtorch's memory alone, which fails where it cannot be had instead of aborting.
const PIECE: i64 = 1 << 18;

/// Zeroes elements, whole channels or whole examples with the probability that `dropout` says and scales the
/// rest up.
pub fn forward(dropout: &Dropout, x: &Tensor, seed: u64) -> Tensor {
    let p = dropout.p;
    if p <= 0.0 {
        return x.shallow_clone();
    }
    let mut size = x.size();
    let together = match dropout.unit {
        Unit::Element => size.len(),
        Unit::Channel => 2,
        Unit::Example => 1,
    };
    size.iter_mut().skip(together).for_each(|side| *side = 1);
    let mask = if x.device().is_cuda() {
        // Drawn where the data is.
        let drawn = || Tensor::empty(size.as_slice(), (x.kind(), x.device())).bernoulli_p(1.0 - p);
        seeded(seed, x.device(), drawn) / (1.0 - p)
    } else {
        let count = size.iter().product::<i64>();
        let flat = Tensor::empty([count], (Kind::Float, x.device()));
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut start = 0;
        while start < count {
            let mut place = flat.narrow(0, start, (count - start).min(PIECE));
            let piece = mask(place.numel(), p, &mut generator);
            place.copy_(&Tensor::from_slice(&piece));
            start += PIECE;
        }
        match size[..] {
            [batch, channels, height, width] => {
                flat.view([batch, height, width, channels]).permute([0, 3, 1, 2])
            }
            _ => flat.view(size.as_slice()),
        }
    };
    x * if x.kind() == Kind::Float { mask } else { mask.to_kind(x.kind()) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "p is within 0..1")]
fn mask(count: usize, p: f64, generator: &mut Xoshiro256PlusPlus) -> Vec<f32> {
    let threshold = (p * 65536.0).round() as u16;
    let keep = (1.0 / (1.0 - f64::from(threshold) / 65536.0)) as f32;
    let mut mask = vec![0.0; count.next_multiple_of(4)];
    // Drawn into a small buffer first, so that comparing takes a handful of vector instructions.
    let mut drawn = [0_u16; 1024];
    for part in mask.chunks_mut(drawn.len()) {
        for four in drawn[..part.len()].as_chunks_mut::<4>().0 {
            let number = generator.next_u64();
            *four = [0, 16, 32, 48].map(|shift| (number >> shift) as u16);
        }
        for (element, drawn) in part.iter_mut().zip(&drawn) {
            *element = if *drawn < threshold { 0.0 } else { keep };
        }
    }
    mask.truncate(count);
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_zeros_and_the_mean_are_right() {
        let count = 1 << 20;
        let mask = mask(count, 0.2, &mut Xoshiro256PlusPlus::seed_from_u64(11));
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let zeros = mask.iter().filter(|value| **value == 0.0).count() as f64 / count as f64;
        // Four standard errors of a share of 0.2 over 2^20 draws.
        assert!((zeros - 0.2).abs() < 0.0016, "{zeros}");
        let x = Tensor::ones([8, 4, 6, 6], (Kind::Float, tch::Device::Cpu));
        let drop = |p| Dropout::elements(p);
        assert_eq!(forward(&drop(0.2), &x, 5), forward(&drop(0.2), &x, 5));
        assert_ne!(forward(&drop(0.2), &x, 5), forward(&drop(0.2), &x, 6));
        assert_eq!(forward(&drop(0.0), &x, 5), x);
    }

    #[test]
    fn a_mask_of_several_pieces_is_drawn_as_one() {
        let count = 2 * PIECE + 7;
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(5);
        let one = mask(usize::try_from(count).unwrap(), 0.3, &mut generator);
        let x = Tensor::ones([count], (Kind::Float, tch::Device::Cpu));
        assert_eq!(forward(&Dropout::elements(0.3), &x, 5), Tensor::from_slice(&one));
    }

    #[test]
    fn channels_are_dropped_whole() {
        let x = Tensor::ones([16, 32, 3, 3], (Kind::Float, tch::Device::Cpu));
        let out = forward(&Dropout::channels(0.5), &x, 5);
        let sums = out.sum_dim_intlist([2_i64, 3].as_slice(), false, Kind::Float);
        let sums: Vec<f32> = Vec::try_from(sums.reshape([-1])).unwrap();
        let kept = sums.iter().filter(|sum| **sum == 18.0).count();
        assert_eq!(kept + sums.iter().filter(|sum| **sum == 0.0).count(), 512);
        assert!((200..312).contains(&kept), "{kept}");
    }
}
