//! A run that searches nothing: one given architecture, perhaps with weights of another run.

use std::path::Path;

use skein_core::choice::Architecture;
use skein_core::dataset::DataShape;
use skein_core::graph::{FixedNetwork, Graph, GraphError};
use skein_core::spaces::{self, transfer};
use skein_core::spec::{Inherit, RunSpec};
use skein_core::{folder, package};

use super::again::no_checkpoint;
use super::{Context, read_spec, snapshot, warn_of};
use crate::EngineError;
use crate::search::run::Search;
use crate::state::checkpoint::newest_in;
use crate::state::seed::Stream;
use crate::store::Store;
use crate::train::network::Network;
use crate::worker::package::model;

impl Context<'_> {
    /// The architecture that was given, if one was.
    pub(super) fn given(&self, graph: &Graph) -> Result<Option<Architecture>, EngineError> {
        let Some(text) = self.spec.search.optimizer.given() else { return Ok(None) };
        let preset = self.spec.space.preset();
        let architecture = Architecture::parse(text, preset, &graph.choices);
        Ok(Some(architecture.map_err(GraphError::from)?))
    }

    /// Says which architecture is given, and takes the weights that it inherits.
    pub(super) fn start(
        &mut self,
        search: &Search,
        architecture: &Architecture,
    ) -> Result<(), EngineError> {
        self.say_architecture(search, 0, 0, architecture)?;
        let inherit = self.spec.search.inherit.unwrap_or(Inherit::None);
        let run = self.spec.search.from_run.clone().filter(|_| inherit != Inherit::None);
        let Some(run) = run else { return Ok(()) };
        let path = self.session.attempt.run.join(folder::SUPERNET);
        let theirs = read_spec(&path)?;
        let shape = self.their_shape(&theirs);
        let graph = spaces::build(&theirs.space, shape, theirs.search.weights)?;
        let fixed = graph.specialise(architecture)?;
        let (network, what) = match inherit {
            Inherit::Result => {
                let weights = path.join(package::WEIGHTS);
                (model::read(fixed.graph, &weights, self.compute)?, "packaged network")
            }
            _ => (self.slices(&graph, fixed, &path)?, "supernet"),
        };
        let own = search.net.graph().specialise(architecture)?;
        let afresh = match self.spec.search.reset_head {
            Some(true) => {
                transfer::head(&self.spec.space, self.data.shape, self.spec.search.weights)?
            }
            _ => vec![],
        };
        let start = Some((self.spec.seed, Stream::FineTuneHead));
        self.start = Some(network.within(own.graph, start, &afresh)?);
        let rest = match afresh.is_empty() {
            true => String::new(),
            false => format!(", but for {}, which start afresh", afresh.join(", ")),
        };
        self.events.log(format!("inheriting the weights of the {what} of run {run}{rest}"))
    }

    /// Shape of the data on which the weights were trained. A text is the same here.
    fn their_shape(&self, theirs: &RunSpec) -> DataShape {
        let own = &self.spec.dataset;
        let same = theirs.dataset.id == own.id && theirs.dataset.version == own.version;
        if same { self.data.shape } else { theirs.shape() }
    }

    /// What the network inherits of the supernet whose checkpoint lies in a folder.
    fn slices(
        &mut self,
        graph: &Graph,
        fixed: FixedNetwork,
        path: &Path,
    ) -> Result<Network, EngineError> {
        let (found, damaged) = newest_in(&[path.to_owned()], self.compute.device)?;
        warn_of(self.events, damaged)?;
        let snapshot = found.ok_or_else(|| no_checkpoint(path))?;
        let mut store = Store::zeroed(graph, self.compute);
        snapshot::load_supernet(&mut store, &snapshot)?;
        Network::inherited(fixed, &store, self.compute)
    }
}
