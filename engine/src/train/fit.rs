//! Training of a fixed network, one step at a time.

use std::time::Instant;

use skein_core::spec::{AfterSpec, RunSpec, StageSpec, Unit, WarmupSpec};

use super::ema::Ema;
use super::mixing::Mixing;
use super::network::Network;
use super::stage::{Stage, Streams};
use super::trainee::{Recorded, Trainee};
use crate::EngineError;
use crate::data::Examples;
use crate::data::augment::Augment;
use crate::data::feed::{Feed, InputWait, Source};
use crate::data::order::Order;
use crate::exec::Pass;
use crate::optim::clip;
use crate::optim::schedule::Schedule;
use crate::optim::weights::{Decay, WeightOptimizer};
use crate::search::bilevel::{Batch, outcome};
use crate::search::pending::Pending;
use crate::search::sampler::At;
use crate::state::seed::derive;

/// A training under way.
#[derive(Debug)]
pub struct Fit {
    /// Which one.
    pub stage: Stage,
    /// The network.
    pub trainee: Trainee,
    /// Its optimizer.
    pub optimizer: WeightOptimizer,
    /// The average of its weights, if one is kept.
    pub ema: Option<Ema>,
    /// Numbers since the last report.
    pub pending: Pending,
    /// Steps done.
    pub step: u64,
    /// How long steps waited for images since the last report.
    pub input_wait: InputWait,
    source: Source,
    feed: Option<Feed>,
    streams: Streams,
    rate: Schedule,
    mixing: Mixing,
    smoothing: f64,
    /// Weight of the auxiliary head's loss.
    auxiliary: f64,
    clip: f64,
    per_epoch: u64,
    seed: u64,
}

/// What is trained on, for how long.
#[derive(Debug, Clone)]
pub struct Course {
    /// Which training.
    pub stage: Stage,
    /// How long, at which rates.
    pub asked: StageSpec,
    /// Decides its draws.
    pub seed: u64,
    /// Positions of its images.
    pub positions: Vec<i64>,
}

impl Fit {
    /// A training at its beginning.
    #[must_use]
    pub fn new(spec: &RunSpec, course: Course, trainee: Trainee, images: &Examples) -> Self {
        let Course { stage, asked, seed, positions } = course;
        let (after, streams) = (&spec.after, stage.streams());
        let order =
            Order::new(positions, after.batch_size, seed, streams.order).repeated(after.repeats);
        let per_epoch = order.steps();
        let warmup = WarmupSpec { length: asked.warmup_epochs, unit: Unit::Epochs };
        // An average lags behind, in a short training too far to tell anything.
        let averages = after.ema > 0.0 && stage != Stage::Finalist;
        Self {
            stage,
            optimizer: optimizer(after, &trainee.network),
            ema: averages.then(|| Ema::new(after.ema, &trainee.network.store)),
            pending: Pending::new(if trainee.has_head() {
                &["loss", "accuracy", "gradient_norm", "auxiliary_loss"]
            } else {
                &["loss", "accuracy", "gradient_norm"]
            }),
            trainee,
            step: 0,
            input_wait: InputWait::default(),
            source: Source {
                images: images.share(),
                parts: vec![(order, streams.augment)],
                augment: Augment::training(spec),
                seed,
            },
            feed: None,
            streams,
            rate: Schedule {
                start: asked.lr,
                end: asked.lr_min,
                warmup: warmup.steps(per_epoch),
                total: asked.epochs * per_epoch,
                every: 1,
            },
            mixing: Mixing { mixup: after.mixup, cutmix: after.cutmix },
            smoothing: after.label_smoothing,
            auxiliary: after.auxiliary.unwrap_or(0.0),
            clip: after.clip,
            per_epoch,
            seed,
        }
    }

    /// Steps of an epoch.
    #[must_use]
    pub fn steps_per_epoch(&self) -> u64 {
        self.per_epoch
    }

    /// Steps of the whole training.
    #[must_use]
    pub fn total_steps(&self) -> u64 {
        self.rate.total
    }

    /// Learning rate of a step.
    #[must_use]
    pub fn lr(&self, step: u64) -> f64 {
        self.rate.at(step)
    }

    /// One step.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn iterate(&mut self) -> Result<(), EngineError> {
        let (step, seed) = (self.step, self.seed);
        let began = Instant::now();
        let batch = self.batch()?;
        let had_input = Instant::now();
        let mixed = self.mixing.apply(batch, At { seed, stream: self.streams.mix, step })?;
        let risen = risen(step / self.per_epoch, self.rate.total / self.per_epoch);
        let pass = Pass::train(derive(seed, self.streams.dropout, step)).risen(risen);
        let Recorded { scores, auxiliary, tape } = self.trainee.record(&mixed.batch.x, pass)?;
        let loss = mixed.loss(&scores, self.smoothing);
        let seen = outcome(&scores, &loss, &mixed.batch.y);
        let auxiliary = auxiliary.map(|logits| mixed.loss(&logits, self.smoothing));
        let whole = match &auxiliary {
            Some(auxiliary) => loss + auxiliary * self.auxiliary,
            None => loss,
        };
        let mut gradient = tape.weights(&whole)?;
        let store = &self.trainee.network.store;
        let norm = clip(&mut gradient, self.clip);
        self.optimizer.step(store.weights.buffer(), gradient, self.rate.at(step));
        self.step += 1;
        if let Some(ema) = &mut self.ema {
            ema.follow(store, self.step);
        }
        let numbers = [&seen.loss, &seen.accuracy, &norm].into_iter().chain(&auxiliary);
        self.pending.push(&numbers.collect::<Vec<_>>());
        self.input_wait.note(began, had_input);
        Ok(())
    }

    /// The network with the average of its weights, if one is kept.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn averaged(&self) -> Result<Option<Network>, EngineError> {
        self.ema.as_ref().map(|ema| self.trainee.averaged(ema)).transpose()
    }

    fn batch(&mut self) -> Result<Batch, EngineError> {
        let step = self.step;
        let feed = match self.feed.take().filter(|feed| feed.is_at(step)) {
            Some(feed) => feed,
            None => Feed::start(self.source.share(), step, self.rate.total)?,
        };
        let batch = self.feed.insert(feed).take()?.pop();
        batch.ok_or_else(|| EngineError::Bug("a step has no images".to_owned()))
    }
}

/// How far drop path's probability has risen in an epoch, counted from 0: as in the published
/// training of DARTS, the first epoch drops nothing, and the last one is a step before the end.
#[expect(clippy::cast_precision_loss, reason = "epochs are few")]
fn risen(epoch: u64, epochs: u64) -> f64 {
    epoch as f64 / epochs.max(1) as f64
}

fn optimizer(after: &AfterSpec, network: &Network) -> WeightOptimizer {
    let decay = if after.decay_all {
        Decay::all(after.weight_decay)
    } else {
        Decay::matrices(after.weight_decay, &network.store.weights)
    };
    WeightOptimizer::new(&after.optimizer, decay)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_path_rises_by_equal_steps_from_nothing() {
        let all: Vec<f64> = (0..5).map(|epoch| 0.2 * risen(epoch, 5)).collect();
        assert_eq!(all[0], 0.0);
        for (epoch, p) in (0..).zip(&all) {
            assert!((p - 0.04 * f64::from(epoch)).abs() < 1e-15, "{all:?}");
        }
        assert_eq!(risen(0, 1), 0.0);
    }
}
