//! The best architecture under limits: a sum of tables is maximised while other sums stay low.
//!
//! First a good answer: from the best options without limits, changes that lose least for what
//! they save, until the limits hold; then single and pairwise changes as long as they gain. After
//! that a branch-and-bound search proves it the best or finds a better one, until its budget is
//! spent. In spaces of up to a few ten thousand architectures, and wherever limits are loose, the
//! answer is exact.

use crate::choice::{Architecture, ChoiceId};

/// Steps of the branch-and-bound search.
const BUDGET: usize = 20_000;

/// A table over the options of some choices; the last choice's option changes fastest.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// The choices.
    pub choices: Vec<ChoiceId>,
    /// Number of options of each of them.
    pub sizes: Vec<usize>,
    /// One entry a combination.
    pub values: Vec<f64>,
}

/// A sum of tables that must not exceed a bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// The tables.
    pub terms: Vec<Term>,
    /// The bound, above 0.
    pub bound: f64,
}

/// What is to be solved.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Number of options of each choice.
    pub options: Vec<usize>,
    /// What is maximised.
    pub objective: Vec<Term>,
    /// What must hold.
    pub limits: Vec<Limit>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// The architecture.
    pub architecture: Architecture,
    /// Its objective.
    pub value: f64,
    /// Whether it is known to be the best.
    pub proven: bool,
}

impl Term {
    fn at(&self, architecture: &[usize]) -> f64 {
        let digits = self.choices.iter().zip(&self.sizes);
        let entry = digits.fold(0, |entry, (choice, size)| entry * size + architecture[*choice]);
        self.values[entry]
    }

    /// The largest entry that fits the choices made so far.
    fn most(&self, made: &[Option<usize>]) -> f64 {
        let fits = |entry: usize| {
            let mut rest = entry;
            self.choices.iter().zip(&self.sizes).rev().all(|(choice, size)| {
                let option = rest % size;
                rest /= size;
                made[*choice].is_none_or(|made| made == option)
            })
        };
        let entries = self.values.iter().enumerate().filter(|(entry, _)| fits(*entry));
        entries.map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max)
    }

    fn negated(&self) -> Self {
        let values = self.values.iter().map(|value| -value).collect();
        Self { values, ..self.clone() }
    }
}

fn total(terms: &[Term], architecture: &[usize]) -> f64 {
    terms.iter().map(|term| term.at(architecture)).sum()
}

impl Problem {
    /// The best architecture; none if no architecture within the limits was found.
    #[must_use]
    pub fn solve(&self) -> Option<Solution> {
        let guess = self.guess();
        let mut search = Branching::new(self);
        if let Some(guess) = &guess {
            search.best = Some((self.value(guess), guess.clone()));
        }
        search.descend(0);
        let proven = search.left > 0;
        let (value, architecture) = search.best?;
        Some(Solution { architecture: Architecture(architecture), value, proven })
    }

    fn value(&self, architecture: &[usize]) -> f64 {
        total(&self.objective, architecture)
    }

    /// By how much limits are exceeded, as shares of them.
    fn excess(&self, architecture: &[usize]) -> f64 {
        let over = |limit: &Limit| (total(&limit.terms, architecture) / limit.bound - 1.0).max(0.0);
        self.limits.iter().map(over).sum()
    }

    fn guess(&self) -> Option<Vec<usize>> {
        let mut guess = vec![0; self.options.len()];
        self.climb(&mut guess, |_| true);
        while self.excess(&guess) > 0.0 {
            let (value, excess) = (self.value(&guess), self.excess(&guess));
            let mut best: Option<(f64, usize, usize)> = None;
            for (choice, option) in self.singles() {
                let old = std::mem::replace(&mut guess[choice], option);
                let saved = excess - self.excess(&guess);
                if saved > 0.0 {
                    let loss = (value - self.value(&guess)) / saved;
                    if best.is_none_or(|(known, ..)| loss < known) {
                        best = Some((loss, choice, option));
                    }
                }
                guess[choice] = old;
            }
            let (_, choice, option) = best?;
            guess[choice] = option;
        }
        self.climb(&mut guess, |guess| self.excess(guess) <= 0.0);
        Some(guess)
    }

    fn singles(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let choices = self.options.iter().enumerate();
        choices.flat_map(|(choice, options)| (0..*options).map(move |option| (choice, option)))
    }

    /// Single and pairwise changes, as long as they gain.
    fn climb(&self, at: &mut [usize], allowed: impl Fn(&[usize]) -> bool) {
        let mut value = self.value(at);
        loop {
            let before = value;
            for (first, one) in self.singles() {
                for (second, other) in self.singles().filter(|(second, _)| *second >= first) {
                    let old = (at[first], at[second]);
                    at[first] = one;
                    at[second] = if second == first { one } else { other };
                    let now = self.value(at);
                    if now > value && allowed(at) {
                        value = now;
                    } else {
                        (at[second], at[first]) = (old.1, old.0);
                    }
                }
            }
            if value <= before {
                return;
            }
        }
    }
}

/// Branch and bound: choices are made one by one, the most connected first.
struct Branching<'a> {
    problem: &'a Problem,
    /// The objective, then the limits with the sign turned, so that all bounds are upper ones.
    forms: Vec<Vec<Term>>,
    /// For every choice the tables (form and position) that it is part of.
    touched: Vec<Vec<(usize, usize)>>,
    /// What each table, and each form in sum, allows at most under the choices made so far.
    most: Vec<Vec<f64>>,
    sums: Vec<f64>,
    order: Vec<ChoiceId>,
    made: Vec<Option<usize>>,
    best: Option<(f64, Vec<usize>)>,
    left: usize,
}

impl<'a> Branching<'a> {
    fn new(problem: &'a Problem) -> Self {
        let mut forms = vec![problem.objective.clone()];
        let turned = |limit: &Limit| limit.terms.iter().map(Term::negated).collect();
        forms.extend(problem.limits.iter().map(turned));
        let mut touched = vec![vec![]; problem.options.len()];
        for (form, terms) in forms.iter().enumerate() {
            for (at, term) in terms.iter().enumerate() {
                term.choices.iter().for_each(|choice| touched[*choice].push((form, at)));
            }
        }
        let mut order: Vec<ChoiceId> = (0..problem.options.len()).collect();
        order.sort_by_key(|choice| std::cmp::Reverse(touched[*choice].len()));
        let made = vec![None; problem.options.len()];
        let of_form = |terms: &Vec<Term>| terms.iter().map(|term| term.most(&made)).collect();
        let most: Vec<Vec<f64>> = forms.iter().map(of_form).collect();
        let sums = most.iter().map(|terms| terms.iter().sum()).collect();
        Self { problem, forms, touched, most, sums, order, made, best: None, left: BUDGET }
    }

    /// Makes or unmakes a choice.
    fn make(&mut self, choice: ChoiceId, option: Option<usize>) {
        self.made[choice] = option;
        for (form, at) in &self.touched[choice] {
            let most = self.forms[*form][*at].most(&self.made);
            let old = std::mem::replace(&mut self.most[*form][*at], most);
            self.sums[*form] += most - old;
        }
    }

    /// What the choices made so far allow at most; none if they break a limit.
    fn bound(&self) -> Option<f64> {
        let mut limits = self.problem.limits.iter().zip(&self.sums[1..]);
        limits.all(|(limit, turned)| -turned <= limit.bound).then_some(self.sums[0])
    }

    fn descend(&mut self, depth: usize) {
        let Some(choice) = self.order.get(depth).copied() else {
            let made: Vec<usize> = self.made.iter().map(|made| made.unwrap_or(0)).collect();
            let value = self.problem.value(&made);
            if self.best.as_ref().is_none_or(|(best, _)| value > *best) {
                self.best = Some((value, made));
            }
            return;
        };
        let mut options = Vec::new();
        for option in 0..self.problem.options[choice] {
            self.make(choice, Some(option));
            options.extend(self.bound().map(|bound| (bound, option)));
        }
        options.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (bound, option) in options {
            // A bound that only rounding lifts above the best is no reason to look.
            let hopeless = |best: f64| bound <= best + 1e-12 * best.abs();
            if self.best.as_ref().is_some_and(|(best, _)| hopeless(*best)) || self.left == 0 {
                break;
            }
            self.left -= 1;
            self.make(choice, Some(option));
            self.descend(depth + 1);
        }
        self.make(choice, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pairs of neighbours, with values from a list.
    fn problem(options: &[usize], values: &[f64], bound: f64) -> Problem {
        let mut values = values.iter().copied().cycle();
        let mut term = |choices: Vec<usize>| {
            let sizes: Vec<usize> = choices.iter().map(|choice| options[*choice]).collect();
            let values = (0..sizes.iter().product()).map(|_| values.next().unwrap_or(0.0));
            Term { values: values.collect(), choices, sizes }
        };
        let objective = (0..options.len()).map(|choice| term(vec![choice])).collect();
        let terms = (1..options.len()).map(|choice| term(vec![choice - 1, choice])).collect();
        Problem { options: options.to_vec(), objective, limits: vec![Limit { terms, bound }] }
    }

    fn enumerated(problem: &Problem) -> Option<f64> {
        let count: usize = problem.options.iter().product();
        let all = (0..count).map(|number| {
            let mut rest = number;
            let digits = problem.options.iter().map(|size| {
                let digit = rest % size;
                rest /= size;
                digit
            });
            digits.collect::<Vec<_>>()
        });
        let allowed = all.filter(|at| problem.excess(at) <= 0.0);
        allowed.map(|at| problem.value(&at)).max_by(f64::total_cmp)
    }

    proptest! {
        #[test]
        fn the_answer_is_that_of_trying_everything(
            options in proptest::collection::vec(1_usize..5, 1..6),
            values in proptest::collection::vec(0.0_f64..9.0, 7..40),
            bound in 0.5_f64..30.0,
        ) {
            let problem = problem(&options, &values, bound);
            let solution = problem.solve();
            prop_assert!(solution.as_ref().is_none_or(|solution| solution.proven));
            let expected = enumerated(&problem);
            prop_assert_eq!(solution.is_some(), expected.is_some());
            if let (Some(solution), Some(expected)) = (solution, expected) {
                prop_assert!((solution.value - expected).abs() < 1e-9);
                prop_assert!(problem.excess(&solution.architecture.0) <= 0.0);
            }
        }
    }

    /// A knapsack of forty choices, far too many to try: the guess comes close to the bound that
    /// ignores that options are whole.
    #[test]
    fn a_large_space_is_answered_well() {
        let options = [3; 40];
        let values: Vec<f64> = (0..997_u32).map(|i| f64::from(i * 7919 % 1000) / 100.0).collect();
        let loose = problem(&options, &values, 1e9).solve().unwrap();
        assert!(loose.proven);
        let tight = problem(&options, &values, 120.0).solve().unwrap();
        assert!(tight.value > 0.8 * loose.value && tight.value < loose.value, "{tight:?}");
    }
}
