//! How long a superposed pass takes, in terms of the largest network's alone.

use std::time::{Duration, Instant};

use skein_core::spaces::build;
use skein_core::spec::{Fidelity, Sharing};
use tch::{Kind, Tensor};

use super::small;
use crate::EngineError;
use crate::device::{Compute, synchronise};
use crate::exec::{Executor, Pass, Plan};
use crate::search::bilevel::cross_entropy;
use crate::state::seed::Stream;
use crate::store::Store;
use crate::train::network::Network;

/// The spaces in which all candidates of a layer are slices of one weight.
pub const SPACES: [&str; 3] = ["conv-macro", "autoformer-t", "mobilenet-v3"];
/// Images of a pass.
const BATCH: i64 = 16;
/// Passes of each kind, in turns; the fastest counts, as other work only ever slows one down.
const LEAST_PASSES: usize = 5;
/// For how long passes are repeated.
const SPAN: Duration = Duration::from_secs(12);
/// The same where it must be quick.
const QUICK_SPAN: Duration = Duration::from_secs(4);

/// Forward and backward of the supernet over the same of its largest network.
///
/// # Errors
/// - [`EngineError`] if the space is unknown, or libtorch refuses.
pub fn ratio(preset: &str, quick: bool, compute: Compute) -> Result<f64, EngineError> {
    let published = small::published(preset)?;
    let graph = build(&(published.defaults)(), published.shape, Sharing::Entangled)?;
    let store = Store::initialised(&graph, compute, 5, Stream::Weights)?;
    let x = small::noise(&graph, published.shape.classes, BATCH, compute)?;
    let rows: Vec<Tensor> = graph
        .choices
        .iter()
        .map(|choice| {
            let count = i64::try_from(choice.options.len()).unwrap_or(1);
            Tensor::ones([count], (compute.kind, compute.device)).softmax(0, compute.kind)
        })
        .collect();
    let largest = graph.specialise(&graph.largest()?)?;
    let network = Network::inherited(largest, &store, compute)?;
    let exec = Executor::new(graph, Sharing::Entangled, Fidelity::Corrected, compute)?;
    let superposed = || exec.forward(&store, &x, Plan::Superposed(&rows), Pass::train(1));
    let alone = || network.forward(&x, Pass::train(1));
    let (mut both, mut one) = (Duration::MAX, Duration::MAX);
    // The first pass of each warms up, and is never the fastest.
    let (begin, span) = (Instant::now(), if quick { QUICK_SPAN } else { SPAN });
    let mut passes = 0;
    while passes <= LEAST_PASSES || begin.elapsed() < span {
        both = both.min(timed(&store, superposed, compute)?);
        one = one.min(timed(&network.store, alone, compute)?);
        passes += 1;
    }
    Ok(both.as_secs_f64() / one.as_secs_f64())
}

fn timed(
    store: &Store,
    forward: impl Fn() -> Result<Tensor, EngineError>,
    compute: Compute,
) -> Result<Duration, EngineError> {
    let begin = Instant::now();
    let logits = forward()?;
    let mut of_labels = logits.size();
    of_labels.pop();
    let y = Tensor::f_zeros(&of_labels, (Kind::Int64, compute.device))?;
    let _ = store.weights.gradient(&cross_entropy(&logits, &y))?;
    synchronise(compute.device);
    Ok(begin.elapsed())
}
