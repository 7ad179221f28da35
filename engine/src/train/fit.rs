//! Training of a fixed network from scratch, one step at a time.

use std::time::Instant;

use skein_core::graph::Graph;
use skein_core::spec::RunSpec;

use super::network::Network;
use crate::EngineError;
use crate::data::Images;
use crate::data::augment::Augment;
use crate::data::feed::{Feed, InputWait, Source};
use crate::data::order::Order;
use crate::device::Compute;
use crate::exec::Pass;
use crate::optim::schedule::cosine;
use crate::optim::weights::Decay;
use crate::optim::{Sgd, clip};
use crate::search::bilevel::{Batch, cross_entropy, outcome};
use crate::search::pending::Pending;
use crate::state::seed::{Stream, derive};

/// Momentum (Nesterov's) of the training from scratch.
const MOMENTUM: f64 = 0.9;
/// Largest norm of its gradient.
const CLIP: f64 = 5.0;

/// A training under way.
#[derive(Debug)]
pub struct Fit {
    /// The network.
    pub network: Network,
    /// Its optimizer.
    pub sgd: Sgd,
    /// Numbers since the last report.
    pub pending: Pending,
    /// Steps done.
    pub step: u64,
    /// How long steps waited for images since the last report.
    pub input_wait: InputWait,
    order: Order,
    augment: Augment,
    feed: Option<Feed>,
    epochs: u64,
    lr: f64,
    seed: u64,
}

impl Fit {
    /// A training at its beginning, on the images at these positions (or fewer, if the
    /// specification says so).
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn new(
        spec: &RunSpec,
        graph: Graph,
        mut images: Vec<i64>,
        compute: Compute,
    ) -> Result<Self, EngineError> {
        let after = &spec.after;
        if let Some(limit) = after.fit_limit.and_then(|limit| usize::try_from(limit).ok()) {
            images.truncate(limit);
        }
        Ok(Self {
            network: Network::fresh(graph, compute, spec.seed)?,
            sgd: Sgd {
                momentum: MOMENTUM,
                nesterov: true,
                decay: Decay::all(after.fit_weight_decay),
                velocity: None,
            },
            pending: Pending::new(&["loss", "accuracy", "gradient_norm"]),
            step: 0,
            order: Order::new(images, after.fit_batch_size, spec.seed, Stream::FitOrder),
            input_wait: InputWait::default(),
            augment: Augment { crop: spec.dataset.crop, flip: spec.dataset.flip, cutout: 0 },
            feed: None,
            epochs: after.fit_epochs,
            lr: after.fit_lr,
            seed: spec.seed,
        })
    }

    /// Steps of an epoch.
    #[must_use]
    pub fn steps_per_epoch(&self) -> u64 {
        self.order.steps()
    }

    /// Steps of the whole training.
    #[must_use]
    pub fn total_steps(&self) -> u64 {
        self.epochs * self.steps_per_epoch()
    }

    /// Learning rate of a step.
    #[must_use]
    pub fn lr(&self, step: u64) -> f64 {
        cosine(self.lr, 0.0, step, self.total_steps())
    }

    /// One step.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn iterate(&mut self, images: &Images) -> Result<(), EngineError> {
        let began = Instant::now();
        let batch = self.batch(images)?;
        let had_input = Instant::now();
        let pass = Pass::train(derive(self.seed, Stream::FitDropout, self.step));
        let logits = self.network.forward(&batch.x, pass)?;
        let loss = cross_entropy(&logits, &batch.y);
        let seen = outcome(&logits, &loss, &batch.y);
        let mut gradient = self.network.store.weights.gradient(&loss)?;
        let norm = clip(&mut gradient, CLIP);
        let lr = self.lr(self.step);
        self.sgd.step(self.network.store.weights.buffer(), gradient, lr);
        self.pending.push(&[&seen.loss, &seen.accuracy, &norm]);
        self.step += 1;
        self.input_wait.note(began, had_input);
        Ok(())
    }

    fn batch(&mut self, images: &Images) -> Result<Batch, EngineError> {
        let step = self.step;
        let feed = match self.feed.take().filter(|feed| feed.is_at(step)) {
            Some(feed) => feed,
            None => {
                let source = Source {
                    images: images.share(),
                    parts: vec![(self.order.clone(), Stream::FitAugment)],
                    augment: self.augment,
                    seed: self.seed,
                };
                Feed::start(source, step, self.total_steps())?
            }
        };
        let batch = self.feed.insert(feed).take()?.pop();
        batch.ok_or_else(|| EngineError::Bug("a step has no images".to_owned()))
    }
}
