//! Finalists: the likeliest architectures, trained for a short time.

use std::collections::BTreeMap;

use skein_core::choice::Architecture;
use skein_core::event::{EventBody, PhaseName};
use skein_core::spec::{FinalistsSpec, OptimizerSpec, StageSpec};

use super::Context;
use super::searching::{REPORT_EVERY, named};
use crate::EngineError;
use crate::search::candidates::Candidates;
use crate::search::evolve;
use crate::search::run::{EVALUATION_BATCH, Search};
use crate::state::seed::{Stream, derive};
use crate::train::evaluate::Score;
use crate::train::fit::{Course, Fit};
use crate::train::stage::Stage;
use crate::train::tournament::{Bout, Played, Tournament};
use crate::train::trainee::Trainee;
use crate::worker::meter::Place;

/// The largest share of a short training in which the learning rate rises.
const MOST_WARMUP: f64 = 0.2;

/// The score of a finalist whose training diverged.
const DIVERGED: Score = Score { loss: f64::NAN, accuracy: 0.0 };

impl Context<'_> {
    /// Trains the likeliest architectures, round by round, and gives the best; none if a stop was
    /// asked for.
    pub(super) fn hold_finals(
        &mut self,
        search: &Search,
    ) -> Result<Option<Architecture>, EngineError> {
        let finalists = self.finalists(search)?;
        let count = finalists.len() as u64;
        let spec = FinalistsSpec { count, ..self.spec.after.finalists };
        let known = std::mem::take(&mut self.finals);
        let mut tournament = Tournament::resume(spec, finalists, &known)?;
        self.finals = known;
        let answered = search.split().compared(spec.images, self.spec.seed);
        let total = spec.steps(search.weight_images() as u64, self.spec.after.batch_size);
        self.phase(PhaseName::Finalists, total)?;
        self.say_finalists(search, &tournament)?;
        while let Some(bout) = tournament.next() {
            let (round, epochs) = (bout.round + 1, bout.epochs);
            let mut fits = vec![self.finalist(search, bout)?];
            let whole = match self.train_finalist(search, &mut fits, total) {
                Ok(false) => return Ok(None),
                Ok(true) => true,
                Err(EngineError::NotFinite { .. }) => false,
                Err(error) => return Err(error),
            };
            let Some(fit) = fits.pop() else { continue };
            let text =
                bout.architecture.to_text(self.spec.space.preset(), &search.net.graph().choices);
            let (score, reached) = if whole {
                let network = &fit.trainee.network;
                let score = network.score(&self.data.train, &answered, EVALUATION_BATCH)?;
                let accuracy = 100.0 * score.accuracy;
                (score, format!("validation accuracy {accuracy:.2} % after {epochs} epochs"))
            } else {
                let reached = format!("the loss is not a number after {} steps", fit.step);
                (DIVERGED, format!("{reached}; it is ranked last"))
            };
            self.events.log(format!("finalist {text}, round {round}: {reached}"))?;
            let best = tournament.tell(score, fit.step);
            self.finals.extend(tournament.played().last().cloned());
            self.keep(search, None, &[])?;
            self.say_finalists(search, &tournament)?;
            if let Some(best) = best {
                self.end_round(search, &best)?;
            }
        }
        match tournament.ranked().first() {
            Some(best) if best.loss.0.is_finite() => Ok(Some(best.architecture.clone())),
            Some(best) => {
                let (what, step) = ("loss of every finalist", self.steps_of_finals());
                Err(EngineError::NotFinite { what, value: best.loss.0, step })
            }
            None => Err(EngineError::Bug("no finalist was trained".to_owned())),
        }
    }

    /// Who takes part, the likeliest first; random ones where nothing tells which are likely.
    fn finalists(&self, search: &Search) -> Result<Vec<Architecture>, EngineError> {
        let count = usize::try_from(self.spec.after.finalists.count).unwrap_or(usize::MAX);
        if self.spec.search.optimizer == OptimizerSpec::Random {
            let domain = Candidates::new(search.net.graph(), search.limits.as_ref());
            return Ok(evolve::random(&domain, count, self.spec.seed));
        }
        if self.tried.is_empty() {
            return search.likeliest(search.last_epoch(), count);
        }
        if let Some(rows) = self.rows_of_effects(search)? {
            return Ok(search.likeliest_by(&rows, count));
        }
        let mut tried: Vec<_> = self.tried.iter().collect();
        tried.sort_by(|a, b| a.order(b));
        Ok(tried.into_iter().take(count).map(|tried| tried.architecture.clone()).collect())
    }

    /// A finalist's training at its beginning, or where the checkpoint has it. All of a round start
    /// from equal draws, each round from others.
    fn finalist(&self, search: &Search, bout: Bout<'_>) -> Result<Fit, EngineError> {
        let fixed = search.net.graph().specialise(bout.architecture)?;
        let seed = derive(self.spec.seed, Stream::Finalists, bout.round as u64);
        let mut trainee = Trainee::fresh(fixed, &self.spec, seed, self.compute)?;
        trainee.network.recompute(self.spec.resources.keep_activations)?;
        let usual = Stage::Finalist.spec(&self.spec.after);
        #[expect(clippy::cast_precision_loss, reason = "epochs are few")]
        let most = MOST_WARMUP * bout.epochs as f64;
        let warmup_epochs = usual.warmup_epochs.min(most);
        let asked = StageSpec { epochs: bout.epochs, warmup_epochs, ..usual.clone() };
        let limit = self.spec.after.finalists.limit.unwrap_or(u64::MAX);
        let positions = search.weight_positions(limit);
        let course = Course { stage: Stage::Finalist, asked, seed, positions };
        let mut fit = Fit::new(&self.spec, course, trainee, &self.data.train);
        if let Some(kept) = &self.kept {
            kept.load_fit(&mut fit)?;
        }
        Ok(fit)
    }

    /// Trains a finalist to the end; false if a stop was asked for.
    ///
    /// # Errors
    /// - [`EngineError::NotFinite`] if it diverges.
    fn train_finalist(
        &mut self,
        search: &Search,
        fits: &mut [Fit],
        total: u64,
    ) -> Result<bool, EngineError> {
        let before = self.steps_of_finals();
        // What a checkpoint has of a training is of this one alone.
        self.kept = None;
        while let Some(fit) = fits.first_mut().filter(|fit| fit.step < fit.total_steps()) {
            fit.iterate()?;
            let (step, per_epoch, ends) =
                (before + fit.step, fit.steps_per_epoch(), fit.step == fit.total_steps());
            if ends || step.is_multiple_of(REPORT_EVERY) {
                let values = self.numbers(fit)?;
                let epoch = (step - 1) / per_epoch;
                self.metrics(PhaseName::Finalists, step, epoch, values)?;
            }
            let stop = self.session.stop.asked();
            if stop || step.is_multiple_of(self.spec.resources.checkpoint_every) {
                self.keep(search, None, fits)?;
            }
            if stop {
                self.events.log("asked to stop; a checkpoint is on disk")?;
                return Ok(false);
            }
            let images = self.spec.after.batch_size;
            let phase = PhaseName::Finalists;
            self.progress(Place { phase, step, total, per_epoch, images }, step == total)?;
        }
        Ok(true)
    }

    /// Tells which architecture is ahead after a round.
    fn end_round(&mut self, search: &Search, best: &Played) -> Result<(), EngineError> {
        let (round, step) = (best.round as u64, self.steps_of_finals());
        let numbers = [("best_accuracy", best.accuracy.0), ("best_loss", best.loss.0)];
        let mut values: BTreeMap<_, _> = named(numbers).collect();
        values.extend(self.truth_values(&best.architecture));
        self.metrics(PhaseName::Finalists, step, round, values)?;
        let at = search.step + self.tried.len() as u64 + step;
        let stages = self.spec.search.second_stage.generations();
        let epoch = self.spec.search.epochs + stages + round;
        self.say_architecture(search, at, epoch, &best.architecture)
    }

    /// Steps of the trainings that have ended.
    fn steps_of_finals(&self) -> u64 {
        self.finals.iter().map(|played| played.steps).sum()
    }

    fn say_finalists(
        &mut self,
        search: &Search,
        tournament: &Tournament,
    ) -> Result<(), EngineError> {
        let told = tournament.told(&self.spec, search.net.graph())?;
        self.events.say(EventBody::Finalists(told))
    }
}
