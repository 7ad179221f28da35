//! The learning rate over a training: a linear rise, then half a cosine.

/// A learning rate by step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The rate after the rise.
    pub start: f64,
    /// The rate at the end.
    pub end: f64,
    /// Steps of the rise.
    pub warmup: u64,
    /// All steps.
    pub total: u64,
    /// Steps for which the cosine stands still: those of an epoch, or 1.
    pub every: u64,
}

impl Schedule {
    /// The rate of a step, from 0.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.start * (step + 1) as f64 / (self.warmup + 1) as f64;
        }
        let held = step - step % self.every.max(1);
        let (position, total) =
            (held.saturating_sub(self.warmup), self.total.saturating_sub(self.warmup));
        cosine(self.start, self.end, position, total)
    }
}

/// Cosine schedule from `start` to `end` over `total`, at `position`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "epochs and steps are far below 2^52")]
pub fn cosine(start: f64, end: f64, position: u64, total: u64) -> f64 {
    let share = position as f64 / total.max(1) as f64;
    end + (start - end) * (1.0 + (std::f64::consts::PI * share).cos()) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_step_by_step_then_falls_epoch_by_epoch() {
        let rate = Schedule { start: 1.0, end: 0.0, warmup: 4, total: 12, every: 4 };
        let seen: Vec<f64> = (0..12).map(|step| rate.at(step)).collect();
        assert_eq!(seen[..5], [0.2, 0.4, 0.6, 0.8, 1.0]);
        assert_eq!(seen[4], seen[7]);
        assert!((seen[8] - 0.5).abs() < 1e-15 && seen[8] == seen[11], "{seen:?}");
    }

    #[test]
    fn without_a_rise_it_is_the_cosine_of_epochs_to_the_last_bit() {
        let rate = Schedule { start: 0.025, end: 1e-3, warmup: 0, total: 7 * 33, every: 33 };
        for step in 0..7 * 33 {
            assert_eq!(rate.at(step), cosine(0.025, 1e-3, step / 33, 7));
        }
    }
}
