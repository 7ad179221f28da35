//! The table of fields as a page of documentation.

use std::fmt::Write as _;

use super::fields::{Default, FIELDS, Field, Item, Kind, Literal};

/// `docs/specification.md`: every field with its range, default and meaning.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(
        "# Specification of a run\n\n\
         A run is asked for as JSON (REST) or TOML (`skein search -f`). Only `dataset.id`, `space.preset` and\n\
         `search.optimizer.kind` must be given. Unknown fields are refused, and every violation is reported at once.\n\
         This page is made from the table that the check itself reads.\n\n\
         A `.config` file of the published code may be added as `config`, an object (or its text) of entries such as\n\
         `\"lr\": [\"float\", \"0.025\"]`. It fills in fields that are left out: those of the search, or, where an architecture\n\
         is given, those of the training from scratch.\n\n\
         ```toml\n[dataset]\nid = \"fashion-mnist\"\n[space]\npreset = \"toy-cell\"\n[search.optimizer]\nkind = \"drnas\"\n```\n\n\
         | field | range | default | meaning |\n| --- | --- | --- | --- |\n",
    );
    for field in FIELDS {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            field.path,
            range(field),
            default(field),
            meaning(field)
        );
    }
    page
}

fn range(field: &Field) -> String {
    let unit = if field.unit.is_empty() { String::new() } else { format!(" {}", field.unit) };
    match field.kind {
        Kind::Integer { min, max } => format!("whole, {min} to {max}{unit}"),
        Kind::Number { min, max } => format!("{min} to {max}{unit}"),
        Kind::Text { max_chars } => format!("text, at most {max_chars} characters"),
        Kind::OneOf(values) => {
            values.iter().map(|(value, _)| format!("`{value}`")).collect::<Vec<_>>().join(", ")
        }
        Kind::Dataset(values) => {
            let values: Vec<_> = values.iter().map(|(value, _)| format!("`{value}`")).collect();
            format!("{}, or the id of one of your own", values.join(", "))
        }
        Kind::Architecture => "text, list or object".to_owned(),
        Kind::Device => "`auto`, `cpu`, `cuda`, `cuda:N`".to_owned(),
        Kind::Flag => "true, false".to_owned(),
        Kind::List(Item::Integers { min, max }) => format!("rising list, {min} to {max}"),
        Kind::List(Item::Numbers { min, max }) => format!("rising list, {min} to {max}"),
        Kind::List(Item::Sizes { min, max }) => format!("list, {min} to {max}"),
        Kind::List(Item::Lists { min, max }) => format!("rising lists, {min} to {max}"),
        Kind::List(Item::Names(names)) => format!("list of `{}`", names.join("`, `")),
    }
}

fn default(field: &Field) -> String {
    match field.default {
        Default::Required => "required".to_owned(),
        Default::Absent => "none".to_owned(),
        Default::Is(literal) => said(literal),
        Default::By(_, values) => by(values),
        Default::Either([(_, values), (_, others)]) => {
            format!("{}; else {}", by(values), by(others))
        }
    }
}

fn by(values: &[(&str, Literal)]) -> String {
    let said = values.iter().map(|(value, literal)| format!("{} ({value})", said(*literal)));
    said.collect::<Vec<_>>().join(", ")
}

fn said(literal: Literal) -> String {
    match literal {
        Literal::Text(text) => format!("`{text}`"),
        Literal::List(text) => format!("`{text}`"),
        other => other.value().to_string(),
    }
}

fn meaning(field: &Field) -> String {
    match field.when {
        Some((path, values)) => {
            format!("{} Only if `{path}` is `{}`.", field.help, values.join("` or `"))
        }
        None => field.help.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    /// Run with `SKEIN_BLESS=1` to write the page anew.
    #[test]
    fn the_documentation_lists_every_field() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/specification.md");
        if std::env::var_os("SKEIN_BLESS").is_some() {
            std::fs::write(path, super::markdown()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == super::markdown(),
            "docs/specification.md is stale; SKEIN_BLESS=1 cargo test -p skein-core writes it"
        );
    }
}
