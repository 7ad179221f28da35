//! Timings and memory, as `skein-worker bench` prints them.

mod input;
mod reading;

use std::time::{Duration, Instant};

use serde::Serialize;
use skein_core::choice::Choice;
use skein_core::dataset::{DataKind, DataShape};
use skein_core::spec::{RunSpec, SearchSpec};
use skein_core::{dataset, spaces};
use tch::{Device, Kind, Tensor};

pub use reading::Reading;

use crate::EngineError;
use crate::arithmetic::gpu_peak_bytes;
use crate::device::{self, Compute, Watch, megabytes, synchronise};
use crate::exec::{Pass, Plan};
use crate::optim::clip;
use crate::search::bilevel::{Batch, Bilevel, cross_entropy, is_unrolled};
use crate::search::sampler::{At, Sampler};
use crate::search::shrink::Shrink;
use crate::search::supernet::Supernet;
use crate::state::seed::{Stream, seeded};
use crate::train::network::Network;

/// What a bench run measured; times are medians in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Preset of the space.
    pub space: String,
    /// Kind of the optimizer.
    pub optimizer: String,
    /// How candidates share weights.
    pub weights: String,
    /// `corrected` or `reference`.
    pub fidelity: String,
    /// Images per step.
    pub batch_size: u64,
    /// Iterations measured.
    pub steps: u64,
    /// Both steps together.
    pub iteration_ms: f64,
    /// Step of the rows; 0 where the optimizer has none.
    pub arch_step_ms: f64,
    /// Step of the weights.
    pub weight_step_ms: f64,
    /// Forward and backward of the supernet, superposed with even rows, for the weights.
    pub superposed_ms: f64,
    /// Forward and backward of the largest network alone.
    pub largest_network_ms: f64,
    /// Training step of the largest network alone.
    pub largest_network_step_ms: f64,
    /// The largest network's answers to the same batch, without gradients.
    pub evaluation_ms: f64,
    /// The largest network's training step over that, the median of the quotients likewise.
    pub evaluation_ratio: f64,
    /// The superposed pass over the largest network's, the median of the quotients of passes that
    /// followed each other.
    pub superposed_ratio: f64,
    /// An iteration over the largest network's training step, likewise.
    pub iteration_ratio: f64,
    /// Preparing the images of an iteration; absent if no data set has the space's shape.
    pub input_ms: Option<f64>,
    /// Per cent of an iteration that it waits for images prepared ahead; likewise.
    pub input_wait_percent: Option<f64>,
    /// Most resident memory of the process after two iterations, before anything else is measured.
    pub peak_rss_mb: f64,
    /// Share of the activations that is kept (`resources.keep_activations`).
    pub keep_activations: f64,
    /// Segments that a pass is cut into to keep no more; 1 computes nothing again.
    pub segments: usize,
    /// The same as `peak_rss_mb` after two more iterations that keep everything.
    pub kept_peak_rss_mb: f64,
    /// An iteration over one that keeps everything, the median of quotients of neighbours.
    pub recompute_ratio: f64,
    /// Threads on the CPU.
    pub threads: usize,
    /// The device.
    pub device: String,
    /// Width of the numbers.
    pub precision: String,
    /// An iteration in a row of them that nobody waits for in between; absent on a CPU, like the
    /// next two.
    pub queued_ms: Option<f64>,
    /// Per cent of that row's time in which the GPU computed something.
    pub gpu_busy_percent: Option<f64>,
    /// Most memory that tensors had of the GPU after two iterations.
    pub gpu_peak_mb: Option<f64>,
    /// How fast images are read, if that was asked for.
    #[serde(flatten)]
    pub reading: Option<Reading>,
}

/// Measures search iterations on random images, in the shape of the data set that was `asked` for
/// or else of the space's own data; with `read`, also how fast such images are read. The supernet and its largest network are measured in turns, so
/// that whatever else the machine does slows both.
///
/// # Errors
/// - [`EngineError`] if the device cannot be had, or the space cannot be built.
pub fn run(spec: &RunSpec, asked: bool, steps: u64, read: bool) -> Result<Report, EngineError> {
    let compute = Compute::choose(&spec.resources.device, spec.resources.precision)?;
    let threads = device::set_threads(spec.resources.threads);
    let preset = spaces::find(spec.space.preset())
        .ok_or_else(|| EngineError::Missing(spec.space.preset().to_owned()))?;
    let known = dataset::find(&spec.dataset.id);
    let shape = known.filter(|_| asked).map_or(preset.shape, |known| known.shape);
    let mut searched = Searched::new(spec, shape, compute)?;
    let segments = searched.net.exec.segments();
    let peak = searched.warm_up(WARM_UP, spec.resources.keep_activations)?;
    let gpu_peak = gpu_peak_bytes(compute.device);
    let kept_peak = if segments > 1 { searched.warm_up(WARM_UP, 1.0)? } else { peak };
    let mut alone = Largest::of(&searched, &spec.search)?;
    let rounds: Result<Vec<Round>, EngineError> =
        (0..=steps).map(|step| round(&mut searched, &mut alone, WARM_UP + step)).collect();
    // The first round warms up.
    let rounds = &rounds?[1..];
    let of = |number: fn(&Round) -> f64| median(rounds.iter().map(number).collect());
    let queued = searched.queued()?;
    let input = input::measure(spec, shape, steps, compute)?;
    let iteration_ms = of(|round| round.arch + round.weight);
    let reading = || reading::measure(spec, shape, iteration_ms, compute);
    let reading = if read { reading()? } else { None };
    let text = |value| {
        serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned))
    };
    Ok(Report {
        space: spec.space.preset().to_owned(),
        optimizer: spec.search.optimizer.kind().to_owned(),
        weights: text(serde_json::json!(spec.search.weights)).unwrap_or_default(),
        fidelity: text(serde_json::json!(spec.search.fidelity)).unwrap_or_default(),
        batch_size: spec.search.batch_size,
        steps,
        iteration_ms,
        arch_step_ms: of(|round| round.arch),
        weight_step_ms: of(|round| round.weight),
        superposed_ms: of(|round| round.superposed),
        largest_network_ms: of(|round| round.alone),
        largest_network_step_ms: of(|round| round.alone_step),
        evaluation_ms: of(|round| round.evaluated),
        evaluation_ratio: of(|round| round.alone_step / round.evaluated),
        superposed_ratio: of(|round| round.superposed / round.alone),
        iteration_ratio: of(|round| (round.arch + round.weight) / round.alone_step),
        input_ms: input.map(|input| input.prepare_ms),
        input_wait_percent: input.map(|input| 100.0 * input.wait),
        peak_rss_mb: megabytes(peak),
        keep_activations: spec.resources.keep_activations,
        segments,
        kept_peak_rss_mb: megabytes(kept_peak),
        recompute_ratio: of(|round| (round.arch + round.weight) / round.kept),
        threads,
        device: device::name(compute.device),
        precision: text(serde_json::json!(spec.resources.precision)).unwrap_or_default(),
        queued_ms: queued.map(|(iteration, _)| iteration),
        gpu_busy_percent: queued.and_then(|(_, busy)| busy),
        gpu_peak_mb: gpu_peak.map(megabytes),
        reading,
    })
}

/// The row of iterations has so many at least, and lasts so long: the driver's numbers are means
/// over up to a second.
const QUEUED: u32 = 5;
const QUEUED_FOR: Duration = Duration::from_millis(2500);

/// Iterations before anything is measured.
const WARM_UP: u64 = 2;

/// Milliseconds of one turn.
struct Round {
    arch: f64,
    weight: f64,
    /// An iteration that keeps everything.
    kept: f64,
    superposed: f64,
    alone: f64,
    alone_step: f64,
    evaluated: f64,
}

fn round(searched: &mut Searched, alone: &mut Largest, step: u64) -> Result<Round, EngineError> {
    let (arch, weight) = searched.iterate(step)?;
    let kept = match searched.net.exec.segments() {
        1 => arch + weight,
        _ => searched.keeping(1.0, |searched| searched.iterate(step)).map(|(a, w)| a + w)?,
    };
    let superposed = searched.pass(step)?;
    let (trained, alone_step) = alone.train(&searched.batch, step)?;
    let evaluated = alone.evaluate(&searched.batch)?;
    Ok(Round { arch, weight, kept, superposed, alone: trained, alone_step, evaluated })
}

/// A search whose every batch is the same random one.
struct Searched {
    net: Supernet,
    bilevel: Bilevel,
    sampler: Sampler,
    unrolled: bool,
    /// Progressive shrinking in its last epoch, with that epoch.
    shrink: Option<(Shrink, u64)>,
    batch: Batch,
    even: Vec<Tensor>,
    seed: u64,
    keep: f64,
    lr: f64,
}

impl Searched {
    fn new(spec: &RunSpec, shape: DataShape, compute: Compute) -> Result<Self, EngineError> {
        let net = Supernet::initialised(spec, shape, compute)?;
        let even = |choice: &Choice| {
            let count = i64::try_from(choice.options.len()).unwrap_or(1);
            Tensor::ones([count], (compute.kind, compute.device)).softmax(0, compute.kind)
        };
        let bilevel = Bilevel::new(&spec.search, &net.store.weights);
        let mut shrink = Shrink::of(&spec.search, net.graph())?;
        if let Some(shrink) = &mut shrink {
            (0..spec.search.epochs)
                .try_for_each(|epoch| shrink.begin_epoch(epoch, &net, &bilevel.weight))?;
        }
        Ok(Self {
            shrink: shrink.map(|shrink| (shrink, spec.search.epochs - 1)),
            bilevel,
            sampler: Sampler::of(&spec.search.optimizer, 0, 1),
            unrolled: is_unrolled(&spec.search.optimizer),
            batch: random_batch(&net, shape.classes, spec)?,
            even: net.graph().choices.iter().map(even).collect(),
            net,
            seed: spec.seed,
            keep: spec.resources.keep_activations,
            lr: spec.search.weight_lr,
        })
    }

    /// Lets something run while another share of the activations is kept.
    fn keeping<T>(
        &mut self,
        keep: f64,
        run: impl FnOnce(&mut Self) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        self.net.exec.recompute(keep)?;
        let done = run(self);
        self.net.exec.recompute(self.keep)?;
        done
    }

    /// Some iterations; gives the peak of resident memory so far, in bytes.
    fn warm_up(&mut self, steps: u64, keep: f64) -> Result<u64, EngineError> {
        self.keeping(keep, |searched| {
            (0..steps).try_for_each(|step| searched.iterate(step).map(drop))
        })?;
        Ok(device::peak_memory_bytes())
    }

    /// One iteration; gives how long the step of the rows and that of the weights took.
    fn iterate(&mut self, step: u64) -> Result<(f64, f64), EngineError> {
        let device = self.net.compute.device;
        let begin = Instant::now();
        self.arch_step(step)?;
        synchronise(device);
        let middle = Instant::now();
        self.weight_step(step)?;
        synchronise(device);
        Ok((milliseconds(begin, middle), milliseconds(middle, Instant::now())))
    }

    fn arch_step(&mut self, step: u64) -> Result<(), EngineError> {
        let Self { net, bilevel, sampler, batch, lr, .. } = self;
        if *sampler == Sampler::Uniform {
            return Ok(());
        }
        let at = At { seed: self.seed, stream: Stream::ArchDraw, step };
        let draw = |net: &Supernet| sampler.draw(net, at, false);
        if self.unrolled {
            bilevel.unrolled_step(net, (batch, batch), draw, Pass::train(step), *lr)?;
        } else {
            bilevel.arch_step(net, batch, &draw(net)?, Pass::train(step))?;
        }
        Ok(())
    }

    fn weight_step(&mut self, step: u64) -> Result<(), EngineError> {
        let Self { net, bilevel, sampler, shrink, batch, lr, .. } = self;
        let at = At { seed: self.seed, stream: Stream::WeightDraw, step };
        if let Some((shrink, epoch)) = shrink {
            let _ = shrink.step((net, bilevel), batch, (at, *epoch), *lr)?;
        } else {
            let draw = sampler.draw(net, at, true)?;
            let _ = bilevel.weight_step(net, batch, &draw, Pass::train(!step), *lr)?;
        }
        Ok(())
    }

    /// A row of iterations on a GPU, as a search makes them: milliseconds of one, and per cent of
    /// the time in which the GPU computed something.
    fn queued(&mut self) -> Result<Option<(f64, Option<f64>)>, EngineError> {
        let device = self.net.compute.device;
        if !device.is_cuda() {
            return Ok(None);
        }
        let watch = Watch::begin(device);
        let begin = Instant::now();
        let mut steps = 0_u32;
        while steps < QUEUED || begin.elapsed() < QUEUED_FOR {
            self.arch_step(steps.into())?;
            self.weight_step(steps.into())?;
            steps += 1;
        }
        synchronise(device);
        let end = Instant::now();
        Ok(Some((milliseconds(begin, end) / f64::from(steps), watch.take())))
    }

    /// Forward and backward, superposed.
    fn pass(&self, step: u64) -> Result<f64, EngineError> {
        let begin = Instant::now();
        let plan = Plan::Superposed(&self.even);
        let Supernet { exec, store, compute, .. } = &self.net;
        let logits = exec.forward(store, &self.batch.x, plan, Pass::train(step))?;
        let _ = store.weights.gradient(&cross_entropy(&logits, &self.batch.y))?;
        synchronise(compute.device);
        Ok(milliseconds(begin, Instant::now()))
    }
}

/// The network with most parameters, trained alone.
struct Largest {
    network: Network,
    optimizer: Bilevel,
    lr: f64,
    device: Device,
}

impl Largest {
    fn of(searched: &Searched, search: &SearchSpec) -> Result<Self, EngineError> {
        let net = &searched.net;
        let fixed = net.graph().specialise(&net.graph().largest()?)?;
        let network = Network::inherited(fixed, &net.store, net.compute)?;
        let optimizer = Bilevel::new(search, &network.store.weights);
        Ok(Self { network, optimizer, lr: searched.lr, device: net.compute.device })
    }

    /// One step; gives how long forward and backward, and how long all of it took.
    fn train(&mut self, batch: &Batch, step: u64) -> Result<(f64, f64), EngineError> {
        let Self { network, optimizer, lr, device } = self;
        let begin = Instant::now();
        let loss = cross_entropy(&network.forward(&batch.x, Pass::train(step))?, &batch.y);
        let mut gradient = network.store.weights.gradient(&loss)?;
        synchronise(*device);
        let middle = Instant::now();
        let _ = clip(&mut gradient, optimizer.clip);
        optimizer.weight.step(network.store.weights.buffer(), gradient, *lr);
        synchronise(*device);
        Ok((milliseconds(begin, middle), milliseconds(begin, Instant::now())))
    }

    /// Answers a batch; gives how long that took.
    fn evaluate(&self, batch: &Batch) -> Result<f64, EngineError> {
        let begin = Instant::now();
        let _ = tch::no_grad(|| self.network.forward(&batch.x, Pass::EVALUATE))?;
        synchronise(self.device);
        Ok(milliseconds(begin, Instant::now()))
    }
}

fn random_batch(net: &Supernet, classes: i64, spec: &RunSpec) -> Result<Batch, EngineError> {
    let shape = net
        .graph()
        .input_shape()
        .ok_or_else(|| EngineError::Bug("the graph has no input".to_owned()))?;
    let count = i64::try_from(spec.search.batch_size).unwrap_or(i64::MAX);
    let mut full = vec![count];
    full.extend(shape);
    let device = net.compute.device;
    seeded(1, device, || {
        if spec.space.data() == DataKind::Text {
            let tokens = || Tensor::f_randint(classes, &full, (Kind::Int64, device));
            return Ok(Batch { x: tokens()?, y: tokens()? });
        }
        Ok(Batch {
            x: Tensor::f_randn(&full, (net.compute.kind, device))?,
            y: Tensor::f_randint(classes, [count], (Kind::Int64, device))?,
        })
    })
}

fn milliseconds(begin: Instant, end: Instant) -> f64 {
    (end - begin).as_secs_f64() * 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
