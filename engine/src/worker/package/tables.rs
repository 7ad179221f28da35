//! The package's records of a run: architecture, candidates, front, curves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::json;
use skein_core::curve::Curve;
use skein_core::event::{Event, EventBody, Front, Metrics};
use skein_core::folder;
use skein_core::package::architecture::ArchitectureFile;
use skein_core::package::card::Facts;
use skein_core::spec::{SecondStageSpec, milliseconds};

use super::{Contents, pretty};
use crate::EngineError;
use crate::search::effects;
use crate::search::evolve::Tried;
use crate::train::tournament::Played;

/// Version of `pareto.json`.
const FRONT_VERSION: u32 = 1;

/// `architecture.json`.
pub(super) fn architecture_json(contents: &Contents<'_>) -> Result<String, EngineError> {
    let Facts { spec, space, architecture, ladder, packaged, cost, .. } = contents.facts;
    let file = ArchitectureFile::new(spec, space, architecture, cost);
    let file = ArchitectureFile { ladder: Some(ladder), packaged: Some(packaged), ..file };
    pretty(&json!(file))
}

/// All candidates of the second stage, in the order in which they were scored.
pub(super) fn candidates_csv(contents: &Contents<'_>) -> Result<String, EngineError> {
    let timed = !contents.facts.space.timings.is_empty();
    let mut csv = String::from("architecture,valid_accuracy,valid_loss,params,macs");
    csv.push_str(if timed { ",latency_ms\n" } else { "\n" });
    for Tried { architecture, accuracy, loss } in contents.tried {
        let text =
            architecture.to_text(contents.facts.spec.space.preset(), &contents.facts.space.choices);
        let cost = contents.facts.space.cost(architecture)?;
        // The text form has commas.
        let _ = write!(csv, "\"{text}\",{accuracy},{loss},{},{}", cost.params, cost.macs);
        let latency = cost.latency_ns.map(|ns| format!(",{}", milliseconds(ns)));
        let _ = writeln!(csv, "{}", latency.unwrap_or_default());
    }
    Ok(csv)
}

/// What each option adds to the scores of the candidates, if the second stage decides by that.
pub(super) fn effects_csv(contents: &Contents<'_>) -> Result<Option<String>, EngineError> {
    let Facts { spec, space, .. } = contents.facts;
    if !matches!(spec.search.second_stage, SecondStageSpec::Effects { .. }) {
        return Ok(None);
    }
    let effects = effects::of(spec, space, contents.tried)?;
    let mut csv = String::from("choice,option,effect,candidates\n");
    for ((choice, effects), counts) in space.choices.iter().zip(&effects.of).zip(&effects.counts) {
        for ((option, effect), count) in choice.options.iter().zip(effects).zip(counts) {
            let _ = writeln!(csv, "{},{option},{effect},{count}", choice.name());
        }
    }
    Ok(Some(csv))
}

/// All trainings of finalists, in their order.
pub(super) fn finalists_csv(contents: &Contents<'_>) -> Result<String, EngineError> {
    let Facts { spec, space, .. } = contents.facts;
    let mut csv = String::from("architecture,round,epochs,valid_accuracy,valid_loss,params,macs\n");
    for Played { architecture, round, epochs, accuracy, loss, .. } in contents.finals {
        let text = architecture.to_text(spec.space.preset(), &space.choices);
        let cost = space.cost(architecture)?;
        let (round, [params, macs]) = (round + 1, [cost.params, cost.macs]);
        // The text form has commas.
        let _ = writeln!(csv, "\"{text}\",{round},{epochs},{accuracy},{loss},{params},{macs}");
    }
    Ok(csv)
}

/// The trade-offs of accuracy against cost.
pub(super) fn front_json(front: &Front) -> Result<String, EngineError> {
    let Front { step, cost, points, .. } = front;
    pretty(&json!({"version": FRONT_VERSION, "candidates": step, "cost": cost, "points": points}))
}

/// All metrics of a run as one table; points that a later attempt superseded are left out.
pub(super) fn metrics_csv(run: &Path, last: u32) -> String {
    // By phase and name: step and line.
    let mut curves: BTreeMap<(&str, String), Curve<(u64, String)>> = BTreeMap::new();
    for attempt in 1..=last {
        let path = folder::attempt(run, attempt).join(folder::EVENTS);
        let Ok(text) = fs::read_to_string(&path) else { continue };
        // A torn last line does not parse and is skipped.
        for event in text.lines().filter_map(|line| serde_json::from_str::<Event>(line).ok()) {
            let EventBody::Metrics(Metrics { phase, step, epoch, values }) = event.body else {
                continue;
            };
            for (name, value) in values {
                let phase = phase.as_str();
                let line = format!("{phase},{step},{epoch},{name},{value},{attempt}");
                curves
                    .entry((phase, name))
                    .or_default()
                    .add(attempt, (step, line), |point| point.0);
            }
        }
    }
    let mut csv = String::from("phase,step,epoch,name,value,attempt\n");
    for (_, line) in curves.into_values().flat_map(|curve| curve.points) {
        let _ = writeln!(csv, "{line}");
    }
    csv
}
