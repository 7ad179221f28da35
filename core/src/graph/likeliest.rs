//! The likeliest architectures of rows, one after another.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};

use super::Graph;
use crate::choice::Architecture;

/// Most combinations that are looked at.
const BUDGET: usize = 50_000;
/// The smallest probability that is told from others: rows may hold zeros.
const LEAST: f64 = 1e-12;

/// For each choice, how many likelier options it passes over.
#[derive(Debug, Clone, PartialEq)]
struct Ranks {
    ranks: Vec<usize>,
    /// The last choice that passes over any.
    last: usize,
    /// How much less likely that is than the likeliest, as a difference of logarithms.
    loss: f64,
}

impl Eq for Ranks {}

impl PartialOrd for Ranks {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranks {
    /// The likelier one is greater.
    fn cmp(&self, other: &Self) -> Ordering {
        other.loss.total_cmp(&self.loss).then_with(|| other.ranks.cmp(&self.ranks))
    }
}

impl Graph {
    /// Different architectures that rows of probabilities prefer and `allowed` lets pass, the
    /// likeliest first: at most `count`, and fewer if there are no more or if they are too far down.
    ///
    /// The first is that of [`Graph::derive`]. Where only some choices keep an operation, an
    /// architecture follows from the options that are left when likelier ones are passed over.
    #[must_use]
    pub fn likeliest(
        &self,
        rows: &[Vec<f64>],
        count: usize,
        allowed: impl Fn(&Architecture) -> bool,
    ) -> Vec<Architecture> {
        let options: Vec<Vec<usize>> = rows.iter().map(|row| by_probability(row)).collect();
        let mut heap = BinaryHeap::from([Ranks { ranks: vec![0; rows.len()], last: 0, loss: 0.0 }]);
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        for _ in 0..BUDGET {
            let Some(next) = heap.pop().filter(|_| found.len() < count) else { break };
            let architecture = self.derive(&passed_over(rows, &options, &next.ranks));
            if seen.insert(architecture.clone()) && allowed(&architecture) {
                found.push(architecture);
            }
            for choice in next.last..rows.len() {
                let rank = next.ranks[choice];
                let Some(option) = options[choice].get(rank + 1) else { continue };
                let log = |option: usize| rows[choice][option].max(LEAST).ln();
                let loss = next.loss + log(options[choice][rank]) - log(*option);
                let mut ranks = next.ranks.clone();
                ranks[choice] += 1;
                heap.push(Ranks { ranks, last: choice, loss });
            }
        }
        found
    }
}

/// The options of a row, the likeliest first; of equals the first.
fn by_probability(row: &[f64]) -> Vec<usize> {
    let mut options: Vec<usize> = (0..row.len()).collect();
    options.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
    options
}

/// The rows without the options that are passed over.
fn passed_over(rows: &[Vec<f64>], options: &[Vec<usize>], ranks: &[usize]) -> Vec<Vec<f64>> {
    let without = |((row, options), rank): ((&Vec<f64>, &Vec<usize>), &usize)| {
        let mut row = row.clone();
        for option in &options[..*rank] {
            row[*option] = f64::NEG_INFINITY;
        }
        row
    };
    rows.iter().zip(options).zip(ranks).map(without).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spaces::{self, darts, toy_cell};
    use crate::spec::{Sharing, SpaceSpec};

    fn toy_cell() -> Graph {
        let space = (toy_cell::PRESET.defaults)();
        spaces::build(&space, toy_cell::PRESET.shape, Sharing::Entangled).unwrap()
    }

    /// Rows without equal sums.
    fn rows(graph: &Graph) -> Vec<Vec<f64>> {
        let row = |(at, options): (usize, usize)| {
            let raw: Vec<f64> = (0..options)
                .map(|option| 1.0 + ((7 * at + 5 * option + 3) % 11) as f64 + 0.013 * at as f64)
                .collect();
            let sum: f64 = raw.iter().sum();
            raw.into_iter().map(|value| value / sum).collect()
        };
        graph.choices.iter().map(|choice| choice.options.len()).enumerate().map(row).collect()
    }

    #[test]
    fn they_come_as_sorting_all_of_them_would_tell() {
        let graph = toy_cell();
        let rows = rows(&graph);
        let log = |genome: &Architecture| -> f64 {
            rows.iter().zip(&genome.0).map(|(row, option)| row[*option].ln()).sum()
        };
        let mut all: Vec<Architecture> = (0..4096_usize)
            .map(|code| Architecture((0..6).map(|at| code >> (2 * at) & 3).collect()))
            .collect();
        all.sort_by(|a, b| log(b).total_cmp(&log(a)));
        let found = graph.likeliest(&rows, 300, |_| true);
        assert_eq!(found.len(), 300);
        assert_eq!(found[0], graph.derive(&rows));
        for (at, (found, sorted)) in found.iter().zip(&all).enumerate() {
            assert!((log(found) - log(sorted)).abs() < 1e-12, "{at}");
        }
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), 300);
        let odd = |genome: &Architecture| genome.0[2] == 3;
        let kept = graph.likeliest(&rows, 10, odd);
        let expected: Vec<_> = all.iter().filter(|one| odd(one)).take(10).cloned().collect();
        assert_eq!(kept, expected);
        assert_eq!(graph.likeliest(&rows, 10_000, |_| true).len(), 4096);
    }

    #[test]
    fn those_of_a_pruned_space_keep_as_many_edges_as_they_may() {
        let SpaceSpec::Darts(mut options) = (darts::PRESET.defaults)() else {
            panic!("the preset is another space")
        };
        (options.channels, options.cells, options.nodes) = (2, 3, 2);
        let space = SpaceSpec::Darts(options);
        let graph = spaces::build(&space, darts::PRESET.shape, Sharing::Entangled).unwrap();
        let found = graph.likeliest(&rows(&graph), 50, |_| true);
        assert_eq!(found.len(), 50);
        for one in &found {
            for pruning in &graph.prunings {
                let kept = pruning.choices.iter().filter(|id| one.0[**id] != pruning.none);
                assert_eq!(kept.count(), pruning.keep, "{one:?}");
            }
        }
    }
}
