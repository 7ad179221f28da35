//! The toy cell: three small cells, four candidate operations on each of six edges.
//!
//! Space and sizes are those of "Weight-Entanglement Meets Gradient-Based Neural Architecture
//! Search" (arXiv:2312.10440): a reduction, a normal and a reduction cell, then a two-layer head.
//! Both reduction cells follow the same rows with weights of their own.

use super::Preset;
use super::cell::{Catalogue, Edge};
use crate::choice::ChoiceId;
use crate::dataset::DataShape;
use crate::graph::{
    Add, Builder, Concat, Conv2d, Dropout, Flatten, Graph, GraphError, Linear, NodeId, Op, Pool,
};
use crate::spec::{Sharing, SpaceSpec, ToyCellOptions};

/// The space as the paper uses it.
pub const PRESET: Preset = Preset {
    preset: "toy-cell",
    title: "Toy cell",
    summary: "Separable and dilated convolutions, 3×3 or 5×5, on the six edges of two small cells.",
    source: "arXiv:2312.10440",
    shape: DataShape { channels: 1, height: 28, width: 28, classes: 10 },
    defaults: || {
        let operations = ["sep3", "sep5", "dil3", "dil5"].map(str::to_owned).to_vec();
        SpaceSpec::ToyCell(ToyCellOptions { operations, channels: 32, dropout: 0.2 })
    },
};

/// Edges of a cell in row order.
const EDGES: [(usize, usize); 3] = [(0, 1), (0, 2), (1, 2)];

/// Builds the graph: six choices in the tensors `normal` and `reduce`, three rows each.
///
/// # Errors
/// - [`GraphError::Shape`] if the image is too small for two reductions and a pooling.
pub fn build(
    options: &ToyCellOptions,
    shape: DataShape,
    sharing: Sharing,
) -> Result<Graph, GraphError> {
    let operations = super::operations(&options.operations)?;
    let catalogue =
        Catalogue { operations, sharing, affine: false, pool_norm: true, conv_bias: true };
    let mut builder = Builder::new(vec![shape.channels, shape.height, shape.width]);
    let mut rows = |cell: &str| {
        EDGES.map(|(from, to)| {
            builder.choice(catalogue.choice(cell, &format!("{from}→{to}"), (from, to)))
        })
    };
    let (normal, reduce) = (rows("normal"), rows("reduce"));
    let c = options.channels;
    let mut x = builder.input();
    let cells = [(reduce, c, 2), (normal, c, 1), (reduce, 2 * c, 2)];
    for (index, (rows, channels, stride)) in cells.into_iter().enumerate() {
        let cell = Cell { name: format!("cell{index}"), rows, channels, stride };
        x = cell.add(&mut builder, &catalogue, x);
        let dropout = Op::Dropout(Dropout::elements(options.dropout));
        x = builder.add(format!("drop{index}"), dropout, &[x]);
    }
    x = builder.add("pool", Op::MaxPool(Pool::window(2)), &[x]);
    x = builder.add("flatten", Op::Flatten(Flatten), &[x]);
    let (in_features, hidden) = (builder.shape(x)[0], 4 * c);
    x = builder.add("fc1", Op::Linear(Linear::new(in_features, hidden)), &[x]);
    x = builder.add("fc1_relu", Op::RELU, &[x]);
    x = builder.add("fc1_drop", Op::Dropout(Dropout::elements(options.dropout)), &[x]);
    x = builder.add("fc2", Op::Linear(Linear::new(hidden, shape.classes)), &[x]);
    builder.finish(x)
}

struct Cell {
    name: String,
    rows: [ChoiceId; 3],
    channels: i64,
    stride: i64,
}

impl Cell {
    /// `[C, H, W]` to `[2·channels, H/stride, W/stride]`.
    fn add(&self, builder: &mut Builder, catalogue: &Catalogue, x: NodeId) -> NodeId {
        let pre = Conv2d::pointwise(builder.shape(x)[0], self.channels);
        let node0 = catalogue.relu_conv_norm(builder, &format!("{}.pre", self.name), pre, x);
        let edge = |builder: &mut Builder, index: usize, x: NodeId| {
            let (from, to) = EDGES[index];
            let edge = Edge {
                name: format!("{}.edge{from}_{to}", self.name),
                choice: self.rows[index],
                channels: self.channels,
                stride: if from == 0 { self.stride } else { 1 },
            };
            catalogue.edge(builder, &edge, x)
        };
        let node1 = edge(builder, 0, node0);
        let from0 = edge(builder, 1, node0);
        let from1 = edge(builder, 2, node1);
        let node2 = builder.add(format!("{}.node2", self.name), Op::Add(Add), &[from0, from1]);
        builder.add(format!("{}.out", self.name), Op::Concat(Concat), &[node1, node2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Architecture;

    fn toy(sharing: Sharing) -> Graph {
        super::super::build(&(PRESET.defaults)(), PRESET.shape, sharing).unwrap()
    }

    fn all() -> impl Iterator<Item = Architecture> {
        (0..4_usize.pow(6))
            .map(|id| Architecture((0..6).map(|i| id / 4_usize.pow(5 - i) % 4).collect()))
    }

    /// The count written down independently of the graph: 155,050 for heads and pre-processing,
    /// plus every edge of the normal cell (32 channels) and of both reduction cells (32, 64).
    #[test]
    fn parameters_follow_the_closed_form() {
        let graph = toy(Sharing::Entangled);
        let edge = |option: usize, c: u64| match option {
            0 => 2 * (9 * c + c * c),
            1 => 2 * (25 * c + c * c),
            2 => 9 * c + c * c,
            _ => 25 * c + c * c,
        };
        for architecture in all().step_by(7) {
            let (normal, reduce) = architecture.0.split_at(3);
            let expected = 155_050
                + normal.iter().map(|option| edge(*option, 32)).sum::<u64>()
                + reduce.iter().map(|option| edge(*option, 32) + edge(*option, 64)).sum::<u64>();
            assert_eq!(graph.cost(&architecture).unwrap().params, expected, "{architecture:?}");
        }
    }

    /// Multiply-accumulates counted by hand for the smallest and the largest network.
    #[test]
    fn macs_of_known_networks() {
        let graph = toy(Sharing::Entangled);
        assert_eq!(graph.cost(&Architecture(vec![0; 6])).unwrap().macs, 5_837_440);
        assert_eq!(graph.cost(&Architecture(vec![0, 0, 0, 0, 0, 1])).unwrap().macs, 6_138_496);
    }

    /// All 4,096 rows of the published table, where a copy of it lies beside the repository.
    #[test]
    fn every_row_of_the_table_beside_the_repository_agrees() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/benchmarks/entangled_cell.csv");
        let Ok(table) = std::fs::read_to_string(path) else { return };
        let graph = toy(Sharing::Entangled);
        let header: Vec<&str> = table.lines().next().unwrap().split(',').collect();
        let column = |name: &str| header.iter().position(|known| *known == name).unwrap();
        let (first, params, macs) = (column("n01"), column("num_params"), column("macs"));
        let mut rows = 0;
        for line in table.lines().skip(1) {
            let fields: Vec<&str> = line.split(',').collect();
            let architecture = Architecture(
                fields[first..first + 6].iter().map(|digit| digit.parse().unwrap()).collect(),
            );
            let cost = graph.cost(&architecture).unwrap();
            let expected: [u64; 2] = [params, macs].map(|at| fields[at].parse().unwrap());
            assert_eq!([cost.params, cost.macs], expected, "{line}");
            rows += 1;
        }
        assert_eq!(rows, 4096);
    }

    #[test]
    fn the_range_and_the_supernets_have_the_published_sizes() {
        let range = toy(Sharing::Entangled).cost_range().unwrap();
        assert_eq!((range.min.params, range.max.params), (176_938, 211_114));
        assert_eq!(toy(Sharing::Entangled).largest().unwrap(), Architecture(vec![1; 6]));
        assert_eq!(toy(Sharing::Entangled).stored_params(), 239_146);
        assert_eq!(toy(Sharing::Shared).stored_params(), 304_810);
        assert_eq!(toy(Sharing::Entangled).count(), 4096);
    }

    #[test]
    fn a_specialised_network_costs_what_its_architecture_costs() {
        for sharing in [Sharing::Entangled, Sharing::Shared] {
            let graph = toy(sharing);
            for architecture in all().step_by(211) {
                let fixed = graph.specialise(&architecture).unwrap();
                let nothing = Architecture(vec![]);
                let (whole, part) = (graph.cost(&architecture), fixed.graph.cost(&nothing));
                assert_eq!(whole.unwrap(), part.unwrap(), "{architecture:?}");
                assert_eq!(fixed.graph.params().len(), fixed.inherited.len());
            }
        }
    }

    #[test]
    fn an_image_too_small_is_refused() {
        let shape = DataShape { height: 4, width: 4, ..PRESET.shape };
        let options = (PRESET.defaults)();
        let error = super::super::build(&options, shape, Sharing::Entangled).unwrap_err();
        assert!(error.to_string().contains("at least 2×2"), "{error}");
    }
}
