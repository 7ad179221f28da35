//! Which images a step takes: counted, so that any step can be asked for.

use crate::state::seed::{Stream, permutation};

/// Some images of a data set, shuffled anew for each pass over them.
#[derive(Debug, Clone)]
pub struct Order {
    images: Vec<i64>,
    batch: usize,
    repeats: usize,
    seed: u64,
    stream: Stream,
    /// The pass whose order is at hand.
    pass: Option<(u64, Vec<i64>)>,
}

impl Order {
    /// The images at these positions, which must rise, in batches of at most `batch`.
    #[must_use]
    pub fn new(images: Vec<i64>, batch: u64, seed: u64, stream: Stream) -> Self {
        let batch = usize::try_from(batch).unwrap_or(usize::MAX).clamp(1, images.len().max(1));
        Self { images, batch, repeats: 1, seed, stream, pass: None }
    }

    /// Takes each image so many times in a row (repeated augmentation, arXiv:1902.05509); a pass
    /// stays as long and so leaves the other images out.
    #[must_use]
    pub fn repeated(mut self, repeats: u64) -> Self {
        self.repeats = usize::try_from(repeats).unwrap_or(1).max(1);
        self
    }

    /// Batches of one pass; the last may be smaller.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.images.len().div_ceil(self.batch) as u64
    }

    /// Whether the example behind one of these is one of these too.
    #[must_use]
    pub fn goes_on(&self, position: i64) -> bool {
        self.images.binary_search(&(position + 1)).is_ok()
    }

    /// Positions of the images of a step, counted over all passes.
    pub fn positions(&mut self, step: u64) -> Vec<i64> {
        let (pass, within) = (step / self.steps(), step % self.steps());
        let order = match self.pass.take() {
            Some((known, order)) if known == pass => order,
            _ => permutation(self.images.len(), self.seed, self.stream, pass),
        };
        let start = usize::try_from(within).unwrap_or(0) * self.batch;
        let end = (start + self.batch).min(self.images.len());
        let positions = (start..end)
            .map(|at| self.images[usize::try_from(order[at / self.repeats]).unwrap_or(0)])
            .collect();
        self.pass = Some((pass, order));
        positions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_takes_every_image_once_and_any_step_can_be_asked_for() {
        let order = || Order::new((100..110).collect(), 4, 3, Stream::WeightOrder);
        let (mut forwards, mut backwards) = (order(), order());
        assert_eq!(forwards.steps(), 3);
        let steps: Vec<Vec<i64>> = (0..6).map(|step| forwards.positions(step)).collect();
        for step in (0..6).rev() {
            assert_eq!(backwards.positions(step), steps[usize::try_from(step).unwrap()]);
        }
        for pass in [&steps[..3], &steps[3..]] {
            let mut all = pass.concat();
            all.sort_unstable();
            assert_eq!(all, (100..110).collect::<Vec<i64>>());
        }
        assert_ne!(steps[..3], steps[3..]);
    }

    #[test]
    fn repeated_images_come_in_a_row_and_a_pass_stays_as_long() {
        let mut order = Order::new((100..110).collect(), 4, 3, Stream::FitOrder).repeated(3);
        assert_eq!(order.steps(), 3);
        let taken: Vec<i64> = (0..3).flat_map(|step| order.positions(step)).collect();
        assert_eq!(taken.len(), 10);
        let groups: Vec<&[i64]> = taken.chunks(3).collect();
        assert!(groups.iter().all(|group| group.iter().all(|image| *image == group[0])));
        let mut different: Vec<i64> = groups.iter().map(|group| group[0]).collect();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), 4);
    }
}
