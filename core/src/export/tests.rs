//! Small networks of every space, written in both formats.

mod reading;

use std::collections::BTreeMap;
use std::process::Command;

use rstest::rstest;
use serde_json::{Value, json};

use super::{About, ExportError, onnx, pytorch};
use crate::choice::Architecture;
use crate::dataset::DataShape;
use crate::graph::{
    Add, BatchNorm, Builder, CausalAttention, Concat, Conv2d, Dropout, Embedding, Flatten, Graph,
    LayerNorm, Linear, Op, Param, Pool, Positions, Qkv, TiedLinear,
};
use crate::spaces::{self, cell::Operation};
use crate::spec::{Sharing, SpaceSpec};

/// A network: `options` replace the preset's, and every choice takes the option that `picked` says
/// for its place.
fn network(preset: &str, options: &Value, side: i64, picked: &[usize]) -> (Graph, String) {
    let known = spaces::find(preset).unwrap();
    let mut space = serde_json::to_value((known.defaults)()).unwrap();
    for (name, value) in options.as_object().unwrap() {
        assert!(space.get(name).is_some(), "{name}");
        space[name] = value.clone();
    }
    let space: SpaceSpec = serde_json::from_value(space).unwrap();
    let shape = DataShape { height: side, width: side, classes: 10, ..known.shape };
    let graph = spaces::build(&space, shape, Sharing::Entangled).unwrap();
    let choices = graph.choices.iter().enumerate();
    let options = choices.map(|(at, choice)| picked[at % picked.len()] % choice.options.len());
    let architecture = Architecture(options.collect());
    let text = architecture.to_text(preset, &graph.choices);
    (graph.specialise(&architecture).unwrap().graph, text)
}

/// One small network of a space.
fn small(preset: &str) -> (Graph, String) {
    let (options, side, picked) = match preset {
        "toy-cell" => (json!({"channels": 4}), 28, &[0, 1, 2, 3, 1][..]),
        "conv-macro" => (json!({"last_width": 8, "head": [8]}), 32, &[0, 1, 2][..]),
        "nas-bench-201" => (json!({"channels": 4, "cells": 1}), 32, &[1, 0, 3, 2, 4, 1][..]),
        "darts" => (json!({"channels": 4, "cells": 3, "nodes": 2}), 32, &[4, 6, 3, 1, 7, 2, 5][..]),
        "autoformer-t" => (
            json!({"depths": [1, 2], "embed_widths": [16, 24], "heads": [1, 2], "image_size": 24,
                   "patch": 8}),
            32,
            &[1, 0, 1, 1][..],
        ),
        "mobilenet-v3" => (json!({"depths": [1, 2], "image_size": 64}), 30, &[1, 0, 2][..]),
        _ => (
            json!({"layers": [1, 2], "embed_widths": [16, 32], "heads": [2, 4], "context": 12}),
            1,
            &[1, 0, 1, 0, 2][..],
        ),
    };
    network(preset, &options, side, picked)
}

fn written(graph: &Graph, architecture: &str) -> String {
    pytorch::module(graph, &About { title: "A space", architecture }).unwrap()
}

fn zeros(graph: &Graph) -> BTreeMap<String, Vec<u8>> {
    let bytes = |param: &Param| vec![0; 4 * param.shape.iter().product::<i64>() as usize];
    graph.params().iter().map(|param| (param.name.clone(), bytes(param))).collect()
}

fn onnx_of(graph: &Graph, weights: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, ExportError> {
    let given = weights.iter().map(|(name, bytes)| (name.clone(), bytes.as_slice())).collect();
    onnx::model(graph, &About { title: "A space", architecture: "small" }, &given)
}

/// What `state_dict` would have: names and shapes.
fn expected(graph: &Graph) -> BTreeMap<String, Vec<i64>> {
    let mut all = BTreeMap::new();
    for param in graph.params() {
        if let Some(norm) = param.name.strip_suffix("running_var") {
            all.insert(format!("{norm}num_batches_tracked"), vec![]);
        }
        all.insert(param.name, param.shape);
    }
    all
}

/// Makes the Python's network, with a stand-in for PyTorch, where there is a Python.
fn check_names(graph: &Graph, text: &str) {
    let file = tempfile::NamedTempFile::with_suffix(".py").unwrap();
    std::fs::write(file.path(), text).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/export/names.py");
    let Ok(said) = Command::new("python3").arg("-B").arg(script).arg(file.path()).output() else {
        return;
    };
    assert!(said.status.success(), "{}\n{text}", String::from_utf8_lossy(&said.stderr));
    let names: BTreeMap<String, Vec<i64>> = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(names, expected(graph));
}

#[rstest]
fn every_space_is_written_in_both_formats(
    #[values(
        "toy-cell",
        "conv-macro",
        "nas-bench-201",
        "darts",
        "autoformer-t",
        "mobilenet-v3",
        "language-char"
    )]
    preset: &str,
) {
    let (graph, architecture) = small(preset);
    let text = written(&graph, &architecture);
    assert_eq!(text, written(&graph, &architecture));
    assert!(text.lines().all(|line| line.trim_end() == line), "{text}");
    insta::assert_snapshot!(format!("{preset}.py"), text);
    check_names(&graph, &text);
    let weights = zeros(&graph);
    let bytes = onnx_of(&graph, &weights).unwrap();
    assert_eq!(bytes, onnx_of(&graph, &weights).unwrap());
    let model = reading::Model::read(&bytes);
    model.check();
    for (param, tensor) in graph.params().iter().zip(&model.tensors) {
        assert_eq!((&tensor.name, &tensor.dims), (&param.name, &param.shape));
        assert_eq!(tensor.bytes, weights[&param.name].len());
    }
    insta::assert_snapshot!(format!("{preset}.onnx"), model.to_string());
}

/// Every architecture of larger networks has the graph's names too.
#[rstest]
#[case::toy_cell("toy-cell", 28, &[[3, 2, 1], [0, 0, 0]])]
#[case::nas_bench_201("nas-bench-201", 32, &[[4, 4, 4], [3, 3, 1]])]
#[case::darts("darts", 32, &[[3, 3, 4], [2, 5, 0]])]
#[case::mobilenet_v3("mobilenet-v3", 224, &[[0, 0, 0], [2, 1, 2]])]
fn larger_networks_have_the_graph_s_names(
    #[case] preset: &str,
    #[case] side: i64,
    #[case] picked: &[[usize; 3]],
) {
    for picked in picked {
        let (graph, architecture) = network(preset, &json!({}), side, picked);
        check_names(&graph, &written(&graph, &architecture));
        reading::Model::read(&onnx_of(&graph, &zeros(&graph)).unwrap()).check();
    }
}

/// All operations that cells may have, as they are trained.
#[rstest]
fn drop_path_takes_no_names(#[values("toy-cell", "nas-bench-201", "darts")] preset: &str) {
    let known = spaces::find(preset).unwrap();
    let mut space = serde_json::to_value((known.defaults)()).unwrap();
    space["operations"] = json!(Operation::NAMES);
    let space: SpaceSpec = serde_json::from_value(space).unwrap();
    let space = spaces::build(&space, known.shape, Sharing::Entangled).unwrap();
    for step in [1, 3, 5, 9] {
        let picked = (0..space.choices.len()).map(|at| (1 + at * step) % Operation::NAMES.len());
        let fixed = space.specialise(&Architecture(picked.collect())).unwrap();
        let trained = fixed.with_drop_path(0.2).unwrap();
        let text = written(&trained, "all operations");
        assert!(text.contains("DropPath(0.2)"), "{text}");
        check_names(&trained, &text);
        reading::Model::read(&onnx_of(&trained, &zeros(&trained)).unwrap()).check();
    }
}

/// Names whose nodes are torn apart, have two results, or are another's beginning.
#[test]
fn names_that_are_no_classes_are_kept() {
    let mut b = Builder::new(vec![3, 8, 8]);
    let conv = || Op::Conv2d(Conv2d::dense(3, 3, 3));
    let norm = || Op::BatchNorm(BatchNorm::plain(3));
    let torn = b.add("torn.conv", conv(), &[0]);
    let two = b.add("two.first", conv(), &[torn]);
    let other = b.add("two.second.in.deep", norm(), &[two]);
    let torn = b.add("torn.bn", norm(), &[other]);
    let own = b.add("own", conv(), &[torn]);
    let below = b.add("own.bn.drop_path", Op::Dropout(Dropout::path(0.25)), &[own]);
    let sum = b.add("sum", Op::Add(Add), &[two, below, other]);
    let scaled = b.add("F", norm(), &[sum]);
    let drop = b.add("network.drop", Op::Dropout(Dropout::channels(0.5)), &[scaled]);
    let network = b.add("network.conv", conv(), &[drop]);
    let both = b.add("in", Op::Concat(Concat), &[network, sum]);
    let flat = b.add("logits", Op::Flatten(Flatten), &[both]);
    let head = b.add("head.fc", Op::Linear(Linear::new(384, 10)), &[flat]);
    let last = b.add("head.drop", Op::Dropout(Dropout::elements(0.5)), &[head]);
    let graph = b.finish(last).unwrap();
    let text = written(&graph, "odd \"names\" \\");
    insta::assert_snapshot!("odd.py", text);
    check_names(&graph, &text);
    let model = reading::Model::read(&onnx_of(&graph, &zeros(&graph)).unwrap());
    model.check();
    insta::assert_snapshot!("odd.onnx", model.to_string());
}

/// A table that is shared across names that begin alike.
#[test]
fn a_shared_table_is_found_where_it_is() {
    let mut b = Builder::new(vec![6]);
    let table = Embedding { vocabulary: 9, width: 4.into() };
    let table = b.add("read.wte", Op::Embedding(table), &[0]);
    let x = b.add("read.wpe", Op::Positions(Positions { tokens: 6, width: 4.into() }), &[table]);
    let qkv = Qkv { width: 4.into(), inner: 4.into(), bias: true, interleaved: false };
    let y = b.add("mid.qkv", Op::Qkv(qkv), &[x]);
    let attention = CausalAttention { heads: 2.into(), width: 4.into(), dropout: 0.0 };
    let y = b.add("mid.attention", Op::CausalAttention(attention), &[y]);
    let y = b.add("out.ln", Op::LayerNorm(LayerNorm { features: 4.into(), bias: true }), &[y]);
    let head = Op::TiedLinear(TiedLinear { vocabulary: 9, width: 4.into() });
    let y = b.add("out.head", head, &[y, table]);
    let graph = b.finish(y).unwrap();
    let text = written(&graph, "tied");
    assert!(text.contains("F.linear(x, self.read[\"wte\"].weight)"), "{text}");
}

#[test]
fn what_is_not_one_network_is_refused() {
    let known = spaces::find("toy-cell").unwrap();
    let space = spaces::build(&(known.defaults)(), known.shape, Sharing::Entangled).unwrap();
    let about = About { title: "", architecture: "" };
    let error = pytorch::module(&space, &about).unwrap_err();
    assert_eq!(
        error.to_string(),
        "node `cell0.edge0_1.sep.dw1` is still to be decided; only a fixed network can be exported"
    );
    let (graph, _) = small("conv-macro");
    let mut weights = zeros(&graph);
    weights.insert("conv1.bias".to_owned(), vec![0; 5]);
    let error = onnx_of(&graph, &weights).unwrap_err();
    assert_eq!(error.to_string(), "the weights for `conv1.bias` have 5 bytes instead of 32");
    weights.remove("conv1.bias");
    let error = onnx_of(&graph, &weights).unwrap_err();
    assert_eq!(error, ExportError::Missing { name: "conv1.bias".to_owned() });
}

/// A pooling that is the output, and an input that two read.
#[test]
fn a_network_without_weights_is_written_too() {
    let mut b = Builder::new(vec![1, 4, 4]);
    let pooled = b.add("pool", Op::MaxPool(Pool::window(2)), &[0]);
    let mean = b.add("mean", Op::AvgPool(Pool::window(2)), &[0]);
    let sum = b.add("sum", Op::Add(Add), &[pooled, mean]);
    let graph = b.finish(sum).unwrap();
    let text = written(&graph, "none");
    check_names(&graph, &text);
    insta::assert_snapshot!(
        text.split("class Network").nth(1).unwrap().split("def load").next().unwrap()
    );
}

/// Zeros have the type of what they are added to, which no runtime has to guess.
#[test]
fn zeros_are_written_in_single_precision() {
    let options = json!({"channels": 4, "cells": 1});
    let (graph, _) = network("nas-bench-201", &options, 16, &[4]);
    let bytes = onnx_of(&graph, &zeros(&graph)).unwrap();
    let model = reading::Model::read(&bytes);
    model.check();
    let text = model.to_string();
    let made: Vec<&str> = text.lines().filter(|line| line.contains("ConstantOfShape")).collect();
    assert!(!made.is_empty());
    assert!(made.iter().all(|line| line.contains("value=[1] of 0")), "{made:?}");
}
