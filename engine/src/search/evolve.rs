//! Evolution over architectures, apart from how candidates are scored.
//!
//! [`Evolution`] is asked for the next candidate and told its score. All it knows follows from the
//! scores it was told and the run's seed, so a checkpoint keeps only those ([`Evolution::resume`]).
//! Random search is one generation without children. Where accuracy is traded for cost, parents are
//! picked as in NSGA-II ([`super::pareto`]).

use std::cmp::Ordering;
use std::collections::HashSet;

use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use skein_core::choice::Architecture;
use skein_core::number::Num;
use skein_core::spec::SecondStageSpec;

use super::breed::{Breeder, Domain};
use super::pareto::{self, Point};
use crate::EngineError;
use crate::state::seed::{Stream, below, generator};
use crate::train::evaluate::Score;

/// How many candidates, and of which kinds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Candidates of a generation.
    pub population: usize,
    /// Best candidates so far that may have children.
    pub parents: usize,
    /// Children of one parent in each generation.
    pub mutations: usize,
    /// Children of two parents in each generation.
    pub crossovers: usize,
    /// Probability with which a mutation draws a gene anew.
    pub mutation_prob: f64,
    /// The same for genes of the network's structure.
    pub structure_prob: f64,
    /// Generations, the random first one included.
    pub generations: usize,
    /// Whether accuracy is traded for cost: NSGA-II instead of the most accurate parents.
    pub trades: bool,
}

impl Rules {
    /// The rules that a specification asks for; none without a second stage.
    #[must_use]
    pub fn of(stage: &SecondStageSpec) -> Option<Self> {
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Some(match *stage {
            SecondStageSpec::None => return None,
            SecondStageSpec::Random { candidates, .. }
            | SecondStageSpec::Effects { candidates, .. } => Self {
                population: size(candidates),
                parents: 1,
                mutations: 0,
                crossovers: 0,
                mutation_prob: 0.0,
                structure_prob: 0.0,
                generations: 1,
                trades: false,
            },
            SecondStageSpec::Evolution {
                population,
                parents,
                mutations,
                crossovers,
                mutation_prob,
                structure_prob,
                generations,
                ..
            } => Self {
                population: size(population),
                parents: size(parents),
                mutations: size(mutations),
                crossovers: size(crossovers),
                mutation_prob,
                structure_prob,
                generations: size(generations),
                trades: false,
            },
            SecondStageSpec::Pareto {
                population,
                mutations,
                crossovers,
                mutation_prob,
                structure_prob,
                generations,
                ..
            } => Self {
                population: size(population),
                parents: size(population),
                mutations: size(mutations),
                crossovers: size(crossovers),
                mutation_prob,
                structure_prob,
                generations: size(generations),
                trades: true,
            },
        })
    }
}

/// A candidate with its score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// The candidate.
    pub architecture: Architecture,
    /// Its accuracy, `0..=1`.
    pub accuracy: Num,
    /// Its loss in nats.
    pub loss: Num,
}

impl Tried {
    /// The better one first: by accuracy, then by loss; a loss that is not finite is worst.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        better((self.accuracy, self.loss), (other.accuracy, other.loss))
    }
}

/// The better accuracy with its loss first: by accuracy, then by loss; a loss that is not finite is
/// worst, whatever the accuracy: a network that computes nothing still guesses one class.
#[must_use]
pub fn better(one: (Num, Num), other: (Num, Num)) -> Ordering {
    let diverged = |score: (Num, Num)| !score.1.0.is_finite();
    let accuracy = other.0.0.total_cmp(&one.0.0);
    diverged(one).cmp(&diverged(other)).then(accuracy).then(one.1.0.total_cmp(&other.1.0))
}

/// A search among architectures under way.
#[derive(Debug)]
pub struct Evolution {
    rules: Rules,
    seed: u64,
    tried: Vec<Tried>,
    /// What the tried ones reach, and for how much.
    points: Vec<Point>,
    /// Which of them survived the last generation, where accuracy is traded for cost.
    alive: Vec<usize>,
    /// Everything tried or about to be.
    seen: HashSet<Architecture>,
    population: Vec<Architecture>,
    /// How many of the population are scored.
    scored: usize,
    generation: usize,
}

impl Evolution {
    /// The random first generation, nothing scored yet.
    #[must_use]
    pub fn new(rules: Rules, seed: u64, domain: &dyn Domain) -> Self {
        let mut evolution = Self {
            rules,
            seed,
            tried: vec![],
            points: vec![],
            alive: vec![],
            seen: HashSet::new(),
            population: vec![],
            scored: 0,
            generation: 0,
        };
        evolution.breed(domain);
        evolution
    }

    /// A search that was told these scores before.
    ///
    /// # Errors
    /// - [`EngineError::Bug`] if it would have asked for other candidates.
    pub fn resume(
        rules: Rules,
        seed: u64,
        domain: &dyn Domain,
        tried: &[Tried],
    ) -> Result<Self, EngineError> {
        let mut evolution = Self::new(rules, seed, domain);
        for known in tried {
            if evolution.next() != Some(&known.architecture) {
                let text = "the checkpoint's candidates are not those of this run";
                return Err(EngineError::Bug(text.to_owned()));
            }
            evolution.tell(domain, Score { loss: known.loss.0, accuracy: known.accuracy.0 });
        }
        Ok(evolution)
    }

    /// The candidate to score next; none once the search is done.
    #[must_use]
    pub fn next(&self) -> Option<&Architecture> {
        self.population.get(self.scored)
    }

    /// Takes the score of [`Evolution::next`]; true if that ended a generation.
    pub fn tell(&mut self, domain: &dyn Domain, score: Score) -> bool {
        let Some(architecture) = self.next().cloned() else { return false };
        let cost = if self.rules.trades { domain.cost(&architecture) } else { 0 };
        self.points.push(Point { accuracy: score.accuracy, cost });
        let (accuracy, loss) = (Num(score.accuracy), Num(score.loss));
        self.tried.push(Tried { architecture, accuracy, loss });
        self.scored += 1;
        if self.scored < self.population.len() {
            return false;
        }
        self.survive();
        self.generation += 1;
        self.scored = 0;
        self.population.clear();
        if self.generation < self.rules.generations {
            self.breed(domain);
        }
        true
    }

    /// All candidates scored so far, in their order.
    #[must_use]
    pub fn tried(&self) -> &[Tried] {
        &self.tried
    }

    /// Generations that are complete.
    #[must_use]
    pub fn generation(&self) -> usize {
        self.generation
    }

    /// The best candidate so far, the first of equals; where accuracy is traded for cost, the most
    /// accurate one of the front, which of equally accurate ones holds the cheapest.
    #[must_use]
    pub fn best(&self) -> Option<&Tried> {
        match self.rules.trades {
            true => self.front().last().copied(),
            false => self.ranked().first().copied(),
        }
    }

    /// Candidates that are the most accurate for what they cost, by rising cost.
    #[must_use]
    pub fn front(&self) -> Vec<&Tried> {
        pareto::front(&self.points).into_iter().map(|at| &self.tried[at]).collect()
    }

    /// Out of those alive and the generation that ends, keeps the best trade-offs.
    fn survive(&mut self) {
        if !self.rules.trades {
            return;
        }
        let born = self.tried.len() - self.population.len()..self.tried.len();
        let rivals: Vec<usize> = self.alive.iter().copied().chain(born).collect();
        let points: Vec<Point> = rivals.iter().map(|at| self.points[*at]).collect();
        let kept = pareto::survivors(&points, self.rules.population);
        self.alive = kept.into_iter().map(|at| rivals[at]).collect();
    }

    /// Those that may have children: the most accurate, or the winners of duels between two of
    /// those alive, which are ordered from the best to the worst.
    fn parents(&self, generator: &mut Xoshiro256PlusPlus) -> Vec<Architecture> {
        let architecture = |tried: &Tried| tried.architecture.clone();
        if !self.rules.trades {
            return self.ranked().into_iter().take(self.rules.parents).map(architecture).collect();
        }
        let alive = self.alive.len();
        let mut duel = || below(generator, alive).min(below(generator, alive));
        (0..alive).map(|_| architecture(&self.tried[self.alive[duel()]])).collect()
    }

    /// Candidates from the best to the worst; equals in the order in which they were tried.
    fn ranked(&self) -> Vec<&Tried> {
        let mut ranked: Vec<&Tried> = self.tried.iter().collect();
        ranked.sort_by(|a, b| a.order(b));
        ranked
    }

    /// The next population: mutants, crossovers, random candidates, each never seen before. It is
    /// smaller than asked for if the space holds no more.
    fn breed(&mut self, domain: &dyn Domain) {
        let rules = self.rules;
        let mut generator: Xoshiro256PlusPlus =
            generator(self.seed, Stream::Breed, self.generation as u64);
        let parents = self.parents(&mut generator);
        let mut breeder = Breeder { domain, generator, seen: &mut self.seen };
        let mut population = Vec::new();
        if !parents.is_empty() {
            let probs = (rules.mutation_prob, rules.structure_prob);
            let mutants = rules.mutations.min(rules.population);
            breeder.fill(&mut population, mutants, |breeder| breeder.mutant(&parents, probs));
            let both = (rules.mutations + rules.crossovers).min(rules.population);
            let crossovers = both - mutants;
            breeder.fill(&mut population, crossovers, |breeder| breeder.crossover(&parents));
        }
        let rest = rules.population - population.len();
        breeder.strangers(&mut population, rest);
        self.population = population;
    }
}

/// At most so many different random candidates, fewer if there are no more.
#[must_use]
pub fn random(domain: &dyn Domain, count: usize, seed: u64) -> Vec<Architecture> {
    let generator = generator(seed, Stream::Candidates, 0);
    let (mut seen, mut drawn) = (HashSet::new(), Vec::new());
    Breeder { domain, generator, seen: &mut seen }.strangers(&mut drawn, count);
    drawn
}

#[cfg(test)]
mod tests {
    use super::super::breed::tests::Toy;
    use super::*;
    use proptest::prelude::*;

    fn rules() -> Rules {
        Rules {
            population: 12,
            parents: 4,
            mutations: 5,
            crossovers: 4,
            mutation_prob: 0.2,
            structure_prob: 0.4,
            generations: 6,
            trades: false,
        }
    }

    fn trading() -> Rules {
        Rules { parents: 12, trades: true, ..rules() }
    }

    /// Right answers among the genes that count.
    #[expect(clippy::cast_precision_loss, reason = "genes are few")]
    fn score(architecture: &Architecture) -> Score {
        let right = architecture.0.iter().enumerate().filter(|(at, gene)| **gene == at % 3).count();
        let accuracy = right as f64 / architecture.0.len() as f64;
        Score { loss: 1.0 - accuracy, accuracy }
    }

    fn run(rules: Rules, seed: u64, domain: &Toy) -> Evolution {
        let mut evolution = Evolution::new(rules, seed, domain);
        while let Some(next) = evolution.next().cloned() {
            evolution.tell(domain, score(&next));
        }
        evolution
    }

    proptest! {
        #[test]
        fn candidates_are_valid_unique_and_within_the_limits(seed: u64, limit in 0_usize..14, trades: bool) {
            let domain = Toy { genes: 9, limit };
            let evolution = run(if trades { trading() } else { rules() }, seed, &domain);
            let mut seen = HashSet::new();
            for tried in evolution.tried() {
                let genome = &tried.architecture;
                prop_assert!(genome.0.iter().zip(domain.options()).all(|(gene, n)| gene < n));
                prop_assert!(domain.allows(genome));
                prop_assert!(domain.is_canonical(genome));
                prop_assert!(seen.insert(genome.clone()), "{genome:?} twice");
            }
            prop_assert!(evolution.tried().len() <= 72);
        }

        #[test]
        fn resuming_at_any_candidate_changes_nothing(seed: u64, at in 0_usize..72, trades: bool) {
            let domain = Toy { genes: 9, limit: 99 };
            let rules = if trades { trading() } else { rules() };
            let whole = run(rules, seed, &domain);
            let known = &whole.tried()[..at];
            let mut again = Evolution::resume(rules, seed, &domain, known).unwrap();
            while let Some(next) = again.next().cloned() {
                again.tell(&domain, score(&next));
            }
            prop_assert_eq!(again.tried(), whole.tried());
            prop_assert_eq!(again.best(), whole.best());
            prop_assert_eq!(again.front(), whole.front());
        }
    }

    #[test]
    fn evolution_beats_random_search_of_equal_cost() {
        let domain = Toy { genes: 12, limit: 99 };
        let random =
            Rules { population: 72, mutations: 0, crossovers: 0, generations: 1, ..rules() };
        let mean = |rules| {
            let best = |seed| run(rules, seed, &domain).best().unwrap().accuracy.0;
            (0..20).map(best).sum::<f64>() / 20.0
        };
        let (evolved, drawn) = (mean(rules()), mean(random));
        assert!(evolved > drawn + 0.05, "{evolved} against {drawn}");
    }

    /// The area that a front dominates, against random search of equal cost.
    #[test]
    fn the_front_is_wider_than_that_of_random_search() {
        let domain = Toy { genes: 12, limit: 99 };
        let random =
            Rules { population: 72, mutations: 0, crossovers: 0, generations: 1, ..trading() };
        #[expect(clippy::cast_precision_loss, reason = "costs are small")]
        let area = |rules| {
            let of = |seed| {
                let evolution = run(rules, seed, &domain);
                let front = evolution.front();
                let cost = |tried: &Tried| domain.cost(&tried.architecture) as f64;
                let ends = front.iter().skip(1).map(|tried| cost(tried)).chain([24.0]);
                let steps = front.iter().zip(ends);
                steps.map(|(tried, end)| tried.accuracy.0 * (end - cost(tried))).sum::<f64>()
            };
            (0..20).map(of).sum::<f64>() / 20.0
        };
        let (bred, drawn) = (area(trading()), area(random));
        assert!(bred > 1.1 * drawn, "{bred} against {drawn}");
    }

    #[test]
    fn where_cost_counts_the_best_is_the_cheapest_of_the_most_accurate() {
        let domain = Toy { genes: 9, limit: 99 };
        let mut evolution = Evolution::new(trading(), 3, &domain);
        let cost = |tried: &Tried| domain.cost(&tried.architecture);
        while let Some(next) = evolution.next().cloned() {
            // Many are equally accurate, and of them the dearest has the least loss.
            let accuracy = score(&next).accuracy.min(0.5);
            #[expect(clippy::cast_precision_loss, reason = "costs are small")]
            let loss = 100.0 - domain.cost(&next) as f64;
            evolution.tell(&domain, Score { loss, accuracy });
        }
        let best = evolution.best().unwrap();
        assert_eq!(evolution.front().last(), Some(&best));
        let equals = evolution.tried().iter().filter(|tried| tried.accuracy == best.accuracy);
        let costs: Vec<u64> = equals.map(cost).collect();
        assert!(costs.iter().any(|other| *other > cost(best)), "{costs:?}");
        assert!(costs.iter().all(|other| *other >= cost(best)), "{costs:?}");
    }

    #[test]
    fn a_small_space_is_searched_to_its_end_and_no_further() {
        let domain = Toy { genes: 3, limit: 99 };
        let random = Rules { population: 1000, mutations: 0, generations: 1, ..rules() };
        let evolution = run(random, 1, &domain);
        // One gene of structure leaves out the last gene: 2·3 + 1·9 networks of 27 genomes.
        assert_eq!(evolution.tried().len(), domain.count());
        assert_eq!(
            run(Rules { generations: 99, ..rules() }, 1, &domain).tried().len(),
            domain.count()
        );
    }

    #[test]
    fn scores_of_other_candidates_are_refused() {
        let domain = Toy { genes: 9, limit: 99 };
        let whole = run(rules(), 1, &domain);
        assert!(Evolution::resume(rules(), 2, &domain, &whole.tried()[..3]).is_err());
    }

    #[test]
    fn a_loss_that_is_no_number_ranks_last() {
        let tried = |accuracy, loss| Tried {
            architecture: Architecture(vec![]),
            accuracy: Num(accuracy),
            loss: Num(loss),
        };
        assert_eq!(tried(0.6, f64::NAN).order(&tried(0.5, 0.1)), Ordering::Greater);
        assert_eq!(tried(0.6, f64::INFINITY).order(&tried(0.5, 0.1)), Ordering::Greater);
        assert_eq!(tried(0.6, 3.0).order(&tried(0.5, 0.1)), Ordering::Less);
        assert_eq!(tried(0.5, 3.0).order(&tried(0.5, f64::NAN)), Ordering::Less);
        assert_eq!(tried(0.5, -f64::NAN).order(&tried(0.5, 3.0)), Ordering::Greater);
    }
}
