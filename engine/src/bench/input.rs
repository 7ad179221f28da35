//! How much of an iteration is spent waiting for images.

use std::time::Instant;

use skein_core::dataset::{self, DataKind, DataShape};
use skein_core::spec::RunSpec;

use super::{median, milliseconds};
use crate::EngineError;
use crate::data::{Examples, Images};
use crate::device::{Compute, synchronise};
use crate::search::run::Search;

/// Images of noise that are drawn from.
const IMAGES: usize = 4096;

/// What the input costs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input {
    /// Milliseconds to prepare the batches of an iteration, median.
    pub(super) prepare_ms: f64,
    /// Share of the iterations' time that they wait for batches prepared ahead, `0..=1`.
    pub(super) wait: f64,
}

/// Measures whole iterations on images of the data set; absent if it has another shape or is a text.
pub(super) fn measure(
    spec: &RunSpec,
    shape: DataShape,
    steps: u64,
    compute: Compute,
) -> Result<Option<Input>, EngineError> {
    let fits = |known: &&dataset::Dataset| known.shape == shape && known.kind == DataKind::Images;
    let Some(dataset) = dataset::find(&spec.dataset.id).filter(fits) else {
        return Ok(None);
    };
    let count = IMAGES.max(usize::try_from(spec.search.batch_size).unwrap_or(0) * 4);
    let images = Examples::Images(Images::random(dataset, count, compute)?);
    let mut search = Search::new(spec, shape, count, compute)?;
    let mut source = search.source(&images);
    let mut times = Vec::new();
    for step in 0..=steps {
        let begin = Instant::now();
        let _ = source.prepare(step)?;
        synchronise(compute.device);
        times.push(milliseconds(begin, Instant::now()));
    }
    // The first iteration warms up, and its images cannot have been prepared ahead.
    for step in 0..=steps {
        search.iterate(&images)?;
        synchronise(compute.device);
        if step == 0 {
            let _ = search.input_wait.take();
        }
    }
    Ok(Some(Input { prepare_ms: median(times), wait: search.input_wait.take() }))
}
