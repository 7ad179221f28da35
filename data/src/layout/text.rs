//! One text to learn from, perhaps with another to measure on.

use skein_core::dataset::report::Level;
use skein_core::dataset::{TEXT_INPUT, TEXT_TESTS};

use super::Text;
use crate::gather::{Gathered, Item, Kind};
use crate::refusal::Refusal;
use crate::report::Named;

/// Finds the texts; `None` if there is none.
pub(super) fn find(gathered: &Gathered) -> Result<Option<Text>, Refusal> {
    let items = &gathered.items;
    let is_text = |item: &Item| item.kind == Kind::Other && item.name.ending() == "txt";
    let called = |name: &str| items.iter().position(|item| item.name.file() == name.as_bytes());
    let test = TEXT_TESTS.iter().find_map(|name| called(name));
    let others: Vec<usize> = (0..items.len())
        .filter(|at| Some(*at) != test && items.get(*at).is_some_and(is_text))
        .collect();
    let train = match (called(TEXT_INPUT), others.as_slice()) {
        (Some(named), _) => named,
        (None, [only]) => *only,
        (None, []) => return Ok(None),
        (None, several) => {
            return Err(Refusal::Layout(format!(
                "there are {} texts, and none is called `{TEXT_INPUT}`; call the one to learn from so",
                several.len()
            )));
        }
    };
    let mut unused = Named::default();
    for (at, item) in items.iter().enumerate() {
        if at != train && Some(at) != test {
            unused.add(|| item.name.shown());
        }
    }
    let findings = unused.finding(Level::Note, "other_files", |count| {
        format!("{} not used.", crate::report::several(count, "file is", "files are"))
    });
    Ok(Some(Text { train, test, findings: findings.into_iter().collect() }))
}
