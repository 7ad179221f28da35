//! Candidates of a second stage: which there are, and what they score on the trained supernet.

use std::time::Instant;

use skein_core::choice::Architecture;
use skein_core::graph::Graph;
use skein_core::limits::Limits;
use skein_core::spec::Measure;

use super::breed::Domain;
use super::run::{EVALUATION_BATCH, Search};
use crate::EngineError;
use crate::data::Data;
use crate::train::evaluate::Score;
use crate::train::network::Network;

/// Words in the names of choices that decide on the network's structure.
const STRUCTURE: [&str; 3] = ["depth", "layers", "embed"];

/// The architectures of a graph.
#[derive(Debug)]
pub struct Candidates<'a> {
    graph: &'a Graph,
    options: Vec<usize>,
    structure: Vec<bool>,
    limits: Option<&'a Limits>,
    measure: Measure,
}

impl<'a> Candidates<'a> {
    /// The architectures of a graph that are within the limits.
    #[must_use]
    pub fn new(graph: &'a Graph, limits: Option<&'a Limits>) -> Self {
        let structure = graph.choices.iter().map(|choice| {
            let named = |word: &&str| choice.tensor.contains(*word);
            STRUCTURE.iter().any(named)
        });
        Self {
            options: graph.choices.iter().map(|choice| choice.options.len()).collect(),
            structure: structure.collect(),
            graph,
            limits,
            measure: Measure::default(),
        }
    }

    /// The same with this cost as the one that accuracy is traded for.
    #[must_use]
    pub fn priced(self, measure: Measure) -> Self {
        Self { measure, ..self }
    }
}

impl Domain for Candidates<'_> {
    fn options(&self) -> &[usize] {
        &self.options
    }

    fn decides(&self, genome: &Architecture) -> Vec<bool> {
        self.graph.deciding(genome)
    }

    fn is_structure(&self, gene: usize) -> bool {
        self.structure[gene]
    }

    /// Where only some choices keep an operation, as many as may do: others are dropped or drawn.
    fn settle(&self, genome: &mut Architecture, draw: &mut dyn FnMut(usize) -> usize) {
        for pruning in &self.graph.prunings {
            loop {
                let full = |id: &&usize| genome.0[**id] != pruning.none;
                let (kept, empty): (Vec<usize>, Vec<usize>) =
                    pruning.choices.iter().partition(|id| full(id));
                if kept.len() > pruning.keep {
                    genome.0[kept[draw(kept.len())]] = pruning.none;
                } else if kept.len() < pruning.keep && !empty.is_empty() {
                    let choice = empty[draw(empty.len())];
                    let option = draw(self.options[choice] - 1);
                    genome.0[choice] = option + usize::from(option >= pruning.none);
                } else {
                    break;
                }
            }
        }
    }

    fn allows(&self, genome: &Architecture) -> bool {
        self.limits.is_none_or(|limits| limits.allow(genome))
    }

    fn cost(&self, genome: &Architecture) -> u64 {
        // A genome of the space always has a cost.
        self.graph.cost(genome).map_or(u64::MAX, |cost| cost.of(self.measure))
    }

    fn refuge(&self) -> Option<&Architecture> {
        self.limits.map(Limits::refuge)
    }
}

/// The network of an architecture with the weights that it inherits and batch norm's statistics
/// estimated anew.
///
/// # Errors
/// - [`EngineError`] if the architecture does not belong to the space.
pub fn recalibrated(
    search: &Search,
    data: &Data,
    architecture: &Architecture,
    images: u64,
) -> Result<Network, EngineError> {
    let fixed = search.net.graph().specialise(architecture)?;
    let network = Network::inherited(fixed, &search.net.store, search.net.compute)?;
    recalibrate(network, search, data, images)
}

/// A network with batch norm's statistics estimated anew on images that train weights.
///
/// # Errors
/// - [`EngineError`] if libtorch refuses.
pub fn recalibrate(
    mut network: Network,
    search: &Search,
    data: &Data,
    images: u64,
) -> Result<Network, EngineError> {
    let positions = search.weight_positions(images);
    network.recalibrate(&data.train, &positions, EVALUATION_BATCH)?;
    Ok(network)
}

/// What an architecture scores on the images at these positions.
///
/// # Errors
/// - [`EngineError`] if the architecture does not belong to the space.
pub fn score(
    search: &Search,
    data: &Data,
    architecture: &Architecture,
    (positions, images): (&[i64], u64),
) -> Result<Score, EngineError> {
    let network = recalibrated(search, data, architecture, images)?;
    network.score(&data.train, positions, EVALUATION_BATCH)
}

/// Seconds that a candidate takes, measured on a few images of this one.
///
/// # Errors
/// - [`EngineError`] if the architecture does not belong to the space.
#[expect(clippy::cast_precision_loss, reason = "images are few")]
pub fn seconds(
    search: &Search,
    data: &Data,
    architecture: &Architecture,
    (positions, images): (&[i64], u64),
) -> Result<f64, EngineError> {
    // The first batch also finds kernels and memory.
    let batch = EVALUATION_BATCH as u64;
    let network = recalibrated(search, data, architecture, batch.min(images))?;
    let probe = &positions[..positions.len().min(2 * EVALUATION_BATCH)];
    let begun = Instant::now();
    network.score(&data.train, probe, EVALUATION_BATCH)?;
    let image_s = begun.elapsed().as_secs_f64() / probe.len().max(1) as f64;
    Ok(image_s * search.candidate_images(images) as f64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use skein_core::spaces::{self, darts};
    use skein_core::spec::{ConstraintsSpec, Sharing, SpaceSpec};

    use super::super::evolve::{Evolution, Rules};
    use super::*;

    /// A space of pruned choices, with its limits at a third of the way from none to all.
    fn pruned() -> (Graph, Limits) {
        let SpaceSpec::Darts(mut options) = (darts::PRESET.defaults)() else {
            panic!("the preset is another space")
        };
        (options.channels, options.cells, options.nodes) = (2, 3, 3);
        let space = SpaceSpec::Darts(options);
        let graph = spaces::build(&space, darts::PRESET.shape, Sharing::Entangled).unwrap();
        let range = graph.cost_range().unwrap();
        let max = range.min.params + (range.max.params - range.min.params) / 3;
        let spec = ConstraintsSpec { max_params: Some(max), ..ConstraintsSpec::default() };
        let limits = Limits::of(&graph, &spec).unwrap().unwrap();
        (graph, limits)
    }

    #[test]
    fn evolution_of_a_pruned_space_tries_only_what_can_be_derived() {
        let (graph, limits) = pruned();
        let domain = Candidates::new(&graph, Some(&limits));
        let rules = Rules {
            population: 12,
            parents: 4,
            mutations: 5,
            crossovers: 4,
            mutation_prob: 0.3,
            structure_prob: 0.3,
            generations: 5,
            trades: false,
        };
        let mut evolution = Evolution::new(rules, 3, &domain);
        // As many fifth options as there are: they must be found, and never too many.
        while let Some(next) = evolution.next().cloned() {
            let right = next.0.iter().filter(|gene| **gene == 4).count();
            let accuracy = f64::from(u8::try_from(right).unwrap()) / 12.0;
            evolution.tell(&domain, Score { loss: 1.0 - accuracy, accuracy });
        }
        let mut seen = HashSet::new();
        for tried in evolution.tried() {
            let genome = &tried.architecture;
            for pruning in &graph.prunings {
                let kept = pruning.choices.iter().filter(|id| genome.0[**id] != pruning.none);
                assert_eq!(kept.count(), pruning.keep, "{genome:?}");
            }
            assert!(limits.allow(genome) && seen.insert(genome.clone()));
        }
        assert_eq!(seen.len(), 60);
        let first = evolution.tried()[..12].iter().map(|tried| tried.accuracy.0);
        let best = evolution.best().unwrap().accuracy.0;
        assert!(best > first.fold(0.0, f64::max), "{best}");
        let again = Evolution::resume(rules, 3, &domain, &evolution.tried()[..40]).unwrap();
        assert_eq!(again.next(), Some(&evolution.tried()[40].architecture));
    }
}
