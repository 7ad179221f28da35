//! One option a choice, by name or by number.

use super::literal::{Node, Value};
use super::{Reading, Space, cells};
use crate::choice::{Architecture, ArchitectureError};

impl Space<'_> {
    /// A list of options; an object names its own as `option`.
    pub(super) fn options(&self, items: &[Node<'_>]) -> Result<Reading, ArchitectureError> {
        let choices = &self.graph.choices;
        if items.len() != choices.len() {
            let (expected, got) = (choices.len(), items.len());
            return Err(ArchitectureError::Length { expected, got });
        }
        let mut picked = Vec::with_capacity(choices.len());
        let mut numbered = vec![];
        for (item, choice) in items.iter().zip(choices) {
            let item = named(item);
            let (known, written) = match &item.value {
                Value::Text(name) => (cells::option(choice, name.trim()), name.clone()),
                Value::Number(number) => (item.whole(), (*number).to_owned()),
                Value::Word(word) => (cells::option(choice, word), (*word).to_owned()),
                _ => (None, "…".to_owned()),
            };
            let option = known.and_then(|option| choice.options.get(option));
            let option = option.ok_or_else(|| choice.lacks(&written))?;
            if item.whole().is_some() {
                numbered.push(format!("{} {option}", choice.name()));
            }
            picked.extend(known);
        }
        let warning = (!numbered.is_empty()).then(|| {
            format!(
                "bare numbers are taken in this space's own order of options: {}. Other programs \
                 number operations and edges in other ways; names leave no doubt",
                numbered.join(", ")
            )
        });
        Ok(Reading { architecture: Architecture(picked), warning })
    }
}

/// The option within an entry of `architecture.json`, or the item itself.
fn named<'n, 'a>(item: &'n Node<'a>) -> &'n Node<'a> {
    let Value::Object(entries) = &item.value else { return item };
    let option = entries.iter().find(|(key, _)| key.text() == Some("option"));
    option.map_or(item, |(_, option)| option)
}
