//! Attention: among the patches of an image with relative positions, and over a text.

use skein_core::graph::{Dropout, RelativeAttention};
use tch::{Kind, Tensor};

use super::dropout;

/// How queries, keys and values are cut into heads.
#[derive(Debug, Clone, Copy)]
pub struct Split {
    /// Number of heads.
    pub heads: i64,
    /// Width of all heads together.
    pub width: i64,
}

/// Rows that take turns (query, key, value, query, …) as three blocks.
///
/// # Shapes
/// - `rows` and returned: `[3·n, …]`.
pub fn blocks(rows: &Tensor) -> Tensor {
    let mut size = rows.size();
    size.splice(0..1, [size[0] / 3, 3]);
    rows.view(size.as_slice()).transpose(0, 1).reshape(rows.size())
}

/// The published superposition of numbers of heads: each candidate's rows become three blocks of
/// its own size, which are padded at the end of the stack and summed.
///
/// # Shapes
/// - `weight`: `[3·inner, width]`; `weights`: one entry per size.
pub fn shifted_stack(weight: &Tensor, sizes: &[i64], weights: &Tensor) -> Tensor {
    let rows = weight.size()[0];
    let terms = sizes.iter().zip(0..).map(|(size, at)| {
        let part = blocks(&weight.narrow(0, 0, *size));
        part.constant_pad_nd([0, 0, 0, rows - size]) * weights.get(at)
    });
    terms.reduce(|sum, term| sum + term).unwrap_or_else(|| weight.zeros_like())
}

/// Attention among a class token and patches.
///
/// A pair's relative position is that of its rows plus that of its columns, each looked up in a
/// table whose entry 0 stands for any pair with the class token. Rows and columns are summed
/// apart: `q·V[rj − ri]` is one small product per row of patches, and likewise for columns, so no
/// table of all pairs is ever built. For the class token's own row the position adds the same to
/// every logit, which the softmax does not see.
///
/// # Shapes
/// - `qkv`: `[batch, tokens, 3, heads, width]`; tables: `[2·reach + 2, width]`; returned:
///   `[batch, tokens, heads·width]`.
pub fn relative(
    spec: &RelativeAttention,
    qkv: &Tensor,
    keys: &(Tensor, Tensor),
    values: &(Tensor, Tensor),
) -> Tensor {
    let size = qkv.size();
    let (tokens, heads, width) = (size[1], size[3], size[4]);
    let (rows, columns) = spec.grid;
    let parts = qkv.permute([2, 0, 3, 1, 4]);
    let (q, k, v) = (parts.get(0), parts.get(1), parts.get(2));
    #[expect(clippy::cast_precision_loss, reason = "heads are narrow")]
    let scale = 1.0 / (width as f64).sqrt();
    let q = q * scale;
    let patches = q.narrow(2, 1, tokens - 1).reshape([-1, rows, columns, width]);
    let vertical = lookup(&keys.0, rows, spec.reach);
    let horizontal = lookup(&keys.1, columns, spec.reach);
    // [b, ri, ci, w] · [ri, rj, w] -> [b, ri, ci, rj], and likewise for columns.
    let by_row = patches.permute([1, 0, 2, 3]).reshape([rows, -1, width]);
    let by_row = by_row.bmm(&vertical.transpose(1, 2)).view([rows, -1, columns, rows]);
    let by_row = by_row.permute([1, 0, 2, 3]).unsqueeze(-1);
    let by_column = patches.permute([2, 0, 1, 3]).reshape([columns, -1, width]);
    let by_column = by_column.bmm(&horizontal.transpose(1, 2)).view([columns, -1, rows, columns]);
    let by_column = by_column.permute([1, 2, 0, 3]).unsqueeze(3);
    let bias = (by_row + by_column).reshape([-1, heads, tokens - 1, tokens - 1]);
    let class = (keys.0.get(0) + keys.1.get(0)).unsqueeze(-1);
    let to_class = q.narrow(2, 1, tokens - 1).matmul(&class);
    let bias = Tensor::cat(&[to_class, bias], -1).constant_pad_nd([0, 0, 1, 0]);
    let weights = (q.matmul(&k.transpose(-2, -1)) + bias).softmax(-1, qkv.kind());
    let out = weights.matmul(&v) + relative_values(spec, &weights, values);
    out.transpose(1, 2).flatten(2, 3)
}

/// What relative positions add to the outputs.
fn relative_values(
    spec: &RelativeAttention,
    weights: &Tensor,
    values: &(Tensor, Tensor),
) -> Tensor {
    let size = weights.size();
    let (heads, tokens, width) = (size[1], size[2], spec.head_width);
    let (rows, columns) = spec.grid;
    let class = values.0.get(0) + values.1.get(0);
    let patches = weights.narrow(2, 1, tokens - 1);
    let pairs = patches.narrow(3, 1, tokens - 1);
    let pairs = pairs.reshape([-1, rows, columns, rows, columns]);
    let to_rows = pairs.sum_dim_intlist([4_i64].as_slice(), false, weights.kind());
    let to_columns = pairs.sum_dim_intlist([3_i64].as_slice(), false, weights.kind());
    let vertical = lookup(&values.0, rows, spec.reach);
    let horizontal = lookup(&values.1, columns, spec.reach);
    let from_rows = to_rows.permute([1, 0, 2, 3]).reshape([rows, -1, rows]).bmm(&vertical);
    let from_rows = from_rows.view([rows, -1, columns, width]).permute([1, 0, 2, 3]);
    let from_columns = to_columns.permute([2, 0, 1, 3]).reshape([columns, -1, columns]);
    let from_columns = from_columns.bmm(&horizontal).view([columns, -1, rows, width]);
    let out = from_rows + from_columns.permute([1, 2, 0, 3]);
    let out = out.reshape([-1, heads, tokens - 1, width]) + patches.narrow(3, 0, 1) * &class;
    let first = class.view([1, 1, 1, -1]).expand_as(&out.narrow(2, 0, 1));
    Tensor::cat(&[first, out], 2)
}

/// A table's entries for every pair of rows (or columns): `[size, size, width]`.
fn lookup(table: &Tensor, size: i64, reach: i64) -> Tensor {
    // By tensors throughout, so that a trace holds it.
    let places = Tensor::arange(size, (Kind::Int64, table.device()));
    let distance = places.unsqueeze(0) - places.unsqueeze(1);
    let at = distance.clamp(-reach, reach) + reach + 1;
    table.index_select(0, &at.flatten(0, 1)).view([size, size, -1])
}

/// Attention of each token over itself and those before.
///
/// # Shapes
/// - `qkv`: `[batch, tokens, 3·width]`; returned: `[batch, tokens, width]`.
pub fn causal(qkv: &Tensor, split: Split, (p, seed): (f64, Option<u64>)) -> Tensor {
    attend(qkv, split, None, (p, seed))
}

fn attend(qkv: &Tensor, split: Split, scale: Option<f64>, (p, seed): (f64, Option<u64>)) -> Tensor {
    let (tokens, head) = (qkv.size()[1], split.width / split.heads);
    let parts = qkv.unflatten(2, [3, split.heads, head]).permute([2, 0, 3, 1, 4]);
    let (q, k, v) = (parts.get(0), parts.get(1), parts.get(2));
    let out = match seed.filter(|_| p > 0.0) {
        None => Tensor::scaled_dot_product_attention(
            &q,
            &k,
            &v,
            None::<Tensor>,
            0.0,
            true,
            scale,
            false,
        ),
        Some(seed) => {
            #[expect(clippy::cast_precision_loss, reason = "heads are narrow")]
            let scale = scale.unwrap_or(1.0 / (head as f64).sqrt());
            let logits = (q * scale).matmul(&k.transpose(-2, -1));
            let later = Tensor::ones([tokens, tokens], (Kind::Bool, qkv.device())).triu(1);
            let weights = logits.masked_fill(&later, f64::NEG_INFINITY).softmax(-1, qkv.kind());
            dropout::forward(&Dropout::elements(p), &weights, seed).matmul(&v)
        }
    };
    out.transpose(1, 2).flatten(2, 3)
}

/// Queries, keys and values of several widths, each padded head by head, weighted and summed.
///
/// # Shapes
/// - `qkv` and returned: `[batch, tokens, 3·width]`.
pub fn spread(qkv: &Tensor, split: Split, widths: &[(i64, Tensor)]) -> Tensor {
    let size = qkv.size();
    let (batch, tokens, head) = (size[0], size[1], split.width / split.heads);
    let all = qkv.view([batch, tokens, 3, split.width]);
    let terms = widths.iter().map(|(width, weight)| {
        let own = width / split.heads;
        let part = all.narrow(3, 0, *width).reshape([batch, tokens, 3, split.heads, own]);
        part.constant_pad_nd([0, head - own]) * weight
    });
    let sum = terms.reduce(|sum, term| sum + term).unwrap_or_else(|| all.zeros_like());
    sum.reshape([batch, tokens, 3 * split.width])
}

/// A mixture of widths whose one-hot case is exactly one width's attention: queries and keys are
/// scaled so that a narrow head's logits have its own scale, and the outputs are gathered back to
/// the first features.
///
/// # Shapes
/// - `qkv`: `[batch, tokens, 3·width]`; returned: `[batch, tokens, width]`.
pub fn mixed(
    qkv: &Tensor,
    split: Split,
    widths: &[(i64, Tensor)],
    dropped: (f64, Option<u64>),
) -> Tensor {
    let size = qkv.size();
    let (batch, tokens, head) = (size[0], size[1], split.width / split.heads);
    let all = qkv.view([batch, tokens, 3, split.width]);
    let terms = widths.iter().map(|(width, weight)| {
        let own = width / split.heads;
        #[expect(clippy::cast_precision_loss, reason = "widths are small")]
        let raise = (split.width as f64 / *width as f64).powf(0.25);
        // Written where it is read: a GPU would wait for a copy.
        let place = (qkv.kind(), qkv.device());
        let scale = Tensor::cat(&[Tensor::full([2], raise, place), Tensor::ones([1], place)], 0);
        let scale = scale.view([1, 1, 3, 1, 1]) * weight;
        let part = all.narrow(3, 0, *width).reshape([batch, tokens, 3, split.heads, own]);
        part.constant_pad_nd([0, head - own]) * scale
    });
    let sum = terms.reduce(|sum, term| sum + term).unwrap_or_else(|| all.zeros_like());
    let out = attend(&sum.reshape([batch, tokens, -1]), split, None, dropped);
    let heads = out.view([batch, tokens, split.heads, head]);
    let gathered = widths.iter().map(|(width, weight)| {
        let own = heads.narrow(3, 0, width / split.heads).reshape([batch, tokens, *width]);
        own.constant_pad_nd([0, split.width - width]) * weight
    });
    // Each width weighs its values and its outputs; one of the two is taken back.
    let squares = widths.iter().map(|(_, weight)| weight.square()).reduce(|a, b| a + b);
    let sum = gathered.reduce(|sum, term| sum + term).unwrap_or(out);
    squares.map_or_else(|| sum.shallow_clone(), |squares| &sum / squares)
}
