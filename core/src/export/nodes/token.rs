//! Tokens: where they come from and where they end.

use super::{Written, linear};
use crate::export::onnx::{self, Attribute};
use crate::export::pytorch::{self, Code, Layer};
use crate::graph::{Embedding, PatchEmbed, Positions, TiedLinear, TokenMean};

const PATCH_EMBED: &str = include_str!("../pytorch/layers/patch_embed.py");

impl Written for PatchEmbed {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        let arguments = [
            Code::number("channels", self.channels),
            Code::number("width", self.width.largest()),
            Code::keyword("patch", self.patch),
            Code::keyword("tokens", self.tokens()),
        ];
        Layer::module(at, Code::call("PatchEmbed", arguments)).with(PATCH_EMBED)
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let width = self.width.largest();
        let sides = vec![
            Attribute::integers("kernel_shape", &[self.patch; 2]),
            Attribute::integers("strides", &[self.patch; 2]),
        ];
        let (weight, bias) = (at.param("proj.weight"), at.param("proj.bias"));
        let map = to.part(at, "map", "Conv", &[at.x(), &weight, &bias], sides);
        let flat = to.list(at, "flat", &[0, width, -1]);
        let flat = to.part(at, "channels", "Reshape", &[&map, &flat], vec![]);
        let patches = to.turned(at, "patches", &flat, &[0, 2, 1]);
        let class = to.shape_of_batch(at, &[1, width]);
        let class = to.part(at, "class", "Expand", &[&at.param("cls_token"), &class], vec![]);
        let axis = vec![Attribute::integer("axis", 1)];
        let tokens = to.part(at, "tokens", "Concat", &[&class, &patches], axis);
        to.value(at, "Add", &[&tokens, &at.param("pos_embed")], vec![])
    }
}

impl Written for Embedding {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        let arguments = [
            Code::number("vocabulary", self.vocabulary),
            Code::number("width", self.width.largest()),
        ];
        Layer::module(at, Code::call("nn.Embedding", arguments))
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        to.value(at, "Gather", &[&at.param("weight"), at.x()], vec![])
    }
}

impl Written for Positions {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        let arguments =
            [Code::number("tokens", self.tokens), Code::number("width", self.width.largest())];
        let x = at.x();
        Layer {
            value: Code::text(format!("{x} + {}.weight[: {x}.shape[1]]", at.me)),
            ..Layer::module(at, Code::call("nn.Embedding", arguments))
        }
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let length = to.tokens(at);
        let (first, axis) = (to.list(at, "first", &[0]), to.list(at, "axis", &[0]));
        let table = at.param("weight");
        let rows = to.part(at, "rows", "Slice", &[&table, &first, &length, &axis], vec![]);
        to.value(at, "Add", &[at.x(), &rows], vec![])
    }
}

impl Written for TokenMean {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        Layer::function(Code::text(format!("{}[:, 1:].mean(dim=1)", at.x())))
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let patches = to.slice(at, "patches", at.x(), (1, 1, i64::MAX));
        let axes = vec![Attribute::integers("axes", &[1]), Attribute::integer("keepdims", 0)];
        to.value(at, "ReduceMean", &[&patches], axes)
    }
}

impl Written for TiedLinear {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        Layer::function(Code::text(format!("F.linear({}, {}.weight)", at.x(), at.tied)))
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let table = to.transposed(at, &format!("{}.weight", at.tied));
        linear::product(at, to, &table, None)
    }
}
