//! Lists of runs: filtered, sorted, page by page.

use std::cmp::Ordering;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ServiceError;
use super::entry::Entry;
use super::runs::Runs;
use crate::domain::ids::RunId;
use crate::domain::run::RunStatus;
use crate::views::RunList;

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// Time of creation.
    #[default]
    Created,
    /// Name.
    Name,
    /// Word of the state.
    Status,
    /// Validation accuracy; runs without one come last in either order.
    Accuracy,
}

/// Which runs a list shows, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListQuery {
    /// Only these states; all if empty.
    pub status: Vec<RunStatus>,
    /// Only runs whose name, id, space, optimizer, data or architecture contains this text.
    pub q: Option<String>,
    /// What is sorted by.
    pub sort: Sort,
    /// Smallest first.
    pub ascending: bool,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// Runs on a page.
    pub limit: usize,
}

/// A run's place in a sorted list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Place {
    text: String,
    number: Option<f64>,
    id: RunId,
}

impl Runs {
    /// A page of runs.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`] if the cursor is none of ours.
    pub async fn list(&self, query: ListQuery) -> Result<RunList, ServiceError> {
        let after = query.cursor.as_deref().map(read_cursor).transpose()?;
        let mut found: Vec<(Place, Arc<Entry>)> = self
            .all()
            .into_iter()
            .filter(|entry| matches(entry, &query))
            .map(|entry| (place(&entry, query.sort), entry))
            .collect();
        let compare = |a: &Place, b: &Place| order(a, b, query.ascending);
        found.sort_by(|(a, _), (b, _)| compare(a, b));
        if let Some(after) = after {
            found.retain(|(place, _)| compare(place, &after) == Ordering::Greater);
        }
        let limit = query.limit.max(1);
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(place, _)| write_cursor(place));
        Ok(RunList { runs: found.iter().map(|(_, entry)| entry.view()).collect(), next })
    }
}

fn matches(entry: &Entry, query: &ListQuery) -> bool {
    let state = entry.state();
    if !query.status.is_empty() && !query.status.contains(&state.record.status) {
        return false;
    }
    let Some(q) = &query.q else { return true };
    let q = q.to_lowercase();
    let id = entry.id.to_string();
    let architecture = state.digest.architecture.as_ref().map_or("", |now| now.text.as_str());
    let texts = [
        state.record.name.as_str(),
        id.as_str(),
        entry.spec.space.preset(),
        entry.spec.search.optimizer.kind(),
        entry.spec.dataset.id.as_str(),
        architecture,
    ];
    texts.iter().any(|text| text.to_lowercase().contains(&q))
}

fn place(entry: &Entry, sort: Sort) -> Place {
    let state = entry.state();
    let (text, number) = match sort {
        Sort::Created => (String::new(), None),
        Sort::Name => (state.record.name.to_lowercase(), None),
        Sort::Status => (state.record.status.to_string(), None),
        Sort::Accuracy => {
            let now = state.digest.latest.get("search.valid_accuracy");
            let found = state.digest.summary.as_ref().map(|summary| &summary.valid_accuracy);
            let number = found.or(now).map(|value| value.0).filter(|value| value.is_finite());
            (String::new(), number)
        }
    };
    Place { text, number, id: entry.id }
}

fn order(a: &Place, b: &Place, ascending: bool) -> Ordering {
    let turned = |order: Ordering| if ascending { order } else { order.reverse() };
    let numbers = match (a.number, b.number) {
        (Some(a), Some(b)) => turned(a.total_cmp(&b)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    };
    numbers.then_with(|| turned(a.text.cmp(&b.text).then(a.id.cmp(&b.id))))
}

fn write_cursor(place: &Place) -> String {
    super::create::hex(&serde_json::to_vec(place).unwrap_or_default())
}

fn read_cursor(text: &str) -> Result<Place, ServiceError> {
    let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
    let place = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    place.ok_or_else(|| ServiceError::NotFound { what: "page for this cursor".to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, number: Option<f64>) -> Place {
        Place { text: text.to_owned(), number, id: RunId::new() }
    }

    #[test]
    fn a_cursor_reads_back_and_nonsense_is_refused() {
        let place = place("häß", Some(0.5));
        assert_eq!(read_cursor(&write_cursor(&place)).unwrap(), place);
        for text in ["", "x", "zz", "é", "7b7d"] {
            assert!(read_cursor(text).is_err(), "{text}");
        }
    }

    #[test]
    fn runs_without_a_number_come_last_in_either_order() {
        let (high, low, none) = (place("", Some(0.9)), place("", Some(0.1)), place("", None));
        for ascending in [false, true] {
            assert_eq!(order(&none, &high, ascending), Ordering::Greater);
            assert_eq!(order(&low, &high, ascending) == Ordering::Less, ascending);
        }
    }
}
