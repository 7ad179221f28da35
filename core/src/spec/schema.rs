//! The table of fields as a JSON Schema.

use serde_json::{Map, Value, json};

use super::check::CONFIG;
use super::fields::{Default, FIELDS, Field, Item, Kind};

/// What ids of data sets look like; see [`crate::dataset::is_id`].
const ID_PATTERN: &str = "^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$";

/// JSON Schema (2020-12) of a run specification.
#[must_use]
pub fn json_schema() -> Value {
    let mut root = object();
    for field in FIELDS {
        insert(&mut root, field.path, field);
    }
    root["properties"][CONFIG] = json!({
        "type": ["object", "string", "null"],
        "title": "Published hyper-parameters",
        "description": "A `.config` file of the published code, as an object or as its text; it fills in what is left out otherwise.",
    });
    root["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    root["title"] = "Skein run specification".into();
    root
}

fn object() -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": {}, "required": []})
}

fn insert(schema: &mut Value, path: &str, field: &Field) {
    let required = matches!(field.default, Default::Required) && field.when.is_none();
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    if required
        && let Some(list) = schema["required"].as_array_mut()
        && !list.iter().any(|known| known == key)
    {
        list.push(key.into());
    }
    let Some(properties) = schema["properties"].as_object_mut() else { return };
    match rest {
        None => {
            properties.insert(key.to_owned(), leaf(field));
        }
        Some(rest) => insert(properties.entry(key).or_insert_with(object), rest, field),
    }
}

fn leaf(field: &Field) -> Value {
    let mut schema = match field.kind {
        Kind::Integer { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::Number { min, max } => json!({"type": "number", "minimum": min, "maximum": max}),
        Kind::Text { max_chars } => json!({"type": "string", "maxLength": max_chars}),
        Kind::OneOf(values) => {
            let values: Vec<&str> = values.iter().map(|(value, _)| *value).collect();
            json!({"type": "string", "enum": values})
        }
        Kind::Dataset(values) => {
            let values: Vec<&str> = values.iter().map(|(value, _)| *value).collect();
            json!({"type": "string", "pattern": ID_PATTERN, "examples": values})
        }
        Kind::Architecture => json!({"type": ["string", "array", "object"]}),
        Kind::Device => json!({"type": "string", "pattern": "^(auto|cpu|cuda(:[0-9]{1,3})?)$"}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::List(item) => list(*item),
    };
    if field.default == Default::Absent {
        schema["type"] = json!([schema["type"], "null"]);
    }
    let mut notes = Map::new();
    notes.insert("title".to_owned(), field.label.into());
    notes.insert("description".to_owned(), field.help.into());
    if let Some(default) = field.default.value(&Value::Null).filter(|value| !value.is_null()) {
        notes.insert("default".to_owned(), default);
    }
    if let Some(object) = schema.as_object_mut() {
        object.extend(notes);
    }
    schema
}

fn list(item: Item) -> Value {
    let integers = |min, max| json!({"type": "integer", "minimum": min, "maximum": max});
    match item {
        Item::Integers { min, max } => {
            json!({"type": "array", "minItems": 1, "items": integers(min, max)})
        }
        Item::Numbers { min, max } => {
            let items = json!({"type": "number", "minimum": min, "maximum": max});
            json!({"type": "array", "minItems": 1, "items": items})
        }
        Item::Sizes { min, max } => json!({"type": "array", "items": integers(min, max)}),
        Item::Lists { min, max } => {
            let inner = list(Item::Integers { min, max });
            json!({"type": "array", "minItems": 1, "items": inner})
        }
        Item::Names(names) => {
            let items = json!({"type": "string", "enum": names});
            json!({"type": "array", "minItems": 1, "uniqueItems": true, "items": items})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_holds_every_field() {
        let schema = json_schema();
        for field in FIELDS {
            let pointer = field
                .path
                .split('.')
                .fold(String::new(), |at, key| format!("{at}/properties/{key}"));
            assert!(
                schema.pointer(&pointer).is_some_and(|leaf| leaf["description"] == field.help),
                "{}",
                field.path
            );
        }
        assert_eq!(schema["required"], json!(["dataset", "space", "search"]));
    }
}
