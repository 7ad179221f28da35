//! Gradients of the loss for the rows that an optimizer draws are finite differences.

use skein_core::spaces::build;
use skein_core::spec::{Fidelity, OptimizerSpec, Sharing};
use tch::{Kind, Tensor};

use super::small;
use crate::EngineError;
use crate::device::Compute;
use crate::exec::{Executor, Pass};
use crate::rows::{Alphas, Draw};
use crate::search::bilevel::cross_entropy;
use crate::search::sampler::{At, Sampler};
use crate::search::supernet::Supernet;
use crate::state::seed::{Stream, seeded};
use crate::store::Store;

/// The space that this is proven in.
pub const SPACE: &str = "toy-cell";
/// Half the distance of the points that are compared.
const STEP: f64 = 1e-6;
/// How far apart the parameters are, so that no two rows are alike; not so far that sparsemax
/// leaves options out, where a group that is switched off has a derivative from one side only.
const SPREAD: f64 = 50.0;

/// The largest difference over all entries of all rows, relative where a gradient exceeds 1.
///
/// # Errors
/// - [`EngineError`] if libtorch refuses.
pub fn largest_error(optimizer: &OptimizerSpec, compute: Compute) -> Result<f64, EngineError> {
    let (space, shape) = small::space(SPACE)?;
    let graph = build(&space, shape, Sharing::Entangled)?;
    let store = Store::initialised(&graph, compute, 5, Stream::Weights)?;
    let mut alphas = Alphas::initialised(&graph.choices, compute.device, 3);
    let spread = alphas.buffer() * SPREAD;
    alphas.load(&spread)?;
    let x = small::noise(&graph, shape.classes, 4, compute)?;
    let y = seeded(9, compute.device, || {
        Tensor::f_randint(shape.classes, [4], (Kind::Int64, compute.device))
    })?;
    let exec = Executor::new(graph, Sharing::Entangled, Fidelity::Corrected, compute)?;
    let net = Supernet::new(exec, store, alphas, compute);
    let at = At { seed: 1, stream: Stream::ArchDraw, step: 0 };
    let drawn = Sampler::of(optimizer, 0, 1).draw(&net, at, true)?;
    let loss = |rows: &[Tensor]| {
        let rows = rows.iter().map(Tensor::shallow_clone).collect();
        let draw = Draw { rows, path: drawn.path.clone() };
        let logits = net.exec.forward(&net.store, &x, draw.plan(), Pass::BATCH)?;
        Ok::<_, EngineError>(cross_entropy(&logits, &y))
    };
    let leaves: Vec<Tensor> =
        drawn.rows.iter().map(|row| row.detach().copy().set_requires_grad(true)).collect();
    let gradients = Tensor::f_run_backward(&[loss(&leaves)?], &leaves, false, false)?;
    let mut worst = 0.0_f64;
    for (row, gradient) in gradients.iter().enumerate() {
        for entry in 0..leaves[row].size()[0] {
            let side = |step: f64| {
                let mut moved: Vec<Tensor> = drawn.rows.iter().map(Tensor::copy).collect();
                let mut one = moved[row].narrow(0, entry, 1);
                let _ = one.f_add_scalar_(step)?;
                moved[row] = moved[row].detach();
                Ok::<_, EngineError>(tch::no_grad(|| loss(&moved))?.f_double_value(&[])?)
            };
            let slope = (side(STEP)? - side(-STEP)?) / (2.0 * STEP);
            let told = if gradient.defined() { gradient.f_double_value(&[entry])? } else { 0.0 };
            let error = (slope - told).abs() / told.abs().max(1.0);
            if error.is_nan() {
                return Ok(error);
            }
            worst = worst.max(error);
        }
    }
    Ok(worst)
}
