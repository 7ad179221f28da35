//! Squeeze and excitation.

use super::Written;
use crate::export::onnx::{self, Attribute};
use crate::export::pytorch::{self, Code, Layer};
use crate::graph::SqueezeExcite;

const CLASS: &str = include_str!("../pytorch/layers/squeeze_excite.py");

impl Written for SqueezeExcite {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        let channels = Code::number("channels", self.channels.largest());
        let middle = Code::keyword("squeezed", self.middle.largest());
        Layer::module(at, Code::call("SqueezeExcite", [channels, middle])).with(CLASS)
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let mean = vec![Attribute::integers("axes", &[2, 3]), Attribute::integer("keepdims", 1)];
        let mean = to.part(at, "mean", "ReduceMean", &[at.x()], mean);
        let small = layer(at, to, "reduce", &mean);
        let bent = to.part(at, "relu", "Relu", &[&small], vec![]);
        let large = layer(at, to, "expand", &bent);
        let sixth = vec![Attribute::float("alpha", 1.0 / 6.0), Attribute::float("beta", 0.5)];
        let gate = to.part(at, "gate", "HardSigmoid", &[&large], sixth);
        to.value(at, "Mul", &[at.x(), &gate], vec![])
    }
}

/// One of the two 1×1 convolutions.
fn layer(at: &onnx::At<'_>, to: &mut onnx::Writer<'_>, part: &str, x: &str) -> String {
    let [weight, bias] = ["weight", "bias"].map(|name| at.param(&format!("{part}.{name}")));
    to.part(at, part, "Conv", &[x, &weight, &bias], vec![])
}
