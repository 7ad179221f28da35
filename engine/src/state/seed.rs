//! Counted randomness: every draw is seeded by (run seed, stream, step).
//!
//! No generator state is kept between steps, so a resumed run needs none and draws the same.

use std::sync::{Mutex, PoisonError};

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use tch::{Cuda, Device};

/// What a draw is for; streams never share numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Stream {
    /// Start values of the supernet's weights.
    Weights = 1,
    /// Start values of the rows.
    Rows = 2,
    /// Order of the weight split; the step is the epoch.
    WeightOrder = 3,
    /// Order of the architecture split; the step is the pass over it.
    ArchOrder = 4,
    /// Rows drawn for an architecture step.
    ArchDraw = 5,
    /// Rows drawn for a weight step.
    WeightDraw = 6,
    /// Dropout of an architecture step.
    ArchDropout = 7,
    /// Dropout of a weight step.
    WeightDropout = 8,
    /// Rows drawn while validating.
    ValidDraw = 9,
    /// Candidates of a random search.
    Candidates = 10,
    /// Start values of a network trained from scratch.
    FitWeights = 11,
    /// Order of its data; the step is the epoch.
    FitOrder = 12,
    /// Its dropout.
    FitDropout = 13,
    /// Changes of the weight split's images.
    WeightAugment = 30,
    /// Changes of the architecture split's images.
    ArchAugment = 31,
    /// Changes of the images of a training from scratch.
    FitAugment = 32,
    /// Mixtures of those.
    FitMix = 33,
    /// Order of the data of a fine-tuning.
    FineTuneOrder = 34,
    /// Its dropout.
    FineTuneDropout = 35,
    /// Changes of its images.
    FineTuneAugment = 36,
    /// Mixtures of those.
    FineTuneMix = 37,
    /// Operations of `RandAugment`; seeded by the draw of the other changes.
    RandAugment = 38,
    /// Start values of the auxiliary head of a fine-tuning.
    FineTuneHead = 39,
    /// Children of an evolution; the step is the generation.
    Breed = 40,
    /// Channels that new ones start as copies of; the step is the edge and its channels before.
    Widen = 41,
    /// Tokens that continue a prompt; the step is the token's place.
    Continuation = 50,
    /// Whether images are mirrored top to bottom; seeded by the draw of the other changes, like the
    /// next three.
    FlipVertical = 60,
    /// Parts of images that are scaled to their whole size.
    ResizedCrop = 61,
    /// Brightness, contrast and saturation.
    ColorJitter = 62,
    /// Rectangles that are erased.
    RandomErasing = 63,
    /// Which training examples are for what; seeded by the seed of the split.
    Split = 64,
    /// Which images candidates of a second stage answer.
    Compared = 65,
    /// Seeds of the trainings of finalists; the step is the round.
    Finalists = 66,
}

/// The seed of one draw.
#[must_use]
pub fn derive(seed: u64, stream: Stream, step: u64) -> u64 {
    mix(mix(mix(seed) ^ stream as u64) ^ step)
}

/// A generator for one draw.
#[must_use]
pub fn generator(seed: u64, stream: Stream, step: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(derive(seed, stream, step))
}

/// Draws with libtorch's generators, seeded by a number of [`derive()`].
///
/// The generators belong to the whole process, so seeding and drawing are one step: no other
/// draw of this kind can come between. `draw` must not call this again.
#[expect(clippy::cast_possible_wrap, reason = "all 64 bits count")]
pub fn seeded<T>(seed: u64, device: Device, draw: impl FnOnce() -> T) -> T {
    static GENERATORS: Mutex<()> = Mutex::new(());
    let _held = GENERATORS.lock().unwrap_or_else(PoisonError::into_inner);
    tch::manual_seed(seed as i64);
    if device.is_cuda() {
        Cuda::manual_seed_all(seed);
    }
    draw()
}

/// A random order of `0..count` (Fisher–Yates).
#[must_use]
pub fn permutation(count: usize, seed: u64, stream: Stream, step: u64) -> Vec<i64> {
    let mut generator = generator(seed, stream, step);
    let mut order: Vec<i64> = (0..i64::try_from(count).unwrap_or(0)).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, below(&mut generator, last + 1));
    }
    order
}

/// A uniform number in `0..bound`, without bias.
pub fn below(generator: &mut Xoshiro256PlusPlus, bound: usize) -> usize {
    use rand::Rng;
    let bound = bound as u64;
    let limit = u64::MAX - u64::MAX % bound;
    loop {
        let drawn = generator.next_u64();
        if drawn < limit {
            return usize::try_from(drawn % bound).unwrap_or(0);
        }
    }
}

/// A uniform number in `0..1`, a multiple of 2⁻⁵³.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
pub fn uniform(generator: &mut Xoshiro256PlusPlus) -> f64 {
    use rand::Rng;
    (generator.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_differ_by_seed_stream_and_step_and_repeat() {
        let all = [
            (1, Stream::Rows, 0),
            (2, Stream::Rows, 0),
            (1, Stream::Weights, 0),
            (1, Stream::Rows, 1),
        ];
        let mut seeds: Vec<u64> =
            all.iter().map(|(seed, stream, step)| derive(*seed, *stream, *step)).collect();
        assert_eq!(seeds[0], derive(1, Stream::Rows, 0));
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), all.len());
    }

    #[test]
    fn draws_on_many_threads_do_not_disturb_each_other() {
        let draw = |seed| {
            let tensor = seeded(seed, Device::Cpu, || {
                let parts: Vec<_> =
                    (0..8).map(|_| tch::Tensor::rand([64], tch::kind::DOUBLE_CPU)).collect();
                tch::Tensor::cat(&parts, 0)
            });
            Vec::<f64>::try_from(&tensor).unwrap()
        };
        let alone: Vec<_> = (0..4).map(draw).collect();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4_u64)
                .map(|seed| scope.spawn(move || (0..50).map(|_| draw(seed)).collect::<Vec<_>>()))
                .collect();
            for (thread, expected) in threads.into_iter().zip(&alone) {
                assert!(thread.join().unwrap().iter().all(|drawn| drawn == expected));
            }
        });
    }

    #[test]
    fn a_permutation_holds_every_index_once() {
        let order = permutation(1000, 7, Stream::WeightOrder, 3);
        assert_ne!(order, permutation(1000, 7, Stream::WeightOrder, 4));
        let mut sorted = order;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<i64>>());
    }
}
