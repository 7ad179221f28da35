//! Which images a run uses for what: stated, stored, equal for equal seeds, and never the test's.

use std::fs;
use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};
use skein_core::dataset::positions::Positions;
use skein_core::dataset::split::SplitRecord;
use skein_core::spec::RunSpec;
use skein_data::npy::header;

use crate::harness::{Run, killed_when};

/// A data set of a person's own: 200 images of which the last 60 came to validate, and 100 to test.
pub(crate) fn write_own(datasets: &Path, [channels, height, width]: [u64; 3]) {
    let set = datasets.join("mine");
    let folder = set.join("versions/1");
    fs::create_dir_all(&folder).unwrap();
    let version = json!({"version": "1", "created_at": "2026-01-01T00:00:00Z", "file_name": "x", "file_bytes": 1});
    let about = json!({"format": 1, "title": "Mine", "created_at": "2026-01-01T00:00:00Z", "versions": [version]});
    fs::write(set.join("set.json"), about.to_string()).unwrap();
    let halves = |half: f64| vec![half; usize::try_from(channels).unwrap()];
    let facts = json!({
        "format": 1, "digest": "1", "kind": "images",
        "shape": {"channels": channels, "height": height, "width": width, "classes": 4},
        "classes": ["a", "b", "c", "d"], "train": 200, "valid": 60, "test": 100,
        "held_out": {"kind": "given"}, "mean": halves(0.5), "std": halves(0.25),
        "source": "test", "resized": false,
    });
    fs::write(folder.join("facts.json"), facts.to_string()).unwrap();
    for (split, count) in [("train", 200_u64), ("test", 100)] {
        let shape = [count, channels, height, width];
        let pixel = |at: u64| u8::try_from(at.wrapping_mul(2_654_435_761) >> 7 & 255).unwrap();
        let pixels: Vec<u8> = (0..shape.iter().product()).map(pixel).collect();
        let images = [header("|u1", &shape), pixels].concat();
        fs::write(folder.join(format!("{split}.images.npy")), images).unwrap();
        let labels: Vec<u8> = (0..count).flat_map(|at| (at * at % 4).to_le_bytes()).collect();
        let labels = [header("<i8", &[count]), labels].concat();
        fs::write(folder.join(format!("{split}.labels.npy")), labels).unwrap();
    }
}

/// The data set's section of a specification.
pub(crate) fn own([channels, height, width]: [u64; 3]) -> Value {
    json!({
        "id": "mine", "version": "1", "kind": "images", "shape": [channels, height, width],
        "classes": 4, "images": 200, "valid": 60,
    })
}

fn record(run: &Run, attempt: u32) -> SplitRecord {
    let text = fs::read_to_string(run.attempt(attempt).join("split.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The test's labels decide nothing but what is measured on the test.
#[rstest]
#[case::rows(json!({}))]
#[case::second_stage(json!({"search": {"optimizer": {"kind": "spos"}, "second_stage": {"candidates": 5}}}))]
fn a_search_never_sees_the_test_images(#[case] patch: Value) {
    let run = |other: bool| {
        let run = Run::new(&patch);
        if other {
            let folder = run.datasets().join("fashion-mnist");
            for name in ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"] {
                let mut bytes = fs::read(folder.join(name)).unwrap();
                let header = if name.contains("images") { 16 } else { 8 };
                bytes[header..].reverse();
                fs::write(folder.join(name), bytes).unwrap();
            }
        }
        assert!(run.finish(1).success());
        run
    };
    let (one, other) = (run(false), run(true));
    let summary = |run: &Run| run.record().unwrap()["outcome"]["summary"].clone();
    for name in ["architecture", "valid_accuracy", "packaged"] {
        assert_eq!(summary(&one)[name], summary(&other)[name], "{name}");
    }
    assert_ne!(summary(&one)["ladder"], summary(&other)["ladder"], "the tests differ");
    assert_eq!(one.computed(1), other.computed(1));
    assert_eq!(one.artifact(1, "model.safetensors"), other.artifact(1, "model.safetensors"));
    assert_eq!(record(&one, 1), record(&other, 1));
}

#[rstest]
#[case::random(json!({"split": "random"}))]
#[case::stratified(json!({"split": "stratified", "split_seed": 7, "class_share": 0.9}))]
#[case::listed(json!({"subset": "0-159", "class_limit": 12}))]
fn a_killed_run_goes_on_with_the_same_split(#[case] dataset: Value) {
    let spec = json!({"dataset": dataset, "search": {"batch_size": 8, "valid_limit": 20}});
    let whole = Run::new(&spec);
    assert!(whole.finish(1).success());
    let run = Run::new(&spec);
    let last = killed_when(&run, &[("checkpoint", 2)]);
    assert_eq!(record(&run, last), record(&run, 1));
    assert_eq!(record(&run, last), record(&whole, 1));
    assert_eq!(run.artifact(last, "split.json"), whole.artifact(1, "split.json"));
    assert_eq!(run.artifact(last, "model.safetensors"), whole.artifact(1, "model.safetensors"));
    let card = String::from_utf8(run.artifact(last, "MODEL_CARD.md")).unwrap();
    assert!(card.contains("`split.json` lists all positions."), "{card}");
}

#[test]
fn the_validation_images_of_a_data_set_are_kept_apart() {
    let mut dataset = own([1, 28, 28]);
    dataset["split"] = json!("given");
    dataset["limit"] = Value::Null;
    let run = Run::new(&json!({"dataset": dataset, "search": {"valid_limit": 1000}}));
    write_own(&run.datasets(), [1, 28, 28]);
    assert!(run.finish(1).success(), "{:?}", run.record());
    let record = record(&run, 1);
    let lists = [&record.weights, &record.architecture, &record.validation];
    assert_eq!(lists.map(|part| part.positions.as_str()), ["0-139", "140-199", "140-199"]);
    // The training has 96 images (`after.limit`), none of which validates.
    assert_eq!(record.training.positions, "0-95");
    assert_eq!(Positions::parse(&record.weights.positions).unwrap().count(), 140);
    assert_eq!(record.weights.classes.iter().sum::<u64>(), 140);
    let spec: Value = serde_json::from_slice(&run.artifact(1, "spec.json")).unwrap();
    assert_eq!(RunSpec::parse(&spec).unwrap().dataset.valid, Some(60));
}

#[test]
fn a_set_without_validation_images_cannot_give_any() {
    let mut dataset = own([1, 28, 28]);
    (dataset["split"], dataset["valid"]) = (json!("given"), Value::Null);
    let run = Run::new(&json!({"dataset": dataset}));
    write_own(&run.datasets(), [1, 28, 28]);
    let facts = run.datasets().join("mine/versions/1/facts.json");
    let text = fs::read_to_string(&facts).unwrap().replace("\"valid\":60", "\"valid\":0");
    fs::write(&facts, text).unwrap();
    assert_eq!(run.finish(1).code(), Some(1));
    let failure = run.record().unwrap()["outcome"]["failure"].clone();
    assert_eq!(failure["class"], "user");
    assert!(
        failure["message"].as_str().unwrap().contains("dataset.split must be another one"),
        "{failure}"
    );
}
