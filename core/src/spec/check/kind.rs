//! The check of one value against its kind.

use serde_json::Value;

use super::list;
use crate::dataset::is_id;
use crate::spec::fields::Kind;

/// Values in a message.
pub(super) fn named(values: &[(&str, &str)]) -> String {
    values.iter().map(|(value, _)| format!("`{value}`")).collect::<Vec<_>>().join(", ")
}

/// A value in a message.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("\"{}\"", text.chars().take(40).collect::<String>()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// The value in its normal form, or what is wrong with it.
pub(super) fn fault(kind: Kind, given: &Value) -> Result<Value, String> {
    let got = describe(given);
    match kind {
        Kind::Integer { min, max } => match whole(given) {
            Some(value) if (min..=max).contains(&value) => Ok(value.into()),
            Some(value) if value < min => Err(format!("must be at least {min}, not {got}")),
            Some(_) => Err(format!("must be at most {max}, not {got}")),
            None if given.as_f64().is_some_and(|value| value < 0.0) => {
                Err(format!("must be at least {min}, not {got}"))
            }
            None => Err(format!("a whole number is expected, not {got}")),
        },
        Kind::Number { min, max } => match given.as_f64() {
            Some(value) if (min..=max).contains(&value) => Ok(value.into()),
            Some(value) if value < min => Err(format!("must be at least {min}, not {got}")),
            Some(_) => Err(format!("must be at most {max}, not {got}")),
            None => Err(format!("a number is expected, not {got}")),
        },
        Kind::Text { max_chars } => match given.as_str() {
            Some(text) if text.chars().count() > max_chars => {
                Err(format!("must have at most {max_chars} characters"))
            }
            Some(text) if text.chars().any(char::is_control) => {
                Err("must not contain control characters".to_owned())
            }
            Some(text) => Ok(text.trim().into()),
            None => Err(format!("text is expected, not {got}")),
        },
        Kind::OneOf(values) => match given.as_str() {
            Some(text) if values.iter().any(|(value, _)| *value == text) => Ok(text.into()),
            _ => Err(format!("must be one of {}, not {got}", named(values))),
        },
        Kind::Dataset(_) => match given.as_str() {
            Some(text) if is_id(text) => Ok(text.into()),
            _ => Err(format!(
                "must be the id of a data set: small letters, digits and `-`, not {got}"
            )),
        },
        Kind::Architecture => match given {
            Value::String(text) => Ok(text.trim().into()),
            Value::Array(_) | Value::Object(_) => Ok(given.to_string().into()),
            _ => Err(format!("text, a list or an object is expected, not {got}")),
        },
        Kind::Device => match given.as_str() {
            Some(text) if is_device(text) => Ok(text.into()),
            _ => Err(format!("must be `auto`, `cpu`, `cuda` or `cuda:N`, not {got}")),
        },
        Kind::Flag => match given.as_bool() {
            Some(flag) => Ok(flag.into()),
            None => Err(format!("true or false is expected, not {got}")),
        },
        Kind::List(item) => list::check(*item, given),
    }
}

fn is_device(text: &str) -> bool {
    let number = text.strip_prefix("cuda:");
    matches!(text, "auto" | "cpu" | "cuda")
        || number.is_some_and(|n| n.len() <= 3 && n.parse::<u8>().is_ok())
}

/// A whole number, also if it is written as `64.0`.
pub(super) fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        (number.fract() == 0.0 && (0.0..9.0e15).contains(&number)).then_some(number as u64)
    })
}
