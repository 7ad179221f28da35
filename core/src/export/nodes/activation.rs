//! Nodes that keep the shape: activations, dropout.

use super::Written;
use crate::export::onnx;
use crate::export::pytorch::{self, Code, Layer};
use crate::graph::{Activation, Dropout, Unit};

/// Zeroes whole examples while training.
const DROP_PATH: &str = include_str!("../pytorch/layers/drop_path.py");

impl Written for Activation {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        let x = at.x();
        Layer::function(Code::text(match self {
            Self::Relu => format!("F.relu({x})"),
            Self::Hswish => format!("F.hardswish({x})"),
            Self::Gelu => format!("F.gelu({x})"),
            Self::GeluTanh => format!("F.gelu({x}, approximate=\"tanh\")"),
        }))
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let x = at.x();
        match self {
            Self::Relu => to.value(at, "Relu", &[x], vec![]),
            Self::Hswish => to.value(at, "HardSwish", &[x], vec![]),
            Self::Gelu => {
                let root = to.number(at, "root", std::f32::consts::SQRT_2);
                let scaled = to.part(at, "scaled", "Div", &[x, &root], vec![]);
                let bent = to.part(at, "erf", "Erf", &[&scaled], vec![]);
                half(at, to, &bent)
            }
            Self::GeluTanh => {
                let factor = to.number(at, "factor", 0.044_715);
                let root = to.number(at, "root", (2.0 / std::f32::consts::PI).sqrt());
                let square = to.part(at, "square", "Mul", &[x, x], vec![]);
                let cube = to.part(at, "cube", "Mul", &[&square, x], vec![]);
                let added = to.part(at, "added", "Mul", &[&cube, &factor], vec![]);
                let sum = to.part(at, "sum", "Add", &[x, &added], vec![]);
                let scaled = to.part(at, "scaled", "Mul", &[&sum, &root], vec![]);
                let bent = to.part(at, "tanh", "Tanh", &[&scaled], vec![]);
                half(at, to, &bent)
            }
        }
    }
}

/// `x · (1 + bent) / 2`.
fn half(at: &onnx::At<'_>, to: &mut onnx::Writer<'_>, bent: &str) -> String {
    let (one, half) = (to.number(at, "one", 1.0), to.number(at, "half", 0.5));
    let share = to.part(at, "share", "Add", &[bent, &one], vec![]);
    let halved = to.part(at, "halved", "Mul", &[at.x(), &half], vec![]);
    to.value(at, "Mul", &[&halved, &share], vec![])
}

impl Written for Dropout {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        let layer = |class: &str| {
            Layer::module(at, Code::call(class, [Code::number("p", format!("{:?}", self.p))]))
        };
        match self.unit {
            Unit::Element => layer("nn.Dropout"),
            Unit::Channel => layer("nn.Dropout2d"),
            Unit::Example => layer("DropPath").with(DROP_PATH),
        }
    }

    /// Nothing: a model in ONNX is not trained any more.
    fn onnx(&self, at: &onnx::At<'_>, _to: &mut onnx::Writer<'_>) -> String {
        at.x().to_owned()
    }
}
