//! A whole search, one iteration at a time.

mod glance;
mod halves;
mod likeliest;

use std::time::Instant;

use skein_core::choice::Architecture;
use skein_core::dataset::{DataKind, DataShape};
use skein_core::limits::Limits;
use skein_core::spec::{Fidelity, OptimizerSpec, RunSpec};
use tch::Tensor;

use super::bilevel::{Batch, Bilevel, is_unrolled};
use super::health::Health;
use super::penalty::Penalty;
use super::pending::Pending;
use super::sampler::{At, Sampler};
use super::shrink::Shrink;
use super::supernet::Supernet;
use crate::EngineError;
use crate::data::augment::Augment;
use crate::data::feed::{Feed, InputWait, Source};
use crate::data::order::Order;
use crate::data::split::Split;
use crate::data::{Data, Examples};
use crate::device::Compute;
use crate::exec::{Pass, Plan};
use crate::optim::schedule::Schedule;
use crate::state::seed::{Stream, derive, generator};
use crate::train::evaluate::{Score, evaluate};

/// Images per batch of an evaluation.
pub const EVALUATION_BATCH: usize = 256;

/// A search under way.
#[derive(Debug)]
pub struct Search {
    spec: RunSpec,
    /// Weights and rows.
    pub net: Supernet,
    /// Their optimizers.
    pub bilevel: Bilevel,
    /// Numbers since the last report.
    pub pending: Pending,
    /// What the network may cost.
    pub limits: Option<Limits>,
    /// Which sub-nets are trained when, if the supernet shrinks.
    pub shrink: Option<Shrink>,
    /// Signs that it goes wrong.
    pub health: Health,
    /// Steps done.
    pub step: u64,
    /// How long iterations waited for images since the last report.
    pub input_wait: InputWait,
    weight_order: Order,
    arch_order: Order,
    feed: Option<Feed>,
    rate: Schedule,
    split: Split,
}

impl Search {
    /// A search at its beginning.
    ///
    /// # Errors
    /// - [`EngineError`] if the space does not fit the data, or the data the batch size.
    pub fn new(
        spec: &RunSpec,
        shape: DataShape,
        images: usize,
        compute: Compute,
    ) -> Result<Self, EngineError> {
        let net = Supernet::initialised(spec, shape, compute)?;
        Self::on(net, spec, images)
    }

    /// The same on a supernet that is made.
    ///
    /// # Errors
    /// - as [`Search::new`].
    pub fn on(net: Supernet, spec: &RunSpec, images: usize) -> Result<Self, EngineError> {
        Self::over(net, spec, Split::ordered(spec, images)?)
    }

    /// The same on examples that are divided.
    ///
    /// # Errors
    /// - [`EngineError`] if the space cannot be searched like that.
    pub fn over(net: Supernet, spec: &RunSpec, split: Split) -> Result<Self, EngineError> {
        let (search, compute) = (&spec.search, net.compute);
        let limits = Limits::of(net.graph(), &spec.constraints)
            .map_err(|error| EngineError::Spec(vec![error.violation()]))?;
        let shrink = Shrink::of(search, net.graph())?;
        let mut bilevel = Bilevel::new(search, &net.store.weights);
        bilevel.penalty = Penalty::of(net.graph(), &spec.constraints, compute.device)?;
        let order = |images: &[i64], stream| {
            Order::new(images.to_vec(), search.batch_size, spec.seed, stream)
        };
        let weight_order = order(&split.weights, Stream::WeightOrder);
        let per_epoch = weight_order.steps();
        Ok(Self {
            net,
            limits,
            shrink,
            bilevel,
            pending: Pending::new(reported(&search.optimizer)),
            health: Health::default(),
            step: 0,
            input_wait: InputWait::default(),
            weight_order,
            feed: None,
            rate: Schedule {
                start: search.weight_lr,
                end: search.weight_lr_min,
                warmup: search.warmup.steps(per_epoch),
                total: search.epochs * per_epoch,
                every: if spec.space.data() == DataKind::Text { 1 } else { per_epoch },
            },
            arch_order: order(&split.architecture, Stream::ArchOrder),
            split,
            spec: spec.clone(),
        })
    }

    /// Whether anything is searched; otherwise one architecture is given.
    #[must_use]
    pub fn searches(&self) -> bool {
        self.spec.search.epochs > 0
    }

    /// The last epoch of the search, from 0.
    #[must_use]
    pub fn last_epoch(&self) -> u64 {
        self.spec.search.epochs.saturating_sub(1)
    }

    /// Iterations of an epoch.
    #[must_use]
    pub fn steps_per_epoch(&self) -> u64 {
        self.weight_order.steps()
    }

    /// Iterations of the whole search; fewer than asked for once it has ended early.
    #[must_use]
    pub fn total_steps(&self) -> u64 {
        let all = self.spec.search.epochs * self.steps_per_epoch();
        self.health.stopped_at.unwrap_or(all)
    }

    /// The epoch that the next step belongs to, from 0.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.step / self.steps_per_epoch()
    }

    /// Learning rate of the weights in a step.
    #[must_use]
    pub fn weight_lr(&self, step: u64) -> f64 {
        let rate = match &self.shrink {
            Some(shrink) => shrink.rate(&self.rate, self.steps_per_epoch(), step),
            None => self.rate.at(step),
        };
        rate * self.health.rate()
    }

    /// The sampler of an epoch.
    #[must_use]
    pub fn sampler(&self, epoch: u64) -> Sampler {
        Sampler::of(&self.spec.search.optimizer, epoch, self.spec.search.epochs)
    }

    /// One iteration: rows on a batch of their split, then weights on a batch of theirs.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn iterate(&mut self, images: &Examples) -> Result<(), EngineError> {
        let (step, seed, epoch) = (self.step, self.spec.seed, self.epoch());
        self.widen(epoch)?;
        let (sampler, lr) = (self.sampler(epoch), self.weight_lr(step));
        self.bilevel.arch_lr = self.spec.search.arch_lr * self.health.rate();
        if let Some(penalty) = &mut self.bilevel.penalty {
            penalty.sampler = sampler;
        }
        let began = Instant::now();
        let mut batches = self.batches(images)?.into_iter();
        let had_input = Instant::now();
        let train =
            batches.next().ok_or_else(|| EngineError::Bug("a step has no images".to_owned()))?;
        let at = |stream| At { seed, stream, step };
        let pass = |stream| Pass::train(derive(seed, stream, step));
        let frozen = epoch < self.spec.search.optimizer.frozen_epochs();
        let arch = if let Some(batch) = batches.next().filter(|_| !frozen) {
            let draw = |net: &Supernet| sampler.draw(net, at(Stream::ArchDraw), false);
            let pass = pass(Stream::ArchDropout);
            Some(if is_unrolled(&self.spec.search.optimizer) {
                self.bilevel.unrolled_step(&mut self.net, (&train, &batch), draw, pass, lr)?
            } else {
                self.bilevel.arch_step(&self.net, &batch, &draw(&self.net)?, pass)?
            })
        } else {
            None
        };
        let mut numbers = if let Some(shrink) = &mut self.shrink {
            if step.is_multiple_of(self.weight_order.steps()) {
                shrink.begin_epoch(epoch, &self.net, &self.bilevel.weight)?;
            }
            let draw = (at(Stream::WeightDraw), epoch);
            shrink.step((&self.net, &mut self.bilevel), &train, draw, lr)?
        } else {
            let draw = sampler.draw(&self.net, at(Stream::WeightDraw), true)?;
            let pass = pass(Stream::WeightDropout);
            let (weight, norm) = self.bilevel.weight_step(&self.net, &train, &draw, pass, lr)?;
            vec![weight.loss, weight.accuracy, norm]
        };
        numbers.extend(arch.into_iter().flat_map(|arch| [arch.loss, arch.accuracy]));
        self.pending.push(&numbers.iter().collect::<Vec<_>>());
        self.step += 1;
        self.input_wait.note(began, had_input);
        Ok(())
    }

    /// Images for the weights and, if rows are learned, for the rows; prepared ahead.
    fn batches(&mut self, images: &Examples) -> Result<Vec<Batch>, EngineError> {
        let step = self.step;
        let feed = match self.feed.take().filter(|feed| feed.is_at(step)) {
            Some(feed) => feed,
            None => Feed::start(self.source(images), step, self.total_steps())?,
        };
        self.feed.insert(feed).take()
    }

    /// Where the batches of the steps come from.
    #[must_use]
    pub fn source(&self, images: &Examples) -> Source {
        let mut parts = vec![(self.weight_order.clone(), Stream::WeightAugment)];
        if self.sampler(0) != Sampler::Uniform {
            parts.push((self.arch_order.clone(), Stream::ArchAugment));
        }
        Source {
            images: images.share(),
            parts,
            augment: Augment::searching(&self.spec),
            seed: self.spec.seed,
        }
    }

    /// The supernet on (part of) the architecture split.
    ///
    /// Fidelity `reference` draws rows for each batch and uses running statistics, which belong
    /// to no single mixture; `corrected` takes expected rows and the batch's own statistics.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn validate(&self, data: &Data, epoch: u64) -> Result<Score, EngineError> {
        let (sampler, seed) = (self.sampler(epoch), self.spec.seed);
        let corrected = self.spec.search.fidelity == Fidelity::Corrected;
        let pass = if corrected { Pass::BATCH } else { Pass::EVALUATE };
        let expected =
            self.net.alphas.split(&sampler.probabilities(&self.net.alphas), self.net.compute.kind);
        let path = self.most_likely(epoch)?;
        evaluate(&data.train, &self.split.valid, EVALUATION_BATCH, |batch, index| {
            let step = epoch << 32 | index;
            let at = At { seed, stream: Stream::ValidDraw, step };
            let draw = match &self.shrink {
                Some(shrink) => shrink.draw(epoch, &mut generator(seed, at.stream, step)),
                None => sampler.draw(&self.net, at, true)?,
            };
            let plan = match sampler {
                Sampler::Drnas if corrected => Plan::Superposed(&expected),
                Sampler::Gdas { .. } if corrected => Plan::Path(&path, None),
                _ => draw.plan(),
            };
            self.net.exec.forward(&self.net.store, &batch.x, plan, pass)
        })
    }

    /// The architecture that would be derived now.
    ///
    /// Gradient-based optimizers take the largest entry of each row, or with parsimony the cheapest
    /// that is near; where the cost is limited, the likeliest architecture within the limits.
    /// Uniform sampling and progressive shrinking learn no rows: there, a few random candidates are
    /// compared on the supernet with the batches' own statistics; the second stage compares more, and
    /// with more care.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn derive(&self, data: &Data, epoch: u64) -> Result<Architecture, EngineError> {
        if self.spec.search.optimizer.learns_rows() {
            let rows = self.parsimonious(epoch)?;
            return Ok(match &self.limits {
                Some(limits) => limits.likeliest(&rows).architecture,
                None => self.net.graph().derive(&rows),
            });
        }
        self.glance(data, epoch)
    }

    fn most_likely(&self, epoch: u64) -> Result<Architecture, EngineError> {
        Ok(self.net.graph().derive(&self.probabilities(epoch)?))
    }

    /// The rows as probabilities, one vector per choice.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if the copy to the host fails.
    pub fn probabilities(&self, epoch: u64) -> Result<Vec<Vec<f64>>, EngineError> {
        match &self.shrink {
            Some(shrink) => Ok(shrink.rows(epoch)),
            None => self.net.alphas.to_host(&self.sampler(epoch).probabilities(&self.net.alphas)),
        }
    }

    /// Whether weights, statistics, rows and numbers not yet reported are finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        let (store, pending) = (&self.net.store, self.pending.save());
        let all = [store.weights.buffer(), store.stats.buffer(), self.net.alphas.buffer()];
        let finite = |tensor: &Tensor| tensor.isfinite().all();
        let each = tch::no_grad(|| {
            let all = all.into_iter().chain(pending.as_ref()).map(finite).collect::<Vec<_>>();
            Tensor::stack(&all, 0).all()
        });
        each.int64_value(&[]) != 0
    }

    /// Which examples are for what.
    #[must_use]
    pub fn split(&self) -> &Split {
        &self.split
    }

    /// Images that train weights.
    #[must_use]
    pub fn weight_images(&self) -> usize {
        self.split.weights.len()
    }

    /// Images that a candidate of a second stage goes through, `recalibrate` of them for batch
    /// norm's statistics.
    #[must_use]
    pub fn candidate_images(&self, recalibrate: u64) -> u64 {
        let compared = self.spec.search.second_stage.images();
        recalibrate.min(self.weight_images() as u64)
            + compared.min(self.split.architecture.len() as u64)
    }

    /// Positions of the images that such a candidate answers.
    #[must_use]
    pub fn compared_positions(&self) -> Vec<i64> {
        self.split.compared(self.spec.search.second_stage.images(), self.spec.seed)
    }

    /// Positions of at most `limit` images of the weight split, from its beginning.
    #[must_use]
    pub fn weight_positions(&self, limit: u64) -> Vec<i64> {
        let end = usize::try_from(limit).unwrap_or(usize::MAX).min(self.weight_images());
        self.split.weights[..end].to_vec()
    }

    /// Positions of the images on which the derived network is validated.
    #[must_use]
    pub fn valid_positions(&self) -> &[i64] {
        &self.split.valid
    }
}

/// Names of the numbers of an iteration; without a step of the rows there are none of theirs.
fn reported(optimizer: &OptimizerSpec) -> &'static [&'static str] {
    const ALL: &[&str] =
        &["weight_loss", "weight_accuracy", "gradient_norm", "arch_loss", "arch_accuracy"];
    match optimizer {
        OptimizerSpec::Spos => &ALL[..3],
        // The last only with a teacher, who comes and goes between epochs, where numbers are reported.
        OptimizerSpec::Ofa { .. } => {
            &["weight_loss", "weight_accuracy", "gradient_norm", "distill_loss"]
        }
        _ => ALL,
    }
}

/// Mean entropy of some rows, in nats.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "rows are few")]
pub fn entropy(rows: &[Vec<f64>]) -> f64 {
    let of = |row: &Vec<f64>| row.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum::<f64>();
    rows.iter().map(of).sum::<f64>() / rows.len().max(1) as f64
}
