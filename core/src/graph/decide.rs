//! Architectures of a space: which there are, which differ, which one the rows prefer.

use super::Graph;
use crate::choice::{Architecture, ChoiceId, argmax};

/// Choices of which only some keep an operation, as the edges into a node of a DARTS cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruning {
    /// The choices.
    pub choices: Vec<ChoiceId>,
    /// How many keep an operation.
    pub keep: usize,
    /// The option that stands for no operation; it is never kept.
    pub none: usize,
}

impl Graph {
    /// Number of different architectures; saturates far above any space of use.
    ///
    /// A choice that does not matter under another's option is not counted there.
    #[must_use]
    pub fn count(&self) -> u128 {
        let options = |id: ChoiceId| self.choices[id].options.len() as u128;
        let pruned = |id: ChoiceId| self.prunings.iter().any(|p| p.choices.contains(&id));
        let mut total: u128 = 1;
        for id in 0..self.choices.len() {
            if self.choices[id].when.is_some() || pruned(id) {
                continue;
            }
            // The ways to settle what hangs on each option.
            let ways = (0..self.choices[id].options.len()).map(|option| {
                let dependent = self.choices.iter().enumerate().filter(|(_, choice)| {
                    choice
                        .when
                        .as_ref()
                        .is_some_and(|(on, options)| *on == id && options.contains(&option))
                });
                dependent.map(|(other, _)| options(other)).fold(1, u128::saturating_mul)
            });
            total = total.saturating_mul(ways.fold(0, u128::saturating_add));
        }
        for pruning in &self.prunings {
            let each = pruning.choices.first().map_or(1, |id| options(*id) - 1);
            let keep = u32::try_from(pruning.keep).unwrap_or(u32::MAX);
            let ways = each.saturating_pow(keep);
            total = total.saturating_mul(binomial(pruning.choices.len(), pruning.keep));
            total = total.saturating_mul(ways);
        }
        total
    }

    /// Whether a choice matters under an architecture.
    #[must_use]
    pub fn is_open(&self, architecture: &Architecture, choice: ChoiceId) -> bool {
        self.choices[choice].when.as_ref().is_none_or(|(on, options)| {
            architecture.0.get(*on).is_some_and(|option| options.contains(option))
        })
    }

    /// The same architecture with every choice that does not matter at its first option, so that
    /// equal networks have equal architectures.
    #[must_use]
    pub fn canonical(&self, architecture: &Architecture) -> Architecture {
        let picked = architecture.0.iter().enumerate();
        Architecture(
            picked
                .map(|(id, option)| if self.is_open(architecture, id) { *option } else { 0 })
                .collect(),
        )
    }

    /// The choices in which two architectures differ: those that matter in both and have different
    /// options. A layer that only one of them has differs by what decides on it, as the depth.
    ///
    /// Both must belong to the space (see [`Architecture::check`]).
    #[must_use]
    pub fn differences(&self, one: &Architecture, other: &Architecture) -> Vec<ChoiceId> {
        let differs = |id: &ChoiceId| {
            one.0[*id] != other.0[*id] && self.is_open(one, *id) && self.is_open(other, *id)
        };
        (0..self.choices.len()).filter(differs).collect()
    }

    /// The architecture that weights per option prefer: the largest entry of each row, and where
    /// only some choices keep an operation, those whose best operation weighs most.
    ///
    /// `rows` has one entry per choice; the first of equals wins.
    #[must_use]
    pub fn derive<R: AsRef<[f64]>>(&self, rows: &[R]) -> Architecture {
        let mut architecture = Architecture::argmax(rows);
        for pruning in &self.prunings {
            let best = |id: &ChoiceId| {
                let mut row = rows[*id].as_ref().to_vec();
                if let Some(none) = row.get_mut(pruning.none) {
                    *none = f64::NEG_INFINITY;
                }
                let option = argmax(&row);
                (*id, option, row[option])
            };
            let mut edges: Vec<(ChoiceId, usize, f64)> = pruning.choices.iter().map(best).collect();
            edges.sort_by(|a, b| b.2.total_cmp(&a.2));
            for (at, (id, option, _)) in edges.into_iter().enumerate() {
                architecture.0[id] = if at < pruning.keep { option } else { pruning.none };
            }
        }
        self.canonical(&architecture)
    }
}

fn binomial(n: usize, k: usize) -> u128 {
    if k > n {
        return 0;
    }
    (0..k as u128).fold(1, |ways, i| ways * (n as u128 - i) / (i + 1))
}

#[cfg(test)]
mod tests {
    use super::super::{Builder, Linear, Mix, NodeId, Op, Size};
    use super::*;
    use crate::choice::{Choice, Site};

    fn choice(label: &str, options: usize, when: Option<(ChoiceId, Vec<usize>)>) -> Choice {
        Choice {
            tensor: "t".to_owned(),
            label: label.to_owned(),
            options: (0..options).map(|option| option.to_string()).collect(),
            site: Site::Layer { layer: label.to_owned(), property: "width".to_owned() },
            when,
        }
    }

    /// Two layers, the second only at the larger depth, each with three widths.
    fn deep() -> Graph {
        let mut builder = Builder::new(vec![4]);
        let depth = builder.choice(choice("depth", 2, None));
        let mut x: NodeId = builder.input();
        let mut exits = Vec::new();
        for layer in 0..2_usize {
            let when = (layer > 0).then(|| (depth, vec![1]));
            let width = builder.choice(choice(&format!("w{layer}"), 3, when));
            let width = Size::elastic(width, &[2, 3, 6]);
            let up = Linear::new(4, width.clone());
            x = builder.add(format!("up{layer}"), Op::Linear(up), &[x]);
            x = builder.add(format!("down{layer}"), Op::Linear(Linear::new(width, 4)), &[x]);
            exits.push(x);
        }
        let out = builder.add("depth", Op::Mix(Mix::each(depth, 2)), &exits);
        builder.finish(out).unwrap()
    }

    #[test]
    fn what_does_not_matter_is_not_counted() {
        let graph = deep();
        assert_eq!(graph.count(), 3 + 9);
        assert_eq!(graph.canonical(&Architecture(vec![0, 2, 2])).0, [0, 2, 0]);
        assert_eq!(graph.canonical(&Architecture(vec![1, 2, 2])).0, [1, 2, 2]);
        let differences = |one: [usize; 3], other: [usize; 3]| {
            graph.differences(&Architecture(one.to_vec()), &Architecture(other.to_vec()))
        };
        assert_eq!(differences([0, 2, 0], [0, 2, 2]), [0; 0]);
        assert_eq!(differences([0, 2, 0], [0, 1, 2]), [1]);
        assert_eq!(differences([0, 2, 0], [1, 2, 2]), [0]);
        assert_eq!(differences([1, 2, 0], [1, 0, 2]), [1, 2]);
        let (shallow, same) = ([0, 2, 0], [0, 2, 2]);
        let cost = |picked: [usize; 3]| graph.cost(&Architecture(picked.to_vec())).unwrap();
        assert_eq!(cost(shallow), cost(same));
        assert_eq!(cost(shallow).params, 4 * 6 + 6 + 6 * 4 + 4);
    }

    #[test]
    fn the_heaviest_operations_are_kept_and_none_never_is() {
        let mut graph = deep();
        graph.choices.iter_mut().for_each(|choice| choice.when = None);
        graph.prunings = vec![Pruning { choices: vec![1, 2], keep: 1, none: 0 }];
        let rows = [vec![0.2, 0.8], vec![0.8, 0.1, 0.1], vec![0.0, 0.3, 0.7]];
        assert_eq!(graph.derive(&rows).0, [1, 0, 2]);
        assert_eq!(graph.count(), 2 * (2 * 2));
    }
}
