//! The architectures of a run, one an epoch: which is the last, which the best, and what differs
//! between two.

mod said;

use std::sync::Arc;

use skein_core::choice::Architecture;
use skein_core::draw::{self, Against, Panels, Scene};
use skein_core::event::Summary;
use skein_core::graph::Graph;
use skein_core::package::architecture::ArchitectureFile;

use self::said::{Beyond, Said};
use super::entry::Entry;
use super::runs::Runs;
use super::series::graph;
use super::{ServiceError, blocking};
use crate::domain::ids::RunId;
use crate::views::{ArchitectureLabel, ArchitecturesView, Difference, EpochArchitecture};

/// A form in which an architecture is downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As `architecture.json` of a package.
    Json,
    /// One line.
    Text,
    /// A drawing.
    Drawing,
}

/// Two architectures of a run side by side.
#[derive(Debug)]
pub struct Pair {
    /// Places in the list.
    pub places: [usize; 2],
    /// Drawings: the first says what changes, the second what it was.
    pub drawings: [Panels; 2],
    /// From the first to the second.
    pub differences: Vec<Difference>,
}

impl Runs {
    /// The architectures that would have been derived at the end of each epoch.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`], or the events cannot be read.
    pub async fn architectures(&self, id: RunId) -> Result<ArchitecturesView, ServiceError> {
        let entry = self.entry(id)?;
        blocking(move || Ok(Known::read(&entry)?.list())).await
    }

    /// One of them as a file; `which` is an epoch or a label.
    ///
    /// A drawing marks what differs from the one called `against`.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`], or the events cannot be read.
    pub async fn architecture_file(
        &self,
        id: RunId,
        which: String,
        against: Option<String>,
        form: Form,
    ) -> Result<String, ServiceError> {
        let entry = self.entry(id)?;
        blocking(move || {
            let known = Known::read(&entry)?;
            let place = known.find(&which)?;
            match form {
                Form::Json => known.json(place),
                Form::Text => Ok(known.list[place].text.clone() + "\n"),
                Form::Drawing => {
                    let other = against.map(|other| known.find(&other)).transpose()?;
                    let other = other.map(|other| known.architecture(other));
                    let here = known.architecture(place);
                    let against = other.as_ref().map(Against::Before);
                    Ok(draw::svg(&known.scene(&here, against)))
                }
            }
        })
        .await
    }

    /// All of them, and two compared: unless others are asked for the best and the last. There is
    /// no pair before there is an architecture.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`], or the events cannot be read.
    pub async fn compared(
        &self,
        id: RunId,
        asked: [Option<String>; 2],
    ) -> Result<(ArchitecturesView, Option<Pair>), ServiceError> {
        let entry = self.entry(id)?;
        blocking(move || {
            let known = Known::read(&entry)?;
            let pair = known.pair(asked)?;
            Ok((known.list(), pair))
        })
        .await
    }
}

/// What is known of a run's architectures.
struct Known {
    entry: Arc<Entry>,
    graph: Graph,
    list: Vec<EpochArchitecture>,
}

impl Known {
    fn read(entry: &Arc<Entry>) -> Result<Self, ServiceError> {
        let (graph, said) = (graph(entry)?, Said::read(&entry.folder)?);
        let search = &entry.spec.search;
        let generations = search.second_stage.generations();
        let before_rounds = (entry.spec.after.finalists.count > 0).then_some(generations);
        let goes_on = generations > 0 || before_rounds.is_some();
        let beyond = goes_on.then_some(Beyond { epochs: search.epochs, before_rounds });
        let mut list = said.list(&graph, beyond);
        let is_text = entry.spec.dataset.tokens.is_some();
        if let Some(best) = best(&list, is_text) {
            list[best].labels.push(ArchitectureLabel::Best);
        }
        if let Some(last) = list.last_mut() {
            last.labels.insert(0, ArchitectureLabel::Last);
        }
        if let Some(summary) = entry.view().summary {
            label_derived(&mut list, &graph, &summary);
        }
        count_changes(&mut list, &graph);
        Ok(Self { entry: Arc::clone(entry), graph, list })
    }

    fn list(self) -> ArchitecturesView {
        ArchitecturesView { architectures: self.list }
    }

    /// The place of an epoch, or of what has a label.
    fn find(&self, which: &str) -> Result<usize, ServiceError> {
        let label = ArchitectureLabel::ALL.into_iter().find(|label| label.word() == which);
        let found = match label {
            Some(label) => self.list.iter().position(|one| one.labels.contains(&label)),
            None => {
                let epoch = which.parse::<u64>().ok();
                self.list.iter().position(|one| epoch.is_some() && one.epoch == epoch)
            }
        };
        let which: String = which.chars().take(60).collect();
        found.ok_or_else(|| ServiceError::NotFound { what: format!("architecture `{which}`") })
    }

    fn architecture(&self, place: usize) -> Architecture {
        Architecture(self.list[place].choices.clone())
    }

    fn scene<'a>(&'a self, here: &'a Architecture, against: Option<Against<'a>>) -> Scene<'a> {
        Scene { architecture: Some(here), against, ..Scene::of(&self.graph) }
    }

    fn json(&self, place: usize) -> Result<String, ServiceError> {
        let (here, cost) = (self.architecture(place), self.list[place].cost);
        let file = ArchitectureFile::new(&self.entry.spec, &self.graph, &here, cost);
        let text = serde_json::to_string_pretty(&file).map_err(std::io::Error::other)?;
        Ok(text + "\n")
    }

    fn pair(&self, asked: [Option<String>; 2]) -> Result<Option<Pair>, ServiceError> {
        let [first, second] = asked.map(|which| which.map(|which| self.find(&which)).transpose());
        let labelled = |label: ArchitectureLabel| self.find(label.word()).ok();
        let last = labelled(ArchitectureLabel::Last).or(labelled(ArchitectureLabel::Derived));
        let best = labelled(ArchitectureLabel::Best).or(last);
        let (Some(first), Some(second)) = (first?.or(best), second?.or(last)) else {
            return Ok(None);
        };
        let (one, other) = (self.architecture(first), self.architecture(second));
        Ok(Some(Pair {
            places: [first, second],
            drawings: [
                draw::panels(&self.scene(&one, Some(Against::After(&other)))),
                draw::panels(&self.scene(&other, Some(Against::Before(&one)))),
            ],
            differences: self.differences(&one, &other),
        }))
    }

    fn differences(&self, one: &Architecture, other: &Architecture) -> Vec<Difference> {
        let difference = |id: usize| {
            let choice = &self.graph.choices[id];
            Difference {
                name: choice.name(),
                before: choice.options[one.0[id]].clone(),
                after: choice.options[other.0[id]].clone(),
            }
        };
        self.graph.differences(one, other).into_iter().map(difference).collect()
    }
}

/// The place of the best by validation, the earliest of equals: by accuracy, of texts by loss.
///
/// What finalists score with weights of their own, candidates of a second stage with inherited ones,
/// and the supernet after an epoch are not compared with each other: the first of these that there
/// is counts.
fn best(list: &[EpochArchitecture], is_text: bool) -> Option<usize> {
    let figure = |one: &EpochArchitecture| match is_text {
        true => one.valid_loss.map(|loss| -loss.0),
        false => one.valid_accuracy.map(|accuracy| accuracy.0),
    };
    let scored = |one: &&EpochArchitecture| figure(one).is_some_and(f64::is_finite);
    let kind = |one: &EpochArchitecture| (one.round.is_some(), one.generation.is_some());
    let counted = list.iter().filter(scored).map(kind).max();
    let mut found: Option<(usize, f64)> = None;
    for (place, one) in list.iter().enumerate() {
        let Some(figure) = figure(one).filter(|figure| figure.is_finite()) else { continue };
        let counts = Some(kind(one)) == counted;
        if counts && found.is_none_or(|(_, best)| figure > best) {
            found = Some((place, figure));
        }
    }
    found.map(|(place, _)| place)
}

/// Labels what the run found; if no epoch had it, it joins the list at its end.
fn label_derived(list: &mut Vec<EpochArchitecture>, graph: &Graph, summary: &Summary) {
    let derived = Architecture(summary.choices.clone());
    if derived.check(&graph.choices).is_err() {
        return;
    }
    let is_same = |one: &EpochArchitecture| {
        graph.differences(&Architecture(one.choices.clone()), &derived).is_empty()
    };
    if let Some(found) = list.iter_mut().rfind(|one| is_same(one)) {
        found.labels.push(ArchitectureLabel::Derived);
        return;
    }
    list.push(EpochArchitecture {
        epoch: None,
        generation: None,
        round: None,
        step: None,
        labels: vec![ArchitectureLabel::Derived],
        text: summary.architecture.clone(),
        choices: summary.choices.clone(),
        cost: summary.cost,
        valid_accuracy: None,
        valid_loss: None,
        true_accuracy: None,
        true_rank: None,
        changes: None,
        changes_to_last: 0,
    });
}

/// Counts what differs from the epoch before, and from the last.
fn count_changes(list: &mut [EpochArchitecture], graph: &Graph) {
    let all: Vec<Architecture> = list.iter().map(|one| Architecture(one.choices.clone())).collect();
    let last = list.iter().rposition(|one| one.epoch.is_some());
    for (place, one) in list.iter_mut().enumerate() {
        let before = place.checked_sub(1).map(|before| &all[before]);
        one.changes = before.map(|before| graph.differences(before, &all[place]).len());
        one.changes_to_last =
            last.map_or(0, |last| graph.differences(&all[place], &all[last]).len());
    }
}

#[cfg(test)]
mod tests;
