//! What happens to the network that was found.

use serde::{Deserialize, Serialize};

use super::WeightOptimizerSpec;

/// What happens after the search: the likeliest architectures may be trained for a short time, of
/// which the best goes on. It is measured with the weights that it inherits, then, in any
/// combination, trained on from them and trained from scratch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AfterSpec {
    /// Training images over which batch norm's statistics are estimated anew.
    pub recalibrate_images: u64,
    /// Short trainings of the likeliest architectures.
    #[serde(default)]
    pub finalists: FinalistsSpec,
    /// Whose defaults the fields below have.
    pub recipe: Recipe,
    /// Training on from the inherited weights.
    pub fine_tune: StageSpec,
    /// Training from fresh weights.
    pub from_scratch: StageSpec,
    /// Which weights go into the result package.
    pub packaged: Packaged,
    /// How weights follow their gradient, in both trainings; likewise all that follows.
    pub optimizer: WeightOptimizerSpec,
    /// Images per step.
    pub batch_size: u64,
    /// Decay of the weights.
    pub weight_decay: f64,
    /// Whether norms' scales and shifts and all biases decay too.
    pub decay_all: bool,
    /// Largest norm of the gradient.
    pub clip: f64,
    /// Only the first so many training images; all if absent.
    pub limit: Option<u64>,
    /// How often in a row each image is taken, changed anew each time.
    pub repeats: u64,
    /// Side of a square at a random place that is blanked in each image; 0 for none.
    pub cutout: u64,
    /// Magnitude of `RandAugment`; 0 for none.
    pub rand_augment: f64,
    /// Strength of random changes of brightness, contrast and saturation; 0 for none.
    #[serde(default)]
    pub color_jitter: f64,
    /// Probability with which a random rectangle of an image is erased.
    #[serde(default)]
    pub random_erasing: f64,
    /// Share of a label that is spread over all classes.
    pub label_smoothing: f64,
    /// Parameter of the blends of two images; 0 for none.
    pub mixup: f64,
    /// Parameter of the rectangles pasted from another image; 0 for none.
    pub cutmix: f64,
    /// Share of the weights' average that a step keeps; 0 for no average.
    pub ema: f64,
    /// Probability, at the end of a training, with which an operation on an edge of a cell is left
    /// out for an image; absent where networks have no cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop_path: Option<f64>,
    /// Weight of the auxiliary head's loss, 0 for no head; absent where networks cannot have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auxiliary: Option<f64>,
}

/// Short trainings from scratch of the likeliest architectures, by successive halving: the worse
/// half of each round leaves, and the others are trained anew for twice as long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinalistsSpec {
    /// Architectures in the first round; 0 for none.
    pub count: u64,
    /// Rounds.
    pub rounds: u64,
    /// Epochs of each training of the first round.
    pub epochs: u64,
    /// Images of the weight split that each is trained on; all if absent.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Images of the architecture split that each answers.
    pub images: u64,
}

impl FinalistsSpec {
    /// How many architectures are trained in a round, counted from 0.
    #[must_use]
    pub fn entrants(&self, round: u64) -> u64 {
        (0..round).fold(self.count, |count, _| count.div_ceil(2))
    }

    /// Epochs of each training of a round.
    #[must_use]
    pub fn epochs_in(&self, round: u64) -> u64 {
        let doublings = u32::try_from(round).unwrap_or(u32::MAX);
        self.epochs.saturating_mul(2_u64.saturating_pow(doublings))
    }

    /// Epochs of all trainings together; no round is held for a single one.
    #[must_use]
    pub fn all_epochs(&self) -> u64 {
        let rounds = (0..self.rounds).take_while(|round| self.entrants(*round) > 1);
        let of = |round| self.entrants(round).saturating_mul(self.epochs_in(round));
        rounds.map(of).fold(0, u64::saturating_add)
    }

    /// Steps of all trainings together, where so many examples train weights.
    #[must_use]
    pub fn steps(&self, examples: u64, batch_size: u64) -> u64 {
        let examples = examples.min(self.limit.unwrap_or(u64::MAX));
        examples.div_ceil(batch_size.max(1)).saturating_mul(self.all_epochs())
    }
}

/// One training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageSpec {
    /// Passes over the images; 0 leaves the training out.
    pub epochs: u64,
    /// Learning rate at the start.
    pub lr: f64,
    /// Learning rate at the end (cosine schedule per step).
    pub lr_min: f64,
    /// Epochs, or parts of one, in which the learning rate rises to its start.
    pub warmup_epochs: f64,
}

/// A set of defaults for training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipe {
    /// SGD with Nesterov's momentum, nothing else.
    Plain,
    /// A usual recipe for small images.
    Cifar,
    /// The DARTS paper's final training.
    Darts,
    /// The final training of the conv macro space.
    ConvMacro,
    /// A recipe for vision transformers.
    Transformer,
    /// The final training of the language models over byte pairs.
    Language,
    /// The final training of the language models over characters.
    LanguageChar,
}

/// Which weights go into the result package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Packaged {
    /// Those with the highest accuracy on the validation images.
    Best,
    /// The inherited ones with recalibrated statistics.
    Recalibrated,
    /// The fine-tuned ones (their average, if one is kept).
    FineTuned,
    /// Those trained from scratch (their average, if one is kept).
    FromScratch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_finalists_leave_each_round_and_the_others_train_for_twice_as_long() {
        let spec = FinalistsSpec { count: 9, rounds: 4, epochs: 3, limit: None, images: 64 };
        let rounds: Vec<_> =
            (0..4).map(|round| (spec.entrants(round), spec.epochs_in(round))).collect();
        assert_eq!(rounds, [(9, 3), (5, 6), (3, 12), (2, 24)]);
        assert_eq!(spec.all_epochs(), 27 + 30 + 36 + 48);
        assert_eq!(FinalistsSpec { rounds: 9, ..spec }.all_epochs(), 27 + 30 + 36 + 48);
        assert_eq!(FinalistsSpec::default().all_epochs(), 0);
        let limited = FinalistsSpec { limit: Some(65), ..spec };
        assert_eq!([spec, limited].map(|spec| spec.steps(100, 32)), [4 * 141, 3 * 141]);
    }
}
