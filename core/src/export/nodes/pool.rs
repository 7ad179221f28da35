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

    /// Two products with matrices rather than a `Resize`: runtimes compute where that reads and what
    /// its pixels weigh in single precision, each in its own way, and a network may make several
    /// times more of the difference.
    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let [height, width] = [1, 2].map(|dim| at.read[dim]);
        let rows = bicubic(height, self.side);
        let rows = to.matrix(at, "rows", [self.side, height], &rows);
        let columns = bicubic(width, self.side);
        let columns = to.matrix(at, "columns", [self.side, width], &columns);
        let columns = to.transposed(at, &columns);
        let resized = to.part(at, "resized", "MatMul", &[&rows, at.x()], vec![]);
        to.value(at, "MatMul", &[&resized, &columns], vec![])
    }
}

/// What each of `from` pixels in a line weighs in each of the `to` that they become, a row for each
/// of these: the cubic of PyTorch, between the centres of pixels, with the edges repeated.
#[expect(clippy::cast_precision_loss, reason = "sides of images")]
#[expect(clippy::cast_possible_truncation, reason = "ONNX stores these; a pixel has an index")]
fn bicubic(from: i64, to: i64) -> Vec<f32> {
    const A: f64 = -0.75;
    let near = |t: f64| ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0;
    let far = |t: f64| ((A * t - 5.0 * A) * t + 8.0 * A) * t - 4.0 * A;
    let mut all = Vec::new();
    for pixel in 0..to {
        let centre = (pixel as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        let (first, t) = (centre.floor() as i64 - 1, centre - centre.floor());
        let mut row = vec![0.0; usize::try_from(from).unwrap_or(0)];
        for (at, weight) in (first..).zip([far(1.0 + t), near(t), near(1.0 - t), far(2.0 - t)]) {
            let at = usize::try_from(at.clamp(0, from - 1)).unwrap_or(0);
            row[at] += weight;
        }
        all.extend(row.into_iter().map(|weight: f64| weight as f32));
    }
    all
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

    /// The number is written out, since not every runtime takes the standard's own, a zero in single
    /// precision, where there is none.
    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let shape = to.shape_of_batch(at, at.shape);
        to.value(at, "ConstantOfShape", &[&shape], vec![Attribute::number("value", 0.0)])
    }
}
