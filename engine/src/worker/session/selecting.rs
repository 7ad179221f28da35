//! The second stage: architectures are compared on the trained supernet.

use std::collections::BTreeMap;

use skein_core::choice::Architecture;
use skein_core::event::{EventBody, PhaseName};
use skein_core::number::{Num, duration};
use skein_core::spec::SecondStageSpec;

use super::Context;
use crate::EngineError;
use crate::search::candidates::{self, Candidates};
use crate::search::evolve::{Evolution, Rules, Tried};
use crate::search::run::Search;
use crate::worker::front;
use crate::worker::meter::Place;

/// How a second stage ended.
pub(super) enum Selected {
    /// With this architecture.
    Best(Architecture),
    /// There is none: the rows tell the architecture.
    None,
    /// A stop was asked for.
    Stopped,
}

impl Context<'_> {
    /// Compares architectures until all that were asked for are scored.
    pub(super) fn select(&mut self, search: &Search) -> Result<Selected, EngineError> {
        let Some(rules) = Rules::of(&self.spec.search.second_stage) else {
            return Ok(Selected::None);
        };
        let graph = search.net.graph();
        let mut domain = Candidates::new(graph, search.limits.as_ref());
        if let SecondStageSpec::Pareto { cost, .. } = self.spec.search.second_stage {
            domain = domain.priced(cost);
        }
        let known = std::mem::take(&mut self.tried);
        let mut evolution = Evolution::resume(rules, self.spec.seed, &domain, &known)?;
        self.tried = known;
        let most = u64::try_from(graph.count()).unwrap_or(u64::MAX);
        let total = self.spec.search.second_stage.candidates().min(most);
        self.phase(PhaseName::Select, total)?;
        let positions = search.compared_positions();
        let on = (positions.as_slice(), self.spec.after.recalibrate_images);
        if let Some(next) = evolution.next() {
            self.foresee(search, next, on, total)?;
        }
        while let Some(architecture) = evolution.next().cloned() {
            let score = candidates::score(search, &self.data, &architecture, on)?;
            let ended = evolution.tell(&domain, score);
            self.tried.extend(evolution.tried().last().cloned());
            if ended {
                self.end_generation(search, &evolution)?;
            }
            let stop = self.session.stop.asked();
            let step = self.tried.len() as u64;
            if stop || ended || step.is_multiple_of(self.spec.resources.checkpoint_every) {
                self.keep(search, None, &[])?;
            }
            if stop {
                self.events.log("asked to stop; a checkpoint is on disk")?;
                return Ok(Selected::Stopped);
            }
            self.compared(search, step, total, evolution.next().is_none())?;
        }
        let best = evolution.best();
        let best = best.ok_or_else(|| EngineError::Bug("no candidate was scored".to_owned()))?;
        self.events.log(format!(
            "the best of {} architectures has validation accuracy {:.2} %",
            self.tried.len(),
            100.0 * best.accuracy.0
        ))?;
        let mut picked = best.architecture.clone();
        if let Some(rows) = self.rows_of_effects(search)? {
            picked = search.likeliest_by(&rows, 1).into_iter().next().unwrap_or(picked);
            self.explain(search, &picked)?;
        }
        Ok(Selected::Best(picked))
    }

    /// Measures how long a candidate takes, and tells how long all that are left will.
    fn foresee(
        &mut self,
        search: &Search,
        next: &Architecture,
        on: (&[i64], u64),
        total: u64,
    ) -> Result<(), EngineError> {
        let each_s = candidates::seconds(search, &self.data, next, on)?;
        self.meter.expect(PhaseName::Select, each_s);
        let step = self.tried.len() as u64;
        let left = total.saturating_sub(step);
        #[expect(clippy::cast_precision_loss, reason = "candidates are few")]
        let seconds = each_s * left as f64;
        let unit = if self.data.text.is_some() { "windows" } else { "images" };
        self.events.log(format!(
            "comparing {left} architectures on {} of {} {unit} of the architecture split: about {}",
            on.0.len(),
            search.split().architecture.len(),
            duration(seconds)
        ))?;
        self.progress(self.place(search, step, total), true)
    }

    /// Tells how far the comparison is; it may end before all candidates that were asked for,
    /// because the space holds no more.
    fn compared(
        &mut self,
        search: &Search,
        step: u64,
        total: u64,
        done: bool,
    ) -> Result<(), EngineError> {
        let total = if done { step } else { total };
        self.progress(self.place(search, step, total), done)
    }

    fn place(&self, search: &Search, step: u64, total: u64) -> Place {
        let images = search.candidate_images(self.spec.after.recalibrate_images);
        let per_epoch = match &self.spec.search.second_stage {
            SecondStageSpec::Evolution { population, .. }
            | SecondStageSpec::Pareto { population, .. } => *population,
            _ => total,
        };
        Place { phase: PhaseName::Select, step, total, per_epoch, images }
    }

    fn end_generation(
        &mut self,
        search: &Search,
        evolution: &Evolution,
    ) -> Result<(), EngineError> {
        let Some(best) = evolution.best() else { return Ok(()) };
        let generation = evolution.generation() as u64 - 1;
        let step = evolution.tried().len() as u64;
        let mut values: BTreeMap<String, Num> = [
            ("best_accuracy".to_owned(), best.accuracy),
            ("best_loss".to_owned(), best.loss),
            ("mean_accuracy".to_owned(), Num(mean(evolution.tried()))),
        ]
        .into();
        let (mut picked, rows) = (best.architecture.clone(), self.rows_of_effects(search)?);
        let epoch = self.spec.search.epochs + generation;
        if let Some(rows) = rows {
            picked = search.likeliest_by(&rows, 1).into_iter().next().unwrap_or(picked);
            self.say_these_rows(search.step + step, epoch, rows)?;
        }
        values.extend(self.truth_values(&picked));
        if let Some(front) = front::of(&self.spec, search.net.graph(), evolution.tried())? {
            #[expect(clippy::cast_precision_loss, reason = "candidates are few")]
            values.insert("front_size".to_owned(), Num(front.points.len() as f64));
            self.events.say(EventBody::Front(front))?;
        }
        self.metrics(PhaseName::Select, step, generation, values)?;
        self.say_architecture(search, search.step + step, epoch, &picked)
    }
}

/// Mean accuracy of all candidates so far.
#[expect(clippy::cast_precision_loss, reason = "candidates are few")]
fn mean(tried: &[Tried]) -> f64 {
    tried.iter().map(|tried| tried.accuracy.0).sum::<f64>() / tried.len().max(1) as f64
}
