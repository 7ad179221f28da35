//! Successive halving among finalists, apart from how they are trained (arXiv:1502.07943).
//!
//! [`Tournament`] is asked who is trained next and told what came out. All it knows follows from
//! the finalists and the scores, so a checkpoint keeps only those.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use skein_core::choice::Architecture;
use skein_core::event::{Finalist, FinalistScore, Finalists};
use skein_core::graph::Graph;
use skein_core::number::Num;
use skein_core::spec::{FinalistsSpec, RunSpec};

use super::evaluate::Score;
use crate::EngineError;
use crate::search::evolve::better;

/// Rounds among finalists.
#[derive(Debug)]
pub struct Tournament {
    spec: FinalistsSpec,
    /// Who takes part in each round that has begun.
    rounds: Vec<Vec<Architecture>>,
    /// All trainings that have ended, in their order.
    played: Vec<Played>,
    /// How many of the last round are scored.
    scored: usize,
}

/// A training of a finalist that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Played {
    /// Who was trained.
    pub architecture: Architecture,
    /// The round, from 0.
    pub round: usize,
    /// Epochs of the training.
    pub epochs: u64,
    /// Steps of it.
    pub steps: u64,
    /// Its accuracy, `0..=1`.
    pub accuracy: Num,
    /// Its loss in nats.
    pub loss: Num,
}

impl Played {
    /// The better one first: by accuracy, then by loss.
    fn order(&self, other: &Self) -> Ordering {
        better((self.accuracy, self.loss), (other.accuracy, other.loss))
    }
}

/// A training of a finalist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bout<'a> {
    /// Who is trained.
    pub architecture: &'a Architecture,
    /// The round, from 0.
    pub round: usize,
    /// Epochs of the training.
    pub epochs: u64,
}

impl Tournament {
    /// The first round, nobody scored yet.
    #[must_use]
    pub fn new(spec: FinalistsSpec, finalists: Vec<Architecture>) -> Self {
        Self { spec, rounds: vec![finalists], played: vec![], scored: 0 }
    }

    /// A tournament in which these trainings have ended.
    ///
    /// # Errors
    /// - [`EngineError::Bug`] if others would have been trained.
    pub fn resume(
        spec: FinalistsSpec,
        finalists: Vec<Architecture>,
        played: &[Played],
    ) -> Result<Self, EngineError> {
        let mut tournament = Self::new(spec, finalists);
        for known in played {
            if tournament.next().map(|bout| bout.architecture) != Some(&known.architecture) {
                let text = "the checkpoint's finalists are not those of this run";
                return Err(EngineError::Bug(text.to_owned()));
            }
            let score = Score { loss: known.loss.0, accuracy: known.accuracy.0 };
            tournament.tell(score, known.steps);
        }
        Ok(tournament)
    }

    /// Who is trained next; none once the tournament is over.
    #[must_use]
    pub fn next(&self) -> Option<Bout<'_>> {
        let round = self.rounds.len() - 1;
        let architecture = self.rounds[round].get(self.scored)?;
        Some(Bout { architecture, round, epochs: self.spec.epochs_in(round as u64) })
    }

    /// Takes the score of [`Tournament::next`] after so many steps; gives the best of a round that it
    /// ended.
    pub fn tell(&mut self, score: Score, steps: u64) -> Option<Played> {
        let Bout { architecture, round, epochs } = self.next()?;
        let (accuracy, loss) = (Num(score.accuracy), Num(score.loss));
        let architecture = architecture.clone();
        self.played.push(Played { architecture, round, epochs, steps, accuracy, loss });
        self.scored += 1;
        let entrants = self.rounds.last().map_or(0, Vec::len);
        if self.scored < entrants {
            return None;
        }
        let ranked = self.ranked();
        let best = ranked.first().map(|best| Played::clone(best));
        let half = entrants.div_ceil(2);
        if half > 1 && (self.rounds.len() as u64) < self.spec.rounds {
            let stay = ranked.into_iter().take(half);
            let next = stay.map(|played| played.architecture.clone()).collect();
            self.rounds.push(next);
            self.scored = 0;
        }
        best
    }

    /// Those scored in the last round, the best first; of equals the likelier.
    #[must_use]
    pub fn ranked(&self) -> Vec<&Played> {
        let mut last: Vec<&Played> =
            self.played[self.played.len() - self.scored..].iter().collect();
        last.sort_by(|a, b| a.order(b));
        last
    }

    /// All trainings that have ended, in their order.
    #[must_use]
    pub fn played(&self) -> &[Played] {
        &self.played
    }

    /// How all have done, as events tell it.
    ///
    /// # Errors
    /// - [`EngineError`] if an architecture does not belong to the space.
    pub fn told(&self, spec: &RunSpec, graph: &Graph) -> Result<Finalists, EngineError> {
        let last = self.rounds.last();
        let all = self.rounds.first().into_iter().flatten();
        let finalist = |architecture: &Architecture| {
            let own = self.played.iter().filter(|played| played.architecture == *architecture);
            let scores = own.map(|&Played { epochs, accuracy, loss, .. }| FinalistScore {
                epochs,
                accuracy,
                loss,
            });
            Ok(Finalist {
                choices: architecture.0.clone(),
                text: architecture.to_text(spec.space.preset(), &graph.choices),
                cost: graph.cost(architecture)?,
                scores: scores.collect(),
                out: last.is_some_and(|last| !last.contains(architecture)),
            })
        };
        Ok(Finalists {
            step: self.played.iter().map(|played| played.steps).sum(),
            rounds: self.rounds.len() as u64,
            over: self.next().is_none(),
            finalists: all.map(finalist).collect::<Result<_, EngineError>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: FinalistsSpec =
        FinalistsSpec { count: 5, rounds: 3, epochs: 2, limit: None, images: 64 };

    fn finalists(count: usize) -> Vec<Architecture> {
        (0..count).map(|at| Architecture(vec![at])).collect()
    }

    /// What each reaches in a round.
    fn score(round: usize, who: usize) -> Score {
        let accuracy = [[0.5, 0.9, 0.7, 0.7, 0.6], [0.0, 0.5, 0.6, 0.6, 0.0]][round.min(1)][who];
        Score { accuracy, loss: 1.0 - accuracy }
    }

    fn play(tournament: &mut Tournament, bouts: usize) -> Vec<(usize, usize, u64)> {
        let mut played = vec![];
        for _ in 0..bouts {
            let Some(Bout { architecture, round, epochs }) = tournament.next() else { break };
            let who = architecture.0[0];
            played.push((round, who, epochs));
            tournament.tell(score(round, who), 10 * epochs);
        }
        played
    }

    #[test]
    fn the_worse_half_leaves_each_round_and_the_last_round_decides() {
        let mut tournament = Tournament::new(SPEC, finalists(5));
        let first = (0..5).map(|who| (0, who, 2));
        // Two of three go on, and of equals the likelier stays ahead.
        let rest = [(1, 1, 4), (1, 2, 4), (1, 3, 4), (2, 2, 8), (2, 3, 8)];
        assert_eq!(play(&mut tournament, 100), first.chain(rest).collect::<Vec<_>>());
        assert_eq!(tournament.next(), None);
        assert_eq!(tournament.ranked()[0].architecture, Architecture(vec![2]));
        assert_eq!(tournament.played().len(), 10);
    }

    #[test]
    fn who_diverges_is_last_whatever_its_accuracy() {
        let mut tournament = Tournament::new(SPEC, finalists(2));
        tournament.tell(Score { accuracy: 0.1, loss: f64::NAN }, 3);
        tournament.tell(Score { accuracy: 0.05, loss: 2.5 }, 20);
        assert_eq!(tournament.ranked()[0].architecture, Architecture(vec![1]));
    }

    #[test]
    fn no_round_is_held_for_a_single_one() {
        let spec = FinalistsSpec { rounds: 9, ..SPEC };
        let mut tournament = Tournament::new(spec, finalists(2));
        assert_eq!(play(&mut tournament, 100), [(0, 0, 2), (0, 1, 2)]);
        assert_eq!(tournament.ranked()[0].architecture, Architecture(vec![1]));
    }

    #[test]
    fn a_resumed_tournament_goes_on_where_it_was() {
        let mut whole = Tournament::new(SPEC, finalists(5));
        play(&mut whole, 100);
        for known in 0..=whole.played().len() {
            let played = &whole.played()[..known];
            let mut resumed = Tournament::resume(SPEC, finalists(5), played).unwrap();
            play(&mut resumed, 100);
            assert_eq!(resumed.played(), whole.played());
        }
        let others = Tournament::resume(SPEC, finalists(5), &whole.played()[1..]);
        assert!(matches!(others, Err(EngineError::Bug(_))));
    }
}
