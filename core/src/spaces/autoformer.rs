//! AutoFormer: a vision transformer whose width, depth, heads and MLP ratios are searched
//! (arXiv:2107.00651).

use super::Preset;
use crate::choice::{Choice, ChoiceId, Site};
use crate::dataset::DataShape;
use crate::graph::{
    Activation, Add, Builder, Dropout, Elastic, Graph, GraphError, LayerNorm, Linear, Mix, NodeId,
    Op, PatchEmbed, Qkv, RelativeAttention, Resize, Scaled, Size, TokenMean,
};
use crate::spec::{AutoformerOptions, Sharing, SpaceSpec};

const SHAPE: DataShape = DataShape { channels: 3, height: 32, width: 32, classes: 10 };

/// The tiny space, with the lists that the paper searches.
pub const TINY: Preset = Preset {
    preset: "autoformer-t",
    title: "AutoFormer-T",
    summary: "Width, depth, heads and MLP ratios of a tiny vision transformer.",
    source: "arXiv:2107.00651",
    shape: SHAPE,
    defaults: || {
        let lists = ([192, 216, 240], [12, 13, 14]);
        SpaceSpec::AutoformerT(options(lists, &[3, 4], &[3.5, 4.0]))
    },
};

/// The small space.
pub const SMALL: Preset = Preset {
    preset: "autoformer-s",
    title: "AutoFormer-S",
    summary: "Width, depth, heads and MLP ratios of a small vision transformer.",
    defaults: || {
        let lists = ([320, 384, 448], [12, 13, 14]);
        SpaceSpec::AutoformerS(options(lists, &[5, 6, 7], &[3.0, 3.5, 4.0]))
    },
    ..TINY
};

/// The base space.
pub const BASE: Preset = Preset {
    preset: "autoformer-b",
    title: "AutoFormer-B",
    summary: "Width, depth, heads and MLP ratios of a vision transformer of base size.",
    defaults: || {
        let lists = ([528, 576, 624], [14, 15, 16]);
        SpaceSpec::AutoformerB(options(lists, &[8, 9, 10], &[3.0, 3.5, 4.0]))
    },
    ..TINY
};

/// Width of a head.
const HEAD: i64 = 64;
/// Largest distance of patches that relative positions tell apart.
const REACH: i64 = 14;

fn options(
    (widths, depths): ([i64; 3], [i64; 3]),
    heads: &[i64],
    ratios: &[f64],
) -> AutoformerOptions {
    AutoformerOptions {
        widths: widths.to_vec(),
        depths: depths.to_vec(),
        heads: heads.to_vec(),
        ratios: ratios.to_vec(),
        image_size: 224,
        patch: 16,
        drop_path: 0.1,
    }
}

/// The open sizes.
struct Sizes {
    width: Elastic,
    /// Per layer.
    heads: Vec<Elastic>,
    /// Per layer.
    hidden: Vec<Scaled>,
    depth: ChoiceId,
}

/// Builds the graph: one row for the width, one per layer for ratio and heads, one for the depth.
///
/// # Errors
/// - [`GraphError`] if the patches do not fit the image.
pub fn build(
    options: &AutoformerOptions,
    shape: DataShape,
    sharing: Sharing,
) -> Result<Graph, GraphError> {
    build_with(options, shape, sharing, REACH)
}

/// The same with another reach of relative positions.
///
/// # Errors
/// - as [`build`].
pub fn build_with(
    options: &AutoformerOptions,
    shape: DataShape,
    _sharing: Sharing,
    reach: i64,
) -> Result<Graph, GraphError> {
    let mut builder = Builder::new(vec![shape.channels, shape.height, shape.width]);
    let b = &mut builder;
    let mut x = b.input();
    if (shape.height, shape.width) != (options.image_size, options.image_size) {
        x = b.add("resize", Op::Resize(Resize { side: options.image_size }), &[x]);
    }
    let side = options.image_size / options.patch;
    let sizes = decide(b, options);
    let attention = |heads: &Elastic| RelativeAttention {
        heads: Size::Elastic(heads.clone()),
        head_width: HEAD,
        grid: (side, side),
        reach,
    };
    let width = Size::Elastic(sizes.width.clone());
    let patch = PatchEmbed {
        channels: shape.channels,
        grid: (side, side),
        patch: options.patch,
        width: width.clone(),
    };
    x = b.add("patch", Op::PatchEmbed(patch), &[x]);
    let mut exits = Vec::new();
    let layers = options.depths.iter().max().copied().unwrap_or(0);
    for layer in 0..layers {
        #[expect(clippy::cast_precision_loss, reason = "layers are few")]
        let dropped = options.drop_path * layer as f64 / (layers - 1).max(1) as f64;
        let at = usize::try_from(layer).unwrap_or(0);
        x = block(b, &sizes, at, (attention(&sizes.heads[at]), dropped), x);
        if options.depths.contains(&(layer + 1)) {
            exits.push(x);
        }
    }
    if exits.len() > 1 {
        x = b.add("depth", Op::Mix(Mix::each(sizes.depth, exits.len())), &exits);
    }
    let norm = LayerNorm { features: width.clone(), bias: true };
    x = b.add("ln_final", Op::LayerNorm(norm), &[x]);
    x = b.add("mean", Op::TokenMean(TokenMean { width: width.clone() }), &[x]);
    x = b.add("head", Op::Linear(Linear::new(width, shape.classes)), &[x]);
    builder.finish(x)
}

fn decide(b: &mut Builder, options: &AutoformerOptions) -> Sizes {
    let layers = usize::try_from(options.depths.iter().max().copied().unwrap_or(0)).unwrap_or(0);
    // The depth's row comes last.
    let depth = 1 + 2 * layers;
    let width = Elastic::all(b.choice(whole("embed", "width", &options.widths)), &options.widths);
    let texts: Vec<String> = options.ratios.iter().map(f64::to_string).collect();
    let ratios: Vec<(usize, f64)> = options.ratios.iter().copied().enumerate().collect();
    let hidden = (0..layers).map(|layer| {
        let choice = layered(("ratio", "MLP ratio"), layer, &texts, (depth, &options.depths));
        Scaled { base: width.clone(), choice: b.choice(choice), ratios: ratios.clone() }
    });
    let hidden = hidden.collect();
    let texts: Vec<String> = options.heads.iter().map(i64::to_string).collect();
    let heads = (0..layers).map(|layer| {
        let choice = layered(("heads", "heads"), layer, &texts, (depth, &options.depths));
        Elastic::all(b.choice(choice), &options.heads)
    });
    let heads = heads.collect();
    let depth = b.choice(whole("depth", "depth", &options.depths));
    Sizes { width, heads, hidden, depth }
}

/// A choice about one layer, which matters only where the network is deep enough.
pub(super) fn layered(
    (tensor, property): (&str, &str),
    layer: usize,
    texts: &[String],
    (depth, depths): (ChoiceId, &[i64]),
) -> Choice {
    let deep = |depth: &i64| usize::try_from(*depth).is_ok_and(|depth| depth > layer);
    let under: Vec<usize> = (0..depths.len()).filter(|option| deep(&depths[*option])).collect();
    let always = under.len() == depths.len();
    let layer = format!("block{layer}");
    Choice {
        tensor: tensor.to_owned(),
        label: layer.clone(),
        options: texts.to_vec(),
        site: Site::Layer { layer, property: property.to_owned() },
        when: (!always).then_some((depth, under)),
    }
}

/// A choice about the whole network.
pub(super) fn whole(tensor: &str, property: &str, sizes: &[i64]) -> Choice {
    Choice {
        tensor: tensor.to_owned(),
        label: "network".to_owned(),
        options: sizes.iter().map(i64::to_string).collect(),
        site: Site::Layer { layer: "network".to_owned(), property: property.to_owned() },
        when: None,
    }
}

/// Norm, attention, residual; norm, MLP, residual.
fn block(
    b: &mut Builder,
    sizes: &Sizes,
    layer: usize,
    (attention, dropped): (RelativeAttention, f64),
    x: NodeId,
) -> NodeId {
    let name = format!("block{layer}");
    let width = Size::Elastic(sizes.width.clone());
    let inner = Size::Elastic(sizes.heads[layer].times(HEAD));
    let hidden = Size::Scaled(sizes.hidden[layer].clone());
    let norm = || Op::LayerNorm(LayerNorm { features: width.clone(), bias: true });
    let mut add =
        |part: &str, op: Op, inputs: &[NodeId]| b.add(format!("{name}.{part}"), op, inputs);
    let qkv = Qkv { width: width.clone(), inner: inner.clone(), bias: true, interleaved: true };
    let mut y = add("ln1", norm(), &[x]);
    y = add("qkv", Op::Qkv(qkv), &[y]);
    y = add("attention", Op::RelativeAttention(attention), &[y]);
    y = add("proj", Op::Linear(Linear::new(inner, width.clone())), &[y]);
    y = add("drop1", Op::Dropout(Dropout::path(dropped)), &[y]);
    let x = add("mid", Op::Add(Add), &[x, y]);
    let mut y = add("ln2", norm(), &[x]);
    y = add("fc1", Op::Linear(Linear::new(width.clone(), hidden.clone())), &[y]);
    y = add("gelu", Op::Activation(Activation::Gelu), &[y]);
    y = add("fc2", Op::Linear(Linear::new(hidden, width.clone())), &[y]);
    y = add("drop2", Op::Dropout(Dropout::path(dropped)), &[y]);
    add("out", Op::Add(Add), &[x, y])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Architecture;
    use rstest::rstest;

    fn graph(preset: &Preset, classes: i64) -> Graph {
        let shape = DataShape { height: 224, width: 224, classes, ..SHAPE };
        super::super::build(&(preset.defaults)(), shape, Sharing::Entangled).unwrap()
    }

    #[rstest]
    #[case::tiny(&TINY, 3 * (4_u128.pow(12) + 4_u128.pow(13) + 4_u128.pow(14)))]
    #[case::small(&SMALL, 3 * (9_u128.pow(12) + 9_u128.pow(13) + 9_u128.pow(14)))]
    #[case::base(&BASE, 3 * (9_u128.pow(14) + 9_u128.pow(15) + 9_u128.pow(16)))]
    fn architectures_are_counted_by_depth(#[case] preset: &Preset, #[case] expected: u128) {
        assert_eq!(graph(preset, 1000).count(), expected);
    }

    /// The count for equal layers, written down independently of the graph.
    fn formula(e: u64, h: u64, f: u64, layers: u64, n: u64) -> u64 {
        let block = 4 * e + 192 * h * (e + 1) + 7680 + 64 * h * e + e + e * f + f + f * e + e;
        3 * 256 * e + e + e + 197 * e + layers * block + 2 * e + e * n + n
    }

    #[test]
    fn parameters_follow_the_closed_form() {
        let graph = graph(&TINY, 1000);
        for (width, ratio, heads, depth) in [(0, 0, 0, 0), (1, 0, 1, 1), (2, 1, 1, 2)] {
            let picked = [vec![width], vec![ratio; 14], vec![heads; 14], vec![depth]].concat();
            let (e, h, layers) = ([192, 216, 240][width], [3, 4][heads], [12, 13, 14][depth]);
            let f = [e * 7 / 2, e * 4][ratio];
            let cost = graph.cost(&Architecture(picked)).unwrap();
            assert_eq!(cost.params, formula(e, h, f, layers, 1000), "{width} {ratio} {heads}");
        }
        assert_eq!(graph.stored_params(), formula(240, 4, 960, 14, 1000));
    }

    #[test]
    fn the_supernets_have_the_published_sizes() {
        let millions = |preset: &Preset| (graph(preset, 1000).stored_params() + 50_000) / 100_000;
        assert_eq!([&TINY, &SMALL, &BASE].map(millions), [105, 348, 769]);
        // The published code counts the rows too.
        assert_eq!(graph(&TINY, 1000).stored_params() + 2 * 28 + 6, 10_517_334);
    }
}
