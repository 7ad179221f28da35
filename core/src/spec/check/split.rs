//! Rules of the split: what can be divided, and whether a batch fits into each part.

use serde_json::Value;

use super::data::Data;
use super::{Violations, get, trains_no_supernet};
use crate::dataset::DataKind;
use crate::dataset::positions::Positions;
use crate::dataset::split::{Known, SplitMethod, counts, fault};
use crate::spec::{DatasetSpec, fields};

/// Fields that divide images by what they show or one by one.
const OF_IMAGES: [&str; 4] =
    ["dataset.split", "dataset.class_share", "dataset.class_limit", "dataset.subset"];

pub(super) fn rules(filled: &Value, data: Data, violations: &mut Violations) {
    let is_text = data.kind == DataKind::Text;
    if is_text {
        for path in OF_IMAGES {
            let off = fields::find(path).and_then(|field| field.default.value(filled));
            if get(filled, path) != off.as_ref() {
                violations.add(path, "is for images: a text is divided in order");
            }
        }
    }
    if let Some(Err(error)) =
        get(filled, "dataset.subset").and_then(Value::as_str).map(Positions::parse)
    {
        violations.add("dataset.subset", error);
        return;
    }
    let spec = get(filled, "dataset").cloned().unwrap_or_default();
    let Ok(spec) = serde_json::from_value::<DatasetSpec>(spec) else { return };
    // Of a text nothing is known but what it is limited to.
    let Some(images) = data.images.or(spec.limit.filter(|_| is_text)) else { return };
    let given = spec.split == SplitMethod::Given;
    let Some(valid) = data.valid.or((!given).then_some(0)) else { return };
    let classes = data.shape.classes.unsigned_abs();
    let known = Known { images, valid, classes };
    if let Some(fault) = fault(&spec, known) {
        violations.0.push(fault);
    } else if !trains_no_supernet(filled) {
        batch(filled, &spec, known, violations);
    }
}

fn batch(filled: &Value, spec: &DatasetSpec, known: Known, violations: &mut Violations) {
    let portion = get(filled, "search.train_portion").and_then(Value::as_f64);
    let batch = get(filled, "search.batch_size").and_then(Value::as_u64);
    let Some((portion, batch)) = portion.zip(batch) else { return };
    let parts = counts(spec, portion, known);
    let (images, smaller) =
        (parts.weights + parts.architecture, parts.weights.min(parts.architecture));
    if smaller >= batch {
        return;
    }
    let detail = match spec.split {
        SplitMethod::Given => format!(
            "is larger than a split: {} images train weights, {} rows",
            parts.weights, parts.architecture
        ),
        _ => format!(
            "is larger than a split: {images} images at `search.train_portion` {portion} leave {smaller}"
        ),
    };
    violations.add("search.batch_size", detail);
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::set;
    use crate::spec::RunSpec;

    /// Of a person's own data set with 400 images in four classes, 100 of them to validate.
    fn parsed(patch: &Value) -> Result<RunSpec, Vec<String>> {
        let mut spec = json!({
            "dataset": {"id": "mine", "version": "1", "kind": "images", "shape": [3, 32, 32],
                        "classes": 4, "images": 400, "valid": 100},
            "space": {"preset": "toy-cell"},
            "search": {"optimizer": {"kind": "drnas"}},
        });
        for (path, value) in patch.as_object().unwrap() {
            set(&mut spec, path, value.clone());
        }
        let said = |all: Vec<crate::spec::Violation>| {
            all.into_iter().map(|one| format!("{} {}", one.field, one.detail)).collect()
        };
        RunSpec::parse(&spec).map_err(said)
    }

    const CIFAR: &str = r#"{"id": "cifar-10"}"#;

    fn cifar(patch: &Value) -> Value {
        let mut dataset: Value = serde_json::from_str(CIFAR).unwrap();
        for (name, value) in patch.as_object().unwrap() {
            dataset[name] = value.clone();
        }
        json!({"dataset": dataset})
    }

    fn text(field: &str, value: &Value) -> Value {
        json!({"dataset": {"id": "text", field: value}, "space.preset": "language-char"})
    }

    #[rstest]
    #[case::given(json!({"dataset.split": "given"}), "")]
    #[case::half(json!({"dataset.class_share": 0.5}), "")]
    #[case::unknown_valid(json!({"dataset.valid": null, "dataset.split": "given"}), "")]
    #[case::a_part(json!({"dataset.subset": "0-199"}), "")]
    #[case::none_given(json!({"dataset.valid": 0, "dataset.split": "given"}), "dataset.split must be another one: the data set came without validation images")]
    #[case::known(cifar(&json!({"split": "given"})), "dataset.split must be another one: the data set came without validation images")]
    #[case::valid_of_known(cifar(&json!({"valid": 5})), "dataset.valid applies only to a data set of your own, not to `cifar-10`")]
    #[case::few(json!({"dataset.class_share": 0.2}), "search.batch_size is larger than a split: 80 images at `search.train_portion` 0.5 leave 40")]
    #[case::few_of_each(json!({"dataset.class_limit": 30}), "search.batch_size is larger than a split: 120 images at `search.train_portion` 0.5 leave 60")]
    #[case::few_given(json!({"dataset.split": "given", "search.batch_size": 101}), "search.batch_size is larger than a split: 300 images train weights, 100 rows")]
    #[case::few_listed(json!({"dataset.subset": "0-99"}), "search.batch_size is larger than a split: 100 images at `search.train_portion` 0.5 leave 50")]
    #[case::beyond(json!({"dataset.subset": "0-99,400"}), "dataset.subset holds 400, but the 400 training images are counted from 0")]
    #[case::into_valid(json!({"dataset.subset": "0-300", "dataset.split": "given"}), "dataset.subset holds 300, but the 300 training images that do not validate are counted from 0")]
    #[case::no_list(json!({"dataset.subset": "all"}), "dataset.subset holds `all`; numbers and ranges such as `0-999` are expected")]
    #[case::no_draw(json!({"dataset.split_seed": 5}), "dataset.split_seed applies only if `dataset.split` is random or stratified")]
    #[case::text_split(text("split", &json!("random")), "dataset.split is for images: a text is divided in order")]
    #[case::text_share(text("class_share", &json!(0.5)), "dataset.class_share is for images: a text is divided in order")]
    #[case::text_limit(text("class_limit", &json!(5)), "dataset.class_limit is for images: a text is divided in order")]
    #[case::text_subset(text("subset", &json!("0-5")), "dataset.subset is for images: a text is divided in order")]
    fn a_split_must_be_possible(#[case] patch: Value, #[case] message: &str) {
        let said = parsed(&patch).err().unwrap_or_default();
        assert_eq!(said, if message.is_empty() { vec![] } else { vec![message] });
    }

    #[test]
    fn a_seed_belongs_to_what_is_drawn_and_older_specifications_are_ordered() {
        let spec = parsed(&json!({"dataset.split": "stratified"})).unwrap();
        assert_eq!(spec.dataset.split_seed, Some(0));
        let spec = parsed(&json!({})).unwrap();
        let mut value = spec.to_value();
        assert_eq!(RunSpec::parse(&value).unwrap(), spec);
        let dataset = value["dataset"].as_object_mut().unwrap();
        for name in ["split", "class_share", "class_limit", "subset"] {
            assert!(dataset.remove(name).is_some(), "{name}");
        }
        assert_eq!(serde_json::from_value::<RunSpec>(value).unwrap(), spec);
    }
}
