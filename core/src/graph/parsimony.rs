//! Of options that are nearly as likely as the likeliest, the cheapest.

use super::{Graph, GraphError};
use crate::choice::ChoiceId;
use crate::spec::Measure;

impl Graph {
    /// Rows in which the cheapest option of each choice leads among those that are at least
    /// `1 - parsimony` times as likely as the likeliest; the two change places. What an option costs
    /// is told with every other choice as the rows prefer it.
    ///
    /// Where only some choices keep an operation, those that keep none stay as they are.
    ///
    /// # Errors
    /// - [`GraphError`] if the rows do not belong to the graph.
    pub fn parsimonious(
        &self,
        rows: &[Vec<f64>],
        parsimony: f64,
        on: Measure,
    ) -> Result<Vec<Vec<f64>>, GraphError> {
        if parsimony <= 0.0 {
            return Ok(rows.to_vec());
        }
        self.cheapest_lead(rows.to_vec(), on, |choice, best| {
            let row = &rows[choice];
            let near = |option: &usize| row[*option] >= (1.0 - parsimony) * row[best];
            (0..row.len()).filter(near).collect()
        })
    }

    /// Rows in which the cheapest of some options leads in each choice, of equals the likelier;
    /// `among` names them, given the choice and its likeliest option. What an option costs is told
    /// with every other choice as the rows prefer it.
    pub(super) fn cheapest_lead(
        &self,
        mut rows: Vec<Vec<f64>>,
        on: Measure,
        among: impl Fn(ChoiceId, usize) -> Vec<usize>,
    ) -> Result<Vec<Vec<f64>>, GraphError> {
        let preferred = self.derive(&rows);
        for (choice, row) in rows.iter_mut().enumerate() {
            let best = preferred.0[choice];
            if !self.is_open(&preferred, choice) || self.is_none(choice, best) {
                continue;
            }
            let mut cheapest: Option<(u64, usize)> = None;
            for option in among(choice, best) {
                if self.is_none(choice, option) {
                    continue;
                }
                let mut other = preferred.clone();
                other.0[choice] = option;
                let cost = self.cost(&self.canonical(&other))?.of(on);
                let wins = cheapest.is_none_or(|(least, leader)| {
                    cost < least || cost == least && row[option] > row[leader]
                });
                if wins {
                    cheapest = Some((cost, option));
                }
            }
            if let Some((_, option)) = cheapest.filter(|(_, option)| *option != best) {
                lead(row, best, option);
            }
        }
        Ok(rows)
    }

    /// Whether an option stands for keeping no operation.
    pub(super) fn is_none(&self, choice: ChoiceId, option: usize) -> bool {
        let mut prunings = self.prunings.iter();
        prunings.any(|pruning| pruning.none == option && pruning.choices.contains(&choice))
    }
}

/// Lets an option change places with the likeliest, and lead where others are as likely.
fn lead(row: &mut [f64], best: usize, option: usize) {
    row.swap(best, option);
    let top = row[option];
    for (other, value) in row.iter_mut().enumerate() {
        if other != option {
            *value = value.min(top.next_down());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Architecture;
    use crate::spaces::{self, autoformer, darts, toy_cell};
    use crate::spec::{Sharing, SpaceSpec};

    /// sep3, sep5, dil3, dil5: dil3 costs least, then dil5, sep3, sep5.
    fn toy_cell() -> Graph {
        let space = (toy_cell::PRESET.defaults)();
        spaces::build(&space, toy_cell::PRESET.shape, Sharing::Entangled).unwrap()
    }

    fn derived(graph: &Graph, rows: &[Vec<f64>], parsimony: f64) -> Vec<usize> {
        let rows = graph.parsimonious(rows, parsimony, Measure::Macs).unwrap();
        graph.derive(&rows).0
    }

    #[test]
    fn the_cheapest_leads_among_those_that_are_near() {
        let graph = toy_cell();
        let rows = vec![
            vec![0.31, 0.44, 0.12, 0.13],
            vec![0.35, 0.36, 0.15, 0.14],
            vec![0.25, 0.31, 0.22, 0.22],
            vec![0.10, 0.20, 0.10, 0.60],
            vec![0.25; 4],
            vec![0.00, 0.00, 0.00, 1.00],
        ];
        assert_eq!(derived(&graph, &rows, 0.0), [1, 1, 1, 3, 0, 3]);
        assert_eq!(derived(&graph, &rows, 0.1), [1, 0, 1, 3, 2, 3]);
        assert_eq!(derived(&graph, &rows, 0.3), [0, 0, 2, 3, 2, 3]);
        assert_eq!(derived(&graph, &rows, 0.9), [2, 2, 2, 2, 2, 3]);
        // Two options change places, and a row stays one of probabilities.
        let changed = graph.parsimonious(&rows, 0.3, Measure::Params).unwrap();
        assert_eq!(changed[0], [0.44, 0.31, 0.12, 0.13]);
        assert_eq!(changed[3], rows[3]);
    }

    /// What a choice costs may hang on others; whatever they are, no derived architecture costs more.
    #[test]
    fn a_size_that_is_near_is_the_smaller_one() {
        let space = (autoformer::TINY.defaults)();
        let graph = spaces::build(&space, autoformer::TINY.shape, Sharing::Entangled).unwrap();
        let row = |options: usize| -> Vec<f64> {
            (0..options).map(|option| 1.0 + 0.01 * option as f64).collect()
        };
        let rows: Vec<_> = graph.choices.iter().map(|choice| row(choice.options.len())).collect();
        let largest = graph.derive(&rows);
        let smallest = Architecture(derived(&graph, &rows, 0.2));
        assert_eq!(smallest.0.iter().sum::<usize>(), 0);
        let macs = |one: &Architecture| graph.cost(one).unwrap().macs;
        assert!(macs(&smallest) < macs(&largest));
    }

    /// Edges stay those that the rows prefer, and none of them loses its operation.
    #[test]
    fn edges_are_kept_by_their_best_operation() {
        let space = (darts::PRESET.defaults)();
        let SpaceSpec::Darts(options) = &space else { panic!("darts") };
        assert!(options.cells > 0);
        let graph = spaces::build(&space, darts::PRESET.shape, Sharing::Shared).unwrap();
        let row = |(at, options): (usize, usize)| -> Vec<f64> {
            (0..options).map(|option| 1.0 + 0.01 * ((3 * at + 5 * option) % 8) as f64).collect()
        };
        let options = graph.choices.iter().map(|choice| choice.options.len());
        let rows: Vec<_> = options.enumerate().map(row).collect();
        let (free, cheap) = (graph.derive(&rows).0, derived(&graph, &rows, 0.5));
        let kept = |genome: &[usize]| -> Vec<bool> {
            genome.iter().enumerate().map(|(at, option)| graph.is_none(at, *option)).collect()
        };
        assert_eq!(kept(&free), kept(&cheap));
        assert_ne!(free, cheap);
        let macs = |one: &[usize]| graph.cost(&Architecture(one.to_vec())).unwrap().macs;
        assert!(macs(&cheap) < macs(&free));
    }
}
