//! Batch norm and layer norm.

use super::Written;
use crate::export::onnx::{self, Attribute};
use crate::export::pytorch::{self, Code, Layer};
use crate::graph::{BATCH_NORM_EPS, BATCH_NORM_MOMENTUM, BatchNorm, LAYER_NORM_EPS, LayerNorm};

// PyTorch's defaults, which the Python therefore need not say.
const _: () = assert!(BATCH_NORM_EPS == 1e-5 && BATCH_NORM_MOMENTUM == 0.1);
const _: () = assert!(LAYER_NORM_EPS == 1e-5);

impl Written for BatchNorm {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        let class = if at.shape.len() == 3 { "nn.BatchNorm2d" } else { "nn.BatchNorm1d" };
        let mut arguments = vec![Code::number("channels", self.channels.largest())];
        if !self.affine {
            arguments.push(Code::text("affine=False"));
        }
        Layer::module(at, Code::call(class, arguments))
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let channels = usize::try_from(self.channels.largest()).unwrap_or(0);
        let (scale, shift) = if self.affine {
            (at.param("weight"), at.param("bias"))
        } else {
            let ones = to.floats(at, "scale", &vec![1.0; channels]);
            (ones, to.floats(at, "shift", &vec![0.0; channels]))
        };
        let (mean, variance) = (at.param("running_mean"), at.param("running_var"));
        let epsilon = vec![Attribute::float("epsilon", BATCH_NORM_EPS)];
        let inputs = [at.x(), &scale, &shift, &mean, &variance];
        to.value(at, "BatchNormalization", &inputs, epsilon)
    }
}

impl Written for LayerNorm {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        let mut arguments = vec![Code::number("features", self.features.largest())];
        if !self.bias {
            arguments.push(Code::text("bias=False"));
        }
        Layer::module(at, Code::call("nn.LayerNorm", arguments))
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let (scale, shift) = (at.param("weight"), at.param("bias"));
        let inputs = [at.x(), &scale, &shift];
        let attributes =
            vec![Attribute::integer("axis", -1), Attribute::float("epsilon", LAYER_NORM_EPS)];
        let used = 2 + usize::from(self.bias);
        to.value(at, "LayerNormalization", &inputs[..used], attributes)
    }
}
