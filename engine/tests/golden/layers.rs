//! Single layers whose widths are searched: outputs, gradients of input, rows and weights.

use skein_core::choice::{Architecture, Choice, Site};
use skein_core::graph::{Builder, Conv2d, Graph, Op, Size};
use skein_core::spec::{Fidelity, Projection, Sharing};
use skein_engine::device::Compute;
use skein_engine::exec::{Executor, Plan};
use skein_engine::rows::darts;
use skein_engine::store::Store;
use tch::{Kind, Tensor};

use super::supernet::TRAIN;
use super::vectors::Vectors;

/// One node called `op` behind the input, with the rows of the file.
pub(crate) fn check(v: &Vectors, graph: &Graph, name: &str) {
    let compute = Compute::exact();
    let store = Store::zeroed(graph, compute);
    v.fill(&store, ["w."], |name| format!("op.{name}"));
    let exec =
        Executor::new(graph.clone(), Sharing::Entangled, Fidelity::Reference, compute).unwrap();
    let x = v.get("x").set_requires_grad(true);
    let raw: Vec<Tensor> = (0..graph.choices.len())
        .map(|at| v.get(&format!("row{at}")).set_requires_grad(true))
        .collect();
    let rows: Vec<Tensor> = match name {
        "darts" => raw.iter().map(|row| darts::weights(row, Projection::Sparsemax)).collect(),
        _ => raw.iter().map(Tensor::shallow_clone).collect(),
    };
    let picked = name.strip_prefix("pick").map(|digits| {
        Architecture(digits.bytes().map(|digit| usize::from(digit - b'0')).collect())
    });
    let plan = match &picked {
        Some(architecture) => Plan::Path(architecture, Some(&rows)),
        None => Plan::Superposed(&rows),
    };
    let out = exec.forward(&store, &x, plan, TRAIN).unwrap();
    v.check("out", &out);
    let loss = (&out * v.get("upstream")).sum(Kind::Double);
    let mut inputs = vec![&x];
    inputs.extend(&raw);
    inputs.extend(store.weights.views());
    let gradients = Tensor::run_backward(&[loss], &inputs, false, false);
    v.check("grad.x", &gradients[0]);
    for (at, gradient) in gradients[1..=raw.len()].iter().enumerate() {
        v.check(&format!("grad.row{at}"), gradient);
    }
    for (param, gradient) in store.weights.params().iter().zip(&gradients[1 + raw.len()..]) {
        v.check(&format!("grad.{}", param.name.trim_start_matches("op.")), gradient);
    }
}

/// A choice for a single layer.
pub(crate) fn choice(b: &mut Builder, property: &str, sizes: &[i64]) -> Size {
    let id = b.choice(Choice {
        tensor: property.to_owned(),
        label: property.to_owned(),
        options: sizes.iter().map(i64::to_string).collect(),
        site: Site::Layer { layer: "op".to_owned(), property: property.to_owned() },
        when: None,
    });
    Size::elastic(id, sizes)
}

/// A convolution of the macro space; the order of the choices is that of the rows.
fn conv(layer: &str, side: i64) -> Graph {
    let read = if layer == "conv1" { 3 } else { 6 };
    let mut b = Builder::new(vec![read, side, side]);
    let conv = match layer {
        "conv1" => {
            let out = choice(&mut b, "out", &[2, 4, 6]);
            Conv2d::dense(read, out, choice(&mut b, "kernel", &[3, 5, 7]))
        }
        "conv2" => {
            let (read, out) = (choice(&mut b, "in", &[2, 4, 6]), choice(&mut b, "out", &[2, 3, 5]));
            Conv2d::dense(read, out, choice(&mut b, "kernel", &[3, 5, 7]))
        }
        _ => Conv2d { padding: Some(2), ..Conv2d::dense(choice(&mut b, "in", &[2, 4, 6]), 5, 7) },
    };
    let out = b.add("op", Op::Conv2d(conv.biased()), &[0]);
    b.finish(out).unwrap()
}

#[test]
fn convolutions_of_the_macro_space() {
    let all = Vectors::read("conv_macro_layers");
    let mut cases = 0;
    for part in all.groups(2).into_iter().filter(|part| part.starts_with("conv")) {
        let (layer, name) = part.split_once('.').unwrap();
        let mut v = all.under(&format!("{part}."));
        if !v.has("w.weight") {
            v.adopt(&all.under(&format!("{layer}.mix.")), "w.");
        }
        let mut graph = conv(layer, v.get("x").size()[3]);
        if layer == "conv5" {
            let out = v.get("w.bias").size()[0];
            if let Op::Conv2d(conv) = &mut graph.nodes[1].op {
                conv.out_channels = Size::Fixed(out);
            }
        }
        check(&v, &graph, name);
        cases += 1;
    }
    assert_eq!(cases, 13);
}
