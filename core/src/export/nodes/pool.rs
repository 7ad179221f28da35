//! Nodes that shrink or move maps without weights.

use super::Written;
use crate::export::onnx::{self, Attribute};
use crate::export::pytorch::{self, Code, Layer};
use crate::graph::{Flatten, GlobalAvgPool, Narrow, Pool, Resize, Shift, Shuffle, Zero};

/// A pooling and what it takes of each window.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pooling {
    Max(Pool),
    Average(Pool),
}

impl Written for Pooling {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        let (function, Pool { kernel, stride, padding }) = match self {
            Self::Max(pool) => ("F.max_pool2d", *pool),
            Self::Average(pool) => ("F.avg_pool2d", *pool),
        };
        let mut arguments = vec![
            Code::text(at.x()),
            Code::number("kernel_size", kernel),
            Code::keyword("stride", stride),
        ];
        if padding > 0 {
            arguments.push(Code::keyword("padding", padding));
        }
        if matches!(self, Self::Average(_)) && padding > 0 {
            arguments.push(Code::text("count_include_pad=False"));
        }
        Layer::function(Code::call(function, arguments))
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let (op, Pool { kernel, stride, padding }) = match self {
            Self::Max(pool) => ("MaxPool", *pool),
            Self::Average(pool) => ("AveragePool", *pool),
        };
        // Averages do not count the padding, which is ONNX's default.
        let attributes = vec![
            Attribute::integers("kernel_shape", &[kernel; 2]),
            Attribute::integers("pads", &[padding; 4]),
            Attribute::integers("strides", &[stride; 2]),
        ];
        to.value(at, op, &[at.x()], attributes)
    }
}

impl Written for GlobalAvgPool {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        Layer::function(Code::text(format!("{}.mean(dim=(2, 3))", at.x())))
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let axes = vec![Attribute::integers("axes", &[2, 3]), Attribute::integer("keepdims", 0)];
        to.value(at, "ReduceMean", &[at.x()], axes)
    }
}

impl Written for Flatten {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        Layer::function(Code::text(format!("{}.flatten(1)", at.x())))
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        to.value(at, "Flatten", &[at.x()], vec![Attribute::integer("axis", 1)])
    }
}

impl Written for Shift {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        Layer::function(Code::text(format!("{}[:, :, 1:, 1:]", at.x())))
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let [starts, ends, axes] = [
            to.list(at, "starts", &[1, 1]),
            to.list(at, "ends", &[i64::MAX, i64::MAX]),
            to.list(at, "axes", &[2, 3]),
        ];
        to.value(at, "Slice", &[at.x(), &starts, &ends, &axes], vec![])
    }
}

impl Written for Narrow {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        let end = self.first + self.channels;
        Layer::function(Code::text(format!("{}[:, {}:{end}]", at.x(), self.first)))
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer) -> String {
        to.slice(at, "seen", at.x(), (1, self.first, self.first + self.channels))
    }
}

impl Written for Shuffle {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        let split = format!("{}.unflatten(1, ({}, -1))", at.x(), self.groups);
        Layer::function(Code::text(format!("{split}.transpose(1, 2).flatten(1, 2)")))
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer) -> String {
        let [channels, height, width] = [0, 1, 2].map(|dim| at.shape[dim]);
        let sizes = [0, self.groups, channels / self.groups, height, width];
        let split = to.shaped(at, "split", at.x(), &sizes);
        let turned = to.turned(at, "turned", &split, &[0, 2, 1, 3, 4]);
        to.shaped(at, "together", &turned, &[0, channels, height, width])
    }
}

impl Written for Resize {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        let x = at.x();
        let side = self.side;
        let call = format!("F.interpolate({x}, size=({side}, {side}), mode=\"bicubic\")");
        Layer::function(Code::text(call))
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let sizes = to.shape_of_batch(at, at.shape);
        let attributes = vec![
            Attribute::text("coordinate_transformation_mode", "half_pixel"),
            // The cubic that PyTorch takes.
            Attribute::float("cubic_coeff_a", -0.75),
            Attribute::text("mode", "cubic"),
        ];
        // No region and no scales: the sizes say everything.
        to.value(at, "Resize", &[at.x(), "", "", &sizes], attributes)
    }
}

impl Written for Zero {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        let x = at.x();
        let batch = Code::text(format!("{x}.shape[0]"));
        let sides = ["channels", "height", "width"];
        let sides = sides.into_iter().zip(at.shape).map(|(side, size)| Code::number(side, *size));
        let function = format!("{x}.new_zeros");
        Layer::function(Code::call(&function, std::iter::once(batch).chain(sides)))
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let shape = to.shape_of_batch(at, at.shape);
        to.value(at, "ConstantOfShape", &[&shape], vec![])
    }
}
