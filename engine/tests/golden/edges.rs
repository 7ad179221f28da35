//! Single operations and edges: kernel mixtures, outputs, all gradients, running statistics.

use skein_core::choice::{Architecture, Choice, Site};
use skein_core::graph::{BatchNorm, Builder, Conv2d, Elastic, Graph, Mix, NodeId, Op, Size};
use skein_core::spaces::cell::{Catalogue, Edge, Operation};
use skein_core::spec::{Fidelity, Projection, Sharing};
use skein_engine::device::Compute;
use skein_engine::exec::{Executor, Pass, Plan};
use skein_engine::nodes::norm::Statistics;
use skein_engine::rows::darts;
use skein_engine::store::Store;
use tch::{Kind, Tensor};

use super::vectors::Vectors;

const CHANNELS: i64 = 4;
/// Cases in the files, so that none is left out unnoticed.
const PARTS_OF_KERNEL_MIXTURES: usize = 28;
const PARTS_OF_EDGES: usize = 41;
const TRAIN: Pass = Pass { statistics: Statistics::Train, ..Pass::EVALUATE };

fn choice(options: &[&str]) -> Choice {
    Choice {
        tensor: "row".to_owned(),
        label: "0→1".to_owned(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        site: Site::Edge { cell: "row".to_owned(), from: 0, to: 1 },
        when: None,
    }
}

fn kernel(sizes: &[(usize, i64)]) -> Size {
    match sizes {
        [(_, size)] => Size::Fixed(*size),
        _ => Size::Elastic(Elastic { choice: 0, sizes: sizes.to_vec() }),
    }
}

/// ReLU, convolution(s), norm: one branch named as the files name it.
fn branch(
    b: &mut Builder,
    kind: &str,
    prefix: &str,
    sizes: &[(usize, i64)],
    stride: i64,
) -> NodeId {
    let c = CHANNELS;
    let norm = || Op::BatchNorm(BatchNorm::plain(c));
    let mut x = b.input();
    let parts: &[(&str, i64, i64)] = match kind {
        "sep" => &[("1", stride, 1), ("2", 1, 1)],
        "dil" => &[("", stride, 2)],
        _ => &[],
    };
    for (part, stride, dilation) in parts {
        x = b.add(format!("{prefix}relu{part}"), Op::RELU, &[x]);
        x = b.add(
            format!("{prefix}dw{part}"),
            Op::Conv2d(Conv2d::depthwise(c, kernel(sizes), *stride, *dilation)),
            &[x],
        );
        x = b.add(format!("{prefix}pw{part}"), Op::Conv2d(Conv2d::pointwise(c, c)), &[x]);
        x = b.add(format!("{prefix}bn{part}"), norm(), &[x]);
    }
    if kind == "nb201" {
        x = b.add(format!("{prefix}relu"), Op::RELU, &[x]);
        let conv = Conv2d { kernel: kernel(sizes), bias: true, ..Conv2d::pointwise(c, c) };
        x = b.add(format!("{prefix}conv"), Op::Conv2d(conv), &[x]);
        x = b.add(format!("{prefix}bn"), norm(), &[x]);
    }
    x
}

/// One entangled operation; the file's `a` are the group's two weights.
fn operation(kind: &str, side: i64, stride: i64) -> Graph {
    let sizes: [(usize, i64); 2] =
        if kind == "nb201" { [(0, 3), (1, 1)] } else { [(0, 3), (1, 5)] };
    let mut b = Builder::new(vec![CHANNELS, side, side]);
    b.choice(choice(&["a", "b"]));
    let inner = branch(&mut b, kind, "", &sizes, stride);
    let out = b.add("mix", Op::Mix(Mix { choice: 0, branches: vec![vec![0, 1]] }), &[inner]);
    b.finish(out).unwrap()
}

/// All operations of an edge of a space; the edge itself is called `e`.
fn edge(space: &str, sharing: Sharing, side: i64, stride: i64) -> Graph {
    let names: &[&str] = match space {
        "toy" => &["sep3", "sep5", "dil3", "dil5"],
        "nb201" => &["avgpool", "conv3", "conv1", "skip", "none"],
        _ => &["none", "maxpool", "avgpool", "skip", "sep3", "sep5", "dil3", "dil5"],
    };
    let catalogue = Catalogue {
        operations: names.iter().map(|name| Operation::parse(name).unwrap()).collect(),
        sharing,
        affine: false,
        pool_norm: space == "darts",
        conv_bias: true,
    };
    let mut b = Builder::new(vec![CHANNELS, side, side]);
    let choice = b.choice(catalogue.choice("row", "0→1", (0, 1)));
    let edge = Edge { name: "e".to_owned(), choice, channels: CHANNELS, stride };
    let input = b.input();
    let out = catalogue.edge(&mut b, &edge, input);
    b.finish(out).unwrap()
}

/// What a case does with its row.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Row {
    Given,
    Projected(Projection),
    Picked(usize),
}

fn check(v: &Vectors, graph: Graph, sharing: Sharing, row: Row, pass: Pass) {
    let compute = Compute::exact();
    let store = Store::zeroed(&graph, compute);
    let edge = store.weights.params().iter().any(|param| param.name.starts_with("e."));
    let own = |name: &str| if edge { format!("e.{name}") } else { name.to_owned() };
    if v.names().iter().any(|name| name.starts_with("w.")) {
        v.fill(&store, ["w.", "before."], own);
    }
    let exec = Executor::new(graph, sharing, Fidelity::Reference, compute).unwrap();
    let x = v.get("x").set_requires_grad(true);
    let a = v.get("a").set_requires_grad(true);
    let weights = match row {
        Row::Projected(projection) => darts::weights(&a, projection),
        _ => a.shallow_clone(),
    };
    let rows = [weights];
    let picked = Architecture(vec![if let Row::Picked(option) = row { option } else { 0 }]);
    let plan = match row {
        Row::Picked(_) => Plan::Path(&picked, Some(&rows)),
        _ => Plan::Superposed(&rows),
    };
    let out = exec.forward(&store, &x, plan, pass).unwrap();
    v.check("out", &out);
    let loss = (&out * v.get("upstream")).sum(Kind::Double);
    let mut inputs = vec![&x, &a];
    inputs.extend(store.weights.views());
    let gradients = Tensor::run_backward(&[loss], &inputs, false, false);
    let value = |gradient: &Tensor, like: &Tensor| {
        if gradient.defined() { gradient.shallow_clone() } else { like.zeros_like() }
    };
    v.check("grad.x", &value(&gradients[0], &x));
    v.check("grad.a", &value(&gradients[1], &a));
    for ((param, view), gradient) in
        store.weights.params().iter().zip(store.weights.views()).zip(&gradients[2..])
    {
        let name = format!("grad.{}", param.name.trim_start_matches("e."));
        if param.name.ends_with("conv.bias") {
            // A bias in front of a batch norm: its gradient is rounding noise.
            let (got, expected) = (value(gradient, view), v.get(&name));
            assert!((got - expected).abs().max().double_value(&[]) < 1e-12, "{name}");
        } else {
            v.check(&name, &value(gradient, view));
        }
    }
    for param in store.stats.params() {
        let name = format!("after.{}", param.name.trim_start_matches("e."));
        if pass == TRAIN {
            v.check(&name, store.stats.get(&param.name).unwrap());
        } else {
            assert!(!v.has(&name));
        }
    }
}

#[test]
fn kernel_mixtures() {
    let all = Vectors::read("ops_kernel_mixture");
    let parts = all.groups(4);
    assert_eq!(parts.len(), PARTS_OF_KERNEL_MIXTURES);
    for part in parts {
        let fields: Vec<&str> = part.split('.').collect();
        let (kind, name) = (fields[0], fields[fields.len() - 1]);
        let size = fields[fields.len() - 2];
        let side: i64 = size.strip_prefix('n').unwrap().parse().unwrap();
        let stride = if fields[1] == "s2" { 2 } else { 1 };
        // Row order is 3×3 then 5×5, but 3×3 then 1×1 in NAS-Bench-201.
        let row = match name.strip_prefix("pick") {
            Some("3") => Row::Picked(0),
            Some(_) => Row::Picked(1),
            None => Row::Given,
        };
        let pass = if name == "eval" { Pass::EVALUATE } else { TRAIN };
        check(
            &all.under(&format!("{part}.")),
            operation(kind, side, stride),
            Sharing::Entangled,
            row,
            pass,
        );
    }
}

#[test]
fn mixed_edges() {
    let all = Vectors::read("ops_mixed_edge");
    let parts = all.groups(5);
    assert_eq!(parts.len(), PARTS_OF_EDGES);
    for part in parts {
        let fields: Vec<&str> = part.split('.').collect();
        let (space, sharing) = (fields[0], super::networks::sharing(fields[1]));
        let stride = if fields.contains(&"s2") { 2 } else { 1 };
        let row = match fields[fields.len() - 1] {
            "raw" if sharing == Sharing::Entangled => Row::Projected(Projection::Sparsemax),
            "raw" => Row::Projected(Projection::Softmax),
            "mix" => Row::Given,
            pick => Row::Picked(pick.strip_prefix("pick").unwrap().parse().unwrap()),
        };
        let v = all.under(&format!("{part}."));
        let side = v.get("x").size()[3];
        check(&v, edge(space, sharing, side, stride), sharing, row, TRAIN);
    }
}
