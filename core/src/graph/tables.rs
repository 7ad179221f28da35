//! The walk that gives cost as a function of the choices: a small table for each node.
//!
//! What a node costs depends on few choices: those that its own sizes are bound to, and those that
//! decide whether it is used. Nodes that depend on the same choices share a table, and the cost of
//! an architecture is the sum of one entry of each table. With probabilities in place of options
//! the same sum is the expected cost, because rows are independent.
//!
//! Whether a node is used may hang on very many choices: a cell of DARTS is left out only if all
//! edges that lead from it are `none`. Such a node counts as always used. The sum is then an upper
//! bound ([`CostTable::upper`]), and for architectures that use the node it is exact.

use std::collections::{BTreeMap, BTreeSet};

use super::cost::node_cost;
use super::known::KnownCosts;
use super::timing::is_free;
use super::{Graph, GraphError, NodeId, Op, Shape};
use crate::choice::{Architecture, ChoiceId};
use crate::spec::Measure;

/// Entries of the largest table that is made.
const MOST_ENTRIES: usize = 1 << 14;
/// Nodes that are walked at most to learn under which options a node is used: entries times nodes
/// of the graph.
const MOST_WORK: usize = 1 << 24;

/// What some nodes cost together, by the options of the choices that they depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostTable {
    /// Names of the nodes.
    pub nodes: Vec<String>,
    /// The choices, ascending.
    pub choices: Vec<ChoiceId>,
    /// Number of options of each of them.
    pub sizes: Vec<usize>,
    /// Trained numbers, one entry a combination; the last choice's option changes fastest.
    pub params: Vec<u64>,
    /// Multiply-accumulates, likewise.
    pub macs: Vec<u64>,
    /// Nanoseconds, likewise; zeros where nothing was measured.
    pub latency: Vec<u64>,
    /// Whether nodes count as used that some architectures leave out.
    pub upper: bool,
}

/// What the cost of a node hangs on.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Dependence {
    choices: BTreeSet<ChoiceId>,
    /// Whether there are more choices, under some options of which the node is not used.
    upper: bool,
}

impl CostTable {
    /// One of the costs.
    #[must_use]
    pub fn costs(&self, measure: Measure) -> &[u64] {
        match measure {
            Measure::Params => &self.params,
            Measure::Macs => &self.macs,
            Measure::Latency => &self.latency,
        }
    }

    fn all_mut(&mut self) -> [&mut Vec<u64>; 3] {
        [&mut self.params, &mut self.macs, &mut self.latency]
    }

    /// Where the entry of an architecture is.
    #[must_use]
    pub fn entry(&self, architecture: &Architecture) -> usize {
        let digits = self.choices.iter().zip(&self.sizes);
        digits.fold(0, |entry, (choice, size)| entry * size + architecture.0[*choice])
    }

    /// Forgets choices that make no difference: which node is used may follow from several that
    /// cancel out, as for a layer that every depth has.
    fn prune(&mut self) {
        for at in (0..self.choices.len()).rev() {
            let (size, inner) = (self.sizes[at], self.sizes[at + 1..].iter().product::<usize>());
            // The entry of the same combination with the choice's first option.
            let first = |entry: usize| entry - entry / inner % size * inner;
            let same = |of: &[u64]| (0..of.len()).all(|entry| of[entry] == of[first(entry)]);
            if Measure::ALL.into_iter().all(|measure| same(self.costs(measure))) {
                for of in self.all_mut() {
                    let kept = (0..of.len()).filter(|entry| first(*entry) == *entry);
                    *of = kept.map(|entry| of[entry]).collect();
                }
                self.choices.remove(at);
                self.sizes.remove(at);
            }
        }
    }

    /// Adds a table over the same choices.
    fn join(&mut self, other: Self) {
        for (sum, measure) in self.all_mut().into_iter().zip(Measure::ALL) {
            sum.iter_mut().zip(other.costs(measure)).for_each(|(sum, more)| *sum += more);
        }
        self.upper |= other.upper;
        self.nodes.extend(other.nodes);
    }
}

impl Graph {
    /// Parameters, multiply-accumulates and, where nodes were measured, latency as tables over the
    /// choices.
    ///
    /// # Errors
    /// - [`GraphError`] if the graph cannot be walked, or if a node's sizes depend on so many
    ///   choices that its table would be huge.
    pub fn cost_tables(&self) -> Result<Vec<CostTable>, GraphError> {
        let all = !self.timings.is_empty();
        self.tables_of(&mut KnownCosts::of(self, all)?, all)
    }

    /// The tables of what costs anything, or of all nodes.
    pub(super) fn tables_of(
        &self,
        known: &mut KnownCosts<'_>,
        all: bool,
    ) -> Result<Vec<CostTable>, GraphError> {
        let mut groups: BTreeMap<Dependence, Vec<NodeId>> = BTreeMap::new();
        let shapes = self.shapes()?;
        let dependencies = self.dependencies(&known.bound);
        for (id, dependence) in dependencies.into_iter().enumerate() {
            let node = &self.nodes[id];
            let inputs: Vec<&Shape> = node.inputs.iter().map(|at| &shapes[*at]).collect();
            let most = node_cost(node, &inputs, &shapes[id], &self.timings);
            let counts = most.params > 0 || most.macs > 0 || all && !is_free(&node.op);
            if let Some(dependence) = dependence.filter(|_| counts) {
                groups.entry(dependence).or_default().push(id);
            }
        }
        let full = self.fullest();
        let mut tables: BTreeMap<Vec<ChoiceId>, CostTable> = BTreeMap::new();
        for (dependence, nodes) in groups {
            let mut table = self.table(dependence, &nodes, &full, known)?;
            if Measure::ALL.into_iter().all(|of| table.costs(of).iter().all(|cost| *cost == 0)) {
                continue;
            }
            table.prune();
            match tables.get_mut(&table.choices) {
                Some(known) => known.join(table),
                None => drop(tables.insert(table.choices.clone(), table)),
            }
        }
        Ok(tables.into_values().collect())
    }

    /// The costs of some nodes, other choices as in `full`.
    fn table(
        &self,
        dependence: Dependence,
        nodes: &[NodeId],
        full: &Architecture,
        known: &mut KnownCosts<'_>,
    ) -> Result<CostTable, GraphError> {
        let Dependence { choices, upper } = dependence;
        let choices: Vec<ChoiceId> = choices.into_iter().collect();
        let sizes: Vec<usize> = choices.iter().map(|id| self.choices[*id].options.len()).collect();
        let entries = self.combinations(&choices).ok_or_else(|| {
            let reason = format!("its sizes depend on {} choices together", choices.len());
            let node = nodes.first().map(|id| self.nodes[*id].name.clone());
            GraphError::Structure { node: node.unwrap_or_default(), reason }
        })?;
        let names = nodes.iter().map(|id| self.nodes[*id].name.clone()).collect();
        let zeros = || vec![0; entries];
        let (params, macs, latency) = (zeros(), zeros(), zeros());
        let mut table = CostTable { nodes: names, choices, sizes, params, macs, latency, upper };
        let mut architecture = full.clone();
        for entry in 0..entries {
            let mut rest = entry;
            for (choice, size) in table.choices.iter().zip(&table.sizes).rev() {
                architecture.0[*choice] = rest % size;
                rest /= size;
            }
            let kept = self.resolve(&architecture).kept;
            for id in nodes.iter().filter(|id| kept[**id]) {
                let cost = known.of_node(*id, &architecture)?;
                for (sum, measure) in table.all_mut().into_iter().zip(Measure::ALL) {
                    sum[entry] += cost.of(measure);
                }
            }
        }
        Ok(table)
    }

    /// Combinations of some choices' options; none if they are too many for a table.
    fn combinations(&self, choices: &[ChoiceId]) -> Option<usize> {
        let sizes = choices.iter().map(|id| self.choices[*id].options.len());
        let all = sizes.fold(1, usize::saturating_mul);
        (all <= MOST_ENTRIES).then_some(all)
    }

    /// An architecture that uses as many nodes as can be: choice by choice, the option with most.
    pub(super) fn fullest(&self) -> Architecture {
        let mut full = Architecture(vec![0; self.choices.len()]);
        for (id, choice) in self.choices.iter().enumerate() {
            let count = |option: &usize| {
                let mut with = full.clone();
                with.0[id] = *option;
                self.reachable(&with).into_iter().filter(|used| *used).count()
            };
            // The first of equals.
            full.0[id] = (0..choice.options.len()).rev().max_by_key(count).unwrap_or(0);
        }
        full
    }

    /// For every node what its cost depends on; none for nodes that nothing reads.
    fn dependencies(&self, bound: &[BTreeSet<ChoiceId>]) -> Vec<Option<Dependence>> {
        let own = |id: usize| match &self.nodes[id].op {
            // A mix costs nothing itself.
            Op::Mix(_) => BTreeSet::new(),
            _ => bound[id].clone(),
        };
        let with_own = |(id, used): (usize, Option<Dependence>)| {
            let Dependence { choices, upper } = used?;
            let all: BTreeSet<ChoiceId> = choices.iter().copied().chain(own(id)).collect();
            let fits = self.combinations(&all.iter().copied().collect::<Vec<_>>()).is_some();
            Some(if fits || choices.is_empty() {
                Dependence { choices: all, upper }
            } else {
                Dependence { choices: own(id), upper: true }
            })
        };
        self.conditions().into_iter().enumerate().map(with_own).collect()
    }

    /// For every node what decides whether it is used; none if it never is.
    fn conditions(&self) -> Vec<Option<Dependence>> {
        let mut conditions: Vec<Option<Dependence>> = vec![None; self.nodes.len()];
        let mut always = vec![false; self.nodes.len()];
        conditions[self.output] = Some(Dependence::default());
        always[self.output] = true;
        // Readers come later, so that theirs are known.
        for reader in (0..=self.output).rev() {
            let Some(mut of_reader) = conditions[reader].clone() else { continue };
            if !always[reader] && self.is_wide(&of_reader.choices) {
                always[reader] = true;
                of_reader = Dependence { choices: BTreeSet::new(), upper: true };
                conditions[reader] = Some(of_reader.clone());
            }
            let node = &self.nodes[reader];
            let inputs: BTreeSet<usize> = node.inputs.iter().copied().collect();
            for input in inputs {
                let mut through = of_reader.clone();
                let mut certain = always[reader];
                if let Op::Mix(mix) = &node.op {
                    let branches = mix.branches.iter().zip(&node.inputs);
                    let served = branches.filter(|(_, from)| **from == input);
                    let options: usize = served.map(|(options, _)| options.len()).sum();
                    if options < self.choices[mix.choice].options.len() {
                        through.choices.insert(mix.choice);
                        certain = false;
                    }
                }
                let known = conditions[input].get_or_insert_default();
                match (certain, always[input]) {
                    // One reader that needs it for certain is enough.
                    (true, true) => known.upper &= through.upper,
                    (true, false) => *known = through,
                    (false, true) => {}
                    (false, false) => {
                        known.choices.extend(through.choices);
                        known.upper |= through.upper;
                    }
                }
                always[input] |= certain;
            }
        }
        conditions
    }

    /// Whether so many choices decide together on the use of a node that it counts as used.
    ///
    /// Where only some choices keep an operation, several of them are hardly ever all empty.
    fn is_wide(&self, choices: &BTreeSet<ChoiceId>) -> bool {
        let pruned = |id: &&ChoiceId| self.prunings.iter().any(|p| p.choices.contains(*id));
        let sizes = choices.iter().map(|id| self.choices[*id].options.len());
        choices.iter().filter(pruned).count() > 1
            || sizes.fold(self.nodes.len(), usize::saturating_mul) > MOST_WORK
    }
}

#[cfg(test)]
mod tests {
    use super::super::bound::tests::deep;
    use super::*;
    use crate::spaces::{self, PRESETS};
    use crate::spec::{Sharing, SpaceSpec};

    fn sum(tables: &[CostTable], architecture: &Architecture) -> (u64, u64) {
        tables.iter().fold((0, 0), |(params, macs), table| {
            let entry = table.entry(architecture);
            (params + table.params[entry], macs + table.macs[entry])
        })
    }

    #[test]
    fn tables_sum_up_to_the_cost() {
        let mut graphs = vec![deep()];
        for preset in PRESETS {
            let space = (preset.defaults)();
            graphs.push(spaces::build(&space, preset.shape, Sharing::Entangled).unwrap());
        }
        for graph in graphs {
            let tables = graph.cost_tables().unwrap();
            // Whether a cell of DARTS reads an input at all hangs on all of its edges.
            assert_eq!(tables.iter().any(|table| table.upper), !graph.prunings.is_empty());
            for seed in 0..6_usize {
                let genes = graph.choices.iter().enumerate();
                let genes = genes
                    .map(|(at, choice)| (seed * 7 + at * 5 + seed * at) % choice.options.len());
                let rows = genes.zip(&graph.choices).map(|(gene, choice)| {
                    (0..choice.options.len()).map(|at| f64::from(u8::from(at == gene))).collect()
                });
                // What can be derived uses both inputs of every cell of DARTS.
                let architecture = graph.derive(&rows.collect::<Vec<Vec<f64>>>());
                let cost = graph.cost(&architecture).unwrap();
                assert_eq!(
                    sum(&tables, &architecture),
                    (cost.params, cost.macs),
                    "{architecture:?}"
                );
            }
        }
    }

    /// A cell whose nodes keep one edge may leave an input out, and all that only this one needs.
    #[test]
    fn where_use_is_uncertain_the_tables_are_an_upper_bound() {
        let SpaceSpec::Darts(mut options) = (spaces::darts::PRESET.defaults)() else {
            panic!("the preset is another space")
        };
        (options.channels, options.cells, options.keep) = (2, 4, 1);
        let space = SpaceSpec::Darts(options);
        let graph = spaces::build(&space, spaces::darts::PRESET.shape, Sharing::Entangled).unwrap();
        let tables = graph.cost_tables().unwrap();
        let (mut above, mut equal) = (0, 0);
        for seed in 0..60_u32 {
            let weight = |row: u32, at: u32| f64::from((seed * 31 + row * 17 + at * 13) % 29);
            let rows = (0..28).map(|row| (0..8).map(|at| weight(row, at)).collect::<Vec<_>>());
            let architecture = graph.derive(&rows.collect::<Vec<_>>());
            let cost = graph.cost(&architecture).unwrap();
            let (params, macs) = sum(&tables, &architecture);
            assert!(params >= cost.params && macs >= cost.macs, "{architecture:?}");
            above += u32::from(params > cost.params);
            equal += u32::from(params == cost.params);
        }
        assert!(above > 0 && equal > 0, "{above} above, {equal} equal");
    }

    #[test]
    fn attention_is_counted_too() {
        let graph = spaces::build(
            &(spaces::language::CHARACTERS.defaults)(),
            spaces::language::CHARACTERS.shape,
            Sharing::Entangled,
        );
        let graph = graph.unwrap();
        let tables = graph.cost_tables().unwrap();
        let counted = |kind: fn(&Op) -> bool| {
            let nodes = graph.nodes.iter().filter(|node| kind(&node.op));
            nodes.filter(|node| tables.iter().any(|table| table.nodes.contains(&node.name))).count()
        };
        assert!(counted(|op| matches!(op, Op::CausalAttention(_))) > 0);
        assert_eq!(counted(|op| matches!(op, Op::Activation(_))), 0);
    }

    #[test]
    fn a_node_depends_on_its_sizes_and_on_what_decides_its_use() {
        let tables = deep().cost_tables().unwrap();
        let of = |table: &CostTable| (table.nodes.clone(), table.choices.clone());
        assert_eq!(
            tables.iter().map(of).collect::<Vec<_>>(),
            [(vec!["second".to_owned()], vec![0, 2]), (vec!["first".to_owned()], vec![1]),]
        );
        // Two channels: without the second layer, then with a kernel of 3 and of 5.
        assert_eq!(tables[0].params, [0, 0, 18, 50]);
    }
}
