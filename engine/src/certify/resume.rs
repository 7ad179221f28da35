//! A search that goes on from a checkpoint is the search that was never interrupted.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use skein_core::dataset::{self, Dataset};
use skein_core::spec::{OptimizerSpec, RunSpec};
use tch::{Kind, Tensor};

use crate::EngineError;
use crate::data::{Examples, Images};
use crate::device::Compute;
use crate::search::run::Search;
use crate::worker::session::hand_over;

/// Steps of a search that has no phases.
const STEPS: u64 = 6;
/// Images of noise.
const IMAGES: usize = 64;
/// Images per step: two steps an epoch, so that every one of them is at a boundary.
const BATCH: usize = 16;

/// The preset in which an optimizer's search is resumed: one that it fits.
#[must_use]
pub fn preset(optimizer: &OptimizerSpec) -> &'static str {
    space(optimizer).0
}

/// The same, and what makes it small.
fn space(optimizer: &OptimizerSpec) -> (&'static str, Value) {
    match optimizer {
        OptimizerSpec::Ofa { .. } => (
            "mobilenet-v3",
            json!({"width": 0.1, "image_size": 32, "depths": [1, 2], "expansions": [2, 3]}),
        ),
        OptimizerSpec::DrnasProgressive { .. } => {
            ("darts", json!({"channels": 8, "cells": 3, "nodes": 1, "keep": 2}))
        }
        _ => ("toy-cell", json!({"channels": 2})),
    }
}

/// The largest difference of a weight, a running statistic or a parameter of the rows between a
/// search that was never interrupted and one that ended before every step and was taken up by
/// another; 0 if all are equal to the last bit.
///
/// Searches that have phases go through all of them, the others take a few steps.
///
/// # Errors
/// - [`EngineError`] if the checkpoint cannot be written, or libtorch refuses.
pub fn largest_error(optimizer: &OptimizerSpec, compute: Compute) -> Result<f64, EngineError> {
    let spec = spec(optimizer)?;
    let dataset = dataset::find(&spec.dataset.id)
        .ok_or_else(|| EngineError::Missing(spec.dataset.id.clone()))?;
    let images = Examples::Images(Images::random(dataset, IMAGES, compute)?);
    let mut whole = begun(&spec, dataset, compute)?;
    let mut resumed = begun(&spec, dataset, compute)?;
    let place = Place::new(optimizer.kind());
    let phases = whole.shrink.is_some() || whole.net.progressive().is_some();
    let steps = if phases { whole.total_steps() } else { STEPS };
    for _ in 0..steps {
        advance(&mut whole, &images)?;
        let mut next = begun(&spec, dataset, compute)?;
        hand_over(&resumed, &mut next, &place.0)?;
        advance(&mut next, &images)?;
        resumed = next;
    }
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
    let (preset, mut space) = space(optimizer);
    space["preset"] = json!(preset);
    RunSpec::parse(&json!({
        "seed": 3,
        "dataset": {"id": "fashion-mnist", "limit": IMAGES, "crop": 2, "flip": true},
        "space": space,
        "search": {"optimizer": optimizer, "epochs": 4, "batch_size": BATCH, "arch_lr": 0.01},
    }))
    .map_err(EngineError::Spec)
}

fn begun(spec: &RunSpec, dataset: &Dataset, compute: Compute) -> Result<Search, EngineError> {
    Search::new(spec, dataset.shape, IMAGES, compute)
}

/// A step; what an epoch told is asked for at its end, as a worker does.
fn advance(search: &mut Search, images: &Examples) -> Result<(), EngineError> {
    search.iterate(images)?;
    if search.step.is_multiple_of(search.steps_per_epoch()) {
        search.pending.take()?;
    }
    Ok(())
}
