//! Other budgets for a trained supernet: a short search for the front of accuracy against cost.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use skein_core::event::{EventBody, PhaseName};
use skein_core::spec::{Measure, SecondStageSpec};

use super::create::Created;
use super::entry::Entry;
use super::runs::Runs;
use super::{ServiceError, tail};
use crate::domain::clock;
use crate::domain::ids::RunId;
use crate::domain::run::RunStatus;

/// Seconds that the comparison of architectures may take, about.
const SECONDS: f64 = 75.0;
/// What an image costs that a candidate goes through, as a share of what it costs in the search,
/// where it is one of both steps.
const SHARE: f64 = 0.1;
/// Candidates that are compared if their cost is not known.
const USUAL: u64 = 60;
/// Fewest and most candidates, so that there is a front and that it is soon there.
const CANDIDATES: [u64; 2] = [12, 120];
/// Candidates that images are saved for.
const ENOUGH: u64 = 24;

/// How many architectures are compared, and on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Effort {
    candidates: u64,
    /// Images that recalibrate batch norm for each.
    recalibrate: u64,
    /// Images that validate each.
    validate: u64,
}

impl Runs {
    /// Queues a short run that compares architectures on a run's trained supernet.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`]; [`ServiceError::Conflict`] if the run has no supernet that
    ///   lends weights; those of [`Runs::create`].
    pub async fn front(
        &self,
        id: RunId,
        cost: Measure,
        key: Option<String>,
    ) -> Result<Created, ServiceError> {
        let entry = self.entry(id)?;
        if !entry.spec.search.optimizer.lends_weights() || entry.status() != RunStatus::Succeeded {
            let detail = "only a run that has succeeded and trained a supernet that lends its weights has other budgets";
            return Err(ServiceError::Conflict(detail.to_owned()));
        }
        let spec = super::blocking(move || Ok(asked(&entry, cost)?)).await?;
        self.create(spec, key).await
    }
}

/// The newest of some runs that compares architectures, or did.
#[must_use]
pub fn newest<'a>(runs: impl IntoIterator<Item = &'a Arc<Entry>>) -> Option<RunId> {
    let compares = |entry: &&Arc<Entry>| {
        let pareto = matches!(entry.spec.search.second_stage, SecondStageSpec::Pareto { .. });
        let useless = [RunStatus::Failed, RunStatus::Cancelled, RunStatus::Lost];
        pareto && !useless.contains(&entry.status())
    };
    runs.into_iter().filter(compares).last().map(|entry| entry.id)
}

/// The specification of the comparison.
fn asked(entry: &Entry, cost: Measure) -> std::io::Result<Value> {
    let (search, after) = (&entry.spec.search, &entry.spec.after);
    let first = Effort {
        candidates: USUAL,
        recalibrate: after.recalibrate_images.min(512),
        validate: search.valid_limit.min(1024),
    };
    let image_s = image_seconds(&entry.folder, search.batch_size)?;
    let effort = image_s.map_or(first, |image_s| within(first, image_s * SHARE));
    let population = (effort.candidates / 5).clamp(6, 24);
    let mut spec = entry.spec.to_value();
    spec["name"] = format!("{}, by {}", entry.view().name, word(cost)).into();
    spec["search"]["from_run"] = entry.id.to_string().into();
    spec["search"]["second_stage"] = json!({
        "kind": "pareto",
        "cost": cost,
        "population": population,
        "mutations": population / 2,
        "crossovers": population - population / 2,
        "generations": effort.candidates.div_ceil(population),
        "images": effort.validate,
    });
    for limit in ["max_params", "max_macs", "max_latency_ms"] {
        spec["constraints"][limit] = Value::Null;
    }
    spec["after"]["recalibrate_images"] = effort.recalibrate.into();
    spec["after"]["packaged"] = "best".into();
    spec["after"]["finalists"] = json!({});
    for stage in ["fine_tune", "from_scratch"] {
        spec["after"][stage]["epochs"] = 0.into();
    }
    Ok(spec)
}

fn word(cost: Measure) -> &'static str {
    match cost {
        Measure::Params => "parameters",
        Measure::Macs => "multiply-adds",
        Measure::Latency => "latency",
    }
}

/// Seconds of a step of the search for each image that trains weights, if the run searched.
fn image_seconds(run: &Path, batch: u64) -> std::io::Result<Option<f64>> {
    let mut steps: Vec<(u64, String, u32)> = Vec::new();
    tail::replay(run, 0, |line| {
        if let EventBody::Metrics(metrics) = &line.event.body
            && metrics.phase == PhaseName::Search
        {
            // Between attempts nobody worked.
            steps.retain(|(_, _, attempt)| *attempt == line.event.attempt);
            steps.push((metrics.step, line.event.at.clone(), line.event.attempt));
        }
        ControlFlow::Continue(())
    })?;
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return Ok(None) };
    let times = clock::parse(&first.1).zip(clock::parse(&last.1));
    let count = last.0.saturating_sub(first.0).saturating_mul(batch);
    #[expect(clippy::cast_precision_loss, reason = "images are far below 2^52")]
    let seconds = times.map(|(first, last)| (last - first).as_seconds_f64() / count.max(1) as f64);
    Ok(seconds.filter(|seconds| count > 0 && *seconds > 0.0))
}

/// As much as fits into the time, if an image of a candidate takes so long: fewer images first,
/// then fewer candidates.
fn within(mut effort: Effort, image_s: f64) -> Effort {
    let fits = |effort: &Effort| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a small positive number"
        )]
        let candidates =
            (SECONDS / (image_s * (effort.recalibrate + effort.validate) as f64)).min(1e6) as u64;
        candidates
    };
    while fits(&effort) < ENOUGH && effort.validate > 128 {
        effort.validate = (effort.validate / 2).max(128);
        effort.recalibrate = (effort.recalibrate / 2).clamp(16, 128.max(effort.validate));
    }
    Effort { candidates: fits(&effort).clamp(CANDIDATES[0], CANDIDATES[1]), ..effort }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_candidates_see_fewer_images_before_they_become_fewer() {
        let first = Effort { candidates: USUAL, recalibrate: 512, validate: 1024 };
        assert_eq!(within(first, 1e-9), Effort { candidates: 120, ..first });
        // 1536 images take 1.5 s.
        assert_eq!(within(first, 1e-3), Effort { candidates: 48, ..first });
        let fewer = Effort { candidates: 30, recalibrate: 128, validate: 256 };
        assert_eq!(within(first, 6.5e-3), fewer);
        let fewest = Effort { candidates: 12, recalibrate: 64, validate: 128 };
        assert_eq!(within(first, 1.0), fewest);
    }
}
