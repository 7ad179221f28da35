//! Progressive shrinking (Once-for-all, arXiv:1908.09791): a supernet that is trained from its
//! largest network down.
//!
//! [`skein_core::shrink`] says which options are admitted when. A step adds up the gradients of
//! several random sub-nets of those; before widths shrink, their channels are sorted
//! ([`sort`]); and the largest network, as it was at the end of its own stage, teaches the others
//! ([`teacher`]).

pub mod sort;
pub mod teacher;

use rand_xoshiro::Xoshiro256PlusPlus;
use skein_core::choice::Architecture;
use skein_core::graph::{Channels, Graph};
use skein_core::shrink::{Stage, Stages};
use skein_core::spec::{OptimizerSpec, SearchSpec};
use tch::{Kind, Tensor};

use super::bilevel::{Batch, Bilevel, cross_entropy, outcome};
use super::sampler::At;
use super::supernet::Supernet;
use crate::EngineError;
use crate::exec::{Pass, Plan};
use crate::optim::schedule::Schedule;
use crate::optim::weights::WeightOptimizer;
use crate::rows::Draw;
use crate::state::seed::{Stream, below, derive, generator};
use crate::store::{Gradient, Store};

/// A supernet's shrinking.
#[derive(Debug)]
pub struct Shrink {
    stages: Stages,
    /// Options of each choice.
    options: Vec<usize>,
    channels: Vec<Channels>,
    sub_nets: u64,
    kd_ratio: f64,
    teacher: Option<Store>,
}

impl Shrink {
    /// The shrinking that a search asks for, if it does.
    ///
    /// # Errors
    /// - [`EngineError::Bug`] if the stages do not fit the space and the epochs, which the check of
    ///   specifications refuses.
    pub fn of(search: &SearchSpec, graph: &Graph) -> Result<Option<Self>, EngineError> {
        let OptimizerSpec::Ofa { sub_nets, kd_ratio } = search.optimizer else { return Ok(None) };
        let stages = Stages::over(&graph.choices, search.epochs).ok_or_else(|| {
            EngineError::Bug(format!("{} epochs are too few to shrink", search.epochs))
        })?;
        let options = graph.choices.iter().map(|choice| choice.options.len()).collect();
        let channels = graph.channels();
        Ok(Some(Self { stages, options, channels, sub_nets, kd_ratio, teacher: None }))
    }

    /// One of the sub-nets that an epoch trains, each equally likely.
    pub fn path(&self, epoch: u64, generator: &mut Xoshiro256PlusPlus) -> Architecture {
        sub_net(self.stages.at(epoch).1, &self.options, generator)
    }

    /// The same as a draw.
    pub fn draw(&self, epoch: u64, generator: &mut Xoshiro256PlusPlus) -> Draw {
        Draw { rows: vec![], path: Some(self.path(epoch, generator)) }
    }

    /// How likely an epoch trains each option, one vector per choice.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "options are few")]
    pub fn rows(&self, epoch: u64) -> Vec<Vec<f64>> {
        let smallest = &self.stages.at(epoch).1.smallest;
        let row = |(options, smallest): (&usize, &usize)| {
            let share = 1.0 / (options - smallest) as f64;
            (0..*options).map(|option| if option < *smallest { 0.0 } else { share }).collect()
        };
        self.options.iter().zip(smallest).map(row).collect()
    }

    /// The learning rate of a step: every stage begins the schedule anew, at its share of the rate.
    #[must_use]
    pub fn rate(&self, whole: &Schedule, per_epoch: u64, step: u64) -> f64 {
        let stage = self.stages.at(step / per_epoch.max(1)).1;
        let schedule = Schedule {
            warmup: if stage.warms { whole.warmup } else { 0 },
            total: stage.epochs * per_epoch,
            ..*whole
        };
        stage.rate * schedule.at(step.saturating_sub(stage.first * per_epoch))
    }

    /// What is said at the first step of an epoch with which a stage begins.
    #[must_use]
    pub fn told(&self, epoch: u64) -> Option<String> {
        let (at, stage) = self.stages.at(epoch);
        (stage.first == epoch).then(|| {
            let (count, title, epochs) = (self.stages.all().len(), stage.title(), stage.epochs);
            format!("stage {} of {count}, {epochs} epochs: {title}", at + 1)
        })
    }

    /// What happens before the first step of an epoch: where a stage begins, the largest network
    /// may become the teacher, and channels are sorted.
    ///
    /// A checkpoint between two epochs is from before this, so that a resumed run does it too.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn begin_epoch(
        &mut self,
        epoch: u64,
        net: &Supernet,
        optimizer: &WeightOptimizer,
    ) -> Result<(), EngineError> {
        let (at, stage) = self.stages.at(epoch);
        if at == 0 || stage.first != epoch {
            return Ok(());
        }
        if at == 1 && self.kd_ratio > 0.0 {
            let kept = (net.store.weights.buffer(), net.store.stats.buffer());
            self.teacher = Some(teacher::copy(net, kept)?);
        }
        sort::sort((net, optimizer), &self.channels, (&self.stages.all()[at - 1], stage))
    }

    /// A step of the weights on one batch; gives loss, accuracy, the gradient's norm and, with a
    /// teacher, how far its predictions are.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn step(
        &self,
        (net, bilevel): (&Supernet, &mut Bilevel),
        batch: &Batch,
        (at, epoch): (At, u64),
        lr: f64,
    ) -> Result<Vec<Tensor>, EngineError> {
        let stage = self.stages.at(epoch).1;
        let soft = match &self.teacher {
            Some(store) => Some(teacher::predictions(net, store, &self.stages.largest(), batch)?),
            None => None,
        };
        let mut drawn = generator(at.seed, at.stream, at.step);
        let dropout = derive(at.seed, Stream::WeightDropout, at.step);
        let mut sum: Option<Gradient> = None;
        let mut numbers: Vec<Vec<Tensor>> = Vec::new();
        for sub_net in 0..stage.sub_nets(self.sub_nets) {
            let path = self.path(epoch, &mut drawn);
            let pass = Pass::train(derive(dropout, Stream::WeightDropout, sub_net));
            let plan = Plan::Path(&path, None);
            let ends = [net.graph().output];
            let (values, tape) = net.exec.record(&net.store, &batch.x, (plan, pass), &ends)?;
            let logits = &values[0];
            let loss = cross_entropy(logits, &batch.y);
            let told = outcome(logits, &loss, &batch.y);
            let mut own = vec![told.loss, told.accuracy];
            let loss = match &soft {
                Some(soft) => {
                    let distance = teacher::soft_cross_entropy(logits, soft);
                    own.push(distance.detach().to_kind(Kind::Double));
                    loss + distance * self.kd_ratio
                }
                None => loss,
            };
            numbers.push(own);
            let gradient = tape.weights(&loss)?;
            sum = Some(match sum {
                Some(sum) => sum.plus(&gradient),
                None => gradient,
            });
        }
        let sum = sum.ok_or_else(|| EngineError::Bug("a step without sub-nets".to_owned()))?;
        let mut told: Vec<Tensor> = (0..numbers[0].len()).map(|at| mean(&numbers, at)).collect();
        told.insert(2, bilevel.weight_follow(net, sum, lr));
        Ok(told)
    }

    /// The largest network as it was at the end of its own stage.
    #[must_use]
    pub fn teacher(&self) -> Option<&Store> {
        self.teacher.as_ref()
    }

    /// The teacher of a checkpoint, its weights and statistics, or none.
    ///
    /// # Errors
    /// - [`EngineError::Shape`] if it does not belong to this supernet.
    pub fn load_teacher(
        &mut self,
        net: &Supernet,
        kept: Option<(&Tensor, &Tensor)>,
    ) -> Result<(), EngineError> {
        self.teacher = kept.map(|kept| teacher::copy(net, kept)).transpose()?;
        Ok(())
    }
}

/// One of the sub-nets that a stage trains, each equally likely, where choices have so many options.
pub fn sub_net(
    stage: &Stage,
    options: &[usize],
    generator: &mut Xoshiro256PlusPlus,
) -> Architecture {
    let each = options.iter().zip(&stage.smallest);
    Architecture(
        each.map(|(options, smallest)| smallest + below(generator, options - smallest)).collect(),
    )
}

/// The mean of one number over all sub-nets.
fn mean(numbers: &[Vec<Tensor>], at: usize) -> Tensor {
    let all: Vec<&Tensor> = numbers.iter().map(|own| &own[at]).collect();
    Tensor::stack(&all, 0).mean(Kind::Double)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use skein_core::spaces;
    use skein_core::spec::{RunSpec, Sharing};

    use super::*;

    fn shrink(epochs: u64) -> Shrink {
        let spec = RunSpec::parse(&json!({
            "dataset": {"id": "cifar-10"},
            "space": {"preset": "mobilenet-v3", "width": 0.1},
            "search": {"optimizer": {"kind": "ofa"}, "epochs": epochs},
        }));
        let spec = spec.unwrap();
        let graph = spaces::build(&spec.space, spec.shape(), Sharing::Entangled).unwrap();
        Shrink::of(&spec.search, &graph).unwrap().unwrap()
    }

    #[test]
    fn paths_are_drawn_among_what_is_admitted_and_all_of_it_is_drawn() {
        let shrink = shrink(59);
        for (at, stage) in shrink.stages.all().iter().enumerate() {
            for epoch in [stage.first, stage.first + stage.epochs - 1] {
                let rows = shrink.rows(epoch);
                let mut seen: Vec<Vec<f64>> = rows.iter().map(|row| vec![0.0; row.len()]).collect();
                for step in 0..60 {
                    let mut drawn = generator(1, Stream::WeightDraw, step);
                    let path = shrink.path(epoch, &mut drawn);
                    for (id, option) in path.0.into_iter().enumerate() {
                        assert!(stage.admits(id, option), "stage {at}");
                        seen[id][option] = 1.0;
                    }
                }
                let likely = |row: &Vec<f64>| row.iter().map(|p| p.ceil()).collect::<Vec<f64>>();
                assert_eq!(seen, rows.iter().map(likely).collect::<Vec<_>>(), "stage {at}");
                assert!(rows.iter().all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-12));
            }
        }
    }

    /// Ten steps an epoch: each stage begins at its share of the rate, most with a rise.
    #[test]
    fn every_stage_begins_the_schedule_anew() {
        let shrink = shrink(59);
        let whole = Schedule { start: 0.4, end: 0.0, warmup: 3, total: 590, every: 10 };
        let at = |step| shrink.rate(&whole, 10, step);
        for (stage, share) in
            [(0, 1.0), (180, 1.0), (300, 1.0 / 12.0), (330, 0.25), (450, 1.0 / 12.0), (470, 0.25)]
        {
            let warms = ![300, 450].contains(&stage);
            let first = if warms { 0.1 } else { 0.4 };
            assert!((at(stage) - first * share).abs() < 1e-12, "step {stage}: {}", at(stage));
            assert!((at(stage + 3) - 0.4 * share).abs() < 0.01 * share, "{}", at(stage + 3));
        }
        for last in [179, 299, 329, 449, 469, 589] {
            assert!(at(last) < at(last - 11), "step {last}: the rate fell");
        }
    }

    #[test]
    fn only_the_first_epoch_of_a_stage_tells_of_it() {
        let shrink = shrink(6);
        let told: Vec<_> = (0..6).map(|epoch| shrink.told(epoch).unwrap()).collect();
        assert_eq!(told[0], "stage 1 of 6, 1 epochs: the largest network alone");
        assert_eq!(told[4], "stage 5 of 6, 1 epochs: elastic widths");
        assert_eq!(self::shrink(590).told(181), None);
    }
}
