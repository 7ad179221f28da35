//! The trainings that may follow a search.

use serde::{Deserialize, Serialize};
use skein_core::event::PhaseName;
use skein_core::spec::{AfterSpec, StageSpec};

use crate::state::seed::Stream;

/// A training after the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// From the inherited weights.
    FineTune,
    /// From fresh weights.
    FromScratch,
    /// From fresh weights, for a short time, of an architecture that may become the derived one.
    Finalist,
}

/// The streams of a stage's draws.
#[derive(Debug, Clone, Copy)]
pub struct Streams {
    /// Order of the images.
    pub order: Stream,
    /// Changes of the images.
    pub augment: Stream,
    /// Mixtures of the images.
    pub mix: Stream,
    /// Dropout.
    pub dropout: Stream,
}

impl Stage {
    /// The trainings of the derived network, in the order in which they run.
    pub const OF_DERIVED: [Self; 2] = [Self::FineTune, Self::FromScratch];

    /// What is asked for; of a finalist all but its epochs.
    #[must_use]
    pub fn spec(self, after: &AfterSpec) -> &StageSpec {
        match self {
            Self::FineTune => &after.fine_tune,
            Self::FromScratch | Self::Finalist => &after.from_scratch,
        }
    }

    /// The part of the run.
    #[must_use]
    pub fn phase(self) -> PhaseName {
        match self {
            Self::FineTune => PhaseName::FineTune,
            Self::FromScratch => PhaseName::Fit,
            Self::Finalist => PhaseName::Finalists,
        }
    }

    /// The rung of the ladder; the average of the weights has one of its own. Finalists have none.
    #[must_use]
    pub fn rung(self, averaged: bool) -> &'static str {
        match (self, averaged) {
            (Self::FineTune, false) => "fine_tuned",
            (Self::FineTune, true) => "fine_tuned_ema",
            (Self::FromScratch, false) => "from_scratch",
            (Self::FromScratch, true) => "from_scratch_ema",
            (Self::Finalist, _) => "finalist",
        }
    }

    /// Name of its tensors in a checkpoint.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::FineTune => "fine_tune",
            Self::FromScratch => "fit",
            Self::Finalist => "finalist",
        }
    }

    /// Where its draws come from; those of finalists have seeds of their own.
    #[must_use]
    pub fn streams(self) -> Streams {
        match self {
            Self::FineTune => Streams {
                order: Stream::FineTuneOrder,
                augment: Stream::FineTuneAugment,
                mix: Stream::FineTuneMix,
                dropout: Stream::FineTuneDropout,
            },
            Self::FromScratch | Self::Finalist => Streams {
                order: Stream::FitOrder,
                augment: Stream::FitAugment,
                mix: Stream::FitMix,
                dropout: Stream::FitDropout,
            },
        }
    }
}
