//! With one-hot rows, superposed, path and standalone execution are one network; with any rows,
//! learned and held ones give the same mixture.

use skein_core::choice::{Architecture, Choice};
use skein_core::graph::Graph;
use skein_core::spaces::build;
use skein_core::spec::{Fidelity, Sharing};
use tch::Tensor;

use super::small;
use crate::EngineError;
use crate::device::Compute;
use crate::exec::{Executor, Pass, Plan};
use crate::rows::uniform;
use crate::state::seed::{Stream, generator, seeded};
use crate::store::Store;

/// The largest difference between the outputs of the three over some random architectures, and
/// between those of learned and of held rows.
///
/// # Errors
/// - [`EngineError`] if the space is unknown, or libtorch refuses.
pub fn largest_error(
    preset: &str,
    sharing: Sharing,
    architectures: usize,
    compute: Compute,
) -> Result<f64, EngineError> {
    let (space, shape) = small::space(preset)?;
    let graph = build(&space, shape, sharing)?;
    largest_error_in(&graph, shape.classes, (sharing, architectures), compute)
}

/// The same in a graph of some classes.
///
/// # Errors
/// - as [`largest_error`].
pub fn largest_error_in(
    graph: &Graph,
    classes: i64,
    (sharing, architectures): (Sharing, usize),
    compute: Compute,
) -> Result<f64, EngineError> {
    let store = Store::initialised(graph, compute, 5, Stream::Weights)?;
    let exec = Executor::new(graph.clone(), sharing, Fidelity::Corrected, compute)?;
    let x = small::noise(graph, classes, 3, compute)?;
    let nothing = Architecture(vec![]);
    let mut generator = generator(8, Stream::Candidates, 0);
    let mut worst = learned_against_held(&exec, &store, &x, compute)?;
    if worst.is_nan() {
        return Ok(worst);
    }
    for _ in 0..architectures {
        let architecture = uniform::draw(&graph.choices, &mut generator);
        let rows = small::one_hot(graph, &architecture, compute);
        let path = exec.forward(&store, &x, Plan::Path(&architecture, None), Pass::BATCH)?;
        let mixed = exec.forward(&store, &x, Plan::Superposed(&rows), Pass::BATCH)?;
        let fixed = graph.specialise(&architecture)?;
        let inherited = store.inherit(&fixed, compute)?;
        let alone = Executor::fixed(fixed.graph, compute)?;
        let alone = alone.forward(&inherited, &x, Plan::Path(&nothing, None), Pass::BATCH)?;
        for other in [mixed, alone] {
            let error = (&path - other).abs().max().f_double_value(&[])?;
            // A difference that is no number must not be lost.
            worst = if error.is_nan() { f64::NAN } else { error.max(worst) };
            if worst.is_nan() {
                return Ok(worst);
            }
        }
    }
    Ok(worst)
}

/// Rows that are learned are applied as gates, held ones as masks; both are the same mixture.
fn learned_against_held(
    exec: &Executor,
    store: &Store,
    x: &Tensor,
    compute: Compute,
) -> Result<f64, EngineError> {
    let options = (compute.kind, compute.device);
    let row = |(choice, seed): (&Choice, u64)| {
        let size = [i64::try_from(choice.options.len()).unwrap_or(0)];
        seeded(seed, compute.device, || Tensor::randn(size, options)).softmax(-1, compute.kind)
    };
    let held: Vec<Tensor> = exec.graph().choices.iter().zip(0..).map(row).collect();
    let learned: Vec<Tensor> =
        held.iter().map(|row| row.detach().set_requires_grad(true)).collect();
    let run = |rows: &[Tensor]| exec.forward(store, x, Plan::Superposed(rows), Pass::BATCH);
    let difference = run(&held)? - run(&learned)?.detach();
    Ok(difference.abs().max().f_double_value(&[])?)
}
