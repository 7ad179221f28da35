//! What is known of the data, and what fits which kind of them.

use serde_json::Value;

use super::{Violations, get};
use crate::dataset::{self, DataKind, DataShape};

/// What follows from the choice of a data set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Data {
    pub(super) kind: DataKind,
    pub(super) shape: DataShape,
    /// Training images, if that is known.
    pub(super) images: Option<u64>,
}

/// Fields that a data set of a person's own has, and one that is known by name has not.
const OWN: [&str; 4] = ["dataset.version", "dataset.shape", "dataset.classes", "dataset.images"];

/// What is known of the data set that a specification names; of a text the shape says nothing.
pub(super) fn of(filled: &Value) -> Option<Data> {
    let at = |path| get(filled, path);
    if let Some(known) = at("dataset.id").and_then(Value::as_str).and_then(dataset::find) {
        let images = (known.train_images > 0).then_some(known.train_images);
        return Some(Data { kind: known.kind, shape: known.shape, images });
    }
    let kind = serde_json::from_value(at("dataset.kind")?.clone()).ok()?;
    let sides: Option<[i64; 3]> =
        at("dataset.shape").and_then(|shape| serde_json::from_value(shape.clone()).ok());
    let [channels, height, width] = sides.unwrap_or([1; 3]);
    let classes = at("dataset.classes").and_then(Value::as_i64);
    let shape = DataShape { channels, height, width, classes: classes.unwrap_or(1) };
    let is_told = kind == DataKind::Text || sides.is_some() && classes.is_some();
    let images = at("dataset.images").and_then(Value::as_u64);
    is_told.then_some(Data { kind, shape, images })
}

/// A data set is known by name and has no facts of its own, or the other way round.
pub(super) fn settle(filled: &mut Value, violations: &mut Violations) {
    let Some(id) = get(filled, "dataset.id").and_then(Value::as_str) else { return };
    let given = |path: &&str| get(filled, path).is_some_and(|value| !value.is_null());
    if dataset::find(id).is_some() {
        for path in OWN.iter().filter(|path| given(path)) {
            violations.add(path, format!("applies only to a data set of your own, not to `{id}`"));
        }
        if let Some(section) = filled.get_mut("dataset").and_then(Value::as_object_mut) {
            section.remove("kind");
        }
    } else if !given(&"dataset.version") || of(filled).is_none() {
        let known: Vec<_> = dataset::DATASETS.iter().map(|set| format!("`{}`", set.id)).collect();
        let detail = format!(
            "`{id}` is not known; take one of {}, or add your own on the page Datasets",
            known.join(", ")
        );
        violations.add("dataset.id", detail);
    }
}

/// Changes of images, none of which a text knows.
const IMAGE_CHANGES: [&str; 8] = [
    "dataset.crop",
    "dataset.flip",
    "search.cutout",
    "search.rand_augment",
    "after.cutout",
    "after.rand_augment",
    "after.mixup",
    "after.cutmix",
];

/// A space must fit the kind of the data, and so must what is done to it.
pub(super) fn rules(filled: &Value, data: DataKind, violations: &mut Violations) {
    let preset = get(filled, "space.preset").and_then(Value::as_str).unwrap_or("");
    let language = ["language", "language-char"].contains(&preset);
    match (language, data) {
        (true, DataKind::Images) => violations.add(
            "space.preset",
            format!("`{preset}` reads text, but the data set holds images; take `tiny-shakespeare` or `text`"),
        ),
        (false, DataKind::Text) => violations.add(
            "space.preset",
            format!("`{preset}` reads images, but the data set is a text; take `language` or `language-char`"),
        ),
        _ => {}
    }
    if data == DataKind::Images {
        return;
    }
    for path in IMAGE_CHANGES {
        let off = [&Value::Bool(false), &Value::from(0), &Value::from(0.0)];
        if get(filled, path).is_some_and(|value| !off.contains(&value)) {
            violations.add(path, "changes images, but the data set is a text");
        }
    }
}
