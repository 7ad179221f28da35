//! Signs that a search goes wrong, read off the rows and losses at the end of each epoch.
//!
//! Pure logic: what it knows is kept in checkpoints, so that a resumed search warns alike. Each
//! warning is said once a run.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use skein_core::choice::{Architecture, Choice};
use skein_core::event::Warning;

/// Mean entropy, as a share of the largest, below which rows have collapsed.
const COLLAPSED: f64 = 0.1;
/// Change of a probability below which a row has not moved.
const STILL: f64 = 0.01;
/// Epochs without any movement before that is told.
const UNMOVED_EPOCHS: u64 = 5;
/// Share of the choices that change their option per epoch, above which the rows do not settle.
const RESTLESS: f64 = 0.25;
/// Epochs over which changes of options are averaged.
const WINDOW: usize = 5;
/// Share of the choices with a skip that pick it, above which skips dominate.
const SKIPS: f64 = 0.5;
/// Loss of the rows' split over that of the weights', above which the gap is told if it grows.
const GAP: f64 = 1.5;
/// Epochs in a row in which it must grow.
const GROWING: u64 = 3;
/// Times that a search may go back to a checkpoint.
pub const MOST_ROLLBACKS: u32 = 3;

/// What does not change during a search.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'a> {
    /// The decisions.
    pub choices: &'a [Choice],
    /// Epochs of the search.
    pub epochs: u64,
    /// Epochs without a change after which the search ends; 0 for never.
    pub patience: u64,
}

/// What is known so far.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// The rows at the end of the first epoch.
    first: Vec<Vec<f64>>,
    /// The last few epochs, newest last.
    looks: Vec<Look>,
    /// Epochs in which no row has moved since the first.
    unmoved: u64,
    /// Sums of the losses of this epoch and their number: weights, rows.
    sums: (f64, f64, u64),
    /// Ratio of the losses in the last epoch, and for how many epochs it has grown.
    gap: (f64, u64),
    /// Codes of the warnings that were said.
    said: BTreeSet<String>,
    /// How often the search went back to a checkpoint; each time halves the learning rates.
    pub rollbacks: u32,
    /// Step after which the search ended early.
    pub stopped_at: Option<u64>,
}

/// The end of one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Look {
    rows: Vec<Vec<f64>>,
    picked: Architecture,
    flips: usize,
}

/// What an epoch's end says in numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vitals {
    /// Choices whose option is another than an epoch ago.
    pub flips: usize,
    /// Share of the choices with a skip that pick it, if there are any.
    pub skips: Option<f64>,
    /// Loss of the rows' split over that of the weights', if both are known.
    pub gap: Option<f64>,
}

impl Health {
    /// Takes in reported losses.
    pub fn note_losses(&mut self, weight: Option<f64>, arch: Option<f64>) {
        if let (Some(weight), Some(arch)) = (weight, arch) {
            self.sums = (self.sums.0 + weight, self.sums.1 + arch, self.sums.2 + 1);
        }
    }

    /// Factor of the learning rates after going back.
    #[must_use]
    pub fn rate(&self) -> f64 {
        0.5_f64.powi(i32::try_from(self.rollbacks).unwrap_or(i32::MAX))
    }

    /// Goes back to what a checkpoint knew, but not to its mistakes.
    pub fn roll_back(&mut self, earlier: Self) {
        let rollbacks = self.rollbacks + 1;
        let said = std::mem::take(&mut self.said);
        *self = Self { rollbacks, ..earlier };
        self.said.extend(said);
    }

    /// Takes in an epoch's end; gives its numbers and what a person should know.
    pub fn end_epoch(
        &mut self,
        watched: Watched<'_>,
        epoch: u64,
        rows: &[Vec<f64>],
        picked: &Architecture,
    ) -> (Vitals, Vec<Warning>) {
        let flips = self.looks.last().map_or(0, |last| {
            last.picked.0.iter().zip(&picked.0).filter(|(before, now)| before != now).count()
        });
        if self.first.is_empty() {
            self.first = rows.to_vec();
        }
        self.looks.push(Look { rows: rows.to_vec(), picked: picked.clone(), flips });
        let kept = WINDOW.max(usize::try_from(watched.patience).unwrap_or(usize::MAX - 1)) + 1;
        self.looks.drain(..self.looks.len().saturating_sub(kept));
        let gap = self.end_losses();
        let skips = skips(watched.choices, picked);
        let found = [
            self.collapsed(watched, epoch, rows),
            self.unmoved(rows),
            self.restless(watched, epoch),
            skips.and_then(dominated),
            gap.and_then(|gap| self.growing(gap)),
        ];
        let new =
            found.into_iter().flatten().filter(|warning| self.said.insert(warning.code.clone()));
        let warnings = new.collect();
        #[expect(clippy::cast_precision_loss, reason = "choices are few")]
        let share = |(picked, all): (usize, usize)| picked as f64 / all as f64;
        (Vitals { flips, skips: skips.map(share), gap }, warnings)
    }

    /// Whether neither the derived architecture nor the rows changed in the last epochs.
    #[must_use]
    pub fn is_still(&self, patience: u64) -> bool {
        let span = usize::try_from(patience).unwrap_or(usize::MAX);
        let (Some(last), true) = (self.looks.last(), patience > 0 && self.looks.len() > span)
        else {
            return false;
        };
        self.looks.iter().rev().take(span + 1).all(|look| {
            look.picked == last.picked && largest_change(&look.rows, &last.rows) < STILL
        })
    }

    fn end_losses(&mut self) -> Option<f64> {
        let (weight, arch, count) = std::mem::take(&mut self.sums);
        (count > 0 && weight > 0.0).then(|| arch / weight)
    }

    fn collapsed(&self, watched: Watched<'_>, epoch: u64, rows: &[Vec<f64>]) -> Option<Warning> {
        let entropy = relative_entropy(rows);
        (entropy < COLLAPSED && 2 * (epoch + 1) < watched.epochs).then(|| {
            warning(
                "rows_collapsed",
                format!(
                    "the rows have decided early: after epoch {} of {} their mean entropy is {:.1} % of the largest; a smaller `search.arch_lr` lets them explore longer",
                    epoch + 1,
                    watched.epochs,
                    100.0 * entropy
                ),
            )
        })
    }

    fn unmoved(&mut self, rows: &[Vec<f64>]) -> Option<Warning> {
        let change = largest_change(&self.first, rows);
        self.unmoved = if change < STILL { self.unmoved + 1 } else { 0 };
        (self.unmoved > UNMOVED_EPOCHS).then(|| {
            warning(
                "rows_unmoved",
                format!(
                    "the rows hardly move: in {} epochs no probability changed by more than {change:.4}; a larger `search.arch_lr` may be needed",
                    self.unmoved
                ),
            )
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "choices and epochs are few")]
    fn restless(&self, watched: Watched<'_>, epoch: u64) -> Option<Warning> {
        let late = 4 * (epoch + 1) > 3 * watched.epochs;
        let recent = self.looks.iter().rev().take(WINDOW).map(|look| look.flips);
        let flips = recent.sum::<usize>() as f64 / WINDOW as f64;
        let full = self.looks.len() > WINDOW;
        (late && full && flips > RESTLESS * watched.choices.len() as f64).then(|| {
            warning(
                "rank_flips",
                format!(
                    "the rows do not settle: in the last {WINDOW} epochs {flips:.1} of {} choices changed their option per epoch, so the derived architecture is partly chance",
                    watched.choices.len()
                ),
            )
        })
    }

    fn growing(&mut self, gap: f64) -> Option<Warning> {
        let grown = if gap > self.gap.0 { self.gap.1 + 1 } else { 0 };
        self.gap = (gap, grown);
        (gap > GAP && grown >= GROWING).then(|| {
            warning(
                "loss_gap",
                format!(
                    "the weights fit their images better than the others: the loss of the rows' images is {gap:.2} times that of the weights' and has grown for {grown} epochs"
                ),
            )
        })
    }
}

fn warning(code: &str, message: String) -> Warning {
    Warning { code: code.to_owned(), message }
}

/// Mean entropy of the rows as a share of the largest; rows of one option do not count.
#[expect(clippy::cast_precision_loss, reason = "rows are few and short")]
fn relative_entropy(rows: &[Vec<f64>]) -> f64 {
    let of = |row: &Vec<f64>| {
        let entropy: f64 = row.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
        entropy / (row.len() as f64).ln()
    };
    let open: Vec<f64> = rows.iter().filter(|row| row.len() > 1).map(of).collect();
    if open.is_empty() { 1.0 } else { open.iter().sum::<f64>() / open.len() as f64 }
}

fn largest_change(before: &[Vec<f64>], now: &[Vec<f64>]) -> f64 {
    let pairs = before.iter().flatten().zip(now.iter().flatten());
    pairs.map(|(before, now)| (before - now).abs()).fold(0.0, f64::max)
}

/// How many choices pick a skip, and how many could.
fn skips(choices: &[Choice], picked: &Architecture) -> Option<(usize, usize)> {
    let is_skip = |option: &String| option.starts_with("skip");
    let with =
        choices.iter().zip(&picked.0).filter(|(choice, _)| choice.options.iter().any(is_skip));
    let (mut taken, mut all) = (0, 0);
    for (choice, option) in with {
        all += 1;
        taken += usize::from(choice.options.get(*option).is_some_and(is_skip));
    }
    (all > 0).then_some((taken, all))
}

#[expect(clippy::cast_precision_loss, reason = "choices are few")]
fn dominated((taken, all): (usize, usize)) -> Option<Warning> {
    (all > 1 && taken as f64 > SKIPS * all as f64).then(|| {
        warning(
            "skip_dominance",
            format!(
                "skip connections dominate: {taken} of {all} choices pick one, which often means a collapsed search"
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_core::choice::Site;

    fn choices() -> Vec<Choice> {
        let edge = |to| Choice {
            tensor: "normal".to_owned(),
            label: format!("0→{to}"),
            options: ["conv", "skip"].map(str::to_owned).to_vec(),
            site: Site::Edge { cell: "normal".to_owned(), from: 0, to },
            when: None,
        };
        (1..=4).map(edge).collect()
    }

    /// Ends epochs whose rows all give this probability to the first option; the warnings.
    fn epochs(health: &mut Health, epochs: u64, patience: u64, first: &[f64]) -> Vec<Warning> {
        let choices = choices();
        let watched = Watched { choices: &choices, epochs, patience };
        let mut all = Vec::new();
        for (p, epoch) in first.iter().zip(0..) {
            let rows = vec![vec![*p, 1.0 - p]; 4];
            let picked = Architecture::argmax(&rows);
            all.extend(health.end_epoch(watched, epoch, &rows, &picked).1);
        }
        all
    }

    fn codes(warnings: &[Warning]) -> Vec<&str> {
        warnings.iter().map(|warning| warning.code.as_str()).collect()
    }

    #[test]
    fn a_healthy_search_is_left_alone() {
        let steady: Vec<f64> = (0..20_u32).map(|epoch| 0.5 + 0.02 * f64::from(epoch)).collect();
        assert_eq!(epochs(&mut Health::default(), 20, 0, &steady), []);
    }

    #[test]
    fn early_collapse_is_told_once_with_its_number() {
        let said = epochs(&mut Health::default(), 20, 0, &[0.6, 0.999, 0.999]);
        assert_eq!(codes(&said), ["rows_collapsed"]);
        assert!(
            said[0].message.contains("after epoch 2 of 20 their mean entropy is 1.1 %"),
            "{said:?}"
        );
        assert_eq!(epochs(&mut Health::default(), 3, 0, &[0.6, 0.999, 0.999]), [], "not so early");
    }

    #[test]
    fn rows_that_stand_still_are_told() {
        let said = epochs(&mut Health::default(), 100, 0, &[0.51; 12]);
        assert_eq!(codes(&said), ["rows_unmoved"]);
        assert!(said[0].message.contains("in 6 epochs no probability changed by more than 0.0000"));
    }

    #[test]
    fn flips_late_in_a_search_are_told() {
        let flipping: Vec<f64> =
            (0..20).map(|epoch| if epoch % 2 == 0 { 0.6 } else { 0.4 }).collect();
        let said = epochs(&mut Health::default(), 20, 0, &flipping);
        assert_eq!(codes(&said), ["skip_dominance", "rank_flips"]);
        assert!(said[0].message.contains("4 of 4 choices"), "{said:?}");
        assert!(said[1].message.contains("4.0 of 4 choices"), "{said:?}");
        let early = epochs(&mut Health::default(), 100, 0, &flipping);
        assert_eq!(codes(&early), ["skip_dominance"]);
    }

    #[test]
    fn a_growing_gap_between_the_losses_is_told() {
        let mut health = Health::default();
        let mut said = Vec::new();
        for epoch in 0..6_u32 {
            health.note_losses(Some(1.0), Some(1.2 + 0.1 * f64::from(epoch)));
            health.note_losses(Some(1.0), None);
            said.extend(epochs(&mut health, 100, 0, &[0.5 + 0.02 * f64::from(epoch)]));
        }
        assert_eq!(codes(&said), ["loss_gap"]);
        assert!(said[0].message.contains("is 1.60 times"), "{said:?}");
    }

    #[test]
    fn a_search_is_still_after_as_many_epochs_as_asked_for() {
        let mut health = Health::default();
        epochs(&mut health, 100, 3, &[0.6, 0.7, 0.8, 0.8, 0.8]);
        assert!(!health.is_still(3));
        epochs(&mut health, 100, 3, &[0.805]);
        assert!(health.is_still(3) && !health.is_still(0));
        epochs(&mut health, 100, 3, &[0.9]);
        assert!(!health.is_still(3));
    }

    #[test]
    fn what_it_knows_survives_a_checkpoint_and_mistakes_survive_going_back() {
        let mut health = Health::default();
        health.note_losses(Some(0.1 + 0.2), Some(0.7));
        epochs(&mut health, 100, 3, &[0.6, 0.2]);
        let text = serde_json::to_string(&health).unwrap();
        let earlier: Health = serde_json::from_str(&text).unwrap();
        assert_eq!(earlier, health);
        health.roll_back(earlier.clone());
        health.roll_back(earlier);
        assert_eq!((health.rollbacks, health.rate()), (2, 0.25));
        assert!(health.said.contains("skip_dominance"));
    }
}
