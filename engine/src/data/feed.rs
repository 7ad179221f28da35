//! Batches that are prepared ahead, on a thread of their own.
//!
//! Which images a step takes and what is done to them is counted, so batches prepared ahead are
//! those that would be prepared in time, bit for bit.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Examples;
use super::augment::Augment;
use super::order::Order;
use crate::EngineError;
use crate::search::bilevel::Batch;
use crate::search::sampler::At;
use crate::state::seed::Stream;

/// Steps whose batches wait at most, besides the one that is being prepared.
const AHEAD: usize = 2;

/// Where a step's batches come from: one of each part.
#[derive(Debug)]
pub struct Source {
    /// The images, or windows of a text.
    pub images: Examples,
    /// Which of them, with the stream that changes them.
    pub parts: Vec<(Order, Stream)>,
    /// How they are changed.
    pub augment: Augment,
    /// Seed of the run.
    pub seed: u64,
}

impl Source {
    /// The same source, for a thread.
    #[must_use]
    pub fn share(&self) -> Self {
        Self {
            images: self.images.share(),
            parts: self.parts.clone(),
            augment: self.augment,
            seed: self.seed,
        }
    }

    /// The batches of a step, in the order of the parts.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if memory runs out.
    pub fn prepare(&mut self, step: u64) -> Result<Vec<Batch>, EngineError> {
        let Self { images, parts, augment, seed } = self;
        let batches = parts.iter_mut().map(|(order, stream)| {
            let at = At { seed: *seed, stream: *stream, step };
            images.changed(order, augment, at)
        });
        batches.collect()
    }
}

type Prepared = (u64, Result<Vec<Batch>, EngineError>);

/// Batches of consecutive steps; ends its thread when it is dropped.
#[derive(Debug)]
pub struct Feed {
    /// Absent only while it is dropped.
    prepared: Option<Receiver<Prepared>>,
    thread: Option<JoinHandle<()>>,
    next: u64,
}

impl Feed {
    /// Begins to prepare the batches of the steps from `first` up to but not including `end`.
    ///
    /// # Errors
    /// - [`EngineError::Bug`] if the system gives no thread.
    pub fn start(source: Source, first: u64, end: u64) -> Result<Self, EngineError> {
        let (sender, prepared) = sync_channel(AHEAD);
        let thread = std::thread::Builder::new()
            .name("feed".to_owned())
            .spawn(move || prepare_all(source, first..end, &sender))
            .map_err(|error| EngineError::Bug(format!("no thread for the input: {error}")))?;
        Ok(Self { prepared: Some(prepared), thread: Some(thread), next: first })
    }

    /// Whether the step's batches come next.
    #[must_use]
    pub fn is_at(&self, step: u64) -> bool {
        self.next == step
    }

    /// The batches of the next step.
    ///
    /// # Errors
    /// - whatever went wrong when they were prepared.
    pub fn take(&mut self) -> Result<Vec<Batch>, EngineError> {
        let prepared = self.prepared.as_ref().and_then(|prepared| prepared.recv().ok());
        let ended = || EngineError::Bug(format!("the input ended before step {}", self.next));
        let (step, batches) = prepared.ok_or_else(ended)?;
        self.next = step + 1;
        batches
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // A thread that waits to hand over sees the other end gone.
        self.prepared = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn prepare_all(mut source: Source, steps: std::ops::Range<u64>, sender: &SyncSender<Prepared>) {
    for step in steps {
        let batches = source.prepare(step);
        let failed = batches.is_err();
        if sender.send((step, batches)).is_err() || failed {
            return;
        }
    }
}

/// How long iterations took, and how much of that they waited for input.
#[derive(Debug, Default)]
pub struct InputWait {
    waited: Duration,
    took: Duration,
}

impl InputWait {
    /// Notes an iteration that began and had its input at these times, and ends now.
    pub fn note(&mut self, began: Instant, had_input: Instant) {
        self.waited += had_input - began;
        self.took += began.elapsed();
    }

    /// The share of time that was waited since it was last asked, `0..=1`.
    pub fn take(&mut self) -> f64 {
        let Self { waited, took } = std::mem::take(self);
        if took.is_zero() { 0.0 } else { waited.as_secs_f64() / took.as_secs_f64() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Images;
    use crate::device::Compute;
    use skein_core::dataset::find;

    fn source() -> Source {
        let images = Images::random(find("cifar-10").unwrap(), 50, Compute::exact()).unwrap();
        let images = Examples::Images(images);
        let order = |first, stream| Order::new((first..first + 25).collect(), 8, 3, stream);
        Source {
            images,
            parts: vec![
                (order(0, Stream::WeightOrder), Stream::WeightAugment),
                (order(25, Stream::ArchOrder), Stream::ArchAugment),
            ],
            augment: Augment {
                crop: 4,
                resized_crop: 0.5,
                flip: true,
                flip_vertical: true,
                cutout: 8,
                rand_augment: 9.0,
                color_jitter: 0.4,
                random_erasing: 0.5,
            },
            seed: 3,
        }
    }

    fn equal(a: &[Batch], b: &[Batch]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.x == b.x && a.y == b.y)
    }

    #[test]
    fn batches_prepared_ahead_are_those_prepared_in_time() {
        let mut inline = source();
        let mut feed = Feed::start(source(), 0, 9).unwrap();
        for step in 0..9 {
            assert!(feed.is_at(step));
            assert!(equal(&feed.take().unwrap(), &inline.prepare(step).unwrap()), "step {step}");
        }
        assert!(feed.take().unwrap_err().to_string().contains("ended before step 9"));
        let mut later = Feed::start(source(), 6, 9).unwrap();
        assert!(equal(&later.take().unwrap(), &inline.prepare(6).unwrap()), "from the middle");
    }

    #[test]
    fn parts_are_changed_each_in_its_own_way() {
        let batches = source().prepare(0).unwrap();
        assert_eq!(batches[0].x.size(), [8, 3, 32, 32]);
        let blank = |batch: &Batch| batch.x.get(0).eq(0.0).to_kind(tch::Kind::Int64);
        assert_ne!(blank(&batches[0]), blank(&batches[1]), "the squares lie elsewhere");
    }

    #[test]
    fn an_error_reaches_the_one_who_asks() {
        let mut broken = source();
        broken.parts.truncate(1);
        broken.parts[0].0 = Order::new(vec![1_000_000], 8, 3, Stream::WeightOrder);
        let mut feed = Feed::start(broken, 0, 9).unwrap();
        assert!(matches!(feed.take(), Err(EngineError::Tensor(_))));
    }

    #[test]
    fn a_feed_that_is_left_early_ends_its_thread() {
        for taken in 0..3 {
            let mut feed = Feed::start(source(), 0, 1_000_000).unwrap();
            for _ in 0..taken {
                feed.take().unwrap();
            }
            drop(feed);
        }
    }

    #[test]
    fn the_share_of_waiting_counts_from_the_last_time_it_was_asked() {
        let mut wait = InputWait::default();
        assert_eq!(wait.take(), 0.0);
        let now = Instant::now();
        let began = now.checked_sub(Duration::from_secs(100)).unwrap();
        wait.note(began, began + Duration::from_secs(25));
        assert!((wait.take() - 0.25).abs() < 0.01);
        assert_eq!(wait.take(), 0.0);
    }
}
