//! The largest network as a teacher: its predictions are soft labels for the sub-nets.

use skein_core::choice::Architecture;
use tch::Tensor;

use crate::EngineError;
use crate::exec::{Pass, Plan};
use crate::search::bilevel::Batch;
use crate::search::supernet::Supernet;
use crate::store::Store;

/// A store of its own with these weights and statistics.
///
/// # Errors
/// - [`EngineError::Shape`] if they do not belong to this supernet.
pub fn copy(
    net: &Supernet,
    (weights, statistics): (&Tensor, &Tensor),
) -> Result<Store, EngineError> {
    let mut store = Store::zeroed(net.graph(), net.compute);
    store.weights.load(weights)?;
    store.stats.load(statistics)?;
    Ok(store)
}

/// The teacher's probabilities for a batch. As in the published code it sees the batch's own
/// statistics; unlike there, nothing is dropped.
///
/// # Shapes
/// - returned: `[batch, classes]`, or `[batch, tokens, classes]`.
///
/// # Errors
/// - [`EngineError`] if libtorch refuses.
pub fn predictions(
    net: &Supernet,
    store: &Store,
    largest: &Architecture,
    batch: &Batch,
) -> Result<Tensor, EngineError> {
    let plan = Plan::Path(largest, None);
    let logits = tch::no_grad(|| net.exec.forward(store, &batch.x, plan, Pass::BATCH))?;
    Ok(logits.softmax(-1, logits.kind()))
}

/// Mean cross-entropy in nats with probabilities instead of labels.
///
/// # Shapes
/// - `logits`, `soft`: `[…, classes]`.
pub fn soft_cross_entropy(logits: &Tensor, soft: &Tensor) -> Tensor {
    let kind = logits.kind();
    let each = (soft * logits.log_softmax(-1, kind)).sum_dim_intlist(-1, false, kind);
    -each.mean(kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::bilevel::cross_entropy;

    /// Two examples of two classes by hand. The teacher says 3/4 and 1/4 of both; at equal logits
    /// the student says 1/2, so the gradient is `(1/2 − 3/4, 1/2 − 1/4)/2` from the teacher and
    /// `(1/2 − 1, 1/2)/2` from a label 0. At logits `(ln 3, 0)` it agrees with the teacher, which
    /// leaves the label's `(3/4 − 1, 1/4)/2`.
    #[test]
    fn the_gradient_of_distillation_is_the_one_worked_out_by_hand() {
        let logits = Tensor::from_slice(&[0.0, 0.0, 3.0_f64.ln(), 0.0]).view([2, 2]);
        let logits = logits.set_requires_grad(true);
        let soft = Tensor::from_slice(&[0.75, 0.25, 0.75, 0.25_f64]).view([2, 2]);
        let (y, kd_ratio) = (Tensor::from_slice(&[0_i64, 0]), 2.0);
        let distance = soft_cross_entropy(&logits, &soft);
        let entropy = -(0.75 * 0.75_f64.ln() + 0.25 * 0.25_f64.ln());
        let expected = f64::midpoint(2.0_f64.ln(), entropy);
        assert!((distance.double_value(&[]) - expected).abs() < 1e-15);
        let loss = cross_entropy(&logits, &y) + distance * kd_ratio;
        let gradient = Tensor::run_backward(&[loss], &[&logits], false, false).remove(0);
        let expected = [-0.25 - 0.125 * kd_ratio, 0.25 + 0.125 * kd_ratio, -0.125, 0.125];
        for (got, expected) in
            Vec::<f64>::try_from(gradient.view([4])).unwrap().iter().zip(expected)
        {
            assert!((got - expected).abs() < 1e-15, "{got} against {expected}");
        }
    }
}
