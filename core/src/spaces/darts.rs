//! The DARTS space: normal and reduction cells with two inputs each (arXiv:1806.09055).

pub mod head;
pub mod partial;

use super::Preset;
use super::cell::{Catalogue, Edge};
use crate::choice::ChoiceId;
use crate::dataset::DataShape;
use crate::graph::{
    Add, BatchNorm, Builder, Concat, Conv2d, GlobalAvgPool, Graph, GraphError, Linear, NodeId, Op,
    Pruning,
};
use crate::spec::{DartsOptions, Sharing, SpaceSpec};
use partial::Partial;

/// The space as the paper searches it on CIFAR-10.
pub const PRESET: Preset = Preset {
    preset: "darts",
    title: "DARTS",
    summary: "Eight operations on fourteen edges of a normal and of a reduction cell; two edges enter each node in the end.",
    source: "arXiv:1806.09055",
    shape: DataShape { channels: 3, height: 32, width: 32, classes: 10 },
    defaults: || {
        let operations = ["none", "maxpool", "avgpool", "skip", "sep3", "sep5", "dil3", "dil5"]
            .map(str::to_owned);
        SpaceSpec::Darts(DartsOptions {
            operations: operations.to_vec(),
            channels: 16,
            cells: 8,
            nodes: 4,
            keep: 2,
        })
    },
};

/// Channels of the stem, as a multiple of the first cell's.
const STEM: i64 = 3;

/// Builds the graph: one choice an edge in the tensors `normal` and `reduce`.
///
/// # Errors
/// - [`GraphError`] if the image is too small for two reductions, or there is no operation.
pub fn build(
    options: &DartsOptions,
    shape: DataShape,
    sharing: Sharing,
) -> Result<Graph, GraphError> {
    build_of(options, shape, sharing, None)
}

fn build_of(
    options: &DartsOptions,
    shape: DataShape,
    sharing: Sharing,
    partial: Option<&Partial<'_>>,
) -> Result<Graph, GraphError> {
    let operations = super::operations(&options.operations)?;
    let catalogue =
        Catalogue { operations, sharing, affine: false, pool_norm: true, conv_bias: true };
    let mut builder = Builder::new(vec![shape.channels, shape.height, shape.width]);
    let b = &mut builder;
    let nodes = usize::try_from(options.nodes).unwrap_or(0);
    let normal = rows(b, &catalogue, "normal", options);
    let reduce = rows(b, &catalogue, "reduce", options);
    let (mut c, cells) = (options.channels, options.cells);
    let stem = Op::Conv2d(Conv2d::dense(shape.channels, STEM * c, 3));
    let stem = b.add("stem.conv", stem, &[b.input()]);
    let stem = b.add("stem.bn", Op::BatchNorm(BatchNorm::affine(STEM * c)), &[stem]);
    let (mut before, mut last, mut reduced) = (stem, stem, false);
    for index in 0..cells {
        let reduces = cells >= 3 && (index == cells / 3 || index == last_reduction(cells));
        c *= if reduces { 2 } else { 1 };
        let cell = Cell {
            name: format!("cell{index}"),
            rows: if reduces { &reduce } else { &normal },
            channels: c,
            stride: if reduces { 2 } else { 1 },
            nodes,
            reduced,
            partial,
        };
        (before, last, reduced) = (last, cell.add(b, &catalogue, (before, last)), reduces);
    }
    let pooled = b.add("pool", Op::GlobalAvgPool(GlobalAvgPool), &[last]);
    let features = b.shape(pooled)[0];
    let out = b.add("head", Op::Linear(Linear::new(features, shape.classes)), &[pooled]);
    builder.finish(out)
}

/// The choices of a kind of cell, and how many edges of each node are kept.
fn rows(
    b: &mut Builder,
    catalogue: &Catalogue,
    cell: &str,
    options: &DartsOptions,
) -> Vec<Vec<ChoiceId>> {
    let none = options.operations.iter().position(|name| name == "none");
    let nodes = usize::try_from(options.nodes).unwrap_or(0);
    let rows: Vec<Vec<ChoiceId>> = (0..nodes)
        .map(|node| {
            let edges = (0..node + 2).map(|from| {
                let label = format!("{}→n{node}", source(from));
                b.choice(catalogue.choice(cell, &label, (from, node + 2)))
            });
            edges.collect()
        })
        .collect();
    if let Some(none) = none {
        let keep = usize::try_from(options.keep).unwrap_or(usize::MAX);
        for edges in rows.iter().filter(|edges| edges.len() >= keep) {
            b.prune(Pruning { choices: edges.clone(), keep, none });
        }
    }
    rows
}

/// Index of the second cell that halves the map, if there are at least three cells.
fn last_reduction(cells: i64) -> i64 {
    2 * cells / 3
}

/// Name of what an edge leaves: an input of the cell or an earlier node.
fn source(from: usize) -> String {
    if from < 2 { format!("in{from}") } else { format!("n{}", from - 2) }
}

struct Cell<'a> {
    name: String,
    rows: &'a [Vec<ChoiceId>],
    channels: i64,
    stride: i64,
    nodes: usize,
    /// Whether the cell before halved the map, so that the first input is twice as large.
    reduced: bool,
    /// Which channels and candidates its edges have, if not all.
    partial: Option<&'a Partial<'a>>,
}

impl Cell<'_> {
    /// Two maps in, the concatenated nodes out: `nodes·channels` channels.
    fn add(&self, b: &mut Builder, catalogue: &Catalogue, inputs: (NodeId, NodeId)) -> NodeId {
        let (name, c) = (&self.name, self.channels);
        let (first, second) = (b.shape(inputs.0)[0], b.shape(inputs.1)[0]);
        let pre0 = format!("{name}.pre0");
        let pre0 = if self.reduced {
            catalogue.reduce(b, &pre0, (first, c), inputs.0)
        } else {
            catalogue.relu_conv_norm(b, &pre0, Conv2d::pointwise(first, c), inputs.0)
        };
        let pre1 = Conv2d::pointwise(second, c);
        let pre1 = catalogue.relu_conv_norm(b, &format!("{name}.pre1"), pre1, inputs.1);
        let mut states = vec![pre0, pre1];
        for node in 0..self.nodes {
            let terms: Vec<NodeId> = (0..states.len())
                .map(|from| {
                    let edge = Edge {
                        name: format!("{name}.edge{}_n{node}", source(from)),
                        choice: self.rows[node][from],
                        channels: c,
                        stride: if from < 2 { self.stride } else { 1 },
                    };
                    match self.partial {
                        Some(partial) => partial.edge(b, catalogue, edge, states[from]),
                        None => catalogue.edge(b, &edge, states[from]),
                    }
                })
                .collect();
            states.push(b.add(format!("{name}.n{node}"), Op::Add(Add), &terms));
        }
        b.add(format!("{name}.out"), Op::Concat(Concat), &states[2..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Architecture;

    fn graph(sharing: Sharing) -> Graph {
        super::super::build(&(PRESET.defaults)(), PRESET.shape, sharing).unwrap()
    }

    #[test]
    fn the_supernets_have_the_published_sizes() {
        assert_eq!(graph(Sharing::Entangled).stored_params(), 1_143_034);
        assert_eq!(graph(Sharing::Shared).stored_params(), 1_930_618);
    }

    #[test]
    fn architectures_are_counted_as_they_are_derived() {
        let per_cell: u128 = 3 * 6 * 10 * 7_u128.pow(8);
        assert_eq!(graph(Sharing::Entangled).count(), per_cell * per_cell);
    }

    #[test]
    fn two_edges_enter_each_node() {
        let graph = graph(Sharing::Entangled);
        let rows: Vec<Vec<f64>> = (0..28)
            .map(|row| (0..8).map(|option| f64::from((row * 31 + option * 17) % 23)).collect())
            .collect();
        let derived = graph.derive(&rows);
        for pruning in &graph.prunings {
            let kept = pruning.choices.iter().filter(|id| derived.0[**id] != pruning.none);
            assert_eq!(kept.count(), 2);
        }
        let fixed = graph.specialise(&derived).unwrap();
        assert!(fixed.graph.nodes.iter().all(|node| !matches!(node.op, Op::Zero(_))));
        let nothing = Architecture(vec![]);
        assert_eq!(fixed.graph.cost(&nothing).unwrap(), graph.cost(&derived).unwrap());
    }
}
