//! What the options of choices add to a score, and which of them to take.

use std::collections::BTreeMap;

use super::{Graph, GraphError, Op};
use crate::choice::ChoiceId;
use crate::spec::Measure;

/// Main effects, estimated from the scores of random architectures by least squares.
#[derive(Debug, Clone, PartialEq)]
pub struct Effects {
    /// What each option of each choice adds to the score, on average over all else.
    pub of: Vec<Vec<f64>>,
    /// How many of the architectures had the option.
    pub counts: Vec<Vec<usize>>,
    /// Standard deviation of what the sums of effects leave unexplained.
    pub residual: f64,
}

impl Graph {
    /// Rows that prefer what the effects speak for: first the kind of operation, then its size.
    ///
    /// The effect of a kind is the mean of its options'. Kinds that are closer to the best one than
    /// the standard error of the difference are equal, and the cheapest of them is taken. Sizes of
    /// one kind are slices of one weight, of which the larger lead at first; so the smallest is
    /// taken whose effect is at most `tolerance` below the best of its kind.
    ///
    /// # Errors
    /// - [`GraphError`] if the effects do not belong to the graph.
    pub fn rows_of_effects(
        &self,
        effects: &Effects,
        tolerance: f64,
        on: Measure,
    ) -> Result<Vec<Vec<f64>>, GraphError> {
        let scale = effects.residual.max(1e-9);
        let rows = effects.of.iter().map(|effects| softmax(effects, scale)).collect();
        self.cheapest_lead(rows, on, |choice, _| self.good_enough(effects, choice, tolerance))
    }

    /// The options of a choice whose kind equals the best one, and whose size is good enough in it.
    fn good_enough(&self, effects: &Effects, choice: ChoiceId, tolerance: f64) -> Vec<usize> {
        let (of, counts) = (&effects.of[choice], &effects.counts[choice]);
        let told = |options: Vec<usize>| {
            let most = options.iter().map(|option| of[*option]).fold(f64::MIN, f64::max);
            let seen: usize = options.iter().map(|option| counts[*option]).sum();
            #[expect(clippy::cast_precision_loss, reason = "options are few")]
            let mean = options.iter().map(|option| of[*option]).sum::<f64>() / options.len() as f64;
            #[expect(clippy::cast_precision_loss, reason = "architectures are few")]
            let variance = effects.residual.powi(2) / seen.max(1) as f64;
            let near = options.into_iter().filter(|option| of[*option] >= most - tolerance);
            (mean, variance, near.collect::<Vec<_>>())
        };
        let kinds: Vec<_> = self.kinds(choice).into_values().map(told).collect();
        let Some(best) = kinds.iter().max_by(|a, b| a.0.total_cmp(&b.0)) else { return vec![] };
        let equal = kinds.iter().filter(|kind| kind.0 >= best.0 - (kind.1 + best.1).sqrt());
        equal.flat_map(|(_, _, near)| near.clone()).collect()
    }

    /// The options of a choice by kind: those of one kind are slices of one weight.
    fn kinds(&self, choice: ChoiceId) -> BTreeMap<usize, Vec<usize>> {
        let mix = self.nodes.iter().find_map(|node| match &node.op {
            Op::Mix(mix) if mix.choice == choice => Some(mix),
            _ => None,
        });
        let mut kinds = BTreeMap::<usize, Vec<usize>>::new();
        for option in 0..self.choices[choice].options.len() {
            if self.is_none(choice, option) {
                continue;
            }
            let kind = mix.map_or(0, |mix| {
                // An option that no input serves is a kind of its own.
                mix.branch_of(option).unwrap_or(mix.branches.len() + option)
            });
            kinds.entry(kind).or_default().push(option);
        }
        kinds
    }
}

fn softmax(effects: &[f64], scale: f64) -> Vec<f64> {
    let most = effects.iter().copied().fold(f64::MIN, f64::max);
    let raw: Vec<f64> = effects.iter().map(|effect| ((effect - most) / scale).exp()).collect();
    let sum: f64 = raw.iter().sum();
    raw.into_iter().map(|value| value / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spaces::{self, conv_macro, nas_bench_201, toy_cell};
    use crate::spec::Sharing;

    fn toy_cell(sharing: Sharing) -> Graph {
        let space = (toy_cell::PRESET.defaults)();
        spaces::build(&space, toy_cell::PRESET.shape, sharing).unwrap()
    }

    /// Sixteen architectures with each option; a difference of kinds has an error of
    /// residual · √(1/32 + 1/32) = residual / 4.
    fn decided(graph: &Graph, of: Vec<Vec<f64>>, residual: f64, tolerance: f64) -> Vec<usize> {
        let counts = of.iter().map(|effects| vec![16; effects.len()]).collect();
        let effects = Effects { of, counts, residual };
        let rows = graph.rows_of_effects(&effects, tolerance, Measure::Params).unwrap();
        graph.derive(&rows).0
    }

    /// sep3 and sep5 are one kind, dil3 and dil5 the other.
    #[test]
    fn the_kind_is_decided_first_and_then_its_size() {
        let graph = toy_cell(Sharing::Entangled);
        let of = vec![
            // The larger kernel leads by less than the tolerance, or by more.
            vec![1.00, 1.30, -1.10, -1.20],
            vec![1.00, 1.60, -1.30, -1.30],
            // No option is better than the best of the worse kind, but its kind is.
            vec![0.30, 0.30, 0.40, -1.00],
            // Kinds within the standard error of their difference: the cheaper.
            vec![0.10, 0.10, 0.00, 0.00],
            vec![0.10, 0.20, -0.15, -0.15],
            // A smaller kernel that is better anyway.
            vec![0.00, -0.20, 0.10, 0.10],
        ];
        assert_eq!(decided(&graph, of.clone(), 0.5, 0.5), [0, 1, 0, 2, 0, 2]);
        // Without tolerance the better size of the kind.
        assert_eq!(decided(&graph, of, 0.5, 0.0), [1, 1, 0, 2, 1, 2]);
    }

    /// With separate weights every operation is a kind, and no size has a lead.
    #[test]
    fn operations_with_weights_of_their_own_have_no_sizes() {
        let graph = toy_cell(Sharing::Shared);
        let row = vec![1.00, 1.30, -1.10, -1.20];
        assert_eq!(decided(&graph, vec![row; 6], 0.5, 0.5), [1; 6]);
    }

    #[test]
    fn convolutions_of_two_sizes_stand_against_what_has_none() {
        let space = (nas_bench_201::PRESET.defaults)();
        let graph = spaces::build(&space, nas_bench_201::PRESET.shape, Sharing::Entangled).unwrap();
        let names = &graph.choices[0].options;
        let at = |name: &str| names.iter().position(|option| option.contains(name)).unwrap();
        let mut row = vec![-2.0; names.len()];
        row[at("conv1")] = 3.5;
        row[at("conv3")] = 4.7;
        row[at("skip")] = 3.9;
        assert_eq!(decided(&graph, vec![row.clone(); 6], 0.4, 0.5), [at("conv3"); 6]);
        row[at("skip")] = 4.3;
        assert_eq!(decided(&graph, vec![row; 6], 0.4, 0.5), [at("skip"); 6]);
    }

    /// All widths and all kernels of a layer are sizes of one weight.
    #[test]
    fn widths_and_kernels_are_sizes() {
        let space = (conv_macro::PRESET.defaults)();
        let graph = spaces::build(&space, conv_macro::PRESET.shape, Sharing::Entangled).unwrap();
        let of = graph.choices.iter().map(|_| vec![-2.4, 0.3, 0.6]).collect();
        assert_eq!(decided(&graph, of, 0.5, 0.5), [1; 8]);
    }
}
