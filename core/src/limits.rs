//! Limits on the cost of the network that is searched.

use crate::choice::Architecture;
use crate::graph::{CostTable, Graph, GraphError, Pruning};
use crate::solve::{Limit, Problem, Solution, Term};
pub use crate::spec::Measure;
use crate::spec::{ConstraintsSpec, Violation};

/// The smallest probability that is told from others: rows may hold zeros.
const LEAST: f64 = 1e-12;

/// A space's cost as tables, with the limits of a run.
#[derive(Debug, Clone)]
pub struct Limits {
    tables: Vec<CostTable>,
    /// For exact costs, where the tables are an upper bound only.
    graph: Option<Graph>,
    options: Vec<usize>,
    prunings: Vec<Pruning>,
    /// The limits that are set.
    bounds: Vec<(Measure, u64)>,
    refuge: Architecture,
}

/// Why a run cannot be limited like that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitsError {
    /// No architecture is that small.
    #[error("{} {}", .0.field, .0.detail)]
    Unreachable(Violation),
    /// The graph's cost cannot be told as tables.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl LimitsError {
    /// As a violation of a specification.
    #[must_use]
    pub fn violation(self) -> Violation {
        match self {
            Self::Unreachable(violation) => violation,
            Self::Graph(error) => {
                Violation { field: "constraints".to_owned(), detail: error.to_string() }
            }
        }
    }
}

impl Limits {
    /// The limits that a specification sets, if it sets any. One on latency is left out as long as
    /// nothing was measured.
    ///
    /// # Errors
    /// - [`LimitsError::Unreachable`] with the smallest value that can be reached.
    pub fn of(graph: &Graph, spec: &ConstraintsSpec) -> Result<Option<Self>, LimitsError> {
        let known = |measure: &Measure| *measure != Measure::Latency || !graph.timings.is_empty();
        let set = |measure| Some((measure, spec.limit(measure)?));
        let bounds: Vec<(Measure, u64)> =
            Measure::ALL.into_iter().filter(known).filter_map(set).collect();
        if bounds.is_empty() {
            return Ok(None);
        }
        let tables = graph.cost_tables()?;
        let upper = tables.iter().any(|table| table.upper);
        let mut limits = Self {
            tables,
            graph: upper.then(|| graph.clone()),
            options: graph.choices.iter().map(|choice| choice.options.len()).collect(),
            prunings: graph.prunings.clone(),
            bounds,
            refuge: Architecture(vec![0; graph.choices.len()]),
        };
        limits.refuge = limits.find_refuge()?;
        Ok(Some(limits))
    }

    /// What an architecture costs.
    #[must_use]
    pub fn cost(&self, measure: Measure, architecture: &Architecture) -> u64 {
        let exact = self.graph.as_ref().and_then(|graph| graph.cost(architecture).ok());
        exact.map_or_else(|| self.bound(measure, architecture), |cost| cost.of(measure))
    }

    /// What the tables say: at least what the architecture costs.
    fn bound(&self, measure: Measure, architecture: &Architecture) -> u64 {
        self.tables.iter().map(|table| table.costs(measure)[table.entry(architecture)]).sum()
    }

    /// Whether an architecture is within the limits.
    #[must_use]
    pub fn allow(&self, architecture: &Architecture) -> bool {
        // Within the bound is within the limit; the exact cost takes longer to tell.
        let within = |(measure, max): &(Measure, u64)| {
            self.bound(*measure, architecture) <= *max
                || self.graph.is_some() && self.cost(*measure, architecture) <= *max
        };
        self.bounds.iter().all(within)
    }

    /// An architecture within the limits.
    #[must_use]
    pub fn refuge(&self) -> &Architecture {
        &self.refuge
    }

    /// The tables of the space's cost.
    #[must_use]
    pub fn tables(&self) -> &[CostTable] {
        &self.tables
    }

    /// The limits that are set.
    #[must_use]
    pub fn bounds(&self) -> &[(Measure, u64)] {
        &self.bounds
    }

    /// The likeliest architecture within the limits: the sum of the logarithms of its rows'
    /// probabilities is largest.
    #[must_use]
    pub fn likeliest(&self, rows: &[Vec<f64>]) -> Solution {
        let mut objective: Vec<Term> = rows
            .iter()
            .enumerate()
            .map(|(choice, row)| unary(choice, row.iter().map(|p| p.max(LEAST).ln())))
            .collect();
        // Where only some choices keep an operation, the others take no part in the sum.
        for pruning in &self.prunings {
            for choice in &pruning.choices {
                objective[*choice].values[pruning.none] = 0.0;
            }
        }
        let mut limits = self.problem_limits();
        limits.extend(self.pruned());
        let problem = Problem { options: self.options.clone(), objective, limits };
        problem.solve().unwrap_or_else(|| Solution {
            architecture: self.refuge.clone(),
            value: f64::NEG_INFINITY,
            proven: false,
        })
    }

    fn terms(&self, measure: Measure, sign: f64) -> Vec<Term> {
        #[expect(clippy::cast_precision_loss, reason = "costs are far below 2^53")]
        let numbers = |cost: &u64| sign * *cost as f64;
        let term = |table: &CostTable| Term {
            choices: table.choices.clone(),
            sizes: table.sizes.clone(),
            values: table.costs(measure).iter().map(numbers).collect(),
        };
        self.tables.iter().map(term).collect()
    }

    fn problem_limits(&self) -> Vec<Limit> {
        #[expect(clippy::cast_precision_loss, reason = "costs are far below 2^53")]
        let limit = |(measure, max): &(Measure, u64)| Limit {
            terms: self.terms(*measure, 1.0),
            bound: *max as f64,
        };
        self.bounds.iter().map(limit).collect()
    }

    /// Prunings as limits: so many operations at most, and so many empty choices at most.
    fn pruned(&self) -> Vec<Limit> {
        let limit = |pruning: &Pruning, empty: bool, bound: usize| {
            let term = |choice: &usize| {
                let counts =
                    (0..self.options[*choice]).map(|option| (option == pruning.none) == empty);
                unary(*choice, counts.map(|counts| f64::from(u8::from(counts))))
            };
            #[expect(clippy::cast_precision_loss, reason = "choices are few")]
            Limit { terms: pruning.choices.iter().map(term).collect(), bound: bound as f64 }
        };
        let both = self.prunings.iter().flat_map(|pruning| {
            let empty = pruning.choices.len().saturating_sub(pruning.keep);
            [limit(pruning, false, pruning.keep), limit(pruning, true, empty)]
        });
        both.collect()
    }

    /// The cheapest architecture by one cost, within the given limits.
    fn cheapest(&self, measure: Measure, mut limits: Vec<Limit>) -> Option<Architecture> {
        limits.extend(self.pruned());
        let objective = self.terms(measure, -1.0);
        let problem = Problem { options: self.options.clone(), objective, limits };
        problem.solve().map(|solution| solution.architecture)
    }

    fn find_refuge(&self) -> Result<Architecture, LimitsError> {
        let mut smallest = Vec::new();
        for (measure, max) in self.bounds.iter().copied() {
            let cheapest = self.cheapest(measure, vec![]);
            let least = cheapest.as_ref().map_or(0, |cheapest| self.cost(measure, cheapest));
            if least > max {
                let detail = format!(
                    "cannot be reached: the smallest architecture has {}, not {}",
                    measure.say(least),
                    measure.say(max)
                );
                return Err(unreachable(measure, detail));
            }
            smallest.extend(cheapest);
        }
        let (first, _) = self.bounds.first().copied().unwrap_or((Measure::Params, 0));
        let found = self.cheapest(first, self.problem_limits());
        // Where tables are upper bounds, one may be allowed that they do not allow.
        let found = found.or_else(|| smallest.into_iter().find(|one| self.allow(one)));
        found.ok_or_else(|| {
            let others =
                self.bounds[1..].iter().map(|(measure, _)| format!("`{}`", field(*measure)));
            let others = others.collect::<Vec<_>>().join(" and ");
            unreachable(first, format!("and {others} cannot be met together"))
        })
    }
}

fn unreachable(measure: Measure, detail: String) -> LimitsError {
    LimitsError::Unreachable(Violation { field: field(measure).to_owned(), detail })
}

/// The field that limits a cost.
fn field(measure: Measure) -> &'static str {
    match measure {
        Measure::Params => "constraints.max_params",
        Measure::Macs => "constraints.max_macs",
        Measure::Latency => "constraints.max_latency_ms",
    }
}

fn unary(choice: usize, values: impl Iterator<Item = f64>) -> Term {
    let values: Vec<f64> = values.collect();
    Term { choices: vec![choice], sizes: vec![values.len()], values }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spaces::{self, darts, toy_cell};
    use crate::spec::{Sharing, SpaceSpec};

    fn graph() -> Graph {
        let preset = toy_cell::PRESET;
        spaces::build(&(preset.defaults)(), preset.shape, Sharing::Entangled).unwrap()
    }

    fn limits(max_params: Option<u64>, max_macs: Option<u64>) -> Result<Option<Limits>, String> {
        let spec = ConstraintsSpec { max_params, max_macs, ..ConstraintsSpec::default() };
        Limits::of(&graph(), &spec).map_err(|error| error.to_string())
    }

    #[test]
    fn a_limit_that_cannot_be_reached_is_refused_with_the_smallest_value() {
        assert!(limits(None, None).unwrap().is_none());
        let range = graph().cost_range().unwrap();
        let (params, macs) = (range.min.params, range.min.macs);
        assert!(limits(Some(params), Some(macs)).is_ok());
        assert_eq!(
            limits(Some(params - 1), None).unwrap_err(),
            format!(
                "constraints.max_params cannot be reached: the smallest architecture has {params}, not {}",
                params - 1
            )
        );
        assert!(limits(None, Some(1)).unwrap_err().contains(&format!("has {macs}, not 1")));
    }

    /// Every architecture is compared.
    #[test]
    fn the_likeliest_within_a_limit_is_found() {
        let graph = graph();
        let range = graph.cost_range().unwrap();
        let rows: Vec<Vec<f64>> = (0..6_u32)
            .map(|row| (0..4).map(|at| f64::from((row * 5 + at * 3) % 7 + 1) / 20.0).collect())
            .collect();
        let log = |architecture: &Architecture| {
            rows.iter().zip(&architecture.0).map(|(row, at)| row[*at].ln()).sum::<f64>()
        };
        let all = (0..4096_usize).map(|n| Architecture((0..6).map(|i| n >> (2 * i) & 3).collect()));
        let all = all.map(|one| (graph.cost(&one).unwrap().params, log(&one)));
        let all: Vec<(u64, f64)> = all.collect();
        for share in 0..=4 {
            let max = range.min.params + (range.max.params - range.min.params) * share / 4;
            let limits = limits(Some(max), None).unwrap().unwrap();
            let solution = limits.likeliest(&rows);
            let best = all.iter().filter(|(params, _)| *params <= max).map(|(_, log)| *log);
            let best = best.fold(f64::NEG_INFINITY, f64::max);
            assert!(solution.proven && limits.allow(&solution.architecture));
            assert!((log(&solution.architecture) - best).abs() < 1e-9, "share {share}");
        }
    }

    /// Rows of the DARTS space that prefer dear operations.
    fn greedy_rows(graph: &Graph) -> Vec<Vec<f64>> {
        let weight =
            |row: usize, at: usize| f64::from(u8::try_from((row * 5 + at * 3) % 7).unwrap());
        let row = |(row, choice): (usize, &crate::choice::Choice)| {
            let all = (0..choice.options.len())
                .map(|at| 1.0 + weight(row, at) + 4.0 * f64::from(u8::from(at == 5)));
            let all: Vec<f64> = all.collect();
            let sum: f64 = all.iter().sum();
            all.into_iter().map(|p| p / sum).collect()
        };
        graph.choices.iter().enumerate().map(row).collect()
    }

    #[test]
    fn the_darts_space_is_limited_too() {
        for keep in [2, 1] {
            let SpaceSpec::Darts(mut options) = (darts::PRESET.defaults)() else {
                panic!("the preset is another space")
            };
            (options.channels, options.cells, options.keep) = (4, 4, keep);
            let space = SpaceSpec::Darts(options);
            let graph = spaces::build(&space, darts::PRESET.shape, Sharing::Entangled).unwrap();
            let rows = greedy_rows(&graph);
            let free = graph.cost(&graph.derive(&rows)).unwrap();
            let spec =
                |max| ConstraintsSpec { max_params: Some(max), ..ConstraintsSpec::default() };
            let least = Limits::of(&graph, &spec(1)).unwrap_err().to_string();
            let number = least.split("has ").nth(1).and_then(|rest| rest.split(',').next());
            let least: u64 = number.unwrap().parse().unwrap();
            let mut before = f64::NEG_INFINITY;
            for share in 1..=4 {
                let max = least + (free.params - least) * share / 4;
                let limits = Limits::of(&graph, &spec(max)).unwrap().unwrap();
                let solution = limits.likeliest(&rows);
                let picked = &solution.architecture;
                assert!(graph.cost(picked).unwrap().params <= max && limits.allow(picked));
                assert!(limits.allow(limits.refuge()));
                for pruning in &graph.prunings {
                    let kept = pruning.choices.iter().filter(|id| picked.0[**id] != pruning.none);
                    assert_eq!(kept.count(), pruning.keep);
                }
                assert!(solution.value >= before, "a wider limit never costs likelihood");
                before = solution.value;
            }
            if keep == 2 {
                // At the limit that the free choice just meets, little must be given up.
                let limits = Limits::of(&graph, &spec(free.params)).unwrap().unwrap();
                assert!(limits.likeliest(&rows).value > -28.0 * 3.0);
            }
        }
    }
}
