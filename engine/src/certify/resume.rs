//! A search that goes on from a checkpoint is the search that was never interrupted.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use skein_core::dataset::{self, Dataset};
use skein_core::spec::{OptimizerSpec, RunSpec};
use tch::{Kind, Tensor};

use crate::EngineError;
use crate::data::{Examples, Images};
use crate::device::Compute;
use crate::search::run::Search;
use crate::worker::session::hand_over;

/// Steps before the checkpoint, and after it.
const STEPS: u64 = 3;
/// Images of noise.
const IMAGES: usize = 64;

/// The largest difference of a weight, a running statistic or a parameter of the rows; 0 if all
/// are equal to the last bit.
///
/// # Errors
/// - [`EngineError`] if the checkpoint cannot be written, or libtorch refuses.
pub fn largest_error(optimizer: &OptimizerSpec, compute: Compute) -> Result<f64, EngineError> {
    let spec = spec(optimizer)?;
    let dataset = dataset::find(&spec.dataset.id)
        .ok_or_else(|| EngineError::Missing(spec.dataset.id.clone()))?;
    let images = Examples::Images(Images::random(dataset, IMAGES, compute)?);
    let mut whole = begun(&spec, dataset, compute)?;
    advance(&mut whole, &images)?;
    let mut resumed = begun(&spec, dataset, compute)?;
    let place = Place::new(optimizer.kind());
    hand_over(&whole, &mut resumed, &place.0)?;
    advance(&mut whole, &images)?;
    advance(&mut resumed, &images)?;
    let state = |search: &Search| {
        let store = &search.net.store;
        [store.weights.buffer(), store.stats.buffer(), search.net.alphas.buffer()]
            .map(Tensor::shallow_clone)
    };
    let mut worst = 0.0_f64;
    for (one, other) in state(&whole).iter().zip(state(&resumed)) {
        let error = (one - other).abs().max().to_kind(Kind::Double).f_double_value(&[])?;
        worst = if error.is_nan() { return Ok(error) } else { worst.max(error) };
    }
    Ok(worst)
}

/// A folder that goes when it is done with.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        // Proofs of one process may run at once.
        let thread = format!("{:?}", std::thread::current().id());
        let number: String = thread.chars().filter(char::is_ascii_digit).collect();
        let name = format!("skein-certify-{}-{number}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn spec(optimizer: &OptimizerSpec) -> Result<RunSpec, EngineError> {
    let mut optimizer = json!(optimizer);
    if optimizer["kind"] == "drnas" {
        optimizer["kl_scale"] = json!(0.0);
    }
    RunSpec::parse(&json!({
        "seed": 3,
        "dataset": {"id": "fashion-mnist", "limit": IMAGES, "crop": 2, "flip": true},
        "space": {"preset": "toy-cell", "channels": 2},
        "search": {"optimizer": optimizer, "epochs": 4, "batch_size": 8, "arch_lr": 0.01},
    }))
    .map_err(EngineError::Spec)
}

fn begun(spec: &RunSpec, dataset: &Dataset, compute: Compute) -> Result<Search, EngineError> {
    Search::new(spec, dataset.shape, IMAGES, compute)
}

fn advance(search: &mut Search, images: &Examples) -> Result<(), EngineError> {
    (0..STEPS).try_for_each(|_| search.iterate(images))
}
