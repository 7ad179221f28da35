//! The second stage of a search.

use serde::{Deserialize, Serialize};

use super::Measure;

/// How architectures are compared on the trained supernet, once it is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SecondStageSpec {
    /// Not at all: the rows tell the architecture.
    None,
    /// Uniform random candidates, all different.
    Random {
        /// How many.
        candidates: u64,
        /// Images of the architecture split that each of them answers.
        images: u64,
    },
    /// The same candidates, by which options are judged instead: what each adds to the scores.
    Effects {
        /// How many candidates.
        candidates: u64,
        /// Images of the architecture split that each of them answers.
        images: u64,
        /// A smaller size may be so much worse than the best size of its kind and is still taken: as
        /// a share of the images, of a text in nats.
        tolerance: f64,
    },
    /// Mutation and crossover of the best candidates so far.
    Evolution {
        /// Candidates of a generation.
        population: u64,
        /// Best candidates so far that may have children.
        parents: u64,
        /// Children of one parent in each generation.
        mutations: u64,
        /// Children of two parents in each generation.
        crossovers: u64,
        /// Probability with which a mutation draws a choice anew.
        mutation_prob: f64,
        /// The same for choices of depth and of the embedding's width.
        structure_prob: f64,
        /// Generations, the random first one included.
        generations: u64,
        /// Images of the architecture split that each candidate answers.
        images: u64,
    },
    /// NSGA-II: a front of accuracy against cost.
    Pareto {
        /// What accuracy is traded for.
        cost: Measure,
        /// Candidates of a generation, and of those that survive it.
        population: u64,
        /// Children of one parent in each generation.
        mutations: u64,
        /// Children of two parents in each generation.
        crossovers: u64,
        /// Probability with which a mutation draws a choice anew.
        mutation_prob: f64,
        /// The same for choices of depth and of the embedding's width.
        structure_prob: f64,
        /// Generations, the random first one included.
        generations: u64,
        /// Images of the architecture split that each candidate answers.
        images: u64,
    },
}

impl SecondStageSpec {
    /// Candidates that are compared at most.
    #[must_use]
    pub fn candidates(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Random { candidates, .. } | Self::Effects { candidates, .. } => *candidates,
            Self::Evolution { population, generations, .. }
            | Self::Pareto { population, generations, .. } => population * generations,
        }
    }

    /// Generations of candidates.
    #[must_use]
    pub fn generations(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Random { .. } | Self::Effects { .. } => 1,
            Self::Evolution { generations, .. } | Self::Pareto { generations, .. } => *generations,
        }
    }

    /// Images of the architecture split that each candidate answers, if there are so many.
    #[must_use]
    pub fn images(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Random { images, .. }
            | Self::Effects { images, .. }
            | Self::Evolution { images, .. }
            | Self::Pareto { images, .. } => *images,
        }
    }
}
