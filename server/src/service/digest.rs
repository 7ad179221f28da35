//! What a run's events say so far, kept up to date event by event.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skein_core::event::{
    ArchitectureNow, Event, EventBody, Failure, Metrics, PhaseName, Progress, Started, Summary,
    Warning,
};
use skein_core::number::Num;

/// Warnings that are kept.
const WARNINGS: usize = 50;
/// Points of a sparkline that are shown.
const SPARKLINE: usize = 60;

/// What a run's events say so far.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Digest {
    /// When the first attempt began.
    pub started_at: Option<String>,
    /// Id of the last event.
    pub last_id: u64,
    /// The newest attempt that reported.
    pub attempt: u32,
    /// Process and device of that attempt.
    pub started: Option<Started>,
    /// How far it is.
    pub progress: Option<Progress>,
    /// Newest value of every metric, by `phase.name`.
    pub latest: BTreeMap<String, Num>,
    /// Validation accuracy by search step.
    pub accuracy: Vec<(u64, Num)>,
    /// The architecture that would be derived now.
    pub architecture: Option<ArchitectureNow>,
    /// What the worker warned of, newest last.
    pub warnings: Vec<Warning>,
    /// What it found, as the last event says.
    pub summary: Option<Summary>,
    /// Why it failed, as the last event says.
    pub failure: Option<Failure>,
}

impl Digest {
    /// Takes one more event in.
    pub fn add(&mut self, event: &Event) {
        self.last_id = super::tail::event_id(event.attempt, event.seq);
        match &event.body {
            EventBody::Started(started) => self.start(event, started),
            EventBody::Progress(progress) => self.progress = Some(progress.clone()),
            EventBody::Metrics(metrics) => self.metrics(metrics),
            EventBody::Architecture(now) => self.architecture = Some(now.clone()),
            EventBody::Warning(warning) => {
                self.warnings.push(warning.clone());
                if self.warnings.len() > WARNINGS {
                    self.warnings.remove(0);
                }
            }
            EventBody::Finished(summary) => self.summary = Some(summary.clone()),
            EventBody::Failed(failure) => self.failure = Some(failure.clone()),
            EventBody::Phase(_)
            | EventBody::Rows(_)
            | EventBody::Front(_)
            | EventBody::Finalists(_)
            | EventBody::Checkpoint(_)
            | EventBody::Log(_) => {}
        }
    }

    fn start(&mut self, event: &Event, started: &Started) {
        self.started_at.get_or_insert_with(|| event.at.clone());
        self.attempt = event.attempt;
        let from = started.resumed_from.unwrap_or(0);
        self.accuracy.retain(|(step, _)| *step <= from);
        self.started = Some(started.clone());
        (self.summary, self.failure) = (None, None);
    }

    fn metrics(&mut self, metrics: &Metrics) {
        for (name, value) in &metrics.values {
            self.latest.insert(format!("{}.{name}", metrics.phase.as_str()), *value);
        }
        if metrics.phase == PhaseName::Search
            && let Some(value) = metrics.values.get("valid_accuracy")
        {
            self.accuracy.retain(|(step, _)| *step < metrics.step);
            self.accuracy.push((metrics.step, *value));
        }
    }

    /// Validation accuracy over time, thinned for a small picture; the last point is kept.
    #[must_use]
    pub fn sparkline(&self) -> Vec<Num> {
        let stride = self.accuracy.len().div_ceil(SPARKLINE).max(1);
        let mut points: Vec<Num> =
            self.accuracy.iter().rev().step_by(stride).map(|(_, value)| *value).collect();
        points.reverse();
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(attempt: u32, seq: u64, body: EventBody) -> Event {
        Event { seq, attempt, at: format!("2026-01-01T00:00:0{seq}Z"), body }
    }

    fn accuracy(step: u64, value: f64) -> EventBody {
        let values = [("valid_accuracy".to_owned(), Num(value))].into();
        EventBody::Metrics(Metrics { phase: PhaseName::Search, step, epoch: 0, values })
    }

    fn started(resumed_from: Option<u64>) -> EventBody {
        EventBody::Started(Started {
            version: "0".to_owned(),
            pid: 1,
            host: "h".to_owned(),
            device: "cpu".to_owned(),
            threads: 1,
            resumed_from,
            total_steps: 9,
        })
    }

    #[test]
    fn a_resumed_attempt_supersedes_the_points_after_its_checkpoint() {
        let mut digest = Digest::default();
        let bodies = [started(None), accuracy(10, 0.1), accuracy(20, 0.2), accuracy(30, f64::NAN)];
        for (seq, body) in (1..).zip(bodies) {
            digest.add(&event(1, seq, body));
        }
        digest.add(&event(2, 1, started(Some(15))));
        digest.add(&event(2, 2, accuracy(20, 0.25)));
        assert_eq!(digest.sparkline(), [Num(0.1), Num(0.25)]);
        assert_eq!(digest.latest["search.valid_accuracy"], Num(0.25));
        assert_eq!(digest.started_at.as_deref(), Some("2026-01-01T00:00:01Z"));
    }

    #[test]
    fn a_long_sparkline_is_thinned_and_keeps_its_end() {
        let mut digest = Digest::default();
        for step in 1..=1000_u32 {
            digest.add(&event(1, 1, accuracy(step.into(), f64::from(step))));
        }
        let line = digest.sparkline();
        assert!(line.len() <= SPARKLINE);
        assert_eq!(line.last(), Some(&Num(1000.0)));
    }
}
