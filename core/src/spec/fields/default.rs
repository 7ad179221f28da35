//! What a field is if left out.

use serde_json::{Value, json};

use super::find;

/// What a field is if left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Default {
    /// It must be given.
    Required,
    /// It may be left out, and is then absent (`null`).
    Absent,
    /// This value.
    Is(Literal),
    /// The value that stands for what another field holds; the first for anything else.
    By(&'static str, &'static [(&'static str, Literal)]),
    /// The value that stands for what the first field holds, if one does; else as the above, by the
    /// second field.
    Either([(&'static str, &'static [(&'static str, Literal)]); 2]),
}

/// A value in the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Literal {
    /// A whole number.
    Integer(u64),
    /// A number.
    Number(f64),
    /// Text.
    Text(&'static str),
    /// True or false.
    Flag(bool),
    /// A list, as JSON.
    List(&'static str),
}

impl Literal {
    /// The value as JSON.
    #[must_use]
    pub fn value(self) -> Value {
        match self {
            Self::Integer(value) => json!(value),
            Self::Number(value) => json!(value),
            Self::Text(value) => json!(value),
            Self::Flag(value) => json!(value),
            Self::List(text) => serde_json::from_str(text).unwrap_or_default(),
        }
    }
}

impl Default {
    /// The value, given what the specification holds so far; `None` if the field must be given.
    #[must_use]
    pub fn value(self, specification: &Value) -> Option<Value> {
        match self {
            Self::Required => None,
            Self::Absent => Some(Value::Null),
            Self::Is(literal) => Some(literal.value()),
            Self::By(path, values) => {
                let found = found(specification, path, values);
                found.or(values.first()).map(|(_, literal)| literal.value())
            }
            Self::Either([(path, values), (second, others)]) => {
                match found(specification, path, values) {
                    Some((_, literal)) => Some(literal.value()),
                    None => Self::By(second, others).value(specification),
                }
            }
        }
    }
}

/// The value that stands for what a field holds.
fn found<'a>(
    specification: &Value,
    path: &str,
    values: &'a [(&'static str, Literal)],
) -> Option<&'a (&'static str, Literal)> {
    let given = chosen(specification, path);
    values.iter().find(|(value, _)| Some(*value) == given.as_deref())
}

/// What a field holds that others depend on: its own default if it was left out.
#[must_use]
pub fn chosen(spec: &Value, path: &str) -> Option<String> {
    let given = path.split('.').try_fold(spec, |value, part| value.get(part));
    match given.and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Some(text.to_owned()),
        _ => find(path)?.default.value(spec)?.as_str().map(str::to_owned),
    }
}
