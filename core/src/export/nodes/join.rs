//! Nodes that begin a graph or bring several values together.

use super::Written;
use crate::export::onnx::{self, Attribute};
use crate::export::pytorch::{self, Code, Layer};
use crate::graph::{Add, Concat, Input};

impl Written for Input {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        Layer::function(Code::text(at.x()))
    }

    fn onnx(&self, at: &onnx::At<'_>, _to: &mut onnx::Writer<'_>) -> String {
        at.x().to_owned()
    }
}

impl Written for Concat {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        Layer::function(Code::text(format!("torch.cat([{}], dim=1)", at.inputs.join(", "))))
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        to.value(at, "Concat", &at.all(), vec![Attribute::integer("axis", 1)])
    }
}

impl Written for Add {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        Layer::function(Code::text(at.inputs.join(" + ")))
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let op = if at.inputs.len() == 2 { "Add" } else { "Sum" };
        to.value(at, op, &at.all(), vec![])
    }
}
