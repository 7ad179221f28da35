//! Convolution; dilated depth-wise convolutions are turned into undilated ones.
//!
//! libtorch's dilated depth-wise convolution leaves the fast path in its backward pass. At
//! dilation 2 it need not be dilated: with stride 2 it reads only the even pixels, so it is an
//! undilated convolution of the sub-sampled map; with stride 1 the four 2×2 phases of the map are
//! convolved each by itself, moved into the batch and back.

use skein_core::graph::Conv2d;
use tch::Tensor;

/// Convolves.
///
/// # Shapes
/// - `x`: `[batch, in, height, width]`; `weight`: `[out, in or 1, k, k]`; `bias`: `[out]`.
pub fn forward(conv: &Conv2d, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let kernel = weight.size()[2];
    let padding = conv.padding(kernel);
    if conv.dilation == 2 && padding % 2 == 0 && conv.depthwise {
        match conv.stride {
            1 => return by_phases(conv, x, weight, bias, padding / 2),
            2 => return plain(conv, &even(x), weight, bias, (1, padding / 2, 1)),
            _ => {}
        }
    }
    plain(conv, x, weight, bias, (conv.stride, padding, conv.dilation))
}

/// The next smaller kernel of Once-for-all: the centre of side `side`, flattened, times a matrix.
///
/// # Shapes
/// - `kernel`: `[channels, 1, k, k]`; `matrix`: `[side², side²]`; returned:
///   `[channels, 1, side, side]`.
pub fn shrink(kernel: &Tensor, matrix: &Tensor, side: i64) -> Tensor {
    let edge = (kernel.size()[2] - side) / 2;
    let centre = kernel.narrow(2, edge, side).narrow(3, edge, side);
    let flat = centre.reshape([-1, side * side]);
    flat.matmul(&matrix.tr()).view([-1, 1, side, side])
}

fn plain(
    conv: &Conv2d,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    (stride, padding, dilation): (i64, i64, i64),
) -> Tensor {
    let groups = if conv.depthwise { weight.size()[0] } else { 1 };
    x.conv2d(weight, bias, stride, padding, dilation, groups)
}

/// Every second row and column, from the first.
fn even(x: &Tensor) -> Tensor {
    let part = x.slice(2, None, None, 2).slice(3, None, None, 2);
    // A dense copy in channels-last order.
    part.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

/// Space to batch, convolution, batch to space.
fn by_phases(
    conv: &Conv2d,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    padding: i64,
) -> Tensor {
    let size = x.size();
    let (channels, height, width) = (size[1], size[2], size[3]);
    let (odd_rows, odd_columns) = (height % 2, width % 2);
    let padded = if odd_rows + odd_columns > 0 {
        x.constant_pad_nd([0, odd_columns, 0, odd_rows])
    } else {
        x.shallow_clone()
    };
    let (rows, columns) = ((height + odd_rows) / 2, (width + odd_columns) / 2);
    let phases = padded.permute([0, 2, 3, 1]).reshape([-1, rows, 2, columns, 2, channels]);
    let phases = phases.permute([2, 4, 0, 1, 3, 5]).reshape([-1, rows, columns, channels]);
    let out = plain(conv, &phases.permute([0, 3, 1, 2]), weight, bias, (1, padding, 1));
    let out = out.permute([0, 2, 3, 1]).reshape([2, 2, -1, rows, columns, channels]);
    let out = out.permute([2, 3, 0, 4, 1, 5]).reshape([-1, 2 * rows, 2 * columns, channels]);
    let out = out.permute([0, 3, 1, 2]);
    if odd_rows + odd_columns > 0 {
        return out.narrow(2, 0, height).narrow(3, 0, width);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::seed::seeded;
    use rstest::rstest;
    use tch::{Device, Kind};

    #[rstest]
    fn an_undilated_convolution_equals_the_dilated_one(
        #[values(1, 2)] stride: i64,
        #[values(3, 5)] kernel: i64,
        #[values(6, 7)] side: i64,
    ) {
        let options = (Kind::Double, Device::Cpu);
        let normal = |seed, size: [i64; 4]| {
            seeded(seed, Device::Cpu, || Tensor::randn(size, options)).set_requires_grad(true)
        };
        let (x, weight) = (normal(5, [2, 3, side, side + 1]), normal(6, [3, 1, kernel, kernel]));
        let conv = Conv2d::depthwise(3, kernel, stride, 2);
        let fast = forward(&conv, &x, &weight, None);
        let slow = plain(&conv, &x, &weight, None, (stride, conv.padding(kernel), 2));
        let gradients = |out: &Tensor| {
            Tensor::run_backward(&[out.square().sum(Kind::Double)], &[&x, &weight], false, false)
        };
        for (a, b) in
            gradients(&fast).iter().zip(gradients(&slow)).chain([(&fast, slow.shallow_clone())])
        {
            assert_eq!(a.size(), b.size());
            assert!((a - b).abs().max().double_value(&[]) < 1e-12);
        }
    }
}
