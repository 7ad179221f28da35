//! Two-dimensional convolution.

use super::Written;
use crate::export::onnx::{self, Attribute};
use crate::export::pytorch::{self, Code, Layer};
use crate::graph::Conv2d;

/// Filters read one channel each, or all channels.
fn groups(conv: &Conv2d) -> i64 {
    if conv.depthwise { conv.out_channels.largest() } else { 1 }
}

impl Written for Conv2d {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        let (read, written) = (self.in_channels.largest(), self.out_channels.largest());
        let kernel = self.kernel.largest();
        let padding = self.padding(kernel);
        let mut arguments = Code::widths(("in_channels", read), ("out_channels", written)).to_vec();
        arguments.push(Code::number("kernel_size", kernel));
        if kernel > 1 || self.stride > 1 {
            arguments.push(Code::keyword("stride", self.stride));
        }
        if kernel > 1 || padding > 0 {
            arguments.push(Code::keyword("padding", padding));
        }
        if self.dilation != 1 {
            arguments.push(Code::keyword("dilation", self.dilation));
        }
        if self.depthwise {
            arguments.push(Code::text("groups=").then(Code::number("channels", written)));
        }
        if !self.bias {
            arguments.push(Code::text("bias=False"));
        }
        Layer::module(at, Code::call("nn.Conv2d", arguments))
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let kernel = self.kernel.largest();
        let (weight, bias) = (at.param("weight"), at.param("bias"));
        let inputs = [at.x(), &weight, &bias];
        let attributes = vec![
            Attribute::integers("dilations", &[self.dilation; 2]),
            Attribute::integer("group", groups(self)),
            Attribute::integers("kernel_shape", &[kernel; 2]),
            Attribute::integers("pads", &[self.padding(kernel); 4]),
            Attribute::integers("strides", &[self.stride; 2]),
        ];
        to.value(at, "Conv", &inputs[..2 + usize::from(self.bias)], attributes)
    }
}
