//! Timings and memory, as `skein-worker bench` prints them.

mod input;

use std::time::Instant;

use serde::Serialize;
use skein_core::dataset::DataKind;
use skein_core::spec::RunSpec;
use skein_core::{dataset, spaces};
use tch::{Cuda, Device, Kind, Tensor};

use crate::EngineError;
use crate::device::{self, Compute};
use crate::exec::Pass;
use crate::nodes::norm::Statistics;
use crate::optim::clip;
use crate::search::bilevel::{Batch, Bilevel, cross_entropy, is_unrolled};
use crate::search::sampler::{At, Sampler};
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
    /// Forward and backward of the largest network alone.
    pub largest_network_ms: f64,
    /// Training step of the largest network alone.
    pub largest_network_step_ms: f64,
    /// Preparing the images of an iteration; absent if no data set has the space's shape.
    pub input_ms: Option<f64>,
    /// Per cent of an iteration that it waits for images prepared ahead; likewise.
    pub input_wait_percent: Option<f64>,
    /// Most resident memory of the process.
    pub peak_rss_mb: f64,
    /// Threads on the CPU.
    pub threads: usize,
    /// The device.
    pub device: String,
}

/// Measures search iterations on random images, in the shape of the data set that was `asked` for
/// or else of the space's own data.
///
/// # Errors
/// - [`EngineError`] if the device cannot be had, or the space cannot be built.
pub fn run(spec: &RunSpec, asked: bool, steps: u64) -> Result<Report, EngineError> {
    let compute = Compute::choose(&spec.resources.device, spec.resources.precision)?;
    let threads = device::set_threads(spec.resources.threads);
    let preset = spaces::find(spec.space.preset())
        .ok_or_else(|| EngineError::Missing(spec.space.preset().to_owned()))?;
    let known = dataset::find(&spec.dataset.id);
    let shape = known.filter(|_| asked).map_or(preset.shape, |known| known.shape);
    let mut net = Supernet::initialised(spec, shape, compute)?;
    let mut bilevel = Bilevel::new(&spec.search, &net.store.weights);
    let batch = random_batch(&net, shape.classes, spec)?;
    let sampler = Sampler::of(&spec.search.optimizer, 0, 1);
    let lr = spec.search.weight_lr;
    let (mut arch, mut weight, mut whole) = (vec![], vec![], vec![]);
    for step in 0..=steps {
        let at = |stream| At { seed: spec.seed, stream, step };
        let begin = Instant::now();
        if sampler != Sampler::Uniform {
            let draw = |net: &Supernet| sampler.draw(net, at(Stream::ArchDraw), false);
            if is_unrolled(&spec.search.optimizer) {
                bilevel.unrolled_step(&mut net, (&batch, &batch), draw, Pass::train(step), lr)?;
            } else {
                bilevel.arch_step(&net, &batch, &draw(&net)?, Pass::train(step))?;
            }
            synchronise(compute.device);
        }
        let middle = Instant::now();
        let draw = sampler.draw(&net, at(Stream::WeightDraw), true)?;
        let _ = bilevel.weight_step(&net, &batch, &draw, Pass::train(!step), lr)?;
        synchronise(compute.device);
        // The first iteration warms up.
        if step > 0 {
            arch.push(milliseconds(begin, middle));
            weight.push(milliseconds(middle, Instant::now()));
            whole.push(milliseconds(begin, Instant::now()));
        }
    }
    let (largest, largest_step) = largest_network(&net, &batch, steps, lr, &mut bilevel)?;
    let peak = device::peak_memory_bytes();
    let input = input::measure(spec, shape, steps, compute)?;
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
        iteration_ms: median(whole),
        arch_step_ms: median(arch),
        weight_step_ms: median(weight),
        largest_network_ms: largest,
        largest_network_step_ms: largest_step,
        input_ms: input.map(|input| input.prepare_ms),
        input_wait_percent: input.map(|input| 100.0 * input.wait),
        peak_rss_mb: f64::from(u32::try_from(peak / 100_000).unwrap_or(0)) / 10.0,
        threads,
        device: device::name(compute.device),
    })
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

/// Forward and backward, and the whole training step, of the network with most parameters.
fn largest_network(
    net: &Supernet,
    batch: &Batch,
    steps: u64,
    lr: f64,
    bilevel: &mut Bilevel,
) -> Result<(f64, f64), EngineError> {
    let graph = net.graph();
    let fixed = graph.specialise(&graph.largest()?)?;
    let network = Network::inherited(fixed, &net.store, net.compute)?;
    bilevel.weight.load(|_| None);
    let (mut passes, mut whole) = (vec![], vec![]);
    for step in 0..=steps {
        let begin = Instant::now();
        let pass = Pass { statistics: Statistics::Train, dropout: Some(step) };
        let loss = cross_entropy(&network.forward(&batch.x, pass)?, &batch.y);
        let mut gradient = network.store.weights.gradient(&loss)?;
        synchronise(net.compute.device);
        let middle = Instant::now();
        let _ = clip(&mut gradient, bilevel.clip);
        bilevel.weight.step(network.store.weights.buffer(), gradient, lr);
        synchronise(net.compute.device);
        if step > 0 {
            passes.push(milliseconds(begin, middle));
            whole.push(milliseconds(begin, Instant::now()));
        }
    }
    Ok((median(passes), median(whole)))
}

fn synchronise(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(i64::try_from(index).unwrap_or(0));
    }
}

fn milliseconds(begin: Instant, end: Instant) -> f64 {
    (end - begin).as_secs_f64() * 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
