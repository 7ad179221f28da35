//! The walk that gives cost as a function of the choices: a small table for each node.
//!
//! What a node costs depends on few choices: those that its own sizes are bound to, and those that
//! decide whether it is used. Nodes that depend on the same choices share a table, and the cost of
//! an architecture is the sum of one entry of each table. With probabilities in place of options
//! the same sum is the expected cost, because rows are independent.

use std::collections::{BTreeMap, BTreeSet};

use super::{Graph, GraphError, Op};
use crate::choice::{Architecture, ChoiceId};

/// Entries of the largest table that is made.
const MOST_ENTRIES: usize = 1 << 14;

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
}

impl CostTable {
    /// Forgets choices that make no difference: which node is used may follow from several that
    /// cancel out, as for a layer that every depth has.
    fn prune(&mut self) {
        for at in (0..self.choices.len()).rev() {
            let (size, inner) = (self.sizes[at], self.sizes[at + 1..].iter().product::<usize>());
            // The entry of the same combination with the choice's first option.
            let first = |entry: usize| entry - entry / inner % size * inner;
            let same = |of: &[u64]| (0..of.len()).all(|entry| of[entry] == of[first(entry)]);
            if same(&self.params) && same(&self.macs) {
                let keep = |of: &[u64]| {
                    let kept = (0..of.len()).filter(|entry| first(*entry) == *entry);
                    kept.map(|entry| of[entry]).collect::<Vec<u64>>()
                };
                (self.params, self.macs) = (keep(&self.params), keep(&self.macs));
                self.choices.remove(at);
                self.sizes.remove(at);
            }
        }
    }

    /// Adds a table over the same choices.
    fn join(&mut self, other: Self) {
        self.nodes.extend(other.nodes);
        let add =
            |sum: &mut [u64], more: &[u64]| sum.iter_mut().zip(more).for_each(|(a, b)| *a += b);
        add(&mut self.params, &other.params);
        add(&mut self.macs, &other.macs);
    }
}

impl Graph {
    /// Parameters and multiply-accumulates as tables over the choices.
    ///
    /// # Errors
    /// - [`GraphError`] if the graph cannot be walked, or if a node depends on so many choices
    ///   that its table would be huge.
    pub fn cost_tables(&self) -> Result<Vec<CostTable>, GraphError> {
        let mut groups: BTreeMap<Vec<ChoiceId>, BTreeSet<&str>> = BTreeMap::new();
        for (node, choices) in self.nodes.iter().zip(self.dependencies()) {
            // Only nodes with parameters cost anything, and two that multiply what others give.
            let multiplies = matches!(node.op, Op::CausalAttention(_) | Op::TiedLinear(_));
            if let Some(choices) = choices.filter(|_| multiplies || !node.params().is_empty()) {
                groups.entry(choices.into_iter().collect()).or_default().insert(&node.name);
            }
        }
        let mut tables: BTreeMap<Vec<ChoiceId>, CostTable> = BTreeMap::new();
        for (choices, nodes) in groups {
            let mut table = self.table(choices, &nodes)?;
            if table.params.iter().chain(&table.macs).all(|cost| *cost == 0) {
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

    fn table(
        &self,
        choices: Vec<ChoiceId>,
        nodes: &BTreeSet<&str>,
    ) -> Result<CostTable, GraphError> {
        let sizes: Vec<usize> = choices.iter().map(|id| self.choices[*id].options.len()).collect();
        let entries = sizes.iter().try_fold(1_usize, |all, size| all.checked_mul(*size));
        let entries = entries.filter(|entries| *entries <= MOST_ENTRIES).ok_or_else(|| {
            let reason = format!("its cost depends on {} choices together", choices.len());
            let node = nodes.first().copied().unwrap_or_default().to_owned();
            GraphError::Structure { node, reason }
        })?;
        let (mut params, mut macs) = (vec![0; entries], vec![0; entries]);
        let mut architecture = Architecture(vec![0; self.choices.len()]);
        for entry in 0..entries {
            let mut rest = entry;
            for (choice, size) in choices.iter().zip(&sizes).rev() {
                architecture.0[*choice] = rest % size;
                rest /= size;
            }
            let costs = self.node_costs(&architecture)?;
            for node in costs.iter().filter(|node| nodes.contains(node.name.as_str())) {
                params[entry] += node.cost.params;
                macs[entry] += node.cost.macs;
            }
        }
        let nodes = nodes.iter().map(|name| (*name).to_owned()).collect();
        Ok(CostTable { nodes, choices, sizes, params, macs })
    }

    /// For every node the choices that its cost depends on; none for nodes that nothing reads.
    fn dependencies(&self) -> Vec<Option<BTreeSet<ChoiceId>>> {
        let used = self.conditions();
        let own = |id: usize| match &self.nodes[id].op {
            // A mix costs nothing itself.
            Op::Mix(_) => vec![],
            op => op.bound_choices(),
        };
        let all = used.into_iter().enumerate();
        all.map(|(id, used)| used.map(|used| used.into_iter().chain(own(id)).collect())).collect()
    }

    /// For every node the choices that decide whether it is used; none if it never is.
    fn conditions(&self) -> Vec<Option<BTreeSet<ChoiceId>>> {
        let mut conditions: Vec<Option<BTreeSet<ChoiceId>>> = vec![None; self.nodes.len()];
        let mut always = vec![false; self.nodes.len()];
        conditions[self.output] = Some(BTreeSet::new());
        always[self.output] = true;
        // Readers come later, so that theirs are known.
        for reader in (0..=self.output).rev() {
            let Some(of_reader) = conditions[reader].clone() else { continue };
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
                        through.insert(mix.choice);
                        certain = false;
                    }
                }
                always[input] |= certain;
                let known = conditions[input].get_or_insert_default();
                if always[input] {
                    known.clear();
                } else {
                    known.extend(through);
                }
            }
        }
        conditions
    }
}

#[cfg(test)]
mod tests {
    use super::super::bound::tests::deep;
    use super::*;
    use crate::spaces::{self, PRESETS};
    use crate::spec::Sharing;

    fn sum(tables: &[CostTable], architecture: &Architecture) -> (u64, u64) {
        tables.iter().fold((0, 0), |(params, macs), table| {
            let entry = table
                .choices
                .iter()
                .zip(&table.sizes)
                .fold(0, |entry, (choice, size)| entry * size + architecture.0[*choice]);
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
            // Whether a cell of DARTS reads an input at all hangs on all of its edges.
            if !graph.prunings.is_empty() {
                assert!(graph.cost_tables().is_err());
                continue;
            }
            let tables = graph.cost_tables().unwrap();
            for seed in 0..6_usize {
                let genes = graph.choices.iter().enumerate();
                let genes = genes
                    .map(|(at, choice)| (seed * 7 + at * 5 + seed * at) % choice.options.len());
                let architecture = Architecture(genes.collect());
                let cost = graph.cost(&architecture).unwrap();
                assert_eq!(
                    sum(&tables, &architecture),
                    (cost.params, cost.macs),
                    "{architecture:?}"
                );
            }
        }
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
