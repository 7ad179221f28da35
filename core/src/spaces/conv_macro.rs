//! The convolutional macro space: a chain of convolutions whose widths and kernels are searched.
//!
//! Space and sizes are those of "Weight-Entanglement Meets Gradient-Based Neural Architecture
//! Search" (arXiv:2312.10440): four searched layers, a fixed one, and a head of four linear layers.

use super::Preset;
use crate::choice::{Choice, ChoiceId, Site};
use crate::dataset::DataShape;
use crate::graph::{
    Builder, Conv2d, Dropout, Flatten, Graph, GraphError, Linear, NodeId, Op, Pool, Size,
};
use crate::spec::{ConvMacroOptions, Sharing, SpaceSpec};

/// The space as the paper uses it.
pub const PRESET: Preset = Preset {
    preset: "conv-macro",
    title: "Convolutional macro space",
    summary: "Width and kernel size of four convolutions in a chain.",
    source: "arXiv:2312.10440",
    shape: DataShape { channels: 3, height: 32, width: 32, classes: 10 },
    defaults: || {
        SpaceSpec::ConvMacro(ConvMacroOptions {
            widths: vec![vec![8, 16, 32], vec![16, 32, 64], vec![32, 64, 128], vec![64, 128, 256]],
            kernels: vec![3, 5, 7],
            pools: vec![2, 3],
            last_width: 256,
            head: vec![256, 128, 64],
            dropout: 0.5,
        })
    },
};

/// Builds the graph: one choice a layer in each of the tensors `channels` and `kernels`.
///
/// # Errors
/// - [`GraphError`] if the image is too small for the poolings.
pub fn build(
    options: &ConvMacroOptions,
    shape: DataShape,
    _sharing: Sharing,
) -> Result<Graph, GraphError> {
    let mut builder = Builder::new(vec![shape.channels, shape.height, shape.width]);
    let b = &mut builder;
    let widths: Vec<Size> = options
        .widths
        .iter()
        .enumerate()
        .map(|(layer, sizes)| Size::elastic(decide(b, ("channels", "width"), layer, sizes), sizes))
        .collect();
    let kernels: Vec<Size> = (0..widths.len())
        .map(|layer| {
            let sizes = &options.kernels;
            Size::elastic(decide(b, ("kernels", "kernel"), layer, sizes), sizes)
        })
        .collect();
    let last_pool = options.pools.iter().max().copied();
    let (mut x, mut read) = (b.input(), Size::Fixed(shape.channels));
    for (at, (width, kernel)) in widths.into_iter().zip(kernels).enumerate() {
        let layer = at as i64 + 1;
        let conv = Conv2d::dense(read, width.clone(), kernel).biased();
        x = b.add(format!("conv{layer}"), Op::Conv2d(conv), &[x]);
        x = b.add(format!("relu{layer}"), Op::RELU, &[x]);
        if Some(layer) == last_pool {
            let dropout = Op::Dropout(Dropout::channels(options.dropout));
            x = b.add(format!("drop{layer}"), dropout, &[x]);
        }
        if options.pools.contains(&layer) {
            x = b.add(format!("pool{layer}"), Op::MaxPool(Pool::window(2)), &[x]);
        }
        read = width;
    }
    x = last(b, options, read, x);
    x = head(b, options, shape.classes, x);
    builder.finish(x)
}

fn decide(
    b: &mut Builder,
    (tensor, property): (&str, &str),
    layer: usize,
    sizes: &[i64],
) -> ChoiceId {
    let layer = format!("conv{}", layer + 1);
    b.choice(Choice {
        tensor: tensor.to_owned(),
        label: layer.clone(),
        options: sizes.iter().map(i64::to_string).collect(),
        site: Site::Layer { layer, property: property.to_owned() },
        when: None,
    })
}

/// The fixed convolution: the largest kernel, padded by one less than would keep the map's size.
fn last(b: &mut Builder, options: &ConvMacroOptions, read: Size, x: NodeId) -> NodeId {
    let kernel = options.kernels.iter().max().copied().unwrap_or(1);
    let name = format!("conv{}", options.widths.len() + 1);
    let conv = Conv2d {
        padding: Some(((kernel - 1) / 2 - 1).max(0)),
        ..Conv2d::dense(read, options.last_width, kernel).biased()
    };
    let x = b.add(name.as_str(), Op::Conv2d(conv), &[x]);
    b.add(format!("{name}_drop"), Op::Dropout(Dropout::channels(options.dropout)), &[x])
}

fn head(b: &mut Builder, options: &ConvMacroOptions, classes: i64, x: NodeId) -> NodeId {
    let mut x = b.add("flatten", Op::Flatten(Flatten), &[x]);
    for (at, width) in options.head.iter().enumerate() {
        let linear = Linear::new(b.shape(x)[0], *width);
        x = b.add(format!("fc{}", at + 1), Op::Linear(linear), &[x]);
        x = b.add(format!("fc{}_relu", at + 1), Op::RELU, &[x]);
    }
    let linear = Linear::new(b.shape(x)[0], classes);
    b.add(format!("fc{}", options.head.len() + 1), Op::Linear(linear), &[x])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Architecture;

    fn graph() -> Graph {
        super::super::build(&(PRESET.defaults)(), PRESET.shape, Sharing::Entangled).unwrap()
    }

    const WIDTHS: [[u64; 3]; 4] = [[8, 16, 32], [16, 32, 64], [32, 64, 128], [64, 128, 256]];
    const KERNELS: [u64; 3] = [3, 5, 7];

    /// Parameters and multiply-accumulates as the table's description gives them.
    fn formula(picked: &[usize]) -> [u64; 2] {
        let (mut params, mut macs, mut read) = (2_401_354, 2_400_896, 3);
        for (layer, area) in [1024, 1024, 256, 64].into_iter().enumerate() {
            let (c, k) = (WIDTHS[layer][picked[layer]], KERNELS[picked[layer + 4]]);
            params += c * read * k * k + c;
            macs += area * c * read * k * k;
            read = c;
        }
        [params + 256 * 49 * read + 256, macs + 36 * 49 * 256 * read]
    }

    #[test]
    fn costs_follow_the_closed_form() {
        let graph = graph();
        assert_eq!(graph.count(), 6561);
        for id in (0..6561_usize).step_by(41) {
            let picked: Vec<usize> =
                (0..8).scan(id, |rest, _| Some((*rest % 3, *rest /= 3).0)).collect();
            let cost = graph.cost(&Architecture(picked.clone())).unwrap();
            assert_eq!([cost.params, cost.macs], formula(&picked), "{picked:?}");
        }
        let range = graph.cost_range().unwrap();
        assert_eq!((range.min.params, range.max.params), (3_228_954, 7_725_450));
        assert_eq!(graph.stored_params(), 7_725_450);
    }

    /// All 6,561 rows of the published table, where a copy of it lies beside the repository.
    #[test]
    fn every_row_of_the_table_beside_the_repository_agrees() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/benchmarks/conv_macro.csv");
        let Ok(table) = std::fs::read_to_string(path) else { return };
        let graph = graph();
        let header: Vec<&str> = table.lines().next().unwrap().split(',').collect();
        let column = |name: &str| header.iter().position(|known| *known == name).unwrap();
        let [c, k, params, macs] = ["c1", "k1", "num_params", "macs"].map(column);
        let mut rows = 0;
        for line in table.lines().skip(1) {
            let fields: Vec<u64> =
                line.split(',').map(|field| field.parse().unwrap_or(0)).collect();
            let widths = (0..4).map(|l| WIDTHS[l].iter().position(|w| *w == fields[c + l]));
            let kernels = (0..4).map(|l| KERNELS.iter().position(|w| *w == fields[k + l]));
            let picked: Option<Vec<usize>> = widths.chain(kernels).collect();
            let cost = graph.cost(&Architecture(picked.unwrap())).unwrap();
            assert_eq!([cost.params, cost.macs], [fields[params], fields[macs]], "{line}");
            rows += 1;
        }
        assert_eq!(rows, 6561);
    }

    #[test]
    fn other_layers_make_another_space() {
        let options = ConvMacroOptions {
            widths: vec![vec![4, 8], vec![6, 12]],
            kernels: vec![1, 3, 5],
            pools: vec![1],
            last_width: 8,
            head: vec![],
            dropout: 0.0,
        };
        let shape = DataShape { channels: 1, height: 12, width: 12, classes: 3 };
        let graph = build(&options, shape, Sharing::Entangled).unwrap();
        assert_eq!(graph.count(), 36);
        let small = DataShape { height: 1, ..shape };
        assert!(build(&options, small, Sharing::Entangled).is_err());
    }
}
