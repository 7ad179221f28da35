//! Rate and remaining time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use skein_core::event::{PhaseName, Progress};
use skein_core::number::Num;

/// Pause between two progress events.
const PAUSE: Duration = Duration::from_millis(500);
/// How far back the rate looks.
const WINDOW: Duration = Duration::from_secs(6);
/// Guess of a training step's cost, as a share of a search step over equally many images, until
/// one was measured: no arch step, and one candidate instead of all.
const FIT_SHARE: f64 = 0.2;
/// The same for an image that a candidate of the second stage goes through: forward only.
const SELECT_SHARE: f64 = 0.07;

/// What lies ahead, in steps.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Steps of the search.
    pub search: u64,
    /// Images per step of the search, weights alone.
    pub search_batch: u64,
    /// Steps of the fine-tuning.
    pub fine_tune: u64,
    /// Candidates of the second stage.
    pub select: u64,
    /// Images that each of them goes through.
    pub select_images: u64,
    /// Steps of all trainings of finalists.
    pub finals: u64,
    /// Steps of the training from scratch.
    pub fit: u64,
    /// Images per step of all trainings.
    pub fit_batch: u64,
}

/// Where a phase stands.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Which phase.
    pub phase: PhaseName,
    /// Steps done.
    pub step: u64,
    /// Steps of the phase.
    pub total: u64,
    /// Steps of an epoch.
    pub per_epoch: u64,
    /// Images per step.
    pub images: u64,
}

/// Measures steps and tells how far the run is.
#[derive(Debug)]
pub struct Meter {
    plan: Plan,
    phase: PhaseName,
    recent: VecDeque<(Instant, u64)>,
    said: Option<Instant>,
    begun: Instant,
    /// Seconds that earlier attempts worked.
    spent_s: f64,
    /// Seconds of a search step, once measured.
    search_step_s: Option<f64>,
    /// Seconds that a step of this phase should take, until one was measured.
    expected_s: Option<f64>,
    fraction: f64,
}

#[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
impl Meter {
    /// A meter at the beginning of an attempt; earlier attempts worked `spent_s` seconds.
    #[must_use]
    pub fn new(plan: Plan, spent_s: f64) -> Self {
        Self {
            plan,
            phase: PhaseName::Search,
            recent: VecDeque::new(),
            said: None,
            begun: Instant::now(),
            spent_s,
            search_step_s: None,
            expected_s: None,
            fraction: 0.0,
        }
    }

    /// Seconds that all attempts worked.
    #[must_use]
    pub fn worked_s(&self) -> f64 {
        self.spent_s + self.begun.elapsed().as_secs_f64()
    }

    /// Begins a phase whose steps should take so many seconds each.
    pub fn expect(&mut self, phase: PhaseName, step_s: f64) {
        self.enter(phase);
        self.expected_s = Some(step_s);
    }

    fn enter(&mut self, phase: PhaseName) {
        if phase != self.phase {
            self.phase = phase;
            self.recent.clear();
            self.expected_s = None;
        }
    }

    /// Notes a step; gives a progress event if it is time for one, or `always`.
    pub fn tick(&mut self, place: Place, always: bool) -> Option<Progress> {
        let now = Instant::now();
        self.enter(place.phase);
        self.recent.push_back((now, place.step));
        while self.recent.len() > 2 && now - self.recent[0].0 > WINDOW {
            self.recent.pop_front();
        }
        let due = self.said.is_none_or(|said| now - said >= PAUSE);
        if !(due || always) {
            return None;
        }
        self.said = Some(now);
        let step_s = self.step_s();
        if place.phase == PhaseName::Search {
            self.search_step_s = step_s.or(self.search_step_s);
        }
        let remaining_s = step_s.map(|step_s| self.remaining_s(place, step_s));
        if let Some(remaining_s) = remaining_s {
            let worked_s = self.worked_s();
            self.fraction = self.fraction.max(worked_s / (worked_s + remaining_s)).min(1.0);
        }
        Some(Progress {
            phase: place.phase,
            step: place.step,
            total_steps: place.total,
            epoch: place.step / place.per_epoch.max(1),
            epochs: place.total / place.per_epoch.max(1),
            fraction: Num(self.fraction),
            images_per_s: Num(step_s.map_or(0.0, |step_s| place.images as f64 / step_s)),
            remaining_s: remaining_s.map(Num),
        })
    }

    /// Seconds of a step: of the last few seconds, or as they were expected.
    fn step_s(&self) -> Option<f64> {
        let measured = || {
            let (first, last) = (self.recent.front()?, self.recent.back()?);
            let steps = last.1.checked_sub(first.1).filter(|steps| *steps > 0)?;
            Some((last.0 - first.0).as_secs_f64() / steps as f64)
        };
        measured().or(self.expected_s)
    }

    fn remaining_s(&self, place: Place, step_s: f64) -> f64 {
        let here = place.total.saturating_sub(place.step) as f64 * step_s;
        let trainings = self.plan.fine_tune + self.plan.fit;
        let (select, steps) = match place.phase {
            PhaseName::Search => {
                (self.plan.select * self.plan.select_images, self.plan.finals + trainings)
            }
            PhaseName::Select => (0, self.plan.finals + trainings),
            // Trainings of the same network, or of one like it.
            PhaseName::Finalists => return here + trainings as f64 * step_s,
            PhaseName::FineTune => return here + self.plan.fit as f64 * step_s,
            PhaseName::Inherit | PhaseName::Fit | PhaseName::Package => return here,
        };
        let ahead = SELECT_SHARE * select as f64 + FIT_SHARE * (steps * self.plan.fit_batch) as f64;
        here + ahead * self.search_image_s(place, step_s)
    }

    /// Seconds of a search step for each of its images. An attempt that begins after the search
    /// knows only the step of its own phase.
    fn search_image_s(&self, place: Place, step_s: f64) -> f64 {
        match self.search_step_s {
            Some(search_step_s) => search_step_s / self.plan.search_batch.max(1) as f64,
            None => step_s / (SELECT_SHARE * place.images.max(1) as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_never_runs_backwards_and_counts_the_rest() {
        let plan = Plan {
            search: 100,
            search_batch: 64,
            select: 0,
            select_images: 0,
            finals: 0,
            fine_tune: 0,
            fit: 0,
            fit_batch: 96,
        };
        let mut meter = Meter::new(plan, 10.0);
        let place =
            |step| Place { phase: PhaseName::Search, step, total: 100, per_epoch: 10, images: 128 };
        assert!(meter.tick(place(0), true).unwrap().remaining_s.is_none());
        std::thread::sleep(Duration::from_millis(20));
        let half = meter.tick(place(50), true).unwrap();
        let remaining = half.remaining_s.unwrap().0;
        assert!((0.01..1.0).contains(&remaining), "{remaining}");
        assert_eq!((half.epoch, half.epochs), (5, 10));
        std::thread::sleep(Duration::from_millis(20));
        let later = meter.tick(place(51), true).unwrap();
        assert!(later.fraction >= half.fraction);
        assert!(meter.tick(place(52), false).is_none(), "too soon");
    }

    #[test]
    fn a_phase_whose_steps_are_expected_tells_the_rest_at_once() {
        let plan = Plan {
            search: 10,
            search_batch: 64,
            select: 8,
            select_images: 64,
            finals: 0,
            fine_tune: 0,
            fit: 0,
            fit_batch: 96,
        };
        let mut meter = Meter::new(plan, 0.0);
        meter.expect(PhaseName::Select, 3.0);
        let place =
            |step| Place { phase: PhaseName::Select, step, total: 8, per_epoch: 8, images: 64 };
        assert_eq!(meter.tick(place(2), true).unwrap().remaining_s, Some(Num(18.0)));
        std::thread::sleep(Duration::from_millis(20));
        let measured = meter.tick(place(4), true).unwrap().remaining_s.unwrap().0;
        assert!((0.03..1.0).contains(&measured), "{measured}");
        let next = Place { phase: PhaseName::Fit, ..place(0) };
        assert!(meter.tick(next, true).unwrap().remaining_s.is_none());
    }
}
