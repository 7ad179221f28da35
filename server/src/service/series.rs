//! Curves, rows and architectures of a run, read from its events on demand.
//!
//! Within one curve a later attempt supersedes the points of earlier ones from its first step on:
//! the curve stays one curve, and what was superseded stays visible apart.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::Path;

use skein_core::choice::{Architecture, Choice};
use skein_core::curve::Curve;
use skein_core::draw::{Scene, svg};
use skein_core::event::{ArchitectureNow, EventBody, Finalists, Front, PhaseName, Rows};
use skein_core::graph::Graph;
use skein_core::number::Num;
use skein_core::spaces;

use super::entry::Entry;
use super::runs::Runs;
use super::{ServiceError, blocking, tail};
use crate::domain::ids::RunId;
use crate::views::{ArchitectureView, ChoiceView, MetricsView, Point, RowsView, Series};

impl Runs {
    /// Every metric as a curve of at most about `max_points` points.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`], or the events cannot be read.
    pub async fn metrics(&self, id: RunId, max_points: usize) -> Result<MetricsView, ServiceError> {
        let entry = self.entry(id)?;
        blocking(move || curves(&entry.folder, max_points)).await
    }

    /// Every point of every metric as comma-separated values.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`], or the events cannot be read.
    pub async fn metrics_csv(&self, id: RunId) -> Result<String, ServiceError> {
        let entry = self.entry(id)?;
        blocking(move || {
            let mut csv = "phase,step,epoch,name,value,attempt\n".to_owned();
            tail::replay(&entry.folder, 0, |line| {
                if let EventBody::Metrics(metrics) = &line.event.body {
                    for (name, value) in &metrics.values {
                        let (phase, step) = (metrics.phase.as_str(), metrics.step);
                        let (epoch, attempt) = (metrics.epoch, line.event.attempt);
                        let _ = writeln!(csv, "{phase},{step},{epoch},{name},{value},{attempt}");
                    }
                }
                ControlFlow::Continue(())
            })?;
            Ok(csv)
        })
        .await
    }

    /// The rows over time, thinned to at most about `max_points` steps.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`], or the events cannot be read.
    pub async fn rows(&self, id: RunId, max_points: usize) -> Result<RowsView, ServiceError> {
        let entry = self.entry(id)?;
        blocking(move || {
            let mut rows = history(&entry.folder)?.rows;
            thin(&mut rows, max_points);
            let graph = graph(&entry)?;
            Ok(RowsView {
                choices: graph.choices.iter().map(choice_view).collect(),
                steps: rows.iter().map(|rows| rows.step).collect(),
                epochs: rows.iter().map(|rows| rows.epoch).collect(),
                rows: rows.into_iter().map(|rows| rows.rows).collect(),
            })
        })
        .await
    }

    /// The architectures that would have been derived; `current` is that of `step`, or the newest.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`], or the events cannot be read.
    pub async fn architecture(
        &self,
        id: RunId,
        step: Option<u64>,
    ) -> Result<ArchitectureView, ServiceError> {
        let entry = self.entry(id)?;
        blocking(move || {
            let History { architectures: history, front, finalists, .. } = history(&entry.folder)?;
            let current = at(&history, step, |now| now.step).cloned();
            Ok(ArchitectureView { current, history, front, finalists })
        })
        .await
    }

    /// The drawing of the architecture of `step`, or the newest; before there is one, the space.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`], or the events cannot be read.
    pub async fn drawing(&self, id: RunId, step: Option<u64>) -> Result<String, ServiceError> {
        let entry = self.entry(id)?;
        blocking(move || {
            let (graph, history) = (graph(&entry)?, history(&entry.folder)?);
            let rows = at(&history.rows, step, |rows| rows.step);
            let rows = rows.map(|rows| numbers(&rows.rows));
            let rows = rows.filter(|rows| fits(rows, &graph.choices));
            // Before the first architecture was said, the rows tell it; a later one would mislead.
            let said = at(&history.architectures, step, |now| now.step);
            let said = said.filter(|now| step.is_none_or(|step| now.step <= step));
            let architecture = said.map(|now| Architecture(now.choices.clone()));
            let architecture = architecture.or_else(|| rows.as_deref().map(Architecture::argmax));
            let architecture = architecture.filter(|found| found.check(&graph.choices).is_ok());
            let scene = Scene {
                architecture: architecture.as_ref(),
                rows: architecture.as_ref().and(rows.as_deref()),
                ..Scene::of(&graph)
            };
            Ok(svg(&scene))
        })
        .await
    }
}

/// The run's space, for its data.
pub(super) fn graph(entry: &Entry) -> Result<Graph, ServiceError> {
    spaces::build(&entry.spec.space, entry.spec.shape(), entry.spec.search.weights)
        .map_err(|error| std::io::Error::other(error).into())
}

/// A choice as the API shows it.
#[must_use]
pub fn choice_view(choice: &Choice) -> ChoiceView {
    ChoiceView {
        tensor: choice.tensor.clone(),
        label: choice.label.clone(),
        options: choice.options.clone(),
    }
}

fn numbers(rows: &[Vec<Num>]) -> Vec<Vec<f64>> {
    rows.iter().map(|row| row.iter().map(|value| value.0).collect()).collect()
}

fn fits(rows: &[Vec<f64>], choices: &[Choice]) -> bool {
    rows.len() == choices.len()
        && rows.iter().zip(choices).all(|(row, choice)| row.len() == choice.options.len())
}

/// The last one that holds at a step; without a step, the newest.
fn at<T>(history: &[T], step: Option<u64>, of: impl Fn(&T) -> u64) -> Option<&T> {
    match step {
        None => history.last(),
        Some(step) => history.iter().rfind(|item| of(item) <= step).or(history.first()),
    }
}

#[derive(Default)]
struct History {
    rows: Vec<Rows>,
    architectures: Vec<ArchitectureNow>,
    /// The newest.
    front: Option<Front>,
    /// The newest.
    finalists: Option<Finalists>,
}

fn history(run: &Path) -> Result<History, ServiceError> {
    let (mut rows, mut architectures) = (Curve::default(), Curve::default());
    let (mut front, mut finalists) = (None, None);
    tail::replay(run, 0, |line| {
        let attempt = line.event.attempt;
        match &line.event.body {
            EventBody::Rows(now) => rows.add(attempt, now.clone(), |rows| rows.step),
            EventBody::Architecture(now) => architectures.add(attempt, now.clone(), |now| now.step),
            EventBody::Front(now) => front = Some(now.clone()),
            EventBody::Finalists(now) => finalists = Some(now.clone()),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(History { rows: rows.points, architectures: architectures.points, front, finalists })
}

/// Keeps evenly spread items, the first and the last among them.
fn thin<T>(items: &mut Vec<T>, most: usize) {
    let (count, most) = (items.len(), most.max(2));
    if count <= most {
        return;
    }
    let kept: Vec<usize> = (0..most).map(|i| i * (count - 1) / (most - 1)).collect();
    let mut index = 0;
    items.retain(|_| {
        index += 1;
        kept.binary_search(&(index - 1)).is_ok()
    });
}

fn curves(run: &Path, max_points: usize) -> Result<MetricsView, ServiceError> {
    let mut last_event = 0;
    let mut curves: BTreeMap<(usize, String), (PhaseName, Curve<Point>)> = BTreeMap::new();
    tail::replay(run, 0, |line| {
        last_event = line.id;
        if let EventBody::Metrics(metrics) = &line.event.body {
            let (phase, attempt) = (metrics.phase, line.event.attempt);
            for (name, value) in &metrics.values {
                let slot = curves.entry((order(phase), name.clone()));
                let (_, curve) = slot.or_insert_with(|| (phase, Curve::default()));
                curve.add(attempt, Point(metrics.step, *value, attempt), |point| point.0);
            }
        }
        ControlFlow::Continue(())
    })?;
    let series = curves.into_iter().map(|((_, name), (phase, curve))| {
        let Curve { mut points, mut superseded, .. } = curve;
        sample(&mut points, max_points);
        sample(&mut superseded, max_points);
        Series { phase: phase.as_str().to_owned(), name, points, superseded }
    });
    Ok(MetricsView { series: series.collect(), last_event })
}

/// Phases in the order in which they happen.
fn order(phase: PhaseName) -> usize {
    phase as usize
}

/// Keeps of each stretch its lowest, its highest and its first non-finite point, so that neither
/// spikes nor gaps vanish; first and last stay.
fn sample(points: &mut Vec<Point>, most: usize) {
    if points.len() <= most.max(4) {
        return;
    }
    let stretches = (most.max(4) - 2) / 2;
    let inner = points.len() - 2;
    let mut kept = vec![0, points.len() - 1];
    for stretch in 0..stretches {
        let (from, to) = (1 + stretch * inner / stretches, 1 + (stretch + 1) * inner / stretches);
        let range = from..to;
        let value = |index: &usize| points[*index].1.0;
        let finite = || range.clone().filter(|index| value(index).is_finite());
        let by = |a: &usize, b: &usize| value(a).total_cmp(&value(b));
        kept.extend(finite().max_by(by));
        kept.extend(match range.clone().find(|index| !value(index).is_finite()) {
            Some(gap) => Some(gap),
            None => finite().min_by(by),
        });
    }
    kept.sort_unstable();
    kept.dedup();
    *points = kept.into_iter().map(|index| points[index].clone()).collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampling_keeps_spikes_gaps_and_ends() {
        let mut points: Vec<Point> =
            (0..10_000_u32).map(|i| Point(i.into(), Num(f64::from(i % 7)), 1)).collect();
        points[5000].1 = Num(1e9);
        points[7000].1 = Num(f64::NAN);
        points[3000].1 = Num(-1e9);
        sample(&mut points, 100);
        assert!(points.len() <= 100, "{}", points.len());
        let steps: Vec<u64> = points.iter().map(|point| point.0).collect();
        for step in [0, 3000, 5000, 7000, 9999] {
            assert!(steps.contains(&step), "{step}");
        }
        assert!(steps.is_sorted());
    }

    #[test]
    fn thinning_keeps_both_ends() {
        let mut items: Vec<usize> = (0..1000).collect();
        thin(&mut items, 7);
        assert_eq!((items.len(), items[0], items[6]), (7, 0, 999));
    }
}
