//! Attention: among the patches of an image with relative positions, and over a text.

use skein_core::graph::{Dropout, RelativeAttention};
use tch::{Kind, Tensor};

use super::dropout;
use super::leading::Steps;

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
    let steps = Steps::of(sizes.iter().copied());
    let parts = steps.leading(weight, 0);
    let parts = parts.iter().zip(0..).map(|(part, at)| blocks(part) * weights.get(at));
    steps.joined(&parts.collect::<Vec<_>>(), 0)
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
    let [q, k, v] = three(&parts.unbind(0));
    #[expect(clippy::cast_precision_loss, reason = "heads are narrow")]
    let scale = 1.0 / (width as f64).sqrt();
    let q = q * scale;
    let inner = q.narrow(2, 1, tokens - 1);
    let patches = inner.reshape([-1, rows, columns, width]);
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
    let to_class = inner.matmul(&class);
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
    let parts = patches.split_with_sizes([1, tokens - 1], 3);
    let pairs = parts[1].reshape([-1, rows, columns, rows, columns]);
    let to_rows = pairs.sum_dim_intlist([4_i64].as_slice(), false, weights.kind());
    let to_columns = pairs.sum_dim_intlist([3_i64].as_slice(), false, weights.kind());
    let vertical = lookup(&values.0, rows, spec.reach);
    let horizontal = lookup(&values.1, columns, spec.reach);
    let from_rows = to_rows.permute([1, 0, 2, 3]).reshape([rows, -1, rows]).bmm(&vertical);
    let from_rows = from_rows.view([rows, -1, columns, width]).permute([1, 0, 2, 3]);
    let from_columns = to_columns.permute([2, 0, 1, 3]).reshape([columns, -1, columns]);
    let from_columns = from_columns.bmm(&horizontal).view([columns, -1, rows, width]);
    let out = from_rows + from_columns.permute([1, 2, 0, 3]);
    let out = out.reshape([-1, heads, tokens - 1, width]) + &parts[0] * &class;
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
    let parts = qkv.unflatten(2, [3, split.heads, -1]).permute([2, 0, 3, 1, 4]);
    attend(&parts, (p, seed)).flatten(2, 3)
}

/// Attention of each head's tokens over themselves and those before.
///
/// # Shapes
/// - `qkv`: `[3, batch, heads, tokens, head]`; returned: `[batch, tokens, heads, head]`.
fn attend(qkv: &Tensor, (p, seed): (f64, Option<u64>)) -> Tensor {
    let size = qkv.size();
    let (heads, tokens, head) = (size[2], size[3], size[4]);
    let out = match seed.filter(|_| p > 0.0) {
        None => {
            let [q, k, v] = three(&qkv.unbind(0));
            Tensor::scaled_dot_product_attention(
                &q,
                &k,
                &v,
                None::<Tensor>,
                0.0,
                true,
                None::<f64>,
                false,
            )
        }
        Some(seed) => {
            #[expect(clippy::cast_precision_loss, reason = "heads are narrow")]
            let scale = 1.0 / (head as f64).sqrt();
            // One stack of matrices, so that the scale, the mask and the product are one pass.
            let [q, k, v] = three(&qkv.flatten(1, 2).unbind(0));
            let later = Tensor::full([tokens, tokens], f64::NEG_INFINITY, (q.kind(), q.device()));
            let logits = later.triu(1).baddbmm(&q, &k.transpose(1, 2), 1.0, scale);
            let weights = logits.softmax(-1, qkv.kind());
            let out = dropout::forward(&Dropout::elements(p), &weights, seed).bmm(&v);
            out.unflatten(0, [-1, heads])
        }
    };
    out.transpose(1, 2)
}

/// Queries, keys and values. A backward pass stacks the gradients of parts that were unbound, where
/// it would pad each to the whole if they were taken one by one.
fn three(parts: &[Tensor]) -> [Tensor; 3] {
    [0, 1, 2].map(|at| parts[at].shallow_clone())
}

/// Widths, rising, and numbers of heads under a superposition, each with its weight.
#[derive(Debug)]
pub struct Mixture {
    /// Each width takes the first channels, and cuts them into heads of its own.
    pub widths: Vec<(i64, Tensor)>,
    /// Each number of heads is an attention of its own; their outputs are summed.
    pub heads: Vec<(i64, Tensor)>,
}

/// The published superposition: queries, keys and values of all widths are padded head by head,
/// weighted and summed.
///
/// # Shapes
/// - `qkv`: `[batch, tokens, 3·width]`; returned: `[batch, tokens, width]`.
pub fn padded(qkv: &Tensor, mixture: &Mixture, dropped: (f64, Option<u64>)) -> Tensor {
    let parts = mixture.parts(qkv, |(_, weight)| weight.shallow_clone());
    let terms = mixture.heads.iter().map(|(heads, share)| {
        attend(&(mixture.spread(&parts, *heads) * share), dropped).flatten(2, 3)
    });
    terms.reduce(|sum, term| sum + term).unwrap_or_else(|| qkv.zeros_like())
}

/// A superposition whose one-hot case is exactly one width's attention: queries and keys are
/// scaled so that a narrow head's logits have its own scale, and the outputs are gathered back to
/// the first features.
///
/// # Shapes
/// - `qkv`: `[batch, tokens, 3·width]`; returned: `[batch, tokens, width]`.
pub fn mixed(qkv: &Tensor, mixture: &Mixture, dropped: (f64, Option<u64>)) -> Tensor {
    let parts = mixture.parts(qkv, |width| mixture.raised(width));
    let outputs = mixture.heads.iter().map(|(heads, share)| {
        let out = attend(&mixture.spread(&parts, *heads), dropped) * share;
        let own = mixture.steps(*heads).leading(&out, 3);
        own.iter().map(|own| own.flatten(2, 3)).collect::<Vec<_>>()
    });
    let sums = outputs.reduce(|sums, own| sums.iter().zip(&own).map(|(a, b)| a + b).collect());
    // Each width weighs its values and its outputs; one of the two is taken back.
    let squares = mixture.widths.iter().map(|(_, weight)| weight.square());
    let squares = squares.reduce(|a, b| a + b).unwrap_or_else(|| Tensor::from(1.0));
    let sums = sums.unwrap_or_default();
    let weighed = sums.iter().zip(&mixture.widths);
    let weighed: Vec<Tensor> = weighed.map(|(sum, (_, row))| sum * (row / &squares)).collect();
    mixture.steps(1).joined(&weighed, 2)
}

impl Mixture {
    fn largest(&self) -> i64 {
        self.widths.last().map_or(0, |(width, _)| *width)
    }

    /// Along the channels of one of so many heads.
    fn steps(&self, heads: i64) -> Steps {
        Steps::of(self.widths.iter().map(|(width, _)| width / heads))
    }

    /// Each width's queries, keys and values, scaled.
    ///
    /// # Shapes
    /// - `qkv`: `[batch, tokens, 3·width]`; returned, of each: `[batch, tokens, 3, its width]`.
    fn parts(&self, qkv: &Tensor, scale: impl Fn(&(i64, Tensor)) -> Tensor) -> Vec<Tensor> {
        let parts = self.steps(1).leading(&qkv.unflatten(2, [3, -1]), 3);
        let scaled = |(part, width): (&Tensor, _)| part * scale(width).to_kind(part.kind());
        parts.iter().zip(&self.widths).map(scaled).collect()
    }

    /// Parts of several widths, padded head by head and summed.
    ///
    /// # Shapes
    /// - `parts`: as `parts` returns them; returned: `[3, batch, heads, tokens, head]`.
    fn spread(&self, parts: &[Tensor], heads: i64) -> Tensor {
        let by_head = |part: &Tensor| part.unflatten(3, [heads, -1]).permute([2, 0, 3, 1, 4]);
        self.steps(heads).joined(&parts.iter().map(by_head).collect::<Vec<_>>(), 4)
    }

    /// The scale of a width's queries, keys and values, by which its logits are divided by the root
    /// of its own heads' width.
    fn raised(&self, (width, weight): &(i64, Tensor)) -> Tensor {
        #[expect(clippy::cast_precision_loss, reason = "widths are small")]
        let raise = (self.largest() as f64 / *width as f64).powf(0.25);
        // Written where it is read: a GPU would wait for a copy.
        let place = (weight.kind(), weight.device());
        let scale = Tensor::cat(&[Tensor::full([2], raise, place), Tensor::ones([1], place)], 0);
        scale.view([3, 1]) * weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// Every width's part, padded head by head.
    fn plain_spread(qkv: &Tensor, largest: i64, heads: i64, widths: &[(i64, Tensor)]) -> Tensor {
        let all = qkv.unflatten(2, [3, -1]);
        let terms = widths.iter().map(|(width, scale)| {
            let part = all.narrow(3, 0, *width).unflatten(3, [heads, -1]);
            part.constant_pad_nd([0, (largest - width) / heads]) * scale
        });
        terms.reduce(|sum, term| sum + term).unwrap().flatten(2, 4)
    }

    /// The definition of [`mixed`], term by term.
    fn plain_mixed(qkv: &Tensor, mixture: &Mixture) -> Tensor {
        let largest = mixture.largest();
        let (sizes, rows): (Vec<i64>, Vec<Tensor>) =
            mixture.widths.iter().map(|(width, row)| (*width, row.shallow_clone())).unzip();
        let terms = mixture.heads.iter().map(|(heads, share)| {
            let scaled: Vec<_> = mixture
                .widths
                .iter()
                .map(|width| (width.0, mixture.raised(width).unsqueeze(1)))
                .collect();
            let spread = plain_spread(qkv, largest, *heads, &scaled);
            let out = causal(&spread, Split { heads: *heads, width: largest }, (0.0, None));
            let out = out.unflatten(2, [*heads, -1]);
            let gathered = sizes.iter().zip(&rows).map(|(width, row)| {
                let own = out.narrow(3, 0, width / heads).flatten(2, 3);
                own.constant_pad_nd([0, largest - width]) * row
            });
            gathered.reduce(|sum, term| sum + term).unwrap() * share
        });
        let squares = rows.iter().map(Tensor::square).reduce(|a, b| a + b).unwrap();
        terms.reduce(|sum, term| sum + term).unwrap() / squares
    }

    fn mixture(rows: &Tensor) -> Mixture {
        let row = |from: i64, at: i64| rows.get(from + at);
        Mixture {
            widths: [12, 18, 24].into_iter().zip((0..3).map(|at| row(0, at))).collect(),
            heads: [2, 3, 6].into_iter().zip((0..3).map(|at| row(3, at))).collect(),
        }
    }

    fn gradients(out: &Tensor, of: &[&Tensor]) -> Vec<Tensor> {
        let weights = Tensor::arange(out.size()[2], (Kind::Double, Device::Cpu)) - 7.0;
        Tensor::run_backward(&[(out * weights).sum(Kind::Double)], of, false, false)
    }

    fn apart(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    #[test]
    fn widths_and_heads_are_mixed_as_if_each_were_padded() {
        tch::manual_seed(3);
        let place = (Kind::Double, Device::Cpu);
        let qkv = Tensor::randn([2, 5, 72], place).set_requires_grad(true);
        let rows = Tensor::from_slice(&[0.5, 0.2, 0.3, 0.1, 0.6, 0.3]).set_requires_grad(true);
        let mixture = mixture(&rows);
        let parts = mixture.parts(&qkv, |(_, row)| row.shallow_clone());
        let spread = mixture.spread(&parts, 3);
        let spread = spread.permute([1, 3, 0, 2, 4]).flatten(2, 4);
        assert!(apart(&spread, &plain_spread(&qkv, 24, 3, &mixture.widths)) < 1e-12);
        let (ours, plain) = (mixed(&qkv, &mixture, (0.0, None)), plain_mixed(&qkv, &mixture));
        assert!(apart(&ours, &plain) < 1e-12);
        let of = [&qkv, &rows];
        for (ours, plain) in gradients(&ours, &of).iter().zip(&gradients(&plain, &of)) {
            assert!(plain.abs().max().double_value(&[]) > 0.1);
            assert!(apart(ours, plain) < 1e-11);
        }
    }

    /// With dropout the scores are computed by hand; where nothing is dropped, both must agree.
    #[test]
    fn scores_by_hand_are_those_of_the_library() {
        tch::manual_seed(4);
        let qkv = Tensor::randn([3, 7, 36], (Kind::Double, Device::Cpu));
        let split = Split { heads: 3, width: 12 };
        let library = causal(&qkv, split, (0.0, None));
        assert!(apart(&causal(&qkv, split, (1e-9, Some(1))), &library) < 1e-12);
        assert!(apart(&causal(&qkv, split, (0.5, Some(1))), &library) > 0.1);
    }
}
