//! The toy cell: three small cells, four candidate operations on each of six edges.
//!
//! Space and sizes are those of "Weight-Entanglement Meets Gradient-Based Neural Architecture
//! Search" (arXiv:2312.10440): a reduction, a normal and a reduction cell, then a two-layer head.
//! Both reduction cells follow the same rows with weights of their own.

use super::Preset;
use crate::choice::{Choice, ChoiceId, Site};
use crate::dataset::DataShape;
use crate::graph::{
    Add, BatchNorm, Builder, Concat, Conv2d, Dropout, Elastic, Flatten, Graph, GraphError, Linear,
    Mix, NodeId, Op, Pool, Size,
};
use crate::spec::{Sharing, SpaceSpec, ToyCellOptions};

/// The space as the paper uses it.
pub const PRESET: Preset = Preset {
    preset: "toy-cell",
    title: "Toy cell",
    summary: "Separable and dilated convolutions, 3×3 or 5×5, on the six edges of two small cells.",
    source: "arXiv:2312.10440",
    shape: DataShape { channels: 1, height: 28, width: 28, classes: 10 },
    defaults: || SpaceSpec::ToyCell(ToyCellOptions { channels: 32, dropout: 0.2 }),
};

/// Candidate operations in row order.
const OPERATIONS: [(&str, Kind, i64); 4] = [
    ("sep3", Kind::Sep, 3),
    ("sep5", Kind::Sep, 5),
    ("dil3", Kind::Dil, 3),
    ("dil5", Kind::Dil, 5),
];
/// Edges of a cell in row order.
const EDGES: [(usize, usize); 3] = [(0, 1), (0, 2), (1, 2)];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Sep,
    Dil,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Sep => "sep",
            Self::Dil => "dil",
        }
    }
}

/// Builds the graph: six choices in the tensors `normal` and `reduce`, three rows each.
///
/// # Errors
/// - [`GraphError::Shape`] if the image is too small for two reductions and a pooling.
pub fn build(
    options: &ToyCellOptions,
    shape: DataShape,
    sharing: Sharing,
) -> Result<Graph, GraphError> {
    let mut builder = Builder::new(vec![shape.channels, shape.height, shape.width]);
    let mut rows =
        |tensor: &str| EDGES.map(|(from, to)| builder.choice(edge_choice(tensor, from, to)));
    let (normal, reduce) = (rows("normal"), rows("reduce"));
    let c = options.channels;
    let mut x = builder.input();
    let cells = [(reduce, c, 2), (normal, c, 1), (reduce, 2 * c, 2)];
    for (index, (rows, channels, stride)) in cells.into_iter().enumerate() {
        let cell = Cell { name: format!("cell{index}"), rows, channels, stride, sharing };
        x = cell.add(&mut builder, x);
        x = builder.add(
            format!("drop{index}"),
            Op::Dropout(Dropout::elements(options.dropout)),
            &[x],
        );
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

fn edge_choice(tensor: &str, from: usize, to: usize) -> Choice {
    Choice {
        tensor: tensor.to_owned(),
        label: format!("{from}→{to}"),
        options: OPERATIONS.map(|(name, ..)| name.to_owned()).to_vec(),
        site: Site::Edge { cell: tensor.to_owned(), from, to },
        when: None,
    }
}

struct Cell {
    name: String,
    rows: [ChoiceId; 3],
    channels: i64,
    stride: i64,
    sharing: Sharing,
}

impl Cell {
    /// `[C, H, W]` to `[2·channels, H/stride, W/stride]`.
    fn add(&self, builder: &mut Builder, x: NodeId) -> NodeId {
        let pre = format!("{}.pre", self.name);
        let in_channels = builder.shape(x)[0];
        let relu = builder.add(format!("{pre}.relu"), Op::RELU, &[x]);
        let conv = Op::Conv2d(Conv2d::pointwise(in_channels, self.channels));
        let conv = builder.add(format!("{pre}.conv"), conv, &[relu]);
        let node0 = builder.add(format!("{pre}.bn"), self.norm(), &[conv]);
        let node1 = self.edge(builder, 0, node0);
        let from0 = self.edge(builder, 1, node0);
        let from1 = self.edge(builder, 2, node1);
        let node2 = builder.add(format!("{}.node2", self.name), Op::Add(Add), &[from0, from1]);
        builder.add(format!("{}.out", self.name), Op::Concat(Concat), &[node1, node2])
    }

    fn norm(&self) -> Op {
        Op::BatchNorm(BatchNorm::plain(self.channels))
    }

    fn edge(&self, builder: &mut Builder, edge: usize, x: NodeId) -> NodeId {
        let (from, to) = EDGES[edge];
        let name = format!("{}.edge{from}_{to}", self.name);
        let choice = self.rows[edge];
        let stride = if from == 0 { self.stride } else { 1 };
        let mut inputs = Vec::new();
        let mut branches = Vec::new();
        for (kind, label, options) in groups(self.sharing) {
            let sizes: Vec<(usize, i64)> =
                options.iter().map(|option| (*option, OPERATIONS[*option].2)).collect();
            let kernel = match sizes[..] {
                [(_, size)] => Size::Fixed(size),
                _ => Size::Elastic(Elastic { choice, sizes }),
            };
            let name = format!("{name}.{label}");
            inputs.push(match kind {
                Kind::Sep => self.sep(builder, &name, &kernel, stride, x),
                Kind::Dil => self.dil(builder, &name, &kernel, stride, x),
            });
            branches.push(options);
        }
        builder.add(name, Op::Mix(Mix { choice, branches }), &inputs)
    }

    /// Twice: ReLU, depth-wise k×k, point-wise, norm; the stride in the first.
    fn sep(
        &self,
        builder: &mut Builder,
        name: &str,
        kernel: &Size,
        stride: i64,
        x: NodeId,
    ) -> NodeId {
        let half = self.half(
            builder,
            name,
            "1",
            Conv2d::depthwise(self.channels, kernel.clone(), stride, 1),
            x,
        );
        self.half(builder, name, "2", Conv2d::depthwise(self.channels, kernel.clone(), 1, 1), half)
    }

    /// ReLU, depth-wise k×k at dilation 2, point-wise, norm.
    fn dil(
        &self,
        builder: &mut Builder,
        name: &str,
        kernel: &Size,
        stride: i64,
        x: NodeId,
    ) -> NodeId {
        self.half(builder, name, "", Conv2d::depthwise(self.channels, kernel.clone(), stride, 2), x)
    }

    fn half(
        &self,
        builder: &mut Builder,
        name: &str,
        part: &str,
        conv: Conv2d,
        x: NodeId,
    ) -> NodeId {
        let x = builder.add(format!("{name}.relu{part}"), Op::RELU, &[x]);
        let x = builder.add(format!("{name}.dw{part}"), Op::Conv2d(conv), &[x]);
        let pointwise = Op::Conv2d(Conv2d::pointwise(self.channels, self.channels));
        let x = builder.add(format!("{name}.pw{part}"), pointwise, &[x]);
        builder.add(format!("{name}.bn{part}"), self.norm(), &[x])
    }
}

/// Entangled, the kernel sizes of a kind share one operation; otherwise each has its own.
fn groups(sharing: Sharing) -> Vec<(Kind, String, Vec<usize>)> {
    let alone = |option: usize| {
        let (name, kind, _) = OPERATIONS[option];
        (kind, name.to_owned(), vec![option])
    };
    let together = |kind: Kind| {
        let options = (0..OPERATIONS.len()).filter(|option| OPERATIONS[*option].1 == kind);
        (kind, kind.name().to_owned(), options.collect())
    };
    match sharing {
        Sharing::Shared => (0..OPERATIONS.len()).map(alone).collect(),
        Sharing::Entangled | Sharing::EntangledOutputs => {
            vec![together(Kind::Sep), together(Kind::Dil)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Architecture;

    fn toy(sharing: Sharing) -> Graph {
        build(&ToyCellOptions { channels: 32, dropout: 0.2 }, PRESET.shape, sharing).unwrap()
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
        let options = ToyCellOptions { channels: 32, dropout: 0.2 };
        let error = build(&options, shape, Sharing::Entangled).unwrap_err();
        assert!(error.to_string().contains("at least 2×2"), "{error}");
    }
}
