//! What the fuzzers and the tests do with bytes: prepare them, as a stranger's upload.
//!
//! Whatever the bytes are, the answer is a version or a refusal: never a panic, much memory, or
//! something left behind.

use std::path::Path;

use skein_data::{Limits, Options, prepare};

/// Prepares one file of any content.
pub(crate) fn upload(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("upload");
    std::fs::write(&source, bytes).expect("a temporary file");
    run(&source, folder.path());
}

/// Prepares files of these names, in an archive; the bytes are cut where `cuts` say, in 256ths.
pub(crate) fn files(names: &[&str], bytes: &[u8]) {
    let (cuts, mut rest) = bytes.split_at(bytes.len().min(names.len() - 1));
    let mut builder = tar::Builder::new(Vec::new());
    for (at, name) in names.iter().enumerate() {
        let share = cuts.get(at).map_or(256, |cut| usize::from(*cut));
        let (own, others) = rest.split_at(rest.len() * share / 256);
        rest = others;
        let mut header = tar::Header::new_gnu();
        header.set_size(own.len() as u64);
        builder.append_data(&mut header, name, own).expect("a tar in memory");
    }
    upload(&builder.into_inner().expect("a tar in memory"));
}

fn run(source: &Path, folder: &Path) {
    let limits = Limits { files: 1000, bytes: 8 << 20, ..Limits::default() };
    let options = Options { limits, ..Options::default() };
    let _ = prepare(source, "upload", &options, folder, &folder.join("version"), &mut |_| ());
}

/// What the target of a name does.
pub(crate) fn target(name: &str, bytes: &[u8]) {
    match name {
        "archive" => upload(bytes),
        "arrays" => files(&["x_train.npy", "y_train.npy"], bytes),
        "idx" => files(&["train-images-idx3-ubyte", "train-labels-idx1-ubyte"], bytes),
        "cifar" => files(&["batches.meta.txt", "data_batch_1.bin", "test_batch.bin"], bytes),
        other => panic!("there is no target `{other}`"),
    }
}
