//! GDAS: straight-through Gumbel-softmax samples (arXiv:1910.04465).

use tch::{Kind, Tensor};

/// Temperature of an epoch: linear from `start` to `end`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "epochs are few")]
pub fn temperature(start: f64, end: f64, epoch: u64, epochs: u64) -> f64 {
    start - (start - end) * epoch as f64 / (epochs.max(2) - 1) as f64
}

/// Draws every row with libtorch's generator, which the caller seeds.
///
/// # Shapes
/// - `alpha` and returned: `[…, options]`; one-hot in value, with the softmax's gradient.
pub fn draw(alpha: &Tensor, tau: f64) -> Tensor {
    loop {
        let noise = alpha.detach().empty_like().exponential(1.0);
        let row = straight_through(alpha, &noise, tau);
        // A zero among the exponentials has an infinite logarithm.
        if row.isfinite().all().int64_value(&[]) == 1 {
            return row;
        }
    }
}

/// The sample that this exponential noise gives.
pub fn straight_through(alpha: &Tensor, noise: &Tensor, tau: f64) -> Tensor {
    let gumbel: Tensor = -noise.log();
    let soft = ((alpha.log_softmax(-1, alpha.kind()) + gumbel) / tau).softmax(-1, alpha.kind());
    let top = soft.argmax(-1, true);
    let hard =
        tch::no_grad(|| soft.zeros_like().scatter_value(-1, &top, 1.0)).to_kind(Kind::Double);
    hard - soft.detach() + &soft
}
