//! Convolution; on a CPU, depth-wise ones by loops of our own. What these do not take, as double
//! precision, is libtorch's, and dilated depth-wise ones are turned into undilated ones then.
//!
//! libtorch's dilated depth-wise convolution leaves the fast path in its backward pass. At
//! dilation 2 it need not be dilated: with stride 2 it reads only the even pixels, so it is an
//! undilated convolution of the sub-sampled map; with stride 1 the four 2×2 phases of the map are
//! convolved each by itself, moved into the batch and back. GPUs have a kernel for it.

pub(crate) mod cpu;
mod gpu;

use skein_core::graph::Conv2d;
use tch::Tensor;

use crate::entangle::mask::Gate;
use crate::kernels;
use gpu::Steps;

/// Convolves.
///
/// # Shapes
/// - `x`: `[batch, in, height, width]`; `weight`: `[out, in or 1, k, k]`; `bias`: `[out]`.
pub fn forward(conv: &Conv2d, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    if cpu::own_depthwise(conv, x, weight, bias) {
        return kernels::depthwise(x, weight, steps(conv, weight), false);
    }
    let kernel = weight.size()[2];
    let padding = conv.padding(kernel);
    let dilated = conv.dilation == 2 && padding % 2 == 0 && conv.depthwise;
    if dilated && !x.device().is_cuda() {
        match conv.stride {
            1 => return by_phases(conv, x, weight, bias, padding / 2),
            2 => return plain(conv, &even(x), weight, bias, (1, padding / 2, 1)),
            _ => {}
        }
    }
    // oneDNN's own gradient of such a kernel writes beyond its memory where there are fewer channels
    // than a register holds numbers, with AVX-512 at some numbers of threads only: a crash, wrong
    // numbers, or threads that wait for ever. Where there are more, it copies these pixels itself.
    if kernel == 1 && conv.stride == 2 && !x.device().is_cuda() {
        return plain(conv, &even(x), weight, bias, (1, 0, 1));
    }
    plain(conv, x, weight, bias, steps(conv, weight))
}

/// Convolves the ReLU of `x`.
///
/// # Shapes
/// - as [`forward`].
pub fn of_relu(conv: &Conv2d, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    if cpu::own_depthwise(conv, x, weight, bias) {
        return kernels::depthwise(x, weight, steps(conv, weight), true);
    }
    forward(conv, &x.relu(), weight, bias)
}

/// Stride, padding and dilation.
fn steps(conv: &Conv2d, weight: &Tensor) -> Steps {
    (conv.stride, conv.padding(weight.size()[2]), conv.dilation)
}

/// Multiply-adds of a kernel's gradient per number that a gate passes over, from which on gates are
/// taken. One convolution by itself gains from some 80 on (two CPU cores), but MobileNetV3, whose
/// elastic ones have 160 at most, takes as long with that bound as with this one.
const WORTH: i64 = 1024;

/// Whether gates on what a convolution reads and writes take less time than the gradient of its
/// weight that they save.
pub fn gates_pay(conv: &Conv2d) -> bool {
    let (read, written) = (conv.in_channels.largest(), conv.out_channels.largest());
    let points = conv.kernel.largest().pow(2);
    !conv.depthwise && read.min(written) * points >= WORTH * conv.stride.pow(2)
}

/// Convolves with a masked weight, by gates on `x` and on the product; none if a gate has another
/// form.
///
/// # Shapes
/// - as [`forward`], of a convolution that is not depth-wise.
pub fn gated(
    conv: &Conv2d,
    x: &Tensor,
    (weight, bias): (&Tensor, Option<&Tensor>),
    gates: &[Gate],
) -> Option<Tensor> {
    let (mut read, mut written) = (x.shallow_clone(), None::<Tensor>);
    for gate in gates {
        let Gate::Whole(axis, gate) = gate else { return None };
        let gate = gate.view([1, -1, 1, 1]);
        match axis {
            0 => written = Some(written.map_or_else(|| gate.shallow_clone(), |own| own * &gate)),
            // Not in place: others read `x` too.
            1 => read = &read * gate,
            _ => return None,
        }
    }
    let Some(gate) = written else { return Some(forward(conv, &read, weight, bias)) };
    let product = forward(conv, &read, weight, None) * gate;
    Some(bias.map_or_else(|| product.shallow_clone(), |bias| &product + bias.view([1, -1, 1, 1])))
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
    steps: (i64, i64, i64),
) -> Tensor {
    let (stride, padding, dilation) = steps;
    if x.device().is_cuda() {
        if conv.depthwise && gpu::own_depthwise(x, weight, dilation) {
            return gpu::depthwise(x, weight, bias, steps);
        }
        if !conv.depthwise && gpu::as_product(x, weight, steps) {
            return gpu::pointwise(x, weight, bias);
        }
    }
    let groups = if conv.depthwise { weight.size()[0] } else { 1 };
    one_channel_last(x).conv2d(weight, bias, stride, padding, dilation, groups)
}

/// Maps of one channel as channels-last ones, which in memory they are: libtorch would take them for
/// channels-first, and everything behind the first convolution with them.
fn one_channel_last(x: &Tensor) -> Tensor {
    match x.size()[1] {
        1 if !x.device().is_cuda() => x.squeeze_dim(1).unsqueeze(-1).permute([0, 3, 1, 2]),
        _ => x.shallow_clone(),
    }
}

/// Every second row and column, from the first.
fn even(x: &Tensor) -> Tensor {
    channels_last(&x.slice(2, None, None, 2).slice(3, None, None, 2))
}

/// A dense copy in channels-last order.
fn channels_last(x: &Tensor) -> Tensor {
    x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

/// Convolves with a kernel that is a point.
///
/// # Shapes
/// - `x`: `[batch, in, height, width]`; `weight`: `[out, in, 1, 1]`; `bias`: `[out]`.
pub fn pointwise(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
    let conv = Conv2d::pointwise(weight.size()[1], weight.size()[0]);
    plain(&conv, x, weight, Some(bias), (1, 0, 1))
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

    #[test]
    fn maps_of_one_channel_become_channels_last_ones() {
        let place = (Kind::Float, Device::Cpu);
        let (x, weight) = (Tensor::ones([2, 1, 6, 5], place), Tensor::ones([8, 1, 1, 1], place));
        let out = forward(&Conv2d::pointwise(1, 8), &x.relu(), &weight, None);
        assert_eq!((out.size(), out.stride()), (vec![2, 8, 6, 5], vec![240, 1, 40, 8]));
    }

    /// In single precision, in which a CPU takes its fast kernels; many times, since memory that is
    /// written to wrongly is not always missed.
    #[rstest]
    fn a_point_at_stride_two_is_differentiated_for_few_channels(
        #[values(1, 2, 4, 8, 12)] read: i64,
        #[values(14, 15)] side: i64,
        #[values(1, 3)] threads: i32,
    ) {
        let before = tch::get_num_threads();
        tch::set_num_threads(threads);
        let normal = |seed, size: [i64; 4]| {
            let drawn =
                seeded(seed, Device::Cpu, || Tensor::randn(size, (Kind::Float, Device::Cpu)));
            channels_last(&drawn).detach().set_requires_grad(true)
        };
        let (x, weight) = (normal(1, [16, read, side, side]), normal(2, [2, read, 1, 1]));
        let conv = Conv2d { stride: 2, ..Conv2d::pointwise(read, 2) };
        let gradients = |out: Tensor| {
            let loss = out.square().sum(Kind::Float);
            let mut found = Tensor::run_backward(&[loss], &[&x, &weight], false, false);
            found.push(out);
            found
        };
        let matrix = weight.view([2, read]);
        let expected = gradients(even(&x).permute([0, 2, 3, 1]).matmul(&matrix.tr()));
        for _ in 0..50 {
            let mut got = gradients(forward(&conv, &x, &weight, None));
            got[2] = got[2].permute([0, 2, 3, 1]);
            for (got, expected) in got.iter().zip(&expected) {
                let error = (got - expected).abs().max().double_value(&[]);
                assert!(error < 1e-5 * expected.abs().max().double_value(&[]).max(1.0), "{error}");
            }
        }
        tch::set_num_threads(before);
    }

    #[rstest]
    fn gates_equal_a_masked_weight(
        #[values(1, 2)] stride: i64,
        #[values(&[0], &[1], &[0, 1], &[0, 0])] axes: &[usize],
        #[values(false, true)] biased: bool,
    ) {
        let normal = |seed, size: &[i64]| {
            seeded(seed, Device::Cpu, || Tensor::randn(size, (Kind::Double, Device::Cpu)))
        };
        let (x, weight) = (normal(1, &[2, 3, 7, 6]), normal(2, &[4, 3, 5, 5]));
        let bias = biased.then(|| normal(3, &[4]));
        let conv = Conv2d { stride, ..Conv2d::dense(3, 4, 5) };
        let (mut masked, mut gates) = (weight.shallow_clone(), Vec::new());
        for (axis, seed) in axes.iter().zip(4..) {
            let gate = normal(seed, &[weight.size()[*axis]]);
            let shape = if *axis == 0 { [-1, 1, 1, 1] } else { [1, -1, 1, 1] };
            masked = &masked * gate.view(shape);
            gates.push(Gate::Whole(*axis, gate));
        }
        let product = gated(&conv, &x, (&weight, bias.as_ref()), &gates).unwrap();
        let expected = forward(&conv, &x, &masked, bias.as_ref());
        assert!((product - expected).abs().max().double_value(&[]) < 1e-12);
    }

    #[test]
    fn gates_pay_where_a_kernel_is_large() {
        let sides = |kernel, stride| Conv2d { stride, ..Conv2d::dense(256, 256, kernel) };
        assert!(gates_pay(&sides(7, 1)) && gates_pay(&sides(3, 1)));
        assert!(!gates_pay(&sides(1, 1)), "a pointwise one is soon differentiated");
        assert!(!gates_pay(&sides(3, 2)) && !gates_pay(&Conv2d::depthwise(4096, 7, 1, 1)));
    }
}
