//! Findings, gathered while a set is looked over.

use skein_core::dataset::report::{Finding, Level, MOST_EXAMPLES};

/// Files that something is true of: how many, and some of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) count: u64,
    pub(crate) examples: Vec<String>,
}

impl Named {
    /// Counts one more.
    pub(crate) fn add(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < MOST_EXAMPLES {
            self.examples.push(name());
        }
    }

    /// The finding that this is, if there is any; `message` is given the count.
    pub(crate) fn finding(
        self,
        level: Level,
        code: &str,
        message: impl FnOnce(u64) -> String,
    ) -> Option<Finding> {
        let Self { count, examples } = self;
        (count > 0).then(|| Finding {
            level,
            code: code.to_owned(),
            message: message(count),
            count,
            examples,
        })
    }
}

/// `1 file`, `2 files`.
pub(crate) fn several(count: u64, one: &str, more: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {more}") }
}

/// A finding about no file in particular.
pub(crate) fn finding(level: Level, code: &str, message: String) -> Finding {
    Finding { level, code: code.to_owned(), message, count: 0, examples: vec![] }
}
