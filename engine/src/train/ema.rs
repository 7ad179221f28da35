//! A moving average of a network's weights and running statistics.

use tch::Tensor;

use crate::EngineError;
use crate::store::Store;

/// The average after some steps.
#[derive(Debug)]
pub struct Ema {
    /// Share of the average that a step keeps, once it has seen enough of them.
    pub decay: f64,
    /// Averaged weights.
    pub weights: Tensor,
    /// Averaged running statistics.
    pub stats: Tensor,
}

impl Ema {
    /// The average before the first step: the start itself.
    #[must_use]
    pub fn new(decay: f64, start: &Store) -> Self {
        let (weights, stats) = (start.weights.buffer().copy(), start.stats.buffer().copy());
        Self { decay, weights, stats }
    }

    /// Takes in what a step, counted from 1, led to. The first steps count more, so that the
    /// start is soon forgotten.
    pub fn follow(&mut self, store: &Store, step: u64) {
        #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
        let step = step as f64;
        let kept = self.decay.min((1.0 + step) / (10.0 + step));
        tch::no_grad(|| {
            for (average, now) in [
                (&mut self.weights, store.weights.buffer()),
                (&mut self.stats, store.stats.buffer()),
            ] {
                *average *= kept;
                *average += now * (1.0 - kept);
            }
        });
    }

    /// Copies the average into a network's store.
    ///
    /// # Errors
    /// - [`EngineError::Shape`] if it is another network's.
    pub fn write(&self, store: &mut Store) -> Result<(), EngineError> {
        store.weights.load(&self.weights)?;
        store.stats.load(&self.stats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Compute;
    use skein_core::spaces::{self, toy_cell};
    use skein_core::spec::Sharing;

    #[test]
    fn the_average_follows_its_formula_and_comes_back_into_a_network() {
        let space = (toy_cell::PRESET.defaults)();
        let graph = spaces::build(&space, toy_cell::PRESET.shape, Sharing::Entangled).unwrap();
        let mut store = Store::zeroed(&graph, Compute::exact());
        let mut ema = Ema::new(0.5, &store);
        let mut by_hand = 0.0;
        for (value, step) in [1.0, 3.0, -2.0].into_iter().zip(1..) {
            let content = store.weights.buffer().full_like(value);
            store.weights.load(&content).unwrap();
            ema.follow(&store, step);
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let kept = 0.5_f64.min((1 + step) as f64 / (10 + step) as f64);
            by_hand = kept * by_hand + (1.0 - kept) * value;
        }
        ema.write(&mut store).unwrap();
        let (low, high) = (store.weights.buffer().min(), store.weights.buffer().max());
        assert!((low.double_value(&[]) - by_hand).abs() < 1e-12);
        assert!((high.double_value(&[]) - by_hand).abs() < 1e-12);
    }
}
