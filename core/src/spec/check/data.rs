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
    /// How many of them came as a validation split, likewise.
    pub(super) valid: Option<u64>,
}

/// Fields that a data set of a person's own has, and one that is known by name has not.
const OWN: [&str; 5] =
    ["dataset.version", "dataset.shape", "dataset.classes", "dataset.images", "dataset.valid"];

/// What is known of the data set that a specification names; of a text the shape says nothing.
pub(super) fn of(filled: &Value) -> Option<Data> {
    let at = |path| get(filled, path);
    if let Some(known) = at("dataset.id").and_then(Value::as_str).and_then(dataset::find) {
        let images = (known.train_images > 0).then_some(known.train_images);
        return Some(Data { kind: known.kind, shape: known.shape, images, valid: Some(0) });
    }
    let kind = serde_json::from_value(at("dataset.kind")?.clone()).ok()?;
    let sides: Option<[i64; 3]> =
        at("dataset.shape").and_then(|shape| serde_json::from_value(shape.clone()).ok());
    let [channels, height, width] = sides.unwrap_or([1; 3]);
    let classes = at("dataset.classes").and_then(Value::as_i64);
    let shape = DataShape { channels, height, width, classes: classes.unwrap_or(1) };
    let is_told = kind == DataKind::Text || sides.is_some() && classes.is_some();
    let images = at("dataset.images").and_then(Value::as_u64);
    let valid = at("dataset.valid").and_then(Value::as_u64);
    is_told.then_some(Data { kind, shape, images, valid })
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
const IMAGE_CHANGES: [&str; 14] = [
    "dataset.crop",
    "dataset.flip",
    "dataset.flip_vertical",
    "dataset.resized_crop",
    "search.cutout",
    "search.rand_augment",
    "search.color_jitter",
    "search.random_erasing",
    "after.cutout",
    "after.rand_augment",
    "after.color_jitter",
    "after.random_erasing",
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

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::super::RunSpec;
    use super::super::set;
    use crate::spaces::{self, PRESETS};
    use crate::spec::Sharing;

    fn own(patch: &Value) -> Value {
        let mut spec = json!({
            "dataset": {"id": "my-photos", "version": "0123456789ab", "kind": "images",
                "shape": [3, 64, 48], "classes": 5, "images": 400},
            "space": {"preset": "nas-bench-201"},
            "search": {"optimizer": {"kind": "drnas"}, "batch_size": 64},
        });
        for (path, value) in patch.as_object().unwrap() {
            set(&mut spec, path, value.clone());
        }
        spec
    }

    #[test]
    fn a_stored_specification_says_by_itself_what_it_saw() {
        let spec = RunSpec::parse(&own(&json!({}))).unwrap();
        let shape = spec.shape();
        let sides = (shape.channels, shape.height, shape.width, shape.classes);
        assert_eq!(sides, (3, 64, 48, 5));
        assert_eq!(RunSpec::parse(&spec.to_value()).unwrap(), spec);
        let known = json!({"dataset": {"id": "cifar-10"}, "space": {"preset": "nas-bench-201"},
            "search": {"optimizer": {"kind": "drnas"}}});
        let known = RunSpec::parse(&known).unwrap().to_value();
        for name in ["version", "kind", "shape", "classes", "images"] {
            assert_eq!(known["dataset"].get(name), None, "{name}");
        }
        let text = own(&json!({"dataset": {"id": "my-novel", "version": "01", "kind": "text"},
            "space.preset": "language-char"}));
        let text = RunSpec::parse(&text).unwrap();
        assert!(text.dataset.tokens.is_some());
        assert_eq!(RunSpec::parse(&text.to_value()).unwrap(), text);
    }

    #[rstest]
    #[case::unknown(json!({"dataset": {"id": "my-photos"}}), "dataset.id", "`my-photos` is not known; take one of `fashion-mnist`")]
    #[case::half(json!({"dataset.classes": null}), "dataset.id", "is not known")]
    #[case::no_id(json!({"dataset.id": "../etc"}), "dataset.id", "must be the id of a data set")]
    #[case::known(json!({"dataset.id": "cifar-10"}), "dataset.version", "applies only to a data set of your own, not to `cifar-10`")]
    #[case::small(json!({"search.batch_size": 300}), "search.batch_size", "larger than a split: 400 images")]
    #[case::kind(json!({"space.preset": "language-char"}), "space.preset", "reads text, but the data set holds images")]
    fn facts_must_fit(#[case] patch: Value, #[case] field: &str, #[case] message: &str) {
        let violations = RunSpec::parse(&own(&patch)).unwrap_err();
        let found =
            violations.iter().find(|one| one.field == field && one.detail.contains(message));
        assert!(found.is_some(), "{violations:?}");
    }

    /// Every space takes every shape, or says which size does not fit.
    #[test]
    fn stem_and_head_follow_the_data_or_the_reason_is_said() {
        let mut refused = Vec::new();
        for (channels, side, classes) in [
            (1, 28, 2),
            (3, 32, 10),
            (4, 48, 3),
            (3, 64, 200),
            (3, 224, 1000),
            (3, 512, 5),
            (1, 8, 2),
        ] {
            let shape = crate::dataset::DataShape { channels, height: side, width: side, classes };
            for preset in PRESETS {
                let space = (preset.defaults)();
                if space.data() != super::DataKind::Images {
                    continue;
                }
                match spaces::build(&space, shape, Sharing::Entangled) {
                    Ok(graph) => {
                        let shapes = graph.shapes().unwrap();
                        assert_eq!(
                            shapes[graph.output].last(),
                            Some(&classes),
                            "{}",
                            preset.preset
                        );
                    }
                    Err(error) => refused.push(format!("{} {side}: {error}", preset.preset)),
                }
            }
        }
        let small = "conv-macro 8: node `conv5` cannot take an input of shape [256, 2, 2]: a map of at least 3×3 expected";
        assert_eq!(refused, [small]);
    }

    #[test]
    fn no_image_of_a_text_is_changed() {
        for path in super::IMAGE_CHANGES {
            let mut spec = json!({
                "dataset": {"id": "text"}, "space": {"preset": "language-char"},
                "search": {"optimizer": {"kind": "spos"}},
            });
            let given = if path.contains("flip") { json!(true) } else { json!(1) };
            set(&mut spec, path, given);
            let refused = RunSpec::parse(&spec).unwrap_err();
            let said: Vec<_> = refused.iter().map(|one| (&*one.field, &*one.detail)).collect();
            assert_eq!(said, [(path, "changes images, but the data set is a text")]);
        }
    }
}
