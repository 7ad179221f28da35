//! Attention: queries, keys and values, and what is done with them.

use super::{Written, linear};
use crate::export::onnx::{self, Attribute};
use crate::export::pytorch::{self, Code, Layer};
use crate::graph::{CausalAttention, Qkv, RelativeAttention};

const INTERLEAVED: &str = include_str!("../pytorch/layers/interleaved.py");
const CAUSAL: &str = include_str!("../pytorch/layers/causal_attention.py");
const RELATIVE: &str = include_str!("../pytorch/layers/relative_attention.py");

impl Written for Qkv {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        let widths = (self.width.largest(), 3 * self.inner.largest());
        match self.interleaved {
            true => {
                let class = Code::linear("InterleavedLinear", widths, self.bias);
                Layer::module(at, class).with(INTERLEAVED)
            }
            false => Layer::module(at, Code::linear("nn.Linear", widths, self.bias)),
        }
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let (weight, bias) = (at.param("weight"), self.bias.then(|| at.param("bias")));
        if !self.interleaved {
            let weight = to.transposed(at, &weight);
            return linear::product(at, to, &weight, bias.as_deref());
        }
        // Rows that take turns become three blocks: [3·inner, width] to [width, 3·inner].
        let (inner, width) = (self.inner.largest(), self.width.largest());
        let triples = to.shaped(at, "triples", &weight, &[inner, 3, width]);
        let blocks = to.turned(at, "blocks", &triples, &[2, 1, 0]);
        let weight = to.shaped(at, "sorted", &blocks, &[width, 3 * inner]);
        let bias = bias.map(|bias| {
            let triples = to.shaped(at, "bias_triples", &bias, &[inner, 3]);
            let blocks = to.turned(at, "bias_blocks", &triples, &[1, 0]);
            to.shaped(at, "bias_sorted", &blocks, &[3 * inner])
        });
        linear::product(at, to, &weight, bias.as_deref())
    }
}

/// Queries, keys and values, each `[batch, heads, tokens, width]`; the queries times `1/√width`.
fn heads(at: &onnx::At<'_>, to: &mut onnx::Writer<'_>, heads: i64, width: i64) -> [String; 3] {
    let split = to.shaped(at, "split", at.x(), &[0, 0, 3, heads, width]);
    let parts = to.turned(at, "parts", &split, &[2, 0, 3, 1, 4]);
    let mut part = |name: &str, index: i64| {
        let index = to.table(at, &format!("{name}_at"), &[], &[index]);
        to.part(at, name, "Gather", &[&parts, &index], vec![])
    };
    let (q, k, v) = (part("q", 0), part("k", 1), part("v", 2));
    #[expect(clippy::cast_precision_loss, reason = "heads are narrow")]
    let scale = to.number(at, "scale", 1.0 / (width as f32).sqrt());
    [to.part(at, "scaled", "Mul", &[&q, &scale], vec![]), k, v]
}

/// `q·kᵀ`: `[batch, heads, tokens, tokens]`.
fn logits(at: &onnx::At<'_>, to: &mut onnx::Writer<'_>, q: &str, k: &str) -> String {
    let keys = to.turned(at, "keys", k, &[0, 1, 3, 2]);
    to.part(at, "logits", "MatMul", &[q, &keys], vec![])
}

/// Heads side by side: `[batch, heads, tokens, width]` to `[batch, tokens, heads·width]`.
fn together(at: &onnx::At<'_>, to: &mut onnx::Writer<'_>, out: &str, inner: i64) -> String {
    let turned = to.turned(at, "tokens", out, &[0, 2, 1, 3]);
    let shape = to.list(at, "inner", &[0, 0, inner]);
    to.value(at, "Reshape", &[&turned, &shape], vec![])
}

impl Written for CausalAttention {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        let arguments = [
            Code::keyword("heads", self.heads.largest()),
            Code::keyword("dropout", format!("{:?}", self.dropout)),
        ];
        Layer::module(at, Code::call("CausalAttention", arguments)).with(CAUSAL)
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let (count, width) = (self.heads.largest(), self.width.largest());
        let [q, k, v] = heads(at, to, count, width / count);
        let logits = logits(at, to, &q, &k);
        // Column after row: a token that is not there yet.
        let length = to.tokens(at);
        let (zero, one) = (to.table(at, "zero", &[], &[0]), to.table(at, "one", &[], &[1]));
        let length = to.part(at, "count", "Squeeze", &[&length], vec![]);
        let columns = to.part(at, "columns", "Range", &[&zero, &length, &one], vec![]);
        let axis = to.list(at, "row_axis", &[1]);
        let rows = to.part(at, "rows", "Unsqueeze", &[&columns, &axis], vec![]);
        let later = to.part(at, "later", "Less", &[&rows, &columns], vec![]);
        let never = to.number(at, "never", f32::NEG_INFINITY);
        let masked = to.part(at, "masked", "Where", &[&later, &never, &logits], vec![]);
        let last = vec![Attribute::integer("axis", -1)];
        let weights = to.part(at, "weights", "Softmax", &[&masked], last);
        let out = to.part(at, "heads", "MatMul", &[&weights, &v], vec![]);
        together(at, to, &out, width)
    }
}

impl Written for RelativeAttention {
    fn pytorch(&self, at: &pytorch::At<'_>) -> Layer {
        let (rows, columns) = self.grid;
        let arguments = [
            Code::keyword("heads", self.heads.largest()),
            Code::keyword("width", self.head_width),
            Code::text(format!("grid=({rows}, {columns})")),
            Code::keyword("reach", self.reach),
        ];
        Layer::module(at, Code::call("RelativeAttention", arguments)).with(RELATIVE)
    }

    fn onnx(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>) -> String {
        let (count, width) = (self.heads.largest(), self.head_width);
        let [q, k, v] = heads(at, to, count, width);
        let logits = logits(at, to, &q, &k);
        let bias = self.bias(at, to, &q);
        let biased = to.part(at, "biased", "Add", &[&logits, &bias], vec![]);
        let last = vec![Attribute::integer("axis", -1)];
        let weights = to.part(at, "weights", "Softmax", &[&biased], last);
        let values = to.part(at, "values", "MatMul", &[&weights, &v], vec![]);
        let moved = self.moved(at, to, &weights);
        let out = to.part(at, "heads", "Add", &[&values, &moved], vec![]);
        together(at, to, &out, count * width)
    }
}

impl RelativeAttention {
    /// What relative positions add to the logits, `[batch, heads, tokens, tokens]`: rows and
    /// columns apart, and nothing in the class token's own row, where the softmax does not see it.
    fn bias(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>, q: &str) -> String {
        let (rows, columns) = self.grid;
        let patches = to.slice(at, "patches", q, (2, 1, i64::MAX));
        let grid = to.shaped(at, "grid", &patches, &[0, 0, rows, columns, self.head_width]);
        // [b, h, row, column, w] · [row, w, row'].
        let vertical = self.entries(at, to, "rel_k.vertical", rows);
        let vertical = to.turned(at, "vertical_keys", &vertical, &[0, 2, 1]);
        let by_row = to.part(at, "by_row", "MatMul", &[&grid, &vertical], vec![]);
        let by_row = to.shaped(at, "row_pairs", &by_row, &[0, 0, rows, columns, rows, 1]);
        // [b, h, column, row, w] · [column, w, column'].
        let horizontal = self.entries(at, to, "rel_k.horizontal", columns);
        let horizontal = to.turned(at, "horizontal_keys", &horizontal, &[0, 2, 1]);
        let turned = to.turned(at, "grid_turned", &grid, &[0, 1, 3, 2, 4]);
        let by_column = to.part(at, "by_column", "MatMul", &[&turned, &horizontal], vec![]);
        let by_column = to.turned(at, "by_column_turned", &by_column, &[0, 1, 3, 2, 4]);
        let by_column =
            to.shaped(at, "column_pairs", &by_column, &[0, 0, rows, columns, 1, columns]);
        let pairs = to.part(at, "pairs", "Add", &[&by_row, &by_column], vec![]);
        let all = rows * columns;
        let pairs = to.shaped(at, "pairs_flat", &pairs, &[0, 0, all, all]);
        let class = self.class_entry(at, to, "rel_k");
        let class = to.shaped(at, "class_key", &class, &[self.head_width, 1]);
        let class = to.part(at, "to_class", "MatMul", &[&patches, &class], vec![]);
        let axis = vec![Attribute::integer("axis", 3)];
        let bias = to.part(at, "patch_bias", "Concat", &[&class, &pairs], axis);
        let pads = to.list(at, "pads", &[0, 0, 1, 0, 0, 0, 0, 0]);
        to.part(at, "bias", "Pad", &[&bias, &pads], vec![])
    }

    /// What relative positions add to the outputs, `[batch, heads, tokens, width]`.
    fn moved(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>, weights: &str) -> String {
        let (rows, columns) = self.grid;
        let patches = to.slice(at, "from_patches", weights, (2, 1, i64::MAX));
        let pairs = to.slice(at, "among_patches", &patches, (3, 1, i64::MAX));
        let pairs = to.shaped(at, "among_grid", &pairs, &[0, 0, rows, columns, rows, columns]);
        let to_rows = to.sum(at, "to_rows", &pairs, 5, false);
        let vertical = self.entries(at, to, "rel_v.vertical", rows);
        let from_rows = to.part(at, "from_rows", "MatMul", &[&to_rows, &vertical], vec![]);
        let to_columns = to.sum(at, "to_columns", &pairs, 4, false);
        let to_columns = to.turned(at, "to_columns_turned", &to_columns, &[0, 1, 3, 2, 4]);
        let horizontal = self.entries(at, to, "rel_v.horizontal", columns);
        let from_columns =
            to.part(at, "from_columns", "MatMul", &[&to_columns, &horizontal], vec![]);
        let from_columns = to.turned(at, "from_columns_turned", &from_columns, &[0, 1, 3, 2, 4]);
        let both = to.part(at, "from_both", "Add", &[&from_rows, &from_columns], vec![]);
        let both = to.shaped(at, "from_grid", &both, &[0, 0, rows * columns, self.head_width]);
        // Every pair with the class token has the same entry.
        let class = self.class_entry(at, to, "rel_v");
        let share = to.slice(at, "class_share", &patches, (3, 0, 1));
        let from_class = to.part(at, "from_class", "Mul", &[&share, &class], vec![]);
        let out = to.part(at, "moved_patches", "Add", &[&both, &from_class], vec![]);
        let own = to.slice(at, "from_own", weights, (2, 0, 1));
        let own = to.sum(at, "own_share", &own, 3, true);
        let own = to.part(at, "moved_class", "Mul", &[&own, &class], vec![]);
        to.part(at, "moved", "Concat", &[&own, &out], vec![Attribute::integer("axis", 2)])
    }

    /// A table's entries for every pair of rows (or columns): `[size, size, width]`.
    fn entries(
        &self,
        at: &onnx::At<'_>,
        to: &mut onnx::Writer<'_>,
        table: &str,
        size: i64,
    ) -> String {
        let reach = self.reach;
        let distance = |i: i64, j: i64| (j - i).clamp(-reach, reach) + reach + 1;
        let index: Vec<i64> =
            (0..size).flat_map(|i| (0..size).map(move |j| distance(i, j))).collect();
        let index = to.table(at, &format!("{table}_at"), &[size, size], &index);
        let part = format!("{table}_entries");
        to.part(at, &part, "Gather", &[&at.param(table), &index], vec![])
    }

    /// The entry of any pair with the class token, `[width]`.
    fn class_entry(&self, at: &onnx::At<'_>, to: &mut onnx::Writer<'_>, tables: &str) -> String {
        let first = to.table(at, &format!("{tables}_first"), &[], &[0]);
        let mut entry = |table: &str| {
            let name = format!("{tables}.{table}");
            let part = format!("{name}_class");
            to.part(at, &part, "Gather", &[&at.param(&name), &first], vec![])
        };
        let (vertical, horizontal) = (entry("vertical"), entry("horizontal"));
        to.part(at, &format!("{tables}_class"), "Add", &[&vertical, &horizontal], vec![])
    }
}
