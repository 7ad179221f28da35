//! A disk that is full: as a bound on the size of files, in a process of its own.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::bring::{Place, classes, refused, zip};

/// Tells the child how large its files may be.
const BOUND: &str = "SKEIN_TEST_FILE_BOUND";

#[test]
fn a_full_disk_is_told_and_nothing_is_left() {
    if let Ok(bound) = std::env::var(BOUND) {
        return child(bound.parse().unwrap());
    }
    // The spool is smaller than the pixels, and those than the array of the training images.
    for bound in ["1000", "100000", "250000"] {
        let this = std::env::current_exe().unwrap();
        let output = Command::new(this)
            .args(["disk::a_full_disk_is_told_and_nothing_is_left", "--exact", "--nocapture"])
            .env(BOUND, bound)
            .output()
            .unwrap();
        assert!(output.status.success(), "{bound}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn child(bound: u64) {
    let (place, bytes) = (Place::new(), zip(&classes("", &["a", "b"], 60)));
    std::fs::write(place.path("upload"), bytes).unwrap();
    // Without a handler the signal would end this process.
    let caught = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(25, caught).unwrap();
    let most = Rlimit { current: Some(bound), maximum: Some(bound) };
    setrlimit(Resource::Fsize, most).unwrap();
    let result = place.source(&place.path("upload"), "x.zip", &skein_data::Options::default());
    let (code, said) = refused(result);
    assert_eq!(code, "no_space");
    assert_eq!(said, "the disk is full, or a quota is used up; free some space and try again");
}
