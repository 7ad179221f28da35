//! Batch norm.

use skein_core::graph::{BATCH_NORM_EPS, BATCH_NORM_MOMENTUM};
use tch::Tensor;

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
    match statistics {
        Statistics::Train => run(true, true, BATCH_NORM_MOMENTUM),
        Statistics::Running => run(true, false, BATCH_NORM_MOMENTUM),
        Statistics::Batch => run(false, true, BATCH_NORM_MOMENTUM),
        Statistics::Estimate(batch) => run(true, true, 1.0 / f64::from(batch)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::seed::seeded;
    use tch::{Device, Kind};

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
