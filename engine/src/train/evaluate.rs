//! Loss and accuracy over many examples.

use tch::{Kind, Tensor};

use crate::EngineError;
use crate::data::Examples;
use crate::search::bilevel::{Batch, cross_entropy};

/// What a network scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Mean cross-entropy in nats.
    pub loss: f64,
    /// Share of right answers, `0..=1`.
    pub accuracy: f64,
}

/// Scores `forward` on the examples at `positions`, in batches of at most `size`.
///
/// `forward` gets each batch and its index and returns the logits `[batch, classes]`, of a text `[batch, tokens, classes]`.
///
/// # Errors
/// - whatever `forward` returns.
pub fn evaluate(
    images: &Examples,
    positions: &[i64],
    size: usize,
    forward: impl FnMut(&Batch, u64) -> Result<Tensor, EngineError>,
) -> Result<Score, EngineError> {
    evaluate_telling(images, positions, size, forward, |_| Ok(()))
}

/// The same; `tell` hears after each batch how many examples are scored.
///
/// # Errors
/// - whatever `forward` or `tell` returns.
pub fn evaluate_telling(
    images: &Examples,
    positions: &[i64],
    size: usize,
    mut forward: impl FnMut(&Batch, u64) -> Result<Tensor, EngineError>,
    mut tell: impl FnMut(usize) -> Result<(), EngineError>,
) -> Result<Score, EngineError> {
    let _guard = tch::no_grad_guard();
    let mut total = Tensor::zeros([2], (Kind::Double, images.device()));
    let mut done = 0;
    for (positions, index) in positions.chunks(size.min(images.at_once())).zip(0..) {
        let batch = images.batch(positions)?;
        let logits = forward(&batch, index)?;
        let count = f64::from(u32::try_from(positions.len()).unwrap_or(u32::MAX));
        let loss = cross_entropy(&logits, &batch.y).to_kind(Kind::Double) * count;
        let right =
            logits.argmax(-1, false).eq_tensor(&batch.y).to_kind(Kind::Double).sum(Kind::Double);
        total += Tensor::stack(&[loss, right], 0);
        done += positions.len();
        tell(done)?;
    }
    let total = Vec::<f64>::try_from(&total.to_device(tch::Device::Cpu))?;
    let count = f64::from(u32::try_from(positions.len().max(1)).unwrap_or(u32::MAX));
    let labels = count * f64::from(u32::try_from(images.labels()).unwrap_or(1));
    Ok(Score { loss: total[0] / count, accuracy: total[1] / labels })
}

#[cfg(test)]
mod tests {
    use skein_core::dataset;

    use super::*;
    use crate::data::Images;
    use crate::device::Compute;

    #[test]
    fn it_tells_after_each_batch_how_many_are_scored() {
        let dataset = dataset::find("fashion-mnist").unwrap();
        let images = Examples::Images(Images::random(dataset, 10, Compute::PLAIN).unwrap());
        let forward = |batch: &Batch, _| {
            Ok(Tensor::zeros([batch.y.size()[0], 10], (Kind::Float, images.device())))
        };
        let (mut told, positions) = (vec![], [9, 1, 2, 3, 4, 5, 6]);
        let tell = |done| {
            told.push(done);
            Ok(())
        };
        let score = evaluate_telling(&images, &positions, 3, forward, tell).unwrap();
        assert_eq!(told, [3, 6, 7]);
        assert_eq!(score, evaluate(&images, &positions, 3, forward).unwrap());
        let enough = |_| Err(EngineError::Missing("patience".to_owned()));
        let error = evaluate_telling(&images, &positions, 3, forward, enough).unwrap_err();
        assert!(error.to_string().contains("patience"), "{error}");
    }
}
