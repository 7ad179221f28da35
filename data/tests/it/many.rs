//! Many files: time and order.

use std::time::Instant;

use skein_data::{Stage, prepare};

use crate::bring::{Place, classes, tar, zip};

/// A small image of its own, as a portable map.
fn dot(number: u32) -> Vec<u8> {
    [&b"P5 8 8 255\n"[..], &number.to_be_bytes().repeat(16)].concat()
}

#[test]
fn a_hundred_thousand_files_take_seconds() {
    let files: Vec<_> =
        (0..100_000).map(|number| (format!("{}/{number}.pgm", number % 10), dot(number))).collect();
    let bytes = tar(&files);
    let (place, began) = (Place::new(), Instant::now());
    let facts = place.bytes("x.tar", &bytes).unwrap().facts;
    assert_eq!((facts.train, facts.test, facts.classes.len()), (80_000, 20_000, 10));
    assert!(began.elapsed().as_secs() < 120, "{:?}", began.elapsed());
}

#[test]
fn progress_goes_from_stage_to_stage() {
    let place = Place::new();
    std::fs::write(place.path("upload"), zip(&classes("", &["a", "b"], 5))).unwrap();
    let mut told = Vec::new();
    let (source, scratch) = (place.path("upload"), place.path("scratch"));
    prepare(
        &source,
        "x.zip",
        &skein_data::Options::default(),
        &scratch,
        &place.out(),
        &mut |progress| told.push(progress),
    )
    .unwrap();
    assert!(told.is_sorted_by_key(|progress| (progress.stage, progress.done)), "{told:?}");
    for stage in [Stage::Reading, Stage::Checking, Stage::Decoding, Stage::Writing] {
        let last = told.iter().rfind(|progress| progress.stage == stage).unwrap();
        assert_eq!(last.done, last.total, "{stage:?}");
    }
}
