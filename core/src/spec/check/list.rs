//! Fields that hold lists.

use serde_json::Value;

use super::kind::{describe, whole};
use crate::spec::fields::Item;

/// Most entries of a list.
const LONGEST: usize = 64;

/// The list in its normal form, or what is wrong with it.
pub(super) fn check(item: Item, given: &Value) -> Result<Value, String> {
    let entries = given
        .as_array()
        .ok_or_else(|| format!("{} is expected, not {}", expected(item), describe(given)))?;
    if entries.is_empty() && !matches!(item, Item::Sizes { .. }) {
        return Err("must not be empty".to_owned());
    }
    if entries.len() > LONGEST {
        return Err(format!("must have at most {LONGEST} entries"));
    }
    match item {
        Item::Integers { min, max } => rising(entries, min, max),
        Item::Sizes { min, max } => numbers(entries, min, max).map(Value::from),
        Item::Numbers { min, max } => fractions(entries, min, max),
        Item::Lists { min, max } => {
            let inner = |entry| check(Item::Integers { min, max }, entry);
            let numbered = entries.iter().zip(1..);
            let lists = numbered
                .map(|(entry, at)| inner(entry).map_err(|fault| format!("entry {at}: {fault}")));
            lists.collect::<Result<Vec<Value>, String>>().map(Value::from)
        }
        Item::Names(known) => names(entries, known),
    }
}

fn expected(item: Item) -> &'static str {
    match item {
        Item::Integers { .. } | Item::Sizes { .. } => "a list of whole numbers",
        Item::Lists { .. } => "a list of lists of whole numbers",
        Item::Numbers { .. } => "a list of numbers",
        Item::Names(_) => "a list of names",
    }
}

fn numbers(entries: &[Value], min: u64, max: u64) -> Result<Vec<u64>, String> {
    let number = |entry: &Value| match whole(entry) {
        Some(value) if (min..=max).contains(&value) => Ok(value),
        Some(value) => Err(format!("{value} is not within {min} to {max}")),
        None => Err(format!("whole numbers are expected, not {}", describe(entry))),
    };
    entries.iter().map(number).collect()
}

fn rising(entries: &[Value], min: u64, max: u64) -> Result<Value, String> {
    let numbers = numbers(entries, min, max)?;
    match numbers.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => Err(format!("must rise, but {} stands before {}", pair[0], pair[1])),
        None => Ok(numbers.into()),
    }
}

fn fractions(entries: &[Value], min: f64, max: f64) -> Result<Value, String> {
    let number = |entry: &Value| match entry.as_f64() {
        Some(value) if (min..=max).contains(&value) => Ok(value),
        Some(value) => Err(format!("{value} is not within {min} to {max}")),
        None => Err(format!("numbers are expected, not {}", describe(entry))),
    };
    let numbers = entries.iter().map(number).collect::<Result<Vec<f64>, String>>()?;
    match numbers.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => Err(format!("must rise, but {} stands before {}", pair[0], pair[1])),
        None => Ok(numbers.into()),
    }
}

fn names(entries: &[Value], known: &[&str]) -> Result<Value, String> {
    let mut found: Vec<&str> = Vec::new();
    for entry in entries {
        match entry.as_str() {
            Some(name) if found.contains(&name) => return Err(format!("`{name}` stands twice")),
            Some(name) if known.contains(&name) => found.push(name),
            _ => {
                let known = known.join(", ");
                return Err(format!("{} is not one of {known}", describe(entry)));
            }
        }
    }
    Ok(found.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    const RISING: Item = Item::Integers { min: 1, max: 9 };
    const LISTS: Item = Item::Lists { min: 1, max: 9 };
    const NAMES: Item = Item::Names(&["skip", "sep3"]);

    #[rstest]
    #[case::number(RISING, json!(3), "a list of whole numbers is expected, not 3")]
    #[case::empty(RISING, json!([]), "must not be empty")]
    #[case::range(RISING, json!([1, 10]), "10 is not within 1 to 9")]
    #[case::fraction(RISING, json!([1.5]), "whole numbers are expected, not 1.5")]
    #[case::falling(RISING, json!([3, 1]), "must rise, but 3 stands before 1")]
    #[case::twice(RISING, json!([3, 3]), "must rise, but 3 stands before 3")]
    #[case::inner(LISTS, json!([[1], [2, 1]]), "entry 2: must rise, but 2 stands before 1")]
    #[case::flat(LISTS, json!([1, 2]), "entry 1: a list of whole numbers is expected, not 1")]
    #[case::ratio(Item::Numbers { min: 1.0, max: 4.0 }, json!([3.5, 0.5]), "0.5 is not within 1 to 4")]
    #[case::ratios(Item::Numbers { min: 1.0, max: 4.0 }, json!([3.5, 3]), "must rise, but 3.5 stands before 3")]
    #[case::name(NAMES, json!(["pool"]), "\"pool\" is not one of skip, sep3")]
    #[case::names(NAMES, json!(["skip", "skip"]), "`skip` stands twice")]
    fn a_wrong_list_is_refused(#[case] item: Item, #[case] given: Value, #[case] fault: &str) {
        assert_eq!(check(item, &given), Err(fault.to_owned()));
    }

    #[test]
    fn a_list_may_be_empty_where_nothing_is_chosen() {
        assert_eq!(check(Item::Sizes { min: 1, max: 9 }, &json!([])), Ok(json!([])));
        assert_eq!(check(Item::Sizes { min: 1, max: 9 }, &json!([9, 2.0])), Ok(json!([9, 2])));
    }
}
