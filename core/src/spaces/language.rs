//! Language models in the manner of GPT-2 and nanoGPT: layers, width, heads and MLP ratios are
//! searched. Sizes are those of "Weight-Entanglement Meets Gradient-Based Neural Architecture
//! Search" (arXiv:2312.10440).

use super::Preset;
use super::autoformer::{layered, whole};
use crate::choice::ChoiceId;
use crate::dataset::DataShape;
use crate::graph::{
    Activation, Add, Builder, CausalAttention, Dropout, Elastic, Embedding, Graph, GraphError,
    LayerNorm, Linear, Mix, NodeId, Op, Positions, Qkv, Scaled, Size, TiedLinear,
};
use crate::spec::{LanguageOptions, Sharing, SpaceSpec};

/// The space that the paper searches on TinyStories, with tokens of GPT-2.
pub const TINY_STORIES: Preset = Preset {
    preset: "language",
    title: "Language model",
    summary: "Layers, width, heads and MLP ratios of a small GPT over byte-pair tokens.",
    source: "arXiv:2312.10440",
    shape: DataShape { channels: 1, height: 1, width: 1, classes: 50_304 },
    defaults: || {
        SpaceSpec::Language(LanguageOptions {
            layers: vec![5, 6, 7],
            widths: vec![384, 576, 768],
            heads: vec![6, 8, 12],
            ratios: vec![2.0, 3.0, 4.0],
            context: 224,
            dropout: 0.2,
        })
    },
};

/// The space that the paper searches on the characters of Shakespeare's works.
pub const CHARACTERS: Preset = Preset {
    preset: "language-char",
    title: "Character language model",
    summary: "Layers, width, heads and MLP ratios of a small GPT over characters.",
    shape: DataShape { channels: 1, height: 1, width: 1, classes: 65 },
    defaults: || {
        SpaceSpec::LanguageChar(LanguageOptions {
            layers: vec![4, 5, 6],
            widths: vec![96, 192, 384],
            heads: vec![2, 4, 6],
            ratios: vec![2.0, 3.0, 4.0],
            context: 256,
            dropout: 0.2,
        })
    },
    ..TINY_STORIES
};

/// The open sizes.
struct Sizes {
    width: Elastic,
    /// Per layer.
    heads: Vec<Elastic>,
    /// Per layer.
    hidden: Vec<Scaled>,
    layers: ChoiceId,
}

/// Builds the graph: rows for layers and width, then one per layer for heads and for ratios.
///
/// Of `shape` only `classes` counts: the size of the vocabulary.
///
/// # Errors
/// - [`GraphError`] if a number of heads does not divide a width.
pub fn build(
    options: &LanguageOptions,
    shape: DataShape,
    _sharing: Sharing,
) -> Result<Graph, GraphError> {
    let mut builder = Builder::new(vec![options.context]);
    let b = &mut builder;
    let sizes = decide(b, options);
    let width = Size::Elastic(sizes.width.clone());
    let table = Embedding { vocabulary: shape.classes, width: width.clone() };
    let table = b.add("wte", Op::Embedding(table), &[b.input()]);
    let positions = Positions { tokens: options.context, width: width.clone() };
    let mut x = b.add("wpe", Op::Positions(positions), &[table]);
    x = b.add("drop", Op::Dropout(Dropout::elements(options.dropout)), &[x]);
    let mut exits = Vec::new();
    for layer in 0..options.layers.iter().max().copied().unwrap_or(0) {
        let at = usize::try_from(layer).unwrap_or(0);
        x = block(b, &sizes, at, options.dropout, x);
        if options.layers.contains(&(layer + 1)) {
            exits.push(x);
        }
    }
    if exits.len() > 1 {
        x = b.add("depth", Op::Mix(Mix::each(sizes.layers, exits.len())), &exits);
    }
    let norm = LayerNorm { features: width.clone(), bias: false };
    x = b.add("ln_f", Op::LayerNorm(norm), &[x]);
    let head = TiedLinear { vocabulary: shape.classes, width };
    x = b.add("lm_head", Op::TiedLinear(head), &[x, table]);
    builder.finish(x)
}

fn decide(b: &mut Builder, options: &LanguageOptions) -> Sizes {
    let layers = usize::try_from(options.layers.iter().max().copied().unwrap_or(0)).unwrap_or(0);
    let depth = b.choice(whole("layers", "layers", &options.layers));
    let width = Elastic::all(b.choice(whole("embed", "width", &options.widths)), &options.widths);
    let texts: Vec<String> = options.heads.iter().map(i64::to_string).collect();
    let heads = (0..layers).map(|layer| {
        let choice = layered(("heads", "heads"), layer, &texts, (depth, &options.layers));
        Elastic::all(b.choice(choice), &options.heads)
    });
    let heads = heads.collect();
    let texts: Vec<String> = options.ratios.iter().map(f64::to_string).collect();
    let ratios: Vec<(usize, f64)> = options.ratios.iter().copied().enumerate().collect();
    let hidden = (0..layers).map(|layer| {
        let choice = layered(("ratio", "MLP ratio"), layer, &texts, (depth, &options.layers));
        Scaled { base: width.clone(), choice: b.choice(choice), ratios: ratios.clone() }
    });
    let hidden = hidden.collect();
    Sizes { width, heads, hidden, layers: depth }
}

/// Norm, attention, residual; norm, MLP, residual; nothing has a bias.
fn block(b: &mut Builder, sizes: &Sizes, layer: usize, dropout: f64, x: NodeId) -> NodeId {
    let name = format!("block{layer}");
    let width = Size::Elastic(sizes.width.clone());
    let hidden = Size::Scaled(sizes.hidden[layer].clone());
    let heads = Size::Elastic(sizes.heads[layer].clone());
    let norm = || Op::LayerNorm(LayerNorm { features: width.clone(), bias: false });
    let linear = |read: &Size, written: &Size| {
        Op::Linear(Linear { bias: false, ..Linear::new(read.clone(), written.clone()) })
    };
    let dropped = || Op::Dropout(Dropout::elements(dropout));
    let mut add =
        |part: &str, op: Op, inputs: &[NodeId]| b.add(format!("{name}.{part}"), op, inputs);
    let inner = width.clone();
    let qkv = Qkv { width: width.clone(), inner, bias: false, interleaved: false };
    let attention = CausalAttention { heads, width: width.clone(), dropout };
    let mut y = add("ln1", norm(), &[x]);
    y = add("c_attn", Op::Qkv(qkv), &[y]);
    y = add("attention", Op::CausalAttention(attention), &[y]);
    y = add("c_proj", linear(&width, &width), &[y]);
    y = add("drop1", dropped(), &[y]);
    let x = add("mid", Op::Add(Add), &[x, y]);
    let mut y = add("ln2", norm(), &[x]);
    y = add("mlp_in", linear(&width, &hidden), &[y]);
    y = add("gelu", Op::Activation(Activation::GeluTanh), &[y]);
    y = add("mlp_out", linear(&hidden, &width), &[y]);
    y = add("drop2", dropped(), &[y]);
    add("out", Op::Add(Add), &[x, y])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Architecture;

    fn graph(preset: &Preset) -> Graph {
        super::super::build(&(preset.defaults)(), preset.shape, Sharing::Entangled).unwrap()
    }

    #[test]
    fn architectures_are_counted_by_depth() {
        assert_eq!(graph(&TINY_STORIES).count(), 16_120_377);
        assert_eq!(graph(&CHARACTERS).count(), 1_791_153);
    }

    /// The count for equal layers, written down independently of the graph.
    #[test]
    fn parameters_follow_the_closed_form() {
        let graph = graph(&TINY_STORIES);
        let formula = |e: u64, r: u64, layers: u64| {
            50_304 * e + 224 * e + layers * (2 * e + 4 * e * e + 2 * r * e * e) + e
        };
        for (layers, width, ratio) in [(0, 0, 0), (1, 2, 1), (2, 2, 2)] {
            let picked = [vec![layers, width], vec![1; 7], vec![ratio; 7]].concat();
            let cost = graph.cost(&Architecture(picked)).unwrap();
            let (e, r, l) = ([384, 576, 768][width], [2, 3, 4][ratio], [5, 6, 7][layers]);
            assert_eq!(cost.params, formula(e, r, l));
        }
        // The published code counts the rows too.
        assert_eq!(graph.stored_params() + 6 + 42, 88_362_288);
    }

    #[test]
    fn heads_must_divide_every_width() {
        let SpaceSpec::LanguageChar(options) = (CHARACTERS.defaults)() else { panic!() };
        let options = LanguageOptions { heads: vec![5], ..options };
        let error = build(&options, CHARACTERS.shape, Sharing::Entangled).unwrap_err();
        assert!(error.to_string().contains("5 heads do not divide a width of 96"), "{error}");
    }
}
