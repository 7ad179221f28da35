//! What happens to the network that was found.

use serde::{Deserialize, Serialize};

use super::WeightOptimizerSpec;

/// What happens to the network that was found: it is measured with the weights that it inherits,
/// then, in any combination, trained on from them and trained from scratch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AfterSpec {
    /// Training images over which batch norm's statistics are estimated anew.
    pub recalibrate_images: u64,
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
