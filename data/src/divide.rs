//! Which examples are trained on and which are held out, and in which order they lie.
//!
//! * Without a test split, a share of each class is drawn, at least one image of a class that has
//!   two.
//! * What is held out is not learned: a copy of a test image is taken out of training and
//!   validation, a copy of a validation image out of training.
//! * Each split is shuffled once, so that the first so many images are a fair sample.

use std::collections::{BTreeSet, HashMap, HashSet};

use rand::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::layout::{Example, Split};
use crate::spool::Digest;

/// Examples by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Divided {
    pub(crate) train: Vec<usize>,
    pub(crate) valid: Vec<usize>,
    pub(crate) test: Vec<usize>,
    /// Left out of training or validation, since a copy of them is held out.
    pub(crate) leaked: Vec<usize>,
    /// Copies of an image before them in the same split, of the same class.
    pub(crate) copies: Vec<usize>,
    /// Copies of an image that has another class.
    pub(crate) conflicts: Vec<usize>,
    /// Whether the test split was drawn.
    pub(crate) drawn: bool,
}

impl Divided {
    /// The splits in the order in which they are written.
    pub(crate) fn splits(&self) -> [(Split, &[usize]); 3] {
        [(Split::Train, &self.train), (Split::Valid, &self.valid), (Split::Test, &self.test)]
    }
}

/// Divides the examples that are good; `share` of each class is drawn if none are for the test.
pub(crate) fn divide(examples: &[Example], good: &[usize], share: f64, seed: u64) -> Divided {
    let all: Vec<(usize, &Example)> =
        good.iter().filter_map(|at| examples.get(*at).map(|example| (*at, example))).collect();
    let drawn = !all.iter().any(|(_, example)| example.split == Split::Test);
    let held = if drawn { draw(&all, share, seed) } else { HashSet::new() };
    let split =
        |at: usize, example: &Example| if held.contains(&at) { Split::Test } else { example.split };
    let mut divided = Divided { drawn, ..Divided::default() };
    let mut first: HashMap<Digest, (Split, u32)> = HashMap::with_capacity(all.len());
    for of in [Split::Test, Split::Valid, Split::Train] {
        for (at, example) in all.iter().filter(|(at, example)| split(*at, example) == of) {
            let known = first.get(&example.digest).copied();
            if known.is_some_and(|(_, label)| label != example.label) {
                divided.conflicts.push(*at);
            }
            match known {
                Some((other, _)) if other != of => {
                    divided.leaked.push(*at);
                    continue;
                }
                Some((_, label)) if label == example.label => divided.copies.push(*at),
                Some(_) => {}
                None => drop(first.insert(example.digest, (of, example.label))),
            }
            match of {
                Split::Test => divided.test.push(*at),
                Split::Valid => divided.valid.push(*at),
                Split::Train => divided.train.push(*at),
            }
        }
    }
    shuffle(&mut divided.train, seed, 1);
    shuffle(&mut divided.valid, seed, 2);
    shuffle(&mut divided.test, seed, 3);
    divided
}

/// Draws a share of each class out of the training images, each content once.
fn draw(all: &[(usize, &Example)], share: f64, seed: u64) -> HashSet<usize> {
    let mut seen = HashSet::with_capacity(all.len());
    let mut classes: HashMap<u32, Vec<usize>> = HashMap::new();
    for (at, example) in all {
        if example.split == Split::Train && seen.insert(example.digest) {
            classes.entry(example.label).or_default().push(*at);
        }
    }
    let labels: BTreeSet<u32> = classes.keys().copied().collect();
    let mut held = HashSet::new();
    for label in labels {
        let mut class = classes.remove(&label).unwrap_or_default();
        shuffle(&mut class, seed, 16 + u64::from(label));
        held.extend(class.iter().take(held_out(class.len(), share)));
    }
    held
}

/// How many of a class are held out: at least one, and never all.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are far below 2^52"
)]
fn held_out(count: usize, share: f64) -> usize {
    if count < 2 {
        return 0;
    }
    ((count as f64 * share).round() as usize).clamp(1, count - 1)
}

/// Fisher and Yates, by a generator that is seeded for this use alone.
fn shuffle(order: &mut [usize], seed: u64, stream: u64) {
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(mix(mix(seed) ^ stream));
    for last in (1..order.len()).rev() {
        order.swap(last, below(&mut generator, last as u64 + 1));
    }
}

/// A uniform number in `0..bound`, without bias.
fn below(generator: &mut Xoshiro256PlusPlus, bound: u64) -> usize {
    let limit = u64::MAX - u64::MAX % bound;
    loop {
        let drawn = generator.next_u64();
        if drawn < limit {
            return usize::try_from(drawn % bound).unwrap_or(0);
        }
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
