//! Candidates of a second stage: which there are, and what they score on the trained supernet.

use skein_core::choice::Architecture;
use skein_core::graph::Graph;

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
}

impl<'a> Candidates<'a> {
    /// All architectures of a graph.
    #[must_use]
    pub fn new(graph: &'a Graph) -> Self {
        let structure = graph.choices.iter().map(|choice| {
            let named = |word: &&str| choice.tensor.contains(*word);
            STRUCTURE.iter().any(named)
        });
        Self {
            options: graph.choices.iter().map(|choice| choice.options.len()).collect(),
            structure: structure.collect(),
            graph,
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

    fn allows(&self, _genome: &Architecture) -> bool {
        true
    }

    fn refuge(&self) -> Option<&Architecture> {
        None
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
