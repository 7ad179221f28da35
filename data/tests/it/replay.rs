//! What the fuzzers began with, and what they found, goes through the same functions again.

use std::path::Path;

#[path = "../../fuzz/entry.rs"]
mod entry;

#[test]
fn every_file_of_the_corpora_is_taken_or_refused() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut count = 0;
    for target in std::fs::read_dir(corpus).unwrap() {
        let target = target.unwrap();
        for file in std::fs::read_dir(target.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            entry::target(target.file_name().to_str().unwrap(), &bytes);
            count += 1;
        }
    }
    assert!(count >= 16, "{count} files");
}
