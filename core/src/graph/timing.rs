//! What nodes were measured to take on a device, and which there are to measure.
//!
//! The latency of a network is taken as the sum of its nodes', each measured alone: a look-up
//! table, as in hardware-aware searches (`ProxylessNAS`, arXiv:1812.00332, section 3.3).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::known::KnownCosts;
use super::{Graph, GraphError, Node, Op, Shape};

/// Nanoseconds of nodes over one example, by what they compute and the shapes that they read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timings(BTreeMap<String, u64>);

/// A node of fixed sizes, which many architectures may share.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The node; what it is called and reads means nothing.
    pub node: Node,
    /// Shapes of its inputs.
    pub inputs: Vec<Shape>,
}

impl Timings {
    /// Whether nothing was measured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a node was measured to take.
    #[must_use]
    pub fn of(&self, node: &Node, inputs: &[&Shape]) -> Option<u64> {
        self.0.get(&key(node, inputs)).copied()
    }

    /// Notes what a part takes.
    pub fn note(&mut self, part: &Part, nanoseconds: u64) {
        self.0.insert(key(&part.node, &part.inputs.iter().collect::<Vec<_>>()), nanoseconds);
    }
}

fn key(node: &Node, inputs: &[&Shape]) -> String {
    format!("{:?} of {inputs:?}", node.op)
}

/// Whether a node counts as taking no time: it computes nothing when a network is used, or it is a
/// sum, whose number of terms hangs on all of its branches together.
pub(super) fn is_free(op: &Op) -> bool {
    matches!(
        op,
        Op::Input(_) | Op::Dropout(_) | Op::Flatten(_) | Op::Mix(_) | Op::Add(_) | Op::Zero(_)
    )
}

impl Graph {
    /// Every different node that any architecture has.
    ///
    /// # Errors
    /// - as [`Graph::cost_tables`].
    pub fn parts(&self) -> Result<Vec<Part>, GraphError> {
        let mut known = KnownCosts::of(self, true)?;
        self.tables_of(&mut known, true)?;
        Ok(known.into_parts())
    }
}

/// The parts that were met, each once.
#[derive(Debug, Default)]
pub(super) struct Parts(BTreeMap<String, Part>);

impl Parts {
    pub(super) fn meet(&mut self, node: &Node, inputs: &[&Shape]) {
        if !is_free(&node.op) {
            self.0.entry(key(node, inputs)).or_insert_with(|| Part {
                node: Node { inputs: vec![], ..node.clone() },
                inputs: inputs.iter().copied().cloned().collect(),
            });
        }
    }

    pub(super) fn into_vec(self) -> Vec<Part> {
        self.0.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Architecture;
    use crate::limits::Limits;
    use crate::spaces::{self, PRESETS};
    use crate::spec::{ConstraintsSpec, Measure, Sharing};

    /// Every space with a made-up time for each of its nodes.
    fn timed() -> Vec<(&'static str, Graph)> {
        let graphs = PRESETS.iter().map(|preset| {
            let space = (preset.defaults)();
            let mut graph = spaces::build(&space, preset.shape, Sharing::Entangled).unwrap();
            for (at, part) in graph.parts().unwrap().iter().enumerate() {
                graph.timings.note(part, 1000 + 37 * at as u64);
            }
            (preset.preset, graph)
        });
        graphs.collect()
    }

    /// An architecture that derivation can give.
    fn some(graph: &Graph, seed: usize) -> Architecture {
        let row = |(at, choice): (usize, &crate::choice::Choice)| {
            let picked = (seed * 7 + at * 5 + seed * at) % choice.options.len();
            (0..choice.options.len()).map(|at| f64::from(u8::from(at == picked))).collect()
        };
        graph.derive(&graph.choices.iter().enumerate().map(row).collect::<Vec<Vec<f64>>>())
    }

    #[test]
    fn parts_cover_every_architecture_and_tables_sum_up_to_their_time() {
        for (preset, graph) in timed() {
            let tables = graph.cost_tables().unwrap();
            for seed in 0..6 {
                let architecture = some(&graph, seed);
                let mut sum = 0;
                graph
                    .visit(&architecture, |_, node, inputs, _| {
                        let known = graph.timings.of(node, inputs);
                        assert!(known.is_some() || is_free(&node.op), "{preset}: {}", node.name);
                        sum += known.unwrap_or(0);
                    })
                    .unwrap();
                assert_eq!(graph.cost(&architecture).unwrap().latency_ns, Some(sum), "{preset}");
                let entries = tables.iter().map(|table| table.latency[table.entry(&architecture)]);
                assert_eq!(entries.sum::<u64>(), sum, "{preset}: {architecture:?}");
            }
        }
    }

    #[test]
    fn a_limit_on_latency_holds_and_counts_only_where_something_was_measured() {
        let (_, mut graph) = timed().swap_remove(1);
        let free = some(&graph, 3);
        let limit = graph.cost(&free).unwrap().latency_ns.unwrap() - 1;
        let spec = |ms| ConstraintsSpec { max_latency_ms: Some(ms), ..Default::default() };
        let within = spec(crate::spec::milliseconds(limit));
        let limits = Limits::of(&graph, &within).unwrap().unwrap();
        let one_hot = |choice: usize, len: usize| {
            (0..len).map(|at| if at == free.0[choice] { 0.9 } else { 0.1 / len as f64 }).collect()
        };
        let rows = graph.choices.iter().enumerate();
        let rows: Vec<Vec<f64>> = rows.map(|(at, c)| one_hot(at, c.options.len())).collect();
        let found = limits.likeliest(&rows).architecture;
        assert!(graph.cost(&found).unwrap().of(Measure::Latency) <= limit && found != free);
        let told = Limits::of(&graph, &spec(1e-6)).unwrap_err().to_string();
        assert!(told.starts_with("constraints.max_latency_ms cannot be reached"), "{told}");
        assert!(told.ends_with(" ms, not 0.0000 ms"), "{told}");
        graph.timings = Timings::default();
        assert!(Limits::of(&graph, &spec(1e-6)).unwrap().is_none());
        assert_eq!(graph.cost(&free).unwrap().latency_ns, None);
    }
}
