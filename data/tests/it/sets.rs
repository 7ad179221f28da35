//! Sets that are taken.

use std::collections::BTreeSet;

use skein_core::dataset::facts::{Facts, HeldOut};
use skein_core::dataset::report::Report;
use skein_data::{Options, samples};

use crate::bring::{Place, classes, folder, gz, tar, zip, zst};

#[test]
fn a_zip_of_class_folders_becomes_arrays() {
    let place = Place::new();
    let files = classes("pets/", &["dog", "cat"], 10);
    let prepared = place.bytes("pets.zip", &zip(&files)).unwrap();
    let facts = &prepared.facts;
    assert_eq!(facts.classes, ["cat", "dog"]);
    assert_eq!((facts.train, facts.valid, facts.test), (16, 0, 4));
    assert_eq!((facts.shape.channels, facts.shape.height, facts.shape.width), (3, 32, 32));
    assert_eq!(facts.held_out, HeldOut::Drawn { share: 0.2, seed: 0 });
    assert_eq!((facts.source.as_str(), facts.resized), ("zip of class folders", false));
    let read = |name: &str| std::fs::read(place.out().join(name)).unwrap();
    let stored: Facts = serde_json::from_slice(&read("facts.json")).unwrap();
    let report: Report = serde_json::from_slice(&read("report.json")).unwrap();
    assert_eq!((&stored, &report), (facts, &prepared.report));
    assert_eq!(read("train.images.npy").len(), 128 + 16 * 3 * 32 * 32);
    let mut names = BTreeSet::new();
    for (split, count) in [("train", 16), ("test", 4)] {
        for index in 0..count {
            let sample = samples::image(&place.out(), split, index).unwrap();
            let class = if sample.label == 0 { "cat" } else { "dog" };
            assert!(sample.line.name.starts_with(&format!("pets/{class}/")), "{:?}", sample.line);
            let (_, file) = files.iter().find(|(name, _)| *name == sample.line.name).unwrap();
            let image = image::load_from_memory(file).unwrap().into_rgb8();
            assert_eq!(sample.interleaved(), image.into_raw());
            names.insert(sample.line.name);
        }
        assert!(samples::image(&place.out(), split, count).is_err());
    }
    assert_eq!(names.len(), 20);
}

#[test]
fn equal_files_have_equal_digests_whatever_packs_them() {
    let mut files = classes("train/", &["a", "b", "c"], 4);
    files.extend(classes("val/", &["a", "b", "c"], 1));
    files.extend(classes("test/", &["a", "b", "c"], 2));
    let place = Place::new();
    let first = place.bytes("set.zip", &zip(&files)).unwrap().facts;
    assert_eq!((first.train, first.valid, first.test), (15, 3, 6));
    assert_eq!(first.held_out, HeldOut::Given);
    files.reverse();
    let packed = tar(&files);
    let archives = [
        ("set.zip", zip(&files)),
        ("set.tar", packed.clone()),
        ("set.tgz", gz(&packed)),
        ("set.tar.zst", zst(&packed)),
    ];
    for (name, bytes) in archives {
        let found = place.bytes(name, &bytes).unwrap().facts;
        assert_eq!((name, &found.digest), (name, &first.digest));
    }
    let top = place.path("folder");
    folder(&top, &files);
    let options = Options::default();
    assert_eq!(place.source(&top, "set", &options).unwrap().facts.digest, first.digest);
    for other in
        [Options { seed: 1, ..options.clone() }, Options { size: Some(16), ..options.clone() }]
    {
        assert_ne!(place.source(&top, "set", &other).unwrap().facts.digest, first.digest);
    }
    std::fs::write(top.join("train/a/new.png"), crate::bring::png(99)).unwrap();
    assert_ne!(place.source(&top, "set", &options).unwrap().facts.digest, first.digest);
}
