//! The search phase.

use std::collections::BTreeMap;

use skein_core::choice::Architecture;
use skein_core::event::{ArchitectureNow, Checkpoint, EventBody, Metrics, PhaseName, Rows};
use skein_core::number::Num;

use super::{Context, snapshot};
use crate::EngineError;
use crate::search::run::{Search, entropy};
use crate::search::sampler::Sampler;
use crate::worker::meter::Place;

/// Steps between two reports of numbers.
pub(super) const REPORT_EVERY: u64 = 10;
/// Reports of the rows in an epoch.
const ROWS_PER_EPOCH: u64 = 10;

impl Context<'_> {
    /// Searches to the end; false if a stop was asked for.
    pub(super) fn search(&mut self, search: &mut Search) -> Result<bool, EngineError> {
        let (total, per_epoch) = (search.total_steps(), search.steps_per_epoch());
        self.phase(PhaseName::Search, total)?;
        if search.step == 0 {
            self.say_rows(search, 0)?;
        }
        let every = self.spec.resources.checkpoint_every;
        while search.step < total {
            let epoch = search.epoch();
            search.iterate(&self.data.train)?;
            let ends = search.step.is_multiple_of(per_epoch);
            if ends || search.step.is_multiple_of(REPORT_EVERY) {
                let mut values = search.pending.take()?;
                values.insert("input_wait".to_owned(), Num(search.input_wait.take()));
                self.metrics(PhaseName::Search, search.step, epoch, values)?;
            }
            if ends {
                self.end_epoch(search, epoch)?;
            } else if search.step.is_multiple_of(per_epoch.div_ceil(ROWS_PER_EPOCH)) {
                self.say_rows(search, epoch)?;
                if search.sampler(epoch) != Sampler::Uniform {
                    let architecture = search.derive(&self.data, epoch)?;
                    self.say_architecture(search, epoch, &architecture)?;
                }
            }
            let stop = self.session.stop.asked() && search.step < total;
            if stop || search.step == total || search.step.is_multiple_of(every) {
                let snapshot = snapshot::take(search, None, &[], self.meter.worked_s())?;
                self.checkpoint(&snapshot)?;
            }
            if stop {
                self.events.log("asked to stop; a checkpoint is on disk")?;
                return Ok(false);
            }
            let images = self.spec.search.batch_size * 2;
            let place =
                Place { phase: PhaseName::Search, step: search.step, total, per_epoch, images };
            self.progress(place, search.step == total)?;
        }
        Ok(true)
    }

    fn end_epoch(&mut self, search: &Search, epoch: u64) -> Result<(), EngineError> {
        let score = search.validate(&self.data, epoch)?;
        let mut values: BTreeMap<String, Num> = [
            ("valid_loss".to_owned(), Num(score.loss)),
            ("valid_accuracy".to_owned(), Num(score.accuracy)),
            ("weight_lr".to_owned(), Num(search.weight_lr(search.step.saturating_sub(1)))),
        ]
        .into();
        self.events.log(format!(
            "epoch {} of {}: validation accuracy {:.2} %, loss {:.4} nats",
            epoch + 1,
            self.spec.search.epochs,
            100.0 * score.accuracy,
            score.loss
        ))?;
        let sampler = search.sampler(epoch);
        if sampler != Sampler::Uniform {
            values.insert("entropy".to_owned(), Num(entropy(&search.probabilities(epoch)?)));
        }
        if let Sampler::Gdas { tau } = sampler {
            values.insert("temperature".to_owned(), Num(tau));
        }
        self.metrics(PhaseName::Search, search.step, epoch, values)?;
        self.say_rows(search, epoch)?;
        let architecture = search.derive(&self.data, epoch)?;
        self.say_architecture(search, epoch, &architecture)
    }

    fn say_rows(&mut self, search: &Search, epoch: u64) -> Result<(), EngineError> {
        let rows = search
            .probabilities(epoch)?
            .into_iter()
            .map(|row| row.into_iter().map(Num).collect())
            .collect();
        self.events.say(EventBody::Rows(Rows { step: search.step, epoch, rows }))
    }

    fn say_architecture(
        &mut self,
        search: &Search,
        epoch: u64,
        architecture: &Architecture,
    ) -> Result<(), EngineError> {
        let graph = search.net.graph();
        self.events.say(EventBody::Architecture(ArchitectureNow {
            step: search.step,
            epoch,
            choices: architecture.0.clone(),
            text: architecture.to_text(self.spec.space.preset(), &graph.choices),
            cost: graph.cost(architecture)?,
        }))
    }

    /// Says numbers; a loss that is no number ends the run.
    pub(super) fn metrics(
        &mut self,
        phase: PhaseName,
        step: u64,
        epoch: u64,
        values: BTreeMap<String, Num>,
    ) -> Result<(), EngineError> {
        let losses = [
            ("weight_loss", "loss of the weights"),
            ("arch_loss", "loss of the rows"),
            ("loss", "loss"),
        ];
        let bad = losses.into_iter().find_map(|(name, what)| {
            let value = values.get(name)?.0;
            (!value.is_finite()).then_some((what, value))
        });
        self.events.say(EventBody::Metrics(Metrics { phase, step, epoch, values }))?;
        match bad {
            Some((what, value)) => Err(EngineError::NotFinite { what, value, step }),
            None => Ok(()),
        }
    }

    pub(super) fn checkpoint(
        &mut self,
        snapshot: &crate::state::checkpoint::Snapshot,
    ) -> Result<(), EngineError> {
        let folder = snapshot.write(&self.session.attempt.checkpoints())?;
        self.events.say(EventBody::Checkpoint(Checkpoint { step: snapshot.step, folder }))
    }

    pub(super) fn progress(&mut self, place: Place, always: bool) -> Result<(), EngineError> {
        match self.meter.tick(place, always) {
            Some(progress) => self.events.say(EventBody::Progress(progress)),
            None => Ok(()),
        }
    }
}
