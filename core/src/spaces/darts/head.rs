//! The auxiliary head: a second classifier behind the last cell that halves the map.
//!
//! It gives the middle of a deep network a loss of its own while that is trained, and is thrown
//! away afterwards (arXiv:1806.09055, after arXiv:1409.4842): ReLU, pooling, two convolutions with
//! norms, a linear layer. The published one for CIFAR reads an 8×8 map. On 6×6 and 7×7 maps the
//! pooling's stride is smaller here, so that the second convolution still finds a window; what is
//! left of larger maps is averaged, which on the published one changes nothing.

use crate::dataset::DataShape;
use crate::graph::{
    BatchNorm, Builder, Conv2d, GlobalAvgPool, Graph, GraphError, Linear, NodeId, Op, Pool,
};
use crate::spaces::trained::TrainedGraph;
use crate::spec::DartsOptions;

/// Channels of the head's two convolutions.
const WIDTHS: [i64; 2] = [128, 768];
/// Side of the pooling's window.
const WINDOW: i64 = 5;
/// Side of the second convolution's kernel.
const KERNEL: i64 = 2;
/// The published stride of the pooling.
const STRIDE: i64 = 3;
/// Side of the smallest map that the head can read.
const LEAST: i64 = WINDOW + KERNEL - 1;

/// Why a network of the space cannot have the head, as the end of a sentence about it.
#[must_use]
pub fn fault(cells: i64, shape: DataShape) -> Option<String> {
    if cells < 3 {
        return Some(
            "needs at least 3 `space.cells`: the head reads the last of the two that halve the map"
                .to_owned(),
        );
    }
    let least = 4 * LEAST;
    (shape.height < least || shape.width < least).then(|| {
        let (height, width) = (shape.height, shape.width);
        format!("needs images of at least {least}×{least} pixels, not {height}×{width}")
    })
}

/// Puts the head beside a fixed network of the space; a network that does not use the cell that it
/// would read gets none.
///
/// # Errors
/// - [`GraphError::Shape`] if the map is too small.
pub fn attach(options: &DartsOptions, graph: Graph) -> Result<TrainedGraph, GraphError> {
    let output = graph.output;
    let name = format!("cell{}.out", super::last_reduction(options.cells));
    let Some(cell) = graph.nodes.iter().position(|node| node.name == name) else {
        return Ok(TrainedGraph { graph, auxiliary: None });
    };
    let mut builder = Builder::onto(graph)?;
    let classes = builder.shape(output)[0];
    let scores = head(&mut builder, cell, classes);
    Ok(TrainedGraph { graph: builder.finish(output)?, auxiliary: Some(scores) })
}

/// The head's nodes; gives the one of its class scores.
fn head(b: &mut Builder, map: NodeId, classes: i64) -> NodeId {
    let name = |part: &str| format!("auxiliary.{part}");
    let (channels, side) = match b.shape(map)[..] {
        [channels, height, width] => (channels, height.min(width)),
        _ => (0, 0),
    };
    // As far as the second convolution finds a window to read.
    let stride = (side - WINDOW).clamp(1, STRIDE);
    let pool = Pool { kernel: WINDOW, stride, padding: 0 };
    let x = b.add(name("relu0"), Op::RELU, &[map]);
    let mut x = b.add(name("pool"), Op::AvgPool(pool), &[x]);
    let first = Conv2d::pointwise(channels, WIDTHS[0]);
    let second = Conv2d { padding: Some(0), ..Conv2d::dense(WIDTHS[0], WIDTHS[1], KERNEL) };
    for (conv, part) in [first, second].into_iter().zip(1..) {
        let norm = BatchNorm::affine(conv.out_channels.clone());
        x = b.add(name(&format!("conv{part}")), Op::Conv2d(conv), &[x]);
        x = b.add(name(&format!("bn{part}")), Op::BatchNorm(norm), &[x]);
        x = b.add(name(&format!("relu{part}")), Op::RELU, &[x]);
    }
    let x = b.add(name("mean"), Op::GlobalAvgPool(GlobalAvgPool), &[x]);
    b.add(name("classifier"), Op::Linear(Linear::new(WIDTHS[1], classes)), &[x])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Architecture;
    use crate::spaces::{self, darts::PRESET};
    use crate::spec::{Sharing, SpaceSpec};
    use rstest::rstest;

    fn options(cells: i64) -> DartsOptions {
        let SpaceSpec::Darts(options) = (PRESET.defaults)() else { panic!("another space") };
        DartsOptions { cells, ..options }
    }

    /// The network whose every edge has one operation.
    fn network(options: &DartsOptions, side: i64, option: usize) -> Graph {
        let space = SpaceSpec::Darts(options.clone());
        let shape = DataShape { height: side, width: side, ..PRESET.shape };
        let graph = spaces::build(&space, shape, Sharing::Entangled).unwrap();
        let all = Architecture(vec![option; graph.choices.len()]);
        graph.specialise(&all).unwrap().graph
    }

    /// Side of the image; sides of the maps behind the pooling and behind the second convolution.
    #[rstest]
    #[case::published(32, 2, 1)]
    #[case::fashion_mnist(28, 2, 1)]
    #[case::smallest(24, 2, 1)]
    #[case::larger(64, 4, 3)]
    fn the_head_reads_maps_of_many_sizes(
        #[case] image: i64,
        #[case] pooled: i64,
        #[case] last: i64,
    ) {
        let options = options(8);
        let bare = network(&options, image, 4);
        let TrainedGraph { graph, auxiliary } = attach(&options, bare.clone()).unwrap();
        let shapes = graph.shapes().unwrap();
        let at = |name: &str| graph.nodes.iter().position(|node| node.name == name).unwrap();
        assert_eq!(graph.nodes[at("auxiliary.relu0")].inputs, [at("cell5.out")]);
        assert_eq!(shapes[at("cell5.out")], [256, image / 4, image / 4]);
        assert_eq!(shapes[at("auxiliary.pool")], [256, pooled, pooled]);
        assert_eq!(shapes[at("auxiliary.conv2")], [768, last, last]);
        assert_eq!(shapes[auxiliary.unwrap()], [10]);
        assert_eq!(graph.nodes[graph.output].name, "head");
        // The network's own nodes are as they were, and their tensors come first.
        assert_eq!(graph.nodes[..bare.nodes.len()], bare.nodes[..]);
        let trained = |graph: &Graph| graph.stored_params();
        let head = 256 * 128 + 2 * 128 + 128 * 768 * 4 + 2 * 768 + 768 * 10 + 10;
        assert_eq!(trained(&graph), trained(&bare) + head);
        assert!(fault(8, DataShape { height: image, width: image, ..PRESET.shape }).is_none());
    }

    #[test]
    fn what_cannot_have_a_head_says_why() {
        let told = |cells, side| {
            fault(cells, DataShape { height: side, width: side, ..PRESET.shape }).unwrap()
        };
        assert!(told(2, 32).contains("at least 3 `space.cells`"));
        assert_eq!(told(3, 20), "needs images of at least 24×24 pixels, not 20×20");
        let small = attach(&options(3), network(&options(3), 20, 4)).unwrap_err();
        assert!(matches!(small, GraphError::Shape { .. }), "{small}");
    }

    /// Four cells: the third halves the map, and the last one, a normal cell, reads nothing of it.
    #[test]
    fn a_network_without_the_cell_has_no_head() {
        let options = options(4);
        let bare = {
            let space = SpaceSpec::Darts(options.clone());
            let graph = spaces::build(&space, PRESET.shape, Sharing::Entangled).unwrap();
            let picked = graph.choices.iter().map(|choice| match choice.site {
                // Option 0 is `none`.
                crate::choice::Site::Edge { ref cell, from: 1, .. } if cell == "normal" => 0,
                _ => 4,
            });
            graph.specialise(&Architecture(picked.collect())).unwrap().graph
        };
        let unchanged = TrainedGraph { graph: bare.clone(), auxiliary: None };
        assert_eq!(attach(&options, bare).unwrap(), unchanged);
    }
}
