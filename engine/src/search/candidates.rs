//! Candidates of a second stage: which there are, and what they score on the trained supernet.

use skein_core::choice::Architecture;
use skein_core::graph::Graph;
use skein_core::limits::Limits;

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
        }
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
    let mut network = Network::inherited(fixed, &search.net.store, search.net.compute)?;
    let positions = search.weight_positions(images);
    network.recalibrate(&data.train, &positions, EVALUATION_BATCH)?;
    Ok(network)
}

/// What an architecture scores on the validation images.
///
/// # Errors
/// - [`EngineError`] if the architecture does not belong to the space.
pub fn score(
    search: &Search,
    data: &Data,
    architecture: &Architecture,
    images: u64,
) -> Result<Score, EngineError> {
    let network = recalibrated(search, data, architecture, images)?;
    network.score(&data.train, search.valid_positions(), EVALUATION_BATCH)
}
