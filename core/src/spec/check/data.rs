//! What fits which kind of data.

use serde_json::Value;

use super::{Violations, get};
use crate::dataset::DataKind;

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
