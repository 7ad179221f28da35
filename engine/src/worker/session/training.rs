//! The trainings after the search.

use std::collections::BTreeMap;

use skein_core::number::Num;

use super::Context;
use super::searching::{REPORT_EVERY, named};
use super::snapshot::Derived;
use crate::EngineError;
use crate::search::run::{EVALUATION_BATCH, Search};
use crate::train::fit::Fit;
use crate::worker::meter::Place;

impl Context<'_> {
    /// Goes on with the last of the trainings to its end; false if a stop was asked for.
    pub(super) fn train(
        &mut self,
        search: &Search,
        derived: &Derived,
        fits: &mut [Fit],
    ) -> Result<bool, EngineError> {
        let Some(at) = fits.len().checked_sub(1) else { return Ok(true) };
        let (total, phase) = (fits[at].total_steps(), fits[at].stage.phase());
        if fits[at].step < total {
            self.phase(phase, total)?;
        }
        while fits[at].step < total {
            let fit = &mut fits[at];
            fit.iterate()?;
            self.report(search, fit)?;
            let (step, per_epoch) = (fit.step, fit.steps_per_epoch());
            let stop = self.session.stop.asked();
            if stop || step == total || step.is_multiple_of(self.spec.resources.checkpoint_every) {
                self.keep(search, Some(derived), fits)?;
            }
            if stop {
                self.events.log("asked to stop; a checkpoint is on disk")?;
                return Ok(false);
            }
            let images = self.spec.after.batch_size;
            self.progress(Place { phase, step, total, per_epoch, images }, step == total)?;
        }
        Ok(true)
    }

    /// Numbers of a training since the last report.
    pub(super) fn numbers(&mut self, fit: &mut Fit) -> Result<BTreeMap<String, Num>, EngineError> {
        let mut values = fit.pending.take()?;
        values.extend(self.machine(fit.input_wait.take()));
        values.insert("lr".to_owned(), Num(fit.lr(fit.step - 1)));
        Ok(values)
    }

    fn report(&mut self, search: &Search, fit: &mut Fit) -> Result<(), EngineError> {
        let (phase, step) = (fit.stage.phase(), fit.step);
        let epoch = (step - 1) / fit.steps_per_epoch();
        let ends = step.is_multiple_of(fit.steps_per_epoch());
        if ends || step.is_multiple_of(REPORT_EVERY) {
            let values = self.numbers(fit)?;
            self.metrics(phase, step, epoch, values)?;
        }
        if ends {
            let valid = search.valid_positions();
            let score = fit.trainee.network.score(&self.data.train, valid, EVALUATION_BATCH)?;
            let values = [("valid_loss", score.loss), ("valid_accuracy", score.accuracy)];
            let mut values: BTreeMap<String, Num> = named(values).collect();
            values.extend(self.text_values(score.loss));
            self.metrics(phase, step, epoch, values)?;
        }
        Ok(())
    }
}
