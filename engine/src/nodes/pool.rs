//! Nodes that shrink or move maps without weights.

use skein_core::graph::{Pool, Zero};
use tch::{Kind, Tensor};

/// The largest value of each window.
pub fn max(pool: &Pool, x: &Tensor) -> Tensor {
    x.max_pool2d(pool.kernel, pool.stride, pool.padding, 1, false)
}

/// The mean of each window; padding does not count.
pub fn average(pool: &Pool, x: &Tensor) -> Tensor {
    x.avg_pool2d(pool.kernel, pool.stride, pool.padding, false, false, None)
}

/// The mean of each channel: `[batch, channels, height, width]` to `[batch, channels]`.
pub fn global_average(x: &Tensor) -> Tensor {
    x.mean_dim([2_i64, 3].as_slice(), false, x.kind())
}

/// The map without its first row and column.
pub fn shift(x: &Tensor) -> Tensor {
    x.slice(2, 1, None, 1).slice(3, 1, None, 1)
}

/// Zeros in the shape of the map at the stride.
pub fn zero(zero: &Zero, x: &Tensor) -> Tensor {
    let mut size = x.size();
    size.iter_mut().skip(2).for_each(|side| *side = (*side - 1) / zero.stride + 1);
    Tensor::zeros(size, (Kind::Float, x.device())).to_kind(x.kind())
}
