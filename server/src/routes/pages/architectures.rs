//! `/runs/{id}/architectures`: every epoch's architecture, two of them compared.

use askama::Template;
use serde::Deserialize;
use skein_core::number::Num;

use super::charts::words;
use super::format::{self, dash};
use super::frame::Frame;
use super::list::is_active;
use crate::service::architectures::Pair;
use crate::views::{ArchitectureLabel, Difference, EpochArchitecture, RunDetail};

/// What the page is asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Query {
    /// The first architecture to compare: an epoch or a label.
    pub(super) a: Option<String>,
    /// The second one.
    pub(super) b: Option<String>,
    /// Every epoch in a line of its own.
    pub(super) all: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "runs/architectures.html")]
pub(super) struct ArchitecturesPage {
    frame: Frame,
    run: String,
    name: String,
    /// Address of the files in the API.
    api: String,
    example: &'static str,
    active: bool,
    lines: Vec<Line>,
    /// Epochs in the list.
    epochs: usize,
    all: bool,
    /// Whether a benchmark is attached.
    has_truth: bool,
    /// Whether a second stage compared candidates.
    has_generations: bool,
    has_rounds: bool,
    is_text: bool,
    pair: Option<Compared>,
}

/// A line of the table: an epoch, or several in a row with the same architecture.
struct Line {
    key: String,
    /// Key of its first epoch, which stays while others join.
    from: String,
    title: String,
    /// How many epochs, if they are several.
    count: usize,
    labels: Vec<&'static str>,
    accuracy: String,
    loss: String,
    params: String,
    macs: String,
    truth: String,
    changes: String,
    is_a: bool,
    is_b: bool,
}

/// Two architectures.
struct Compared {
    sides: [Side; 2],
    differences: Vec<Difference>,
    is_one: bool,
}

/// One of them.
struct Side {
    letter: &'static str,
    key: String,
    /// Of its drawing: the other one.
    against: String,
    title: String,
    labels: Vec<&'static str>,
    accuracy: String,
    params: String,
    macs: String,
    text: String,
    /// What the parts are, as a class.
    kind: &'static str,
    parts: Vec<String>,
}

impl ArchitecturesPage {
    pub(super) fn new(
        frame: Frame,
        detail: RunDetail,
        list: &[EpochArchitecture],
        pair: Option<Pair>,
        all: bool,
    ) -> Self {
        let RunDetail { run, spec } = detail;
        let is_text = super::form::at(&spec, "dataset.tokens").is_some();
        let places = pair.as_ref().map(|pair| pair.places);
        Self {
            api: format!("{}/api/v1/runs/{}/architectures", frame.prefix, run.id),
            active: is_active(&run.status),
            run: run.id,
            name: run.name,
            example: words(is_text).0,
            lines: lines(list, places, all, is_text),
            epochs: list.len(),
            all,
            has_truth: list.iter().any(|one| one.true_accuracy.is_some()),
            has_generations: list.iter().any(|one| one.generation.is_some()),
            has_rounds: list.iter().any(|one| one.round.is_some()),
            is_text,
            pair: pair.map(|pair| compared(list, pair)),
            frame,
        }
    }
}

/// The newest first. Epochs in a row with the same architecture share a line, unless all are asked
/// for.
fn lines(
    list: &[EpochArchitecture],
    places: Option<[usize; 2]>,
    all: bool,
    is_text: bool,
) -> Vec<Line> {
    let mut groups: Vec<&[EpochArchitecture]> = Vec::new();
    let mut from = 0;
    for place in 1..=list.len() {
        let goes_on = list.get(place).is_some_and(|one| {
            let kind = |one: &EpochArchitecture| (one.round.is_some(), one.generation.is_some());
            let same_kind = kind(one) == kind(&list[from]);
            one.changes == Some(0) && one.epoch.is_some() && same_kind
        });
        if all || !goes_on {
            groups.push(&list[from..place]);
            from = place;
        }
    }
    let is_in = |group: &[EpochArchitecture], side: usize| {
        let chosen = places.and_then(|places| list.get(places[side]));
        chosen.is_some_and(|chosen| group.iter().any(|one| one.epoch == chosen.epoch))
    };
    let line =
        |group: &&[EpochArchitecture]| line(group, is_text, [is_in(group, 0), is_in(group, 1)]);
    groups.iter().rev().map(line).collect()
}

fn line(group: &[EpochArchitecture], is_text: bool, [is_a, is_b]: [bool; 2]) -> Line {
    let (first, last) = (&group[0], &group[group.len() - 1]);
    // The line speaks of its best epoch, which stands for the architecture.
    let has = |one: &&EpochArchitecture| one.labels.contains(&ArchitectureLabel::Best);
    let shown = group.iter().find(has).unwrap_or(last);
    let title = match group.len() {
        1 => title(first),
        _ => title(first).replacen(' ', "s ", 1) + &format!("–{}", number(last)),
    };
    Line {
        key: key(shown),
        from: key(first),
        title,
        count: group.len(),
        labels: group.iter().flat_map(labels).collect(),
        accuracy: shown.valid_accuracy.map_or_else(dash, format::percent),
        loss: if is_text { figure(shown.valid_loss) } else { String::new() },
        params: format::short(last.cost.params),
        macs: format::short(last.cost.macs),
        truth: truth(last),
        changes: first.changes.map_or_else(dash, |changes| changes.to_string()),
        is_a,
        is_b,
    }
}

fn compared(list: &[EpochArchitecture], pair: Pair) -> Compared {
    let Pair { places, drawings, differences } = pair;
    let [first, second] = drawings;
    let side = |at: usize, drawing: skein_core::draw::Panels| {
        let one = &list[places[at]];
        Side {
            letter: ["A", "B"][at],
            key: key(one),
            against: key(&list[places[1 - at]]),
            title: title(one),
            labels: labels(one).collect(),
            accuracy: one.valid_accuracy.map_or_else(dash, format::percent),
            params: format::short(one.cost.params),
            macs: format::short(one.cost.macs),
            text: one.text.clone(),
            kind: drawing.kind,
            parts: drawing.parts,
        }
    };
    Compared {
        is_one: places[0] == places[1],
        sides: [side(0, first), side(1, second)],
        differences,
    }
}

fn figure(number: Option<Num>) -> String {
    number.map_or_else(dash, format::value)
}

/// How an address calls it.
fn key(one: &EpochArchitecture) -> String {
    let derived = || ArchitectureLabel::Derived.word().to_owned();
    one.epoch.map_or_else(derived, |epoch| epoch.to_string())
}

/// People count from one.
fn number(one: &EpochArchitecture) -> u64 {
    one.round.or(one.generation).or(one.epoch).map_or(0, |index| index + 1)
}

fn title(one: &EpochArchitecture) -> String {
    match one {
        EpochArchitecture { round: Some(_), .. } => format!("Round {}", number(one)),
        EpochArchitecture { generation: Some(_), .. } => format!("Generation {}", number(one)),
        EpochArchitecture { epoch: Some(_), .. } => format!("Epoch {}", number(one)),
        _ => "Found in the end".to_owned(),
    }
}

fn labels(one: &EpochArchitecture) -> impl Iterator<Item = &'static str> {
    one.labels.iter().map(|label| match label {
        ArchitectureLabel::Last => "last",
        ArchitectureLabel::Best => "best by validation",
        ArchitectureLabel::Derived => "derived",
    })
}

fn truth(one: &EpochArchitecture) -> String {
    let rank =
        one.true_rank.map(|rank| format!(" (rank {})", format::thousands(&rank.to_string())));
    let accuracy = one.true_accuracy.map_or_else(dash, format::percent);
    accuracy + &rank.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use skein_core::graph::Cost;

    use super::*;

    fn one(
        epoch: u64,
        changes: Option<usize>,
        labels: Vec<ArchitectureLabel>,
    ) -> EpochArchitecture {
        EpochArchitecture {
            epoch: Some(epoch),
            generation: epoch.checked_sub(6),
            round: None,
            step: Some(epoch),
            labels,
            text: String::new(),
            choices: Vec::new(),
            cost: Cost::default(),
            valid_accuracy: Some(Num(f64::from(u32::try_from(epoch).unwrap()) / 10.0)),
            valid_loss: None,
            true_accuracy: None,
            true_rank: None,
            changes,
            changes_to_last: 0,
        }
    }

    #[test]
    fn equal_epochs_in_a_row_share_a_line_that_speaks_of_the_best() {
        use ArchitectureLabel::{Best, Last};
        let list = [
            one(0, None, vec![]),
            one(1, Some(2), vec![]),
            one(2, Some(0), vec![Best]),
            one(3, Some(0), vec![]),
            one(4, Some(1), vec![]),
            one(5, Some(1), vec![]),
            one(6, Some(0), vec![]),
            one(7, Some(0), vec![Last]),
        ];
        let said = |all| {
            let lines = lines(&list, Some([2, 7]), all, false);
            let said = lines.iter().map(|line| {
                let Line { key, title, accuracy, changes, labels, is_a, is_b, .. } = line;
                format!("{key} {title} {accuracy} {changes} {labels:?} {is_a} {is_b}")
            });
            said.collect::<Vec<_>>()
        };
        let expected = [
            "7 Generations 1–2 70.00 % 0 [\"last\"] false true",
            "5 Epoch 6 50.00 % 1 [] false false",
            "4 Epoch 5 40.00 % 1 [] false false",
            "2 Epochs 2–4 20.00 % 2 [\"best by validation\"] true false",
            "0 Epoch 1 0.00 % – [] false false",
        ];
        assert_eq!(said(false), expected);
        assert_eq!(said(true).len(), list.len());
        assert!(lines(&[], None, false, false).is_empty());
    }
}
