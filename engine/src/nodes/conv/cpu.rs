//! Depth-wise convolutions on a CPU that are computed by our own loops.

use skein_core::graph::Conv2d;
use tch::{Device, Kind, Tensor};

use crate::arithmetic::Arithmetic;
use crate::device::Compute;
use crate::kernels::{self, LANES, MOST_POINTS};

/// Whether our own loops compute a convolution whatever its sizes become, so that nobody need store
/// the ReLU that it reads.
pub(crate) fn takes_relu(conv: &Conv2d, compute: Compute) -> bool {
    let own = compute.device == Device::Cpu
        && compute.kind == Kind::Float
        && compute.arithmetic != Arithmetic::Bfloat16;
    let mut channels = conv.out_channels.values().into_iter();
    own && !conv.bias && channels.all(|(_, count)| fits(conv, count, conv.kernel.largest()))
}

/// Whether our own loops compute a convolution with these very tensors.
pub(super) fn own_depthwise(
    conv: &Conv2d,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> bool {
    let size = weight.size();
    let takes = kernels::take(x) && kernels::take(weight) && bias.is_none();
    takes && size[2] == size[3] && fits(conv, size[0], size[2])
}

fn fits(conv: &Conv2d, channels: i64, side: i64) -> bool {
    let steps = conv.stride <= 2 && conv.dilation <= 2;
    conv.depthwise && steps && channels % LANES == 0 && side <= MOST_POINTS
}

#[cfg(test)]
mod tests {
    use super::super::gpu::Steps;
    use super::*;
    use crate::kernels::depthwise;
    use crate::state::seed::seeded;
    use proptest::prelude::*;
    use rstest::rstest;

    fn normal(seed: u64, size: [i64; 4]) -> Tensor {
        let place = (Kind::Float, Device::Cpu);
        seeded(seed, Device::Cpu, || Tensor::randn(size, place)).set_requires_grad(true)
    }

    /// Output, gradient of the map and gradient of the weight, for a gradient of noise.
    fn all(out: &Tensor, leaves: &[&Tensor; 2]) -> Vec<Tensor> {
        let noise = normal(9, out.size().try_into().unwrap()).detach().to_kind(out.kind());
        let mut found =
            Tensor::run_backward(&[(out * noise).sum(out.kind())], leaves, false, false);
        found.push(out.detach());
        found
    }

    /// Compares with libtorch's in double precision.
    fn check(x: &Tensor, weight: &Tensor, steps: Steps, relu: bool) {
        let (stride, padding, dilation) = steps;
        let size = weight.size();
        let conv = Conv2d::depthwise(size[0], size[2], stride, dilation);
        assert!(own_depthwise(&conv, x, weight, None));
        let ours = all(&depthwise(x, weight, steps, relu), &[x, weight]);
        let double = |tensor: &Tensor| {
            tensor.detach().to_kind(Kind::Double).contiguous().set_requires_grad(true)
        };
        let (map, kernel) = (double(x), double(weight));
        let none = None::<Tensor>;
        let read = if relu { map.relu() } else { map.shallow_clone() };
        let plain = read.conv2d(&kernel, none, stride, padding, dilation, weight.size()[0]);
        for (ours, exact) in ours.iter().zip(all(&plain, &[&map, &kernel])) {
            assert_eq!(ours.size(), exact.size());
            let error = (ours.to_kind(Kind::Double) - &exact).abs().max().double_value(&[]);
            let largest = exact.abs().max().double_value(&[]).max(1.0);
            assert!(error < 1e-5 * largest, "{steps:?}, {:?}: {error}", x.size());
        }
    }

    /// Kernels, strides and dilations of every space, at the sides of their maps.
    #[rstest]
    fn it_is_the_convolution(
        #[values(3, 5, 7)] kernel: i64,
        #[values(1, 2)] stride: i64,
        #[values(1, 2)] dilation: i64,
        #[values((32, 28), (48, 7), (16, 15))] (channels, side): (i64, i64),
        #[values(false, true)] relu: bool,
    ) {
        let (x, weight) =
            (normal(1, [3, channels, side, side]), normal(2, [channels, 1, kernel, kernel]));
        check(&x, &weight, (stride, dilation * (kernel / 2), dilation), relu);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn it_is_the_convolution_whatever_the_sizes(
            batch in 1_i64..20,
            blocks in 1_i64..4,
            kernel in 1_i64..=7,
            stride in 1_i64..=2,
            dilation in 1_i64..=2,
            padding in 0_i64..8,
            more in (0_i64..9, 0_i64..9),
            channels_last: bool,
            relu: bool,
        ) {
            let least = (dilation * (kernel - 1) + 1 - 2 * padding).max(1);
            let x = normal(3, [batch, 8 * blocks, least + more.0, least + more.1]);
            let x = if channels_last {
                super::super::channels_last(&x).detach().set_requires_grad(true)
            } else {
                x
            };
            let weight = normal(4, [8 * blocks, 1, kernel, kernel]);
            check(&x, &weight, (stride, padding, dilation), relu);
        }
    }

    /// A gradient that is one number everywhere has no memory of its own.
    #[test]
    fn maps_and_gradients_may_lie_in_any_order() {
        let (x, weight) = (normal(1, [2, 32, 9, 8]), normal(2, [16, 1, 3, 3]));
        let part = x.narrow(1, 8, 16);
        let ours = depthwise(&part, &weight, (1, 1, 1), false).mean(Kind::Float);
        let plain = part.conv2d(&weight, None::<Tensor>, 1, 1, 1, 16).mean(Kind::Float);
        let gradients = |out| Tensor::run_backward(&[out], &[&x, &weight], false, false);
        for (ours, plain) in gradients(ours).iter().zip(gradients(plain)) {
            assert!((ours - plain).abs().max().double_value(&[]) < 1e-6);
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let before = tch::get_num_threads();
        let (x, weight) = (normal(1, [21, 24, 13, 11]), normal(2, [24, 1, 5, 5]));
        let with = |threads| {
            tch::set_num_threads(threads);
            all(&depthwise(&x, &weight, (2, 2, 1), true), &[&x, &weight])
        };
        let (one, two, three) = (with(1), with(2), with(3));
        tch::set_num_threads(before);
        for (at, alone) in one.iter().enumerate() {
            assert!(alone.equal(&two[at]) && alone.equal(&three[at]));
        }
    }

    /// The gradient of either, differentiated by the other; also where the map is copied to be read.
    #[rstest]
    fn it_can_be_differentiated_twice(
        #[values(false, true)] relu: bool,
        #[values(false, true)] weight_first: bool,
        #[values(false, true)] channels_last: bool,
    ) {
        let (x, weight) = (normal(1, [2, 8, 6, 5]), normal(2, [8, 1, 3, 3]));
        let x = match channels_last {
            true => super::super::channels_last(&x).detach().set_requires_grad(true),
            false => x,
        };
        let order = if weight_first { [&weight, &x] } else { [&x, &weight] };
        let twice = |out: Tensor| {
            let out = out.square().sum(Kind::Float);
            let first = Tensor::run_backward(&[out], &order[..1], true, true);
            let second = first[0].square().sum(Kind::Float);
            Tensor::run_backward(&[second], &order[1..], false, false).remove(0)
        };
        let ours = twice(depthwise(&x, &weight, (1, 1, 1), relu));
        let read = if relu { x.relu() } else { x.shallow_clone() };
        let plain = twice(read.conv2d(&weight, None::<Tensor>, 1, 1, 1, 8));
        let largest = plain.abs().max().double_value(&[]);
        assert!((ours - plain).abs().max().double_value(&[]) < 1e-5 * largest);
    }

    /// A search that has gone astray must not look well.
    #[test]
    fn what_is_not_a_number_stays_so() {
        let (x, weight) = (normal(1, [1, 8, 3, 3]).detach() * f64::NAN, normal(2, [8, 1, 3, 3]));
        let x = x.set_requires_grad(true);
        let found = all(&depthwise(&x, &weight, (1, 1, 1), true), &[&x, &weight]);
        assert!(found[1..].iter().all(|tensor| bool::try_from(tensor.isnan().all()).unwrap()));
        let plain = x.relu().conv2d(&weight, None::<Tensor>, 1, 1, 1, 8);
        assert!((&found[0] - &all(&plain, &[&x, &weight])[0]).abs().max().double_value(&[]) < 1e-5);
    }

    #[test]
    fn double_precision_odd_channels_and_autocast_stay_with_libtorch() {
        let map = |kind, channels| Tensor::zeros([1, channels, 4, 4], (kind, Device::Cpu));
        let kernel =
            |kind, channels, side| Tensor::zeros([channels, 1, side, side], (kind, Device::Cpu));
        let single = Kind::Float;
        let conv = |stride| Conv2d::depthwise(8, 3, stride, 1);
        let own = |x: &Tensor, weight: &Tensor| own_depthwise(&conv(1), x, weight, None);
        let (x, weight) = (map(single, 8), kernel(single, 8, 3));
        assert!(own(&x, &weight));
        assert!(!own(&map(Kind::Double, 8), &kernel(Kind::Double, 8, 3)));
        assert!(!own(&map(single, 12), &kernel(single, 12, 3)));
        assert!(!own(&x, &kernel(single, 8, 9)));
        assert!(!own_depthwise(&conv(3), &x, &weight, None));
        assert!(!own_depthwise(
            &conv(1),
            &x,
            &weight,
            Some(&Tensor::zeros([8], (single, Device::Cpu)))
        ));
        let within = Arithmetic::Bfloat16.within(Device::Cpu, || own(&x, &weight));
        assert!(!within);
    }
}
