//! The form for a new run, made from core's table of fields.

use serde_json::{Map, Value};
use skein_core::dataset::DataKind;
use skein_core::spec::fields::{self, Default, FIELDS, Field, Item, Kind, Literal, chosen};

use super::format::thousands;

/// What this server has to choose from, besides what core knows.
#[derive(Debug, Default)]
pub(super) struct Offer {
    /// Ids of its devices.
    pub(super) devices: Vec<String>,
    /// The data sets that people brought.
    pub(super) datasets: Vec<OwnDataset>,
    /// Whether runs may work on a cluster.
    pub(super) cluster: bool,
}

/// A data set that people brought.
#[derive(Debug)]
pub(super) struct OwnDataset {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) kind: DataKind,
}

/// One section of the form.
#[derive(Debug)]
pub(super) struct Section {
    /// First part of its fields' paths.
    pub(super) id: &'static str,
    /// Name for people.
    pub(super) title: &'static str,
    /// Whether it holds something that is not a default.
    pub(super) open: bool,
    /// Whether one of its advanced fields does.
    pub(super) open_more: bool,
    /// Fields that are always shown.
    pub(super) plain: Vec<Control>,
    /// Fields behind "More".
    pub(super) advanced: Vec<Control>,
    /// What is behind "More", in words.
    pub(super) more: String,
    /// Whether every field is what another run made it.
    pub(super) bound: bool,
    /// Whether none of its fields applies.
    pub(super) hidden: bool,
}

/// One field.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) path: &'static str,
    /// The path without dots.
    pub(super) id: String,
    pub(super) label: &'static str,
    pub(super) help: String,
    pub(super) unit: &'static str,
    /// `integer`, `number`, `text`, `architecture`, `one-of`, `device`, `flag`, `integers`, `lists`
    /// or `names`.
    pub(super) kind: &'static str,
    pub(super) value: String,
    /// Defaults as a JSON object, by the value of another field; `_` for all others.
    pub(super) defaults: String,
    /// The default as things stand.
    pub(super) filled: String,
    /// Path of that other field, or of two of which the first counts more; empty if there is none.
    pub(super) defaults_by: String,
    /// The values to pick from; empty if any may be typed.
    pub(super) options: Vec<Choice>,
    pub(super) required: bool,
    /// Whether a folded section speaks of it even if untouched.
    pub(super) told: bool,
    /// What it means to leave it empty.
    pub(super) empty: &'static str,
    /// The range in words.
    pub(super) range: String,
    /// The path and the values, comma-separated, that it depends on.
    pub(super) when: Option<(&'static str, String)>,
    pub(super) hidden: bool,
    /// Whether it does nothing where one architecture is given.
    pub(super) idle: Vec<&'static str>,
    /// Whether it must be as in the run whose supernet is searched again.
    pub(super) bound: bool,
    changed: bool,
    /// Whether it follows from the data set and is never shown.
    pub(super) derived: bool,
}

/// One value to pick.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) selected: bool,
}

const SECTIONS: [(&str, &str); 7] = [
    ("dataset", "Data"),
    ("space", "Space"),
    ("search", "Search"),
    ("constraints", "Limits"),
    ("after", "After the search"),
    ("benchmark", "Benchmark"),
    ("resources", "Resources"),
];

/// Name and seed, which belong to no section.
pub(super) fn general(spec: &Value, offer: &Offer) -> Vec<Control> {
    of_section("", spec, offer).collect()
}

/// The sections, filled in with a specification that may leave fields out.
pub(super) fn sections(spec: &Value, offer: &Offer) -> Vec<Section> {
    SECTIONS.map(|(id, title)| section(id, title, spec, offer)).into()
}

/// The section's title for people; empty for the run itself.
pub(super) fn title(section: &str) -> &'static str {
    SECTIONS.iter().find(|(id, _)| *id == section).map_or("", |(_, title)| title)
}

fn section(id: &'static str, title: &'static str, spec: &Value, offer: &Offer) -> Section {
    let (advanced, plain): (Vec<_>, Vec<_>) = of_section(id, spec, offer).partition(|control| {
        skein_core::spec::fields::find(control.path).is_some_and(|f| f.advanced)
    });
    let changed = |controls: &[Control]| controls.iter().any(|control| control.changed);
    let labels: Vec<String> = advanced
        .iter()
        .filter(|control| !control.hidden && !control.bound)
        .map(|control| lower(control.label))
        .collect();
    let more = match labels.len() {
        0..=4 => labels.join(", "),
        count => format!("{} and {} others", labels[..3].join(", "), count - 3),
    };
    // What follows from the data set is bound with it.
    let mut asked = plain.iter().chain(&advanced).filter(|control| !control.derived);
    let bound = asked.all(|control| control.bound);
    let hidden = plain.iter().chain(&advanced).all(|control| control.hidden);
    Section {
        id,
        title,
        hidden,
        open: changed(&plain) || changed(&advanced),
        open_more: changed(&advanced),
        bound,
        plain,
        advanced,
        more,
    }
}

/// A label within a sentence; abbreviations stay as they are.
fn lower(label: &str) -> String {
    let abbreviated = label.chars().take(2).all(char::is_uppercase);
    if abbreviated { label.to_owned() } else { label.to_lowercase() }
}

fn of_section<'a>(
    id: &'a str,
    spec: &'a Value,
    offer: &'a Offer,
) -> impl Iterator<Item = Control> + 'a {
    let offered = |path: &str| {
        offer.cluster || !(path == "resources.executor" || path.starts_with("resources.slurm."))
    };
    let own = FIELDS.iter().filter(move |field| field.section() == id && offered(field.path));
    own.map(move |field| control(field, spec, offer))
}

fn control(field: &'static Field, spec: &Value, offer: &Offer) -> Control {
    let optimizer = text(at(spec, "search.optimizer.kind"));
    let default = field.default.value(spec);
    let first = match field.kind {
        Kind::OneOf(values) | Kind::Dataset(values) => {
            values.first().map_or("", |(value, _)| value)
        }
        _ => "",
    };
    let fallback = default.as_ref().map_or_else(|| first.to_owned(), |value| text(Some(value)));
    let given = text(at(spec, field.path));
    let value = if given.is_empty() { fallback.clone() } else { given };
    let required = matches!(field.default, Default::Required);
    Control {
        path: field.path,
        id: field.path.replace('.', "-"),
        label: field.label,
        help: field.help.replace('`', ""),
        unit: field.unit,
        kind: kind(field.kind),
        options: options(field.kind, &value, offer),
        bound: skein_core::spec::is_bound(field.path, &optimizer)
            && at(spec, "search.from_run").is_some_and(Value::is_string),
        idle: fields::idle_under(field.path),
        changed: value != fallback && !field.derived,
        derived: field.derived,
        defaults: defaults(field, first, offer),
        filled: fallback,
        defaults_by: match field.default {
            Default::By(path, _) => path.to_owned(),
            Default::Either([(path, _), (second, _)]) => format!("{path},{second}"),
            _ => String::new(),
        },
        required,
        told: !field.advanced || field.path.starts_with("space."),
        empty: empty(field),
        range: range(field.kind),
        when: field.when.map(|(path, values)| (path, values.join(","))),
        hidden: field.derived
            || fields::is_idle(field.path, &optimizer)
            || field.when.is_some_and(|(path, values)| {
                let given = chosen(spec, path).unwrap_or_else(|| default_of(path, spec));
                let given = if path == KIND { kind_of_data(spec, given, offer) } else { given };
                !values.contains(&given.as_str())
            }),
        value,
    }
}

/// The field that says whether data are images or text.
const KIND: &str = "dataset.kind";

/// What the data set holds: core knows it of those that have a name.
fn kind_of_data(spec: &Value, known: String, offer: &Offer) -> String {
    let id = text(at(spec, "dataset.id"));
    match offer.datasets.iter().find(|set| set.id == id) {
        Some(set) if set.kind == DataKind::Text => "text".to_owned(),
        Some(_) => "images".to_owned(),
        None => known,
    }
}

/// What a field holds that was left out; if it is required, the first of its values.
fn default_of(path: &str, spec: &Value) -> String {
    let Some(field) = skein_core::spec::fields::find(path) else { return String::new() };
    match (field.default.value(spec), field.kind) {
        (None, Kind::OneOf(values) | Kind::Dataset(values)) => {
            values.first().map_or("", |(value, _)| value).to_owned()
        }
        (default, _) => text(default.as_ref()),
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer { .. } => "integer",
        Kind::Number { .. } => "number",
        Kind::Text { .. } => "text",
        Kind::Architecture => "architecture",
        Kind::OneOf(_) | Kind::Dataset(_) => "one-of",
        Kind::Device => "device",
        Kind::Flag => "flag",
        Kind::List(Item::Integers { .. } | Item::Numbers { .. } | Item::Sizes { .. }) => "integers",
        Kind::List(Item::Lists { .. }) => "lists",
        Kind::List(Item::Names(_)) => "names",
    }
}

fn empty(field: &Field) -> &'static str {
    match field.path {
        "name" => "called after what it does",
        "dataset.limit" => "all training images",
        "dataset.version" => "the newest",
        "benchmark.table" => "no benchmark",
        "constraints.max_params" | "constraints.max_macs" | "constraints.max_latency_ms" => {
            "no limit"
        }
        "after.limit" => "all training images",
        "search.from_run" => "its own",
        _ => "",
    }
}

fn range(kind: Kind) -> String {
    match kind {
        Kind::Integer { min: 0, max } if max >= 1_000_000 => String::new(),
        Kind::Integer { min, max } if max >= 1_000_000 => format!("At least {min}."),
        Kind::Integer { min, max } => format!("{min} to {}.", thousands(&max.to_string())),
        Kind::Number { min, max } if max >= 1e6 => format!("At least {min}."),
        Kind::Number { min, max } => format!("{min} to {max}."),
        Kind::List(Item::Lists { .. }) => {
            "Commas within a list, semicolons between lists.".to_owned()
        }
        Kind::List(Item::Names(names)) => format!("Of {}.", names.join(", ")),
        Kind::List(_) => "With commas between.".to_owned(),
        _ => String::new(),
    }
}

fn options(kind: Kind, value: &str, offer: &Offer) -> Vec<Choice> {
    let choice = |known: &str, label: &str| Choice {
        value: known.to_owned(),
        label: label.to_owned(),
        selected: known == value,
    };
    match kind {
        Kind::OneOf(values) => values.iter().map(|(known, label)| choice(known, label)).collect(),
        Kind::Dataset(values) => {
            let own = offer.datasets.iter().map(|set| choice(&set.id, &set.title));
            let known = values.iter().map(|(known, label)| choice(known, label));
            let mut found: Vec<Choice> = own.chain(known).collect();
            if !found.iter().any(|choice| choice.selected) {
                found.push(Choice {
                    selected: true,
                    ..choice(value, &format!("{value} (not here)"))
                });
            }
            found
        }
        Kind::Device => {
            let mut found = vec![choice("auto", "Automatic"), choice("cpu", "CPU")];
            let gpus = offer.devices.iter().filter(|id| id.starts_with("cuda"));
            found.extend(gpus.map(|id| choice(id, &id.replace("cuda:", "GPU "))));
            if !found.iter().any(|choice| choice.selected) {
                found.push(choice(value, value));
            }
            found
        }
        _ => Vec::new(),
    }
}

fn defaults(field: &Field, first: &str, offer: &Offer) -> String {
    let mut object = Map::new();
    let other = |literal: &Literal| ("_".to_owned(), text(Some(&literal.value())).into());
    let literal = |(value, literal): &(&str, Literal)| {
        ((*value).to_owned(), Value::from(text(Some(&literal.value()))))
    };
    match field.default {
        Default::By(_, values) => {
            if field.path == KIND {
                let texts = offer.datasets.iter().filter(|set| set.kind == DataKind::Text);
                object.extend(texts.map(|set| (set.id.clone(), "text".into())));
            }
            object.extend(values.first().map(|(_, first)| other(first)));
            object.extend(values.iter().map(literal));
        }
        Default::Either([(_, values), (_, others)]) => {
            object.extend(others.first().map(|(_, first)| other(first)));
            object.extend(others.iter().chain(values).map(literal));
        }
        Default::Required => drop(object.insert("_".to_owned(), first.into())),
        other => {
            drop(object.insert("_".to_owned(), text(other.value(&Value::Null).as_ref()).into()))
        }
    }
    Value::Object(object).to_string()
}

/// The value at a dotted path.
pub(super) fn at<'a>(spec: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(spec, |value, part| value.get(part))
}

/// A value as it is typed; empty for none.
pub(super) fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => {
            let text = number.to_string();
            text.strip_suffix(".0").map(ToOwned::to_owned).unwrap_or(text)
        }
        Some(Value::Array(entries)) if entries.is_empty() => "none".to_owned(),
        Some(Value::Array(entries)) => {
            let nested = entries.iter().any(Value::is_array);
            let entries: Vec<String> = entries.iter().map(|entry| text(Some(entry))).collect();
            entries.join(if nested { "; " } else { ", " })
        }
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_field_is_in_the_form_exactly_once() {
        let offer = Offer { cluster: true, ..Offer::default() };
        let mut paths: Vec<&str> = general(&json!({}), &offer).iter().map(|c| c.path).collect();
        for section in sections(&json!({}), &offer) {
            paths.extend(section.plain.iter().chain(&section.advanced).map(|c| c.path));
        }
        let mut expected: Vec<&str> = FIELDS.iter().map(|field| field.path).collect();
        paths.sort_unstable();
        expected.sort_unstable();
        assert_eq!(paths, expected);
    }

    #[test]
    fn a_server_without_a_cluster_offers_none() {
        let sections = sections(&json!({}), &Offer::default());
        let all = sections.iter().flat_map(|one| one.plain.iter().chain(&one.advanced));
        assert!(
            all.map(|c| c.path).all(|path| !path.contains("slurm") && !path.contains("executor"))
        );
    }

    #[test]
    fn only_what_differs_from_a_default_opens_a_section() {
        let spec = json!({"search": {"optimizer": {"kind": "gdas"}, "epochs": 250, "clip": 1.0}});
        let open: Vec<(&str, bool)> = sections(&spec, &Offer::default())
            .iter()
            .map(|section| (section.id, section.open_more))
            .collect();
        let bound =
            |spec: &Value| sections(spec, &Offer::default()).iter().filter(|one| one.bound).count();
        assert_eq!(bound(&spec), 0);
        let again = json!({"search": {"optimizer": {"kind": "gdas"}, "from_run": "x"}});
        assert_eq!(bound(&again), 2, "data and space are what they were");
        let expected = [
            ("dataset", false),
            ("space", false),
            ("search", true),
            ("constraints", false),
            ("after", false),
            ("benchmark", false),
            ("resources", false),
        ];
        assert_eq!(open, expected);
        let search = &sections(&spec, &Offer::default())[2];
        let epochs = search.plain.iter().find(|control| control.path == "search.epochs").unwrap();
        assert!(!epochs.changed, "250 is what GDAS takes by default");
        let hidden = |path| search.advanced.iter().any(|c: &Control| c.path == path && c.hidden);
        assert!(hidden("search.optimizer.order") && !hidden("search.optimizer.tau_end"));
    }
}
