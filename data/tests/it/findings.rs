//! What the doctor tells.

use std::collections::BTreeSet;

use skein_core::dataset::facts::HeldOut;
use skein_core::dataset::report::{Finding, Level, Report};
use skein_data::{Options, samples};

use crate::bring::{Files, Place, classes, png, zip};

fn find<'a>(report: &'a Report, code: &str) -> &'a Finding {
    let found = report.findings.iter().find(|finding| finding.code == code);
    found.unwrap_or_else(|| panic!("no `{code}` in {:?}", report.findings))
}

#[test]
fn a_good_set_is_told_nothing_but_its_draw() {
    let report = Place::new().bytes("x.zip", &zip(&classes("", &["a", "b"], 20))).unwrap().report;
    let codes: Vec<&str> = report.findings.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, ["test_drawn"]);
    assert_eq!((report.files, report.source.as_str()), (40, "zip of class folders"));
    assert_eq!(report.splits[0].per_class, [16, 16]);
    let suggestion = report.suggestion.unwrap();
    assert_eq!((suggestion.size, suggestion.channels, suggestion.mean.len()), (32, 3, 3));
    assert!(
        suggestion.mean.iter().chain(&suggestion.std).all(|value| (0.05..0.95).contains(value))
    );
}

#[test]
fn copies_of_test_images_are_not_learned() {
    let mut files = classes("train/", &["a", "b"], 12);
    files.extend(classes("val/", &["a", "b"], 3));
    files.extend(classes("test/", &["a", "b"], 4));
    let bytes_of =
        |files: &Files, name: &str| files.iter().find(|(own, _)| own == name).unwrap().1.clone();
    let (test, valid, train) = (
        bytes_of(&files, "test/a/000.png"),
        bytes_of(&files, "val/b/001.png"),
        bytes_of(&files, "train/a/003.png"),
    );
    files.push(("train/a/copy-of-test.png".into(), test.clone()));
    files.push(("val/a/copy-of-test.png".into(), test.clone()));
    files.push(("train/b/copy-of-valid.png".into(), valid));
    files.push(("train/a/copy-of-train.png".into(), train.clone()));
    files.push(("train/b/other-label.png".into(), train));
    let place = Place::new();
    let prepared = place.bytes("x.zip", &zip(&files)).unwrap();
    assert_eq!(
        (prepared.facts.train, prepared.facts.valid, prepared.facts.test),
        (24 + 2 + 6, 6, 8)
    );
    let across = find(&prepared.report, "duplicates_across_splits");
    assert_eq!((across.level, across.count), (Level::Problem, 3));
    assert_eq!(
        across.examples,
        ["val/a/copy-of-test.png", "train/a/copy-of-test.png", "train/b/copy-of-valid.png"]
    );
    let within = find(&prepared.report, "duplicates_within_split");
    assert_eq!(
        (within.level, &within.examples[..]),
        (Level::Warning, &["train/a/copy-of-train.png".to_owned()][..])
    );
    let conflict = find(&prepared.report, "conflicting_labels");
    assert_eq!(
        (conflict.level, &conflict.examples[..]),
        (Level::Problem, &["train/b/other-label.png".to_owned()][..])
    );
    // Problems come first, and validation images last.
    assert_eq!(prepared.report.findings[0].level, Level::Problem);
    for index in 0..32 {
        let sample = samples::image(&place.out(), "train", index).unwrap();
        assert_eq!(sample.line.split, if index < 26 { "train" } else { "valid" });
    }
}

#[test]
fn drawn_test_images_leave_no_copy_behind() {
    let mut files = classes("", &["a", "b"], 10);
    let copies: Files = files
        .iter()
        .map(|(name, bytes)| (name.replace(".png", "-copy.png"), bytes.clone()))
        .collect();
    files.extend(copies);
    let place = Place::new();
    let prepared = place.bytes("x.zip", &zip(&files)).unwrap();
    assert_eq!((prepared.facts.train, prepared.facts.test), (32, 4));
    assert_eq!(find(&prepared.report, "duplicates_across_splits").level, Level::Warning);
    let digests = |split: &str, count| -> BTreeSet<String> {
        (0..count)
            .map(|index| samples::image(&place.out(), split, index).unwrap().line.digest)
            .collect()
    };
    assert!(digests("train", 32).is_disjoint(&digests("test", 4)));
}

#[test]
fn draws_hang_on_the_seed_alone() {
    let (place, bytes) = (Place::new(), zip(&classes("", &["a", "b", "c"], 15)));
    let drawn = |options: &Options| -> Vec<String> {
        let facts = place.with("x.zip", &bytes, options).unwrap().facts;
        (0..facts.test)
            .map(|index| samples::image(&place.out(), "test", index).unwrap().line.name)
            .collect()
    };
    let first = drawn(&Options::default());
    assert_eq!(first.len(), 9);
    for class in ["a/", "b/", "c/"] {
        assert_eq!(first.iter().filter(|name| name.starts_with(class)).count(), 3);
    }
    assert_eq!(drawn(&Options::default()), first);
    assert_ne!(drawn(&Options { seed: 1, ..Options::default() }), first);
    assert_eq!(drawn(&Options { test_share: 0.01, ..Options::default() }).len(), 3);
    assert_eq!(drawn(&Options { test_share: 0.99, ..Options::default() }).len(), 42);
}

#[test]
fn classes_that_cannot_be_learned_or_measured_are_named() {
    let mut files = classes("train/", &["a", "b", "untested"], 30);
    files.truncate(62);
    files.extend(classes("test/", &["a", "b", "unlearned"], 5));
    files.push(("train/empty/".into(), vec![]));
    files.push(("train/notes/readme.md".into(), b"?".to_vec()));
    files.push(("__MACOSX/train/a/._1.png".into(), b"?".to_vec()));
    files.push(("train/a/.DS_Store".into(), b"?".to_vec()));
    files.push(("test/loose.png".into(), png(1)));
    let report = Place::new().bytes("x.zip", &zip(&files)).unwrap().report;
    assert_eq!(find(&report, "classes_without_training").examples, ["unlearned"]);
    assert_eq!(find(&report, "classes_without_test").examples, ["untested"]);
    assert_eq!(find(&report, "empty_classes").examples, ["empty", "notes"]);
    assert_eq!(find(&report, "few_images").examples, ["untested: 2"]);
    assert_eq!(find(&report, "unlabelled").examples, ["test/loose.png"]);
    assert_eq!(find(&report, "ignored_files").count, 2);
    assert_eq!(find(&report, "other_files").examples, ["train/notes/readme.md"]);
    let imbalance = find(&report, "imbalance");
    assert_eq!(
        imbalance.message,
        "The largest class has 30 training images, the smallest 2; a network learns to prefer large classes, and its accuracy hides it."
    );
}

#[test]
fn a_class_of_one_image_is_learned_and_not_measured() {
    let mut files = classes("", &["a", "b"], 12);
    files.push(("rare/1.png".into(), png(77)));
    let prepared = Place::new().bytes("x.zip", &zip(&files)).unwrap();
    assert_eq!(prepared.facts.held_out, HeldOut::Drawn { share: 0.2, seed: 0 });
    assert_eq!(find(&prepared.report, "classes_without_test").examples, ["rare"]);
}

#[test]
fn the_class_train_may_be_one_of_many() {
    let files = classes("", &["bus", "car", "train"], 5);
    let facts = Place::new().bytes("x.zip", &zip(&files)).unwrap().facts;
    assert_eq!(facts.classes, ["bus", "car", "train"]);
    let below = classes("a/b/train/", &["x", "y"], 5);
    assert_eq!(Place::new().bytes("x.zip", &zip(&below)).unwrap().facts.classes, ["x", "y"]);
}

#[test]
fn images_of_other_sizes_are_suggested_another() {
    use crate::bring::{encoded, picture};
    let of = |side: u32| -> Files {
        (0..6)
            .map(|number| {
                (
                    format!("{}/{number}.png", number % 2),
                    encoded(&picture(number, side + number), image::ImageFormat::Png),
                )
            })
            .collect()
    };
    for (side, wanted) in [(12, 28), (28, 28), (33, 32), (50, 48), (200, 64)] {
        let prepared = Place::new().bytes("x.zip", &zip(&of(side))).unwrap();
        assert_eq!((prepared.facts.shape.width, prepared.facts.resized), (wanted, true), "{side}");
        assert_eq!(
            prepared.report.findings.iter().any(|finding| finding.code == "enlarged"),
            side == 12
        );
    }
}

#[test]
fn loose_images_do_not_hide_the_classes() {
    let mut files = classes("set/all/", &["x", "y"], 5);
    files.push(("preview.png".into(), png(801)));
    files.push(("set/preview.png".into(), png(802)));
    files.push(("set/all/preview.png".into(), png(803)));
    let prepared = Place::new().bytes("x.zip", &zip(&files)).unwrap();
    assert_eq!(prepared.facts.classes, ["x", "y"]);
    let loose = find(&prepared.report, "unlabelled");
    assert_eq!(loose.examples, ["preview.png", "set/all/preview.png", "set/preview.png"]);
}

#[test]
fn test_images_without_labels_leave_the_test_to_be_drawn() {
    let mut files = classes("train/", &["x", "y"], 5);
    files.extend((0..3).map(|number| (format!("test/{number}.png"), png(900 + number))));
    let prepared = Place::new().bytes("x.zip", &zip(&files)).unwrap();
    assert_eq!((prepared.facts.train, prepared.facts.test), (8, 2));
    assert_eq!(find(&prepared.report, "unlabelled").count, 3);
}
