//! Convolutions on a GPU that cuDNN is a bad choice for.
//!
//! A cuDNN call takes the host 50 µs forward and some 250 µs backward; in cells, whose maps are
//! small, that is far more than the GPU computes. libtorch's own depth-wise kernels and its matrix
//! products take a third of that. Among large maps, cuDNN's gradient of a depth-wise kernel of side
//! 7 is the exception: single precision and channels-last, it takes 30 times as long as libtorch's.

use tch::{Kind, Tensor};

/// Numbers of a map up to which the host's time counts for more than the GPU's.
const SMALL: usize = 1 << 22;
/// Sides of kernels from which on cuDNN's gradient is slow.
const WIDE: i64 = 7;

/// Stride, padding and dilation.
pub(super) type Steps = (i64, i64, i64);

/// Whether libtorch's own depth-wise kernel is to compute; without gradients too, so that what is
/// computed a second time comes out the same.
pub(super) fn own_depthwise(x: &Tensor, weight: &Tensor, dilation: i64) -> bool {
    let slow = weight.size()[2] >= WIDE && x.kind() == Kind::Float;
    is_small(x) || dilation > 1 || slow
}

fn is_small(x: &Tensor) -> bool {
    x.numel() <= SMALL
}

/// Whether a convolution is a matrix product that is to be computed as such.
pub(super) fn as_product(x: &Tensor, weight: &Tensor, (stride, ..): Steps) -> bool {
    weight.size()[2..] == [1, 1] && stride == 1 && is_small(x)
}

/// A depth-wise convolution by libtorch's own kernel, which it takes where neither map nor weight
/// is channels-last. What follows a large map finds it channels-last again.
pub(super) fn depthwise(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    (stride, padding, dilation): Steps,
) -> Tensor {
    // Through the flat tensor: `[channels, 1, k, k]` counts as channels-last, unless its second
    // stride says otherwise.
    let dense = weight.reshape([-1]).view(weight.size().as_slice());
    let groups = weight.size()[0];
    let out = x.contiguous().conv2d(&dense, bias, stride, padding, dilation, groups);
    if is_small(x) || x.is_contiguous() { out } else { super::channels_last(&out) }
}

/// A convolution whose kernel is a point, at stride 1.
///
/// # Shapes
/// - `x`: `[batch, in, height, width]`; `weight`: `[out, in, 1, 1]`; `bias`: `[out]`.
pub(super) fn pointwise(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let (size, written) = (x.size(), weight.size()[0]);
    let (batch, read, height, width) = (size[0], size[1], size[2], size[3]);
    let matrix = weight.reshape([written, read]);
    if !x.is_contiguous() || height * width == 1 {
        return x.permute([0, 2, 3, 1]).linear(&matrix, bias).permute([0, 3, 1, 2]);
    }
    let matrix = matrix.unsqueeze(0).expand([batch, written, read], false);
    let points = x.view([batch, read, height * width]);
    let product = match bias {
        Some(bias) => bias.view([1, -1, 1]).baddbmm(&matrix, &points, 1, 1),
        None => matrix.bmm(&points),
    };
    product.view([batch, written, height, width])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::seed::seeded;
    use rstest::rstest;
    use tch::Device;

    fn normal(seed: u64, size: [i64; 4], last: bool) -> Tensor {
        let drawn = seeded(seed, Device::Cpu, || Tensor::randn(size, (Kind::Double, Device::Cpu)));
        let laid = if last { super::super::channels_last(&drawn) } else { drawn };
        laid.detach().set_requires_grad(true)
    }

    /// Output and gradients of two ways to convolve.
    #[track_caller]
    fn check(leaves: &[&Tensor], ours: &Tensor, plain: &Tensor) {
        let all = |out: &Tensor| {
            let loss = out.square().sum(Kind::Double);
            let mut found = Tensor::run_backward(&[loss], leaves, false, false);
            found.push(out.shallow_clone());
            found
        };
        for (ours, plain) in all(ours).iter().zip(all(plain)) {
            assert_eq!(ours.size(), plain.size());
            assert!(plain.abs().max().double_value(&[]) > 0.1);
            assert!((ours - plain).abs().max().double_value(&[]) < 1e-12);
        }
    }

    #[rstest]
    fn a_product_is_the_convolution_by_a_point(
        #[values(false, true)] last: bool,
        #[values(false, true)] biased: bool,
        #[values((5, 6), (1, 1))] side: (i64, i64),
    ) {
        let (height, width) = side;
        let (x, weight) = (normal(1, [2, 3, height, width], last), normal(2, [4, 3, 1, 1], last));
        let bias = normal(3, [4, 1, 1, 1], false).reshape([4]);
        let bias = biased.then_some(&bias);
        let plain = x.conv2d(&weight, bias, 1, 0, 1, 1);
        check(&[&x, &weight], &pointwise(&x, &weight, bias), &plain);
    }

    #[rstest]
    fn a_depthwise_convolution_is_the_same_in_either_order(
        #[values(false, true)] last: bool,
        #[values((1, 2, 1), (2, 3, 1), (1, 4, 2), (2, 4, 2))] steps: Steps,
    ) {
        let side = if steps.1 == 3 { 7 } else { 5 };
        let (x, weight) = (normal(1, [2, 3, 9, 8], last), normal(2, [3, 1, side, side], last));
        let (stride, padding, dilation) = steps;
        let plain = x.conv2d(&weight, None::<Tensor>, stride, padding, dilation, 3);
        let ours = depthwise(&x, &weight, None, steps);
        assert!(ours.is_contiguous(), "small maps stay as they are");
        check(&[&x, &weight], &ours, &plain);
    }

    #[test]
    fn the_hosts_time_counts_in_small_maps_only() {
        let of = |size: [i64; 4], kind| Tensor::empty(size, (kind, Device::Cpu));
        let kernel = |side| of([64, 1, side, side], Kind::Float);
        let (small, large) = ([64, 64, 28, 28], [64, 144, 56, 56]);
        assert!(own_depthwise(&of(small, Kind::Float), &kernel(3), 1));
        assert!(!own_depthwise(&of(large, Kind::Float), &kernel(5), 1));
        assert!(own_depthwise(&of(large, Kind::Float), &kernel(5), 2), "dilated");
        assert!(own_depthwise(&of(large, Kind::Float), &kernel(7), 1), "its gradient is slow");
        assert!(!own_depthwise(&of(large, Kind::BFloat16), &kernel(7), 1), "fast in halves");
        let point = of([32, 64, 1, 1], Kind::Float);
        assert!(as_product(&of(small, Kind::Float), &point, (1, 0, 1)));
        assert!(!as_product(&of(small, Kind::Float), &point, (2, 0, 1)));
        assert!(!as_product(&of(small, Kind::Float), &kernel(3), (1, 1, 1)));
        assert!(!as_product(&of(large, Kind::Float), &point, (1, 0, 1)));
    }
}
