//! Batch norm and layer norm.

use skein_core::graph::{BATCH_NORM_EPS, BATCH_NORM_MOMENTUM, LAYER_NORM_EPS};
use tch::Tensor;

use super::leading::Steps;
use crate::kernels;

/// Which statistics batch norm uses and what happens to the running ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistics {
    /// The batch's, and the running ones move towards them.
    Train,
    /// The running ones.
    Running,
    /// The batch's; the running ones stay.
    Batch,
    /// The batch's, and the running ones become the mean over all batches so far, of which this
    /// is the n-th, from 1.
    Estimate(u32),
}

impl Statistics {
    /// The same numbers, while the running statistics stay.
    #[must_use]
    pub fn again(self) -> Self {
        match self {
            Self::Train | Self::Batch | Self::Estimate(_) => Self::Batch,
            Self::Running => Self::Running,
        }
    }
}

/// Normalises over all but the channels.
///
/// # Shapes
/// - `x`: `[batch, channels, height, width]`; everything else `[channels]`.
pub fn forward(
    x: &Tensor,
    scale: Option<&Tensor>,
    shift: Option<&Tensor>,
    (mean, variance): (&Tensor, &Tensor),
    statistics: Statistics,
) -> Tensor {
    let run = |running: bool, training, momentum| {
        let (mean, variance) = (running.then_some(mean), running.then_some(variance));
        x.batch_norm(scale, shift, mean, variance, training, momentum, BATCH_NORM_EPS, true)
    };
    let out = match statistics {
        Statistics::Train => run(true, true, BATCH_NORM_MOMENTUM),
        Statistics::Running => run(true, false, BATCH_NORM_MOMENTUM),
        Statistics::Batch => run(false, true, BATCH_NORM_MOMENTUM),
        Statistics::Estimate(batch) => run(true, true, 1.0 / f64::from(batch)),
    };
    if out.requires_grad() && !x.device().is_cuda() {
        // Otherwise libtorch would compute the gradient of `x` in a scalar loop.
        kernels::order_gradient(&out, x);
    }
    out
}

/// Normalises over the last dimension.
///
/// # Shapes
/// - `x`: `[…, features]`; `scale` and `shift`: `[features]`.
pub fn layer(x: &Tensor, scale: &Tensor, shift: Option<&Tensor>) -> Tensor {
    x.layer_norm(scale.size(), Some(scale), shift, LAYER_NORM_EPS, true)
}

/// The mixture of the layer norms over several widths: `γ ⊙ Σ_e a_e · pad(norm(x[..e])) + β`, so
/// that a candidate's statistics are those of its own features.
///
/// # Shapes
/// - `x`: `[…, features]`; `scale`: `[features]`, not masked; `shift`: `[features]`, masked;
///   `weights`: one entry per width.
pub fn mixed_layer(
    x: &Tensor,
    scale: &Tensor,
    shift: Option<&Tensor>,
    (weights, widths): (&Tensor, &[i64]),
) -> Tensor {
    let steps = Steps::of(widths.iter().copied());
    let parts = steps.leading(x, -1);
    let normed: Vec<Tensor> = steps
        .leading(scale, 0)
        .into_iter()
        .zip(&parts)
        .zip(0..)
        .map(|((scale, part), at)| layer(part, &(scale * weights.get(at)), None))
        .collect();
    let mixed = steps.joined(&normed, -1);
    shift.map_or_else(|| mixed.shallow_clone(), |shift| &mixed + shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::seed::seeded;
    use tch::{Device, Kind};

    #[test]
    fn widths_are_mixed_as_if_each_were_padded() {
        let place = (Kind::Double, Device::Cpu);
        let x = seeded(1, Device::Cpu, || Tensor::randn([3, 4, 8], place)) * 2.0 + 1.0;
        let scale = seeded(2, Device::Cpu, || Tensor::randn([8], place));
        let shift = seeded(3, Device::Cpu, || Tensor::randn([8], place));
        let rows = Tensor::from_slice(&[0.5, 0.2, 0.3]).set_requires_grad(true);
        let x = x.set_requires_grad(true);
        let widths = [3, 5, 8];
        let ours = mixed_layer(&x, &scale, Some(&shift), (&rows, &widths));
        let mut plain = x.detach().zeros_like();
        for (width, at) in widths.into_iter().zip(0..) {
            let part = x.narrow(-1, 0, width);
            let normed = layer(&part, &Tensor::ones([width], place), None);
            plain += normed.constant_pad_nd([0, 8 - width]) * rows.get(at);
        }
        let plain = plain * &scale + &shift;
        let weights = Tensor::arange(8, place) - 3.0;
        let with_gradients = |out: Tensor| {
            let loss = (&out * &weights).square().sum(Kind::Double);
            let mut found = Tensor::run_backward(&[&loss], &[&x, &rows], false, false);
            found.push(out);
            found
        };
        for (ours, plain) in with_gradients(ours).iter().zip(&with_gradients(plain)) {
            assert!(plain.abs().max().double_value(&[]) > 0.1);
            assert!((ours - plain).abs().max().double_value(&[]) < 1e-10);
        }
    }

    /// Of a mean every number of the gradient is the same one in memory, and of a part of a map it
    /// has gaps; for both, libtorch's gradient of batch norm would take its scalar loop.
    #[test]
    fn gradients_arrive_in_the_order_of_the_map() {
        let place = (Kind::Float, Device::Cpu);
        let numbers = || Tensor::ones([8], place);
        let x = seeded(1, Device::Cpu, || Tensor::randn([2, 5, 6, 8], place));
        let x = x.permute([0, 3, 1, 2]).set_requires_grad(true);
        for read in [
            |out: &Tensor| out.mean_dim([2_i64, 3].as_slice(), false, Kind::Float),
            |out: &Tensor| out.narrow(1, 2, 4),
            |out: &Tensor| out.contiguous(),
        ] {
            let out = forward(&x, None, None, (&numbers(), &numbers()), Statistics::Train);
            let loss = read(&out).square().sum(Kind::Float);
            let gradient = Tensor::run_backward(&[loss], &[&out], false, false).remove(0);
            assert_eq!(gradient.stride(), x.stride());
        }
    }

    #[test]
    fn an_estimate_is_the_mean_over_batches() {
        let options = (Kind::Double, Device::Cpu);
        let batches: Vec<Tensor> = (0..3)
            .map(|seed| seeded(seed, Device::Cpu, || Tensor::randn([4, 2, 3, 3], options)) + 2.0)
            .collect();
        let (mean, variance) = (Tensor::full([2], 9.0, options), Tensor::full([2], 9.0, options));
        for (batch, at) in batches.iter().zip(1..) {
            let _ = forward(batch, None, None, (&mean, &variance), Statistics::Estimate(at));
        }
        let expected: Tensor = batches
            .iter()
            .map(|b| b.mean_dim([0_i64, 2, 3].as_slice(), false, Kind::Double))
            .sum::<Tensor>()
            / 3.0;
        assert!((mean - expected).abs().max().double_value(&[]) < 1e-12);
    }
}
