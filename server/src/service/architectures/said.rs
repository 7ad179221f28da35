//! What a run's events say of its architectures.

use std::ops::ControlFlow;
use std::path::Path;

use skein_core::choice::Architecture;
use skein_core::curve::Curve;
use skein_core::event::{ArchitectureNow, Event, EventBody, Metrics, PhaseName};
use skein_core::graph::Graph;
use skein_core::number::Num;

use crate::service::{ServiceError, tail};
use crate::views::EpochArchitecture;

/// Architectures and what was validated, later attempts superseding earlier ones.
#[derive(Debug, Default)]
pub(super) struct Said {
    architectures: Curve<ArchitectureNow>,
    /// Of the supernet, at the end of an epoch.
    epochs: Curve<Score>,
    /// Of the best candidate, at the end of a generation.
    generations: Curve<Score>,
    /// Of the best finalist, at the end of a round.
    rounds: Curve<Score>,
}

/// What epochs after the search are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beyond {
    /// Epochs of the search.
    pub(super) epochs: u64,
    /// Generations of a second stage that follow before the rounds of finalists, if there are any.
    pub(super) before_rounds: Option<u64>,
}

/// What was validated.
#[derive(Debug, Clone, Copy)]
struct Score {
    step: u64,
    /// Of the search, or the generation, or the round.
    epoch: u64,
    accuracy: Num,
    loss: Option<Num>,
}

impl Score {
    /// The numbers of some metrics, if they hold an accuracy.
    fn of(metrics: &Metrics, accuracy: &str, loss: &str) -> Option<Self> {
        let Metrics { step, epoch, values, .. } = metrics;
        let (accuracy, loss) = (*values.get(accuracy)?, values.get(loss).copied());
        Some(Self { step: *step, epoch: *epoch, accuracy, loss })
    }
}

impl Said {
    /// Reads all events of a run.
    pub(super) fn read(run: &Path) -> Result<Self, ServiceError> {
        let mut said = Self::default();
        tail::replay(run, 0, |line| {
            said.add(&line.event);
            ControlFlow::Continue(())
        })?;
        Ok(said)
    }

    /// Takes one more event in.
    pub(super) fn add(&mut self, event: &Event) {
        match &event.body {
            EventBody::Architecture(now) => {
                self.architectures.add(event.attempt, now.clone(), |now| now.step);
            }
            EventBody::Metrics(metrics) => {
                let (curve, score) = match metrics.phase {
                    PhaseName::Search => {
                        (&mut self.epochs, Score::of(metrics, "valid_accuracy", "valid_loss"))
                    }
                    PhaseName::Select => {
                        (&mut self.generations, Score::of(metrics, "best_accuracy", "best_loss"))
                    }
                    PhaseName::Finalists => {
                        (&mut self.rounds, Score::of(metrics, "best_accuracy", "best_loss"))
                    }
                    _ => return,
                };
                if let Some(score) = score {
                    curve.add(event.attempt, score, |score| score.step);
                }
            }
            _ => {}
        }
    }

    /// The last architecture of every epoch that belongs to the space, not labelled yet.
    pub(super) fn list(&self, graph: &Graph, beyond: Option<Beyond>) -> Vec<EpochArchitecture> {
        let mut list: Vec<EpochArchitecture> = Vec::new();
        for now in &self.architectures.points {
            if Architecture(now.choices.clone()).check(&graph.choices).is_err() {
                continue;
            }
            let one = self.entry(now, beyond);
            match list.last_mut() {
                Some(last) if last.epoch == one.epoch => *last = one,
                _ => list.push(one),
            }
        }
        list
    }

    fn entry(&self, now: &ArchitectureNow, beyond: Option<Beyond>) -> EpochArchitecture {
        let after = beyond.and_then(|beyond| now.epoch.checked_sub(beyond.epochs));
        let round = beyond.and_then(|beyond| after?.checked_sub(beyond.before_rounds?));
        let generation = after.filter(|_| round.is_none());
        let score = match (generation, round) {
            (_, Some(round)) => self.rounds.points.iter().rfind(|at| at.epoch == round),
            (Some(generation), _) => {
                self.generations.points.iter().rfind(|at| at.epoch == generation)
            }
            // An epoch that is not over has no score, whatever an earlier attempt said of it.
            (None, None) => {
                self.epochs.points.iter().rfind(|at| (at.epoch, at.step) == (now.epoch, now.step))
            }
        };
        EpochArchitecture {
            epoch: Some(now.epoch),
            generation,
            round,
            step: Some(now.step),
            labels: Vec::new(),
            text: now.text.clone(),
            choices: now.choices.clone(),
            cost: now.cost,
            valid_accuracy: score.map(|score| score.accuracy),
            valid_loss: score.and_then(|score| score.loss),
            true_accuracy: now.true_accuracy,
            true_rank: now.true_rank,
            changes: None,
            changes_to_last: 0,
        }
    }
}
