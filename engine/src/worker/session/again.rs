//! A run on the supernet that another run trained.

use std::path::Path;

use skein_core::event::PhaseName;
use skein_core::folder;

use super::snapshot::{self, State};
use super::{Context, warn_of};
use crate::EngineError;
use crate::search::run::Search;
use crate::state::checkpoint::newest_in;
use crate::worker::meter::Place;

impl Context<'_> {
    /// Brings the search to where the other run's ended; nothing is trained.
    ///
    /// What the other run derived and compared is left behind.
    pub(super) fn take_over(&mut self, search: &mut Search, from: &str) -> Result<(), EngineError> {
        let path = self.session.attempt.run.join(folder::SUPERNET);
        let (found, damaged) = newest_in(std::slice::from_ref(&path), self.compute.device)?;
        warn_of(self.events, damaged)?;
        let snapshot = found.ok_or_else(|| no_checkpoint(&path))?;
        snapshot::load_search(search, &snapshot, &State::of(&snapshot)?)?;
        if search.step < search.total_steps() {
            return Err(unfit(&path, "its search had not ended"));
        }
        self.events.log(format!("searching the trained supernet of run {from} again"))?;
        let epoch = search.step.saturating_sub(1) / search.steps_per_epoch();
        self.say_rows(search, epoch)?;
        let architecture = search.derive(&self.data, epoch)?;
        self.say_architecture(search, search.step, epoch, &architecture)?;
        let (step, per_epoch) = (search.step, search.steps_per_epoch());
        let images = self.spec.search.batch_size;
        let place = Place { phase: PhaseName::Search, step, total: step, per_epoch, images };
        self.progress(place, true)
    }
}

/// What to say of a folder that should hold another run's checkpoints.
pub(super) fn no_checkpoint(path: &Path) -> EngineError {
    unfit(path, "holds no checkpoint that can be used")
}

fn unfit(path: &Path, reason: &str) -> EngineError {
    EngineError::Content { path: path.to_owned(), reason: reason.to_owned() }
}
