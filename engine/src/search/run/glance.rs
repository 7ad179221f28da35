//! A look at a few random candidates, where no rows tell an architecture.

use std::collections::HashSet;

use rand_xoshiro::Xoshiro256PlusPlus;
use skein_core::choice::Architecture;

use super::{EVALUATION_BATCH, Search};
use crate::EngineError;
use crate::data::Data;
use crate::exec::{Pass, Plan};
use crate::rows::uniform;
use crate::state::seed::{Stream, generator};
use crate::train::evaluate::evaluate;

/// Random candidates that are compared after each epoch.
const GLANCE: u64 = 4;
/// Draws for each of them until one is within the limits.
const GLANCE_DRAWS: usize = 100;

impl Search {
    /// The best of a few random candidates on the supernet with the batches' own statistics.
    pub(super) fn glance(&self, data: &Data, epoch: u64) -> Result<Architecture, EngineError> {
        let mut best: Option<(f64, Architecture)> = None;
        let mut known = HashSet::new();
        for candidate in 0..GLANCE {
            let mut generator =
                generator(self.spec.seed, Stream::Candidates, epoch << 32 | candidate);
            let draw = |_| self.path(epoch, &mut generator);
            let within = |one: &Architecture| self.limits.as_ref().is_none_or(|l| l.allow(one));
            let drawn = (0..GLANCE_DRAWS).map(draw).find(within);
            let Some(architecture) = drawn.or_else(|| Some(self.limits.as_ref()?.refuge().clone()))
            else {
                continue;
            };
            // While a supernet begins to shrink, few sub-nets differ.
            if !known.insert(architecture.clone()) {
                continue;
            }
            let plan = Plan::Path(&architecture, None);
            let score = evaluate(&data.train, &self.split.valid, EVALUATION_BATCH, |batch, _| {
                self.net.exec.forward(&self.net.store, &batch.x, plan, Pass::BATCH)
            })?;
            if best.as_ref().is_none_or(|(accuracy, _)| score.accuracy > *accuracy) {
                best = Some((score.accuracy, architecture));
            }
        }
        best.map(|(_, architecture)| architecture)
            .ok_or_else(|| EngineError::Bug("no candidate was drawn".to_owned()))
    }

    /// A random architecture among those that an epoch trains.
    fn path(&self, epoch: u64, generator: &mut Xoshiro256PlusPlus) -> Architecture {
        match &self.shrink {
            Some(shrink) => shrink.path(epoch, generator),
            None => uniform::draw(&self.net.graph().choices, generator),
        }
    }
}
