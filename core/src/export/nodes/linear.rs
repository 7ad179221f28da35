//! Fully connected layers.

use super::Written;
use crate::export::onnx::{self, Attribute};
use crate::export::pytorch::{self, Code, Layer};
use crate::graph::Linear;

impl Written for Linear {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        let widths = (self.in_features.largest(), self.out_features.largest());
        Layer::module(at, Code::linear("nn.Linear", widths, self.bias))
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let (weight, bias) = (at.param("weight"), self.bias.then(|| at.param("bias")));
        if at.shape.len() > 1 {
            let weight = to.transposed(at, &weight);
            return product(at, to, &weight, bias.as_deref());
        }
        let inputs: Vec<&str> = [at.x(), &weight].into_iter().chain(bias.as_deref()).collect();
        to.value(at, "Gemm", &inputs, vec![Attribute::integer("transB", 1)])
    }
}

/// `x · weight + bias` over the last dimension; `weight`: `[in, out]`.
pub(super) fn product(
    at: &onnx::At<'_>,
    to: &mut onnx::Writer<'_>,
    weight: &str,
    bias: Option<&str>,
) -> String {
    let Some(bias) = bias else { return to.value(at, "MatMul", &[at.x(), weight], vec![]) };
    let product = to.part(at, "product", "MatMul", &[at.x(), weight], vec![]);
    to.value(at, "Add", &[&product, bias], vec![])
}
