//! Layers of vision and language transformers, and of inverted bottlenecks.

use skein_core::choice::Architecture;
use skein_core::graph::{
    Builder, CausalAttention, Conv2d, Elastic, Embedding, Graph, LayerNorm, Linear, Op, PatchEmbed,
    Qkv, RelativeAttention, Scaled, Size, SqueezeExcite, TokenMean,
};
use skein_core::spec::{Fidelity, Sharing};
use skein_engine::device::Compute;
use skein_engine::exec::{Executor, Plan};
use skein_engine::store::Store;

use super::layers::{check, choice};
use super::supernet::TRAIN;
use super::vectors::Vectors;

fn elastic(size: &Size) -> Elastic {
    match size {
        Size::Elastic(elastic) => elastic.clone(),
        _ => panic!("{size:?} is not elastic"),
    }
}

/// A graph of one node called `op`.
fn single(read: &[i64], build: impl FnOnce(&mut Builder) -> Op) -> Graph {
    let mut b = Builder::new(read.to_vec());
    let op = build(&mut b);
    let out = b.add("op", op, &[0]);
    b.finish(out).unwrap()
}

/// One layer of AutoFormer; the order of the choices is that of the rows.
fn vision(layer: &str) -> Graph {
    let widths = [16, 20, 24];
    let width = |b: &mut Builder| choice(b, "embed", &widths);
    let norm = |features| Op::LayerNorm(LayerNorm { features, bias: true });
    let hidden = |b: &mut Builder, width: &Size| {
        let choice = match choice(b, "ratio", &[2, 3]) {
            Size::Elastic(elastic) => elastic.choice,
            _ => panic!(),
        };
        Size::Scaled(Scaled { base: elastic(width), choice, ratios: vec![(0, 2.0), (1, 2.7)] })
    };
    match layer {
        "qkv" => single(&[3, 24], |b| {
            let (width, heads) = (width(b), choice(b, "heads", &[1, 2]));
            let inner = heads.times(64).unwrap();
            Op::Qkv(Qkv { width, inner, bias: true, interleaved: true })
        }),
        "proj" => single(&[3, 128], |b| {
            let (width, heads) = (width(b), choice(b, "heads", &[1, 2]));
            Op::Linear(Linear::new(heads.times(64).unwrap(), width))
        }),
        "fc1" => single(&[3, 24], |b| {
            let width = width(b);
            let hidden = hidden(b, &width);
            Op::Linear(Linear::new(width, hidden))
        }),
        "fc2" => single(&[3, 64], |b| {
            let width = width(b);
            Op::Linear(Linear::new(hidden(b, &width), width))
        }),
        "ln_block" | "ln_final" => single(&[3, 24], |b| norm(width(b))),
        "patch" => single(&[3, 32, 32], |b| {
            Op::PatchEmbed(PatchEmbed { channels: 3, grid: (4, 4), patch: 8, width: width(b) })
        }),
        "attention" => single(&[17, 576], |b| {
            let heads = choice(b, "heads", &[1, 2, 3]);
            Op::RelativeAttention(RelativeAttention {
                heads,
                head_width: 64,
                grid: (4, 4),
                reach: 3,
            })
        }),
        "pool" => single(&[5, 24], |b| Op::TokenMean(TokenMean { width: width(b) })),
        _ => single(&[24], |b| Op::Linear(Linear::new(width(b), 10))),
    }
}

/// One layer of the language model.
fn language(layer: &str) -> Graph {
    let widths = [12, 18, 24];
    let width = |b: &mut Builder| choice(b, "embed", &widths);
    let hidden = |b: &mut Builder, width: &Size| {
        let choice = elastic(&choice(b, "ratio", &[1, 2, 4])).choice;
        let ratios = vec![(0, 1.0), (1, 2.0), (2, 4.0)];
        Size::Scaled(Scaled { base: elastic(width), choice, ratios })
    };
    let unbiased = |read, written| Op::Linear(Linear { bias: false, ..Linear::new(read, written) });
    match layer {
        "c_attn" => single(&[5, 24], |b| {
            let width = width(b);
            Op::Qkv(Qkv { width: width.clone(), inner: width, bias: false, interleaved: false })
        }),
        "c_proj" => single(&[5, 24], |b| {
            let width = width(b);
            unbiased(width.clone(), width)
        }),
        "attention" => single(&[5, 72], |b| {
            let (heads, width) = (choice(b, "heads", &[1, 2, 3]), width(b));
            Op::CausalAttention(CausalAttention { heads, width, dropout: 0.0 })
        }),
        "mlp_in" => single(&[5, 24], |b| {
            let width = width(b);
            unbiased(width.clone(), hidden(b, &width))
        }),
        "mlp_out" => single(&[5, 96], |b| {
            let width = width(b);
            unbiased(hidden(b, &width), width)
        }),
        "layer_norm" => {
            single(&[5, 24], |b| Op::LayerNorm(LayerNorm { features: width(b), bias: false }))
        }
        "embedding" => {
            single(&[5], |b| Op::Embedding(Embedding { vocabulary: 11, width: width(b) }))
        }
        _ => unreachable!("{layer}"),
    }
}

fn check_all(file: &str, graph: impl Fn(&str) -> Graph, skipped: &[&str]) -> usize {
    let all = Vectors::read(file);
    let mut cases = 0;
    for part in all.groups(2) {
        let (layer, name) = part.split_once('.').unwrap();
        if skipped.contains(&layer) {
            continue;
        }
        let mut v = all.under(&format!("{part}."));
        let graph = graph(layer);
        let stores = !Store::zeroed(&graph, Compute::exact()).weights.params().is_empty();
        if stores && !v.names().iter().any(|name| name.starts_with("w.")) {
            v.adopt(&all.under(&format!("{layer}.mix.")), "w.");
        }
        check(&v, &graph, name);
        cases += 1;
    }
    cases
}

#[test]
fn vision_layers() {
    assert_eq!(check_all("autoformer_layers", vision, &[]), 29);
}

/// The head shares the embedding's table, so it is checked within the whole network.
#[test]
fn language_layers() {
    assert_eq!(check_all("lm_layers", language, &["head"]), 17);
}

/// One layer of MobileNetV3; the order of the choices is that of the rows.
fn mobile(layer: &str, side: i64) -> Graph {
    let middle = |b: &mut Builder| choice(b, "expand", &[12, 16, 24]);
    match layer {
        "expand" => single(&[4, side, side], |b| Op::Conv2d(Conv2d::pointwise(4, middle(b)))),
        "project" => single(&[24, side, side], |b| Op::Conv2d(Conv2d::pointwise(middle(b), 6))),
        "se" => single(&[96, side, side], |b| {
            let channels = choice(b, "expand", &[48, 64, 96]);
            let mut squeezed = elastic(&channels);
            squeezed.sizes = vec![(0, 16), (1, 16), (2, 24)];
            Op::SqueezeExcite(SqueezeExcite { channels, middle: Size::Elastic(squeezed) })
        }),
        stride => single(&[24, side, side], |b| {
            let stride = if stride == "s2" { 2 } else { 1 };
            let (middle, kernel) = (middle(b), choice(b, "kernel", &[3, 5, 7]));
            Op::Conv2d(Conv2d { transforms: true, ..Conv2d::depthwise(middle, kernel, stride, 1) })
        }),
    }
}

#[test]
fn layers_of_bottlenecks() {
    let all = Vectors::read("mobilenetv3_layers");
    for part in ["expand.mix", "project.mix", "se.mix", "depthwise.s1.mix", "depthwise.s2.mix"] {
        let v = all.under(&format!("{part}."));
        let layer = part.trim_start_matches("depthwise.").trim_end_matches(".mix");
        let mut graph = mobile(layer, v.get("x").size()[3]);
        if let (Op::Conv2d(conv), "project") = (&mut graph.nodes[1].op, layer) {
            conv.out_channels = Size::Fixed(v.get("out").size()[1]);
        }
        check(&v, &graph, "mix");
    }
}

/// A single kernel of Once-for-all, by way of its matrices.
#[test]
fn transformed_kernels() {
    let all = Vectors::read("mobilenetv3_layers").under("ofa_depthwise.");
    let compute = Compute::exact();
    for (part, picked) in [("c12k3", [0, 0]), ("c16k5", [1, 1]), ("c24k7", [2, 2])] {
        let v = all.under(&format!("{part}."));
        let (read, written) = (v.get("x").size()[3], v.get("out").size()[3]);
        let graph = mobile(if written < read { "s2" } else { "s1" }, read);
        let store = Store::zeroed(&graph, compute);
        all.fill(&store, ["w."], |name| format!("op.{name}"));
        let architecture = Architecture(picked.to_vec());
        let exec = Executor::new(graph, Sharing::Entangled, Fidelity::Corrected, compute).unwrap();
        let path = Plan::Path(&architecture, None);
        v.check("out", &exec.forward(&store, &v.get("x"), path, TRAIN).unwrap());
    }
}
