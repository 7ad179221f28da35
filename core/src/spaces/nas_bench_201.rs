//! NAS-Bench-201: one cell of four nodes, repeated in three stages (arXiv:2001.00326).

use super::Preset;
use super::cell::{Catalogue, Edge};
use crate::choice::ChoiceId;
use crate::dataset::DataShape;
use crate::graph::{
    Add, BatchNorm, Builder, Conv2d, GlobalAvgPool, Graph, GraphError, Linear, NodeId, Op, Pool,
};
use crate::spec::{NasBench201Options, Sharing, SpaceSpec};

/// The space as the benchmark has it; the order of operations is the published search code's.
pub const PRESET: Preset = Preset {
    preset: "nas-bench-201",
    title: "NAS-Bench-201",
    summary: "Five operations on the six edges of one cell that is repeated in three stages.",
    source: "arXiv:2001.00326",
    shape: DataShape { channels: 3, height: 32, width: 32, classes: 10 },
    defaults: || {
        let operations = ["avgpool", "conv3", "conv1", "skip", "none"].map(str::to_owned).to_vec();
        SpaceSpec::NasBench201(NasBench201Options { operations, channels: 16, cells: 5 })
    },
};

/// Nodes of the cell; node 0 is its input, the last its output.
const NODES: usize = 4;

/// Builds the graph: six choices in the tensor `cell`.
///
/// # Errors
/// - [`GraphError`] if the image is too small for two reductions, or there is no operation.
pub fn build(
    options: &NasBench201Options,
    shape: DataShape,
    sharing: Sharing,
) -> Result<Graph, GraphError> {
    let operations = super::operations(&options.operations)?;
    let catalogue =
        Catalogue { operations, sharing, affine: false, pool_norm: false, conv_bias: true };
    let mut builder = Builder::new(vec![shape.channels, shape.height, shape.width]);
    let b = &mut builder;
    let rows: Vec<ChoiceId> = edges()
        .map(|(from, to)| b.choice(catalogue.choice("cell", &format!("{from}→{to}"), (from, to))))
        .collect();
    let c = options.channels;
    let input = b.input();
    let mut x = norm_after(b, "stem", Conv2d::dense(shape.channels, c, 3), input);
    let mut block = 0;
    for (stage, channels) in [c, 2 * c, 4 * c].into_iter().enumerate() {
        if stage > 0 {
            x = residual(b, &format!("block{block}"), channels, x);
            block += 1;
        }
        for _ in 0..options.cells {
            x = cell(b, &catalogue, (&format!("block{block}"), &rows, channels), x);
            block += 1;
        }
    }
    x = b.add("last.bn", Op::BatchNorm(BatchNorm::affine(4 * c)), &[x]);
    x = b.add("last.relu", Op::RELU, &[x]);
    x = b.add("pool", Op::GlobalAvgPool(GlobalAvgPool), &[x]);
    x = b.add("head", Op::Linear(Linear::new(4 * c, shape.classes)), &[x]);
    builder.finish(x)
}

/// Edges in row order: by the node that they enter.
fn edges() -> impl Iterator<Item = (usize, usize)> {
    (1..NODES).flat_map(|to| (0..to).map(move |from| (from, to)))
}

fn cell(
    b: &mut Builder,
    catalogue: &Catalogue,
    (name, rows, channels): (&str, &[ChoiceId], i64),
    x: NodeId,
) -> NodeId {
    let mut nodes = vec![x];
    for to in 1..NODES {
        let into = edges().zip(rows).filter(|((_, enters), _)| *enters == to);
        let terms: Vec<NodeId> = into
            .map(|((from, to), choice)| {
                let name = format!("{name}.edge{from}_{to}");
                let edge = Edge { name, choice: *choice, channels, stride: 1 };
                catalogue.edge(b, &edge, nodes[from])
            })
            .collect();
        nodes.push(match terms[..] {
            [only] => only,
            _ => b.add(format!("{name}.node{to}"), Op::Add(Add), &terms),
        });
    }
    nodes[NODES - 1]
}

/// Halves the map and doubles the channels: two 3×3 convolutions beside a pooled shortcut.
fn residual(b: &mut Builder, name: &str, channels: i64, x: NodeId) -> NodeId {
    let half = channels / 2;
    let relu = b.add(format!("{name}.res_a.relu"), Op::RELU, &[x]);
    let first = Conv2d::dense(half, channels, 3).strided(2);
    let first = norm_after(b, &format!("{name}.res_a"), first, relu);
    let relu = b.add(format!("{name}.res_b.relu"), Op::RELU, &[first]);
    let second =
        norm_after(b, &format!("{name}.res_b"), Conv2d::dense(channels, channels, 3), relu);
    let pool = b.add(format!("{name}.shortcut.pool"), Op::AvgPool(Pool::window(2)), &[x]);
    let shortcut = Op::Conv2d(Conv2d::pointwise(half, channels));
    let shortcut = b.add(format!("{name}.shortcut.conv"), shortcut, &[pool]);
    b.add(format!("{name}.out"), Op::Add(Add), &[shortcut, second])
}

fn norm_after(b: &mut Builder, name: &str, conv: Conv2d, x: NodeId) -> NodeId {
    let channels = conv.out_channels.clone();
    let x = b.add(format!("{name}.conv"), Op::Conv2d(conv), &[x]);
    b.add(format!("{name}.bn"), Op::BatchNorm(BatchNorm::affine(channels)), &[x])
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
        // The published code stores 1,528,216 and 1,692,856 numbers, 30 of them rows.
        assert_eq!(graph(Sharing::Entangled).stored_params(), 1_528_216 - 30);
        assert_eq!(graph(Sharing::Shared).stored_params(), 1_692_856 - 30);
        assert_eq!(graph(Sharing::Entangled).count(), 15_625);
    }

    /// The skeleton alone, then each operation's part of it, counted by hand.
    #[test]
    fn parameters_follow_the_closed_form() {
        let graph = graph(Sharing::Entangled);
        let conv = |read: u64, written: u64, k: u64| read * written * k * k;
        let (c, classes) = (16, 10);
        let skeleton = conv(3, c, 3)
            + 2 * c
            + [c, 2 * c]
                .map(|c| {
                    conv(c, 2 * c, 3) + 4 * c + conv(2 * c, 2 * c, 3) + 4 * c + conv(c, 2 * c, 1)
                })
                .iter()
                .sum::<u64>()
            + 2 * 4 * c
            + 4 * c * classes
            + classes;
        let edge = |option: usize| {
            let per = |c: u64| match option {
                1 => conv(c, c, 3) + c,
                2 => conv(c, c, 1) + c,
                _ => 0,
            };
            5 * (per(c) + per(2 * c) + per(4 * c))
        };
        for architecture in [[1; 6], [4; 6], [0, 1, 2, 3, 4, 0], [3, 3, 2, 2, 1, 0]] {
            let expected = skeleton + architecture.iter().map(|option| edge(*option)).sum::<u64>();
            let cost = graph.cost(&Architecture(architecture.to_vec())).unwrap();
            assert_eq!(cost.params, expected, "{architecture:?}");
        }
    }

    #[test]
    fn an_operation_that_leads_nowhere_is_dropped() {
        let graph = graph(Sharing::Entangled);
        // The last edge is the only one that reads node 2.
        let cost = |last: usize| graph.cost(&Architecture(vec![3, 3, 1, 3, 3, last])).unwrap();
        let dead = 5 * [16, 32, 64].map(|c| 9 * c * c + c).iter().sum::<u64>();
        assert_eq!(cost(3).params - cost(4).params, dead);
    }
}
