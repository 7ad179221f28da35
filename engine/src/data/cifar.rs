//! The binary version of CIFAR-10 and CIFAR-100.
//!
//! A record is one or two label bytes, of which the last is the class, then the pixels channel by
//! channel. A folder that lacks later training files is a part of the data.

use std::io::ErrorKind;
use std::path::Path;

use skein_core::dataset::{Dataset, is_pickle};

use super::{Raw, damaged, labels_in_range};
use crate::EngineError;

/// Reads the images of some files, of which only the first must be there.
///
/// # Errors
/// - [`EngineError::Data`] if the first file is missing, one within the row is, or one is
///   truncated or holds labels out of range.
pub fn read(
    folder: &Path,
    dataset: &Dataset,
    labels: u64,
    files: &[&str],
) -> Result<Raw, EngineError> {
    let image = usize::try_from(dataset.image_bytes()).unwrap_or(0);
    let labels = usize::try_from(labels).unwrap_or(0);
    let mut raw = Raw { pixels: Vec::new(), labels: Vec::new() };
    let mut missing: Option<&str> = None;
    for name in files {
        let bytes = match std::fs::read(folder.join(name)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                missing = missing.or(Some(name));
                continue;
            }
            Err(error) => {
                return Err(damaged(folder, dataset, format!("{name} cannot be read: {error}")));
            }
        };
        if let Some(gap) = missing {
            let reason = format!("{gap} is missing, but {name} is there");
            return Err(damaged(folder, dataset, reason));
        }
        append(&mut raw, &bytes, labels, image)
            .map_err(|reason| damaged(folder, dataset, format!("{name} {reason}")))?;
    }
    if let Some(gap) = missing.filter(|_| raw.labels.is_empty()) {
        let reason = format!("{} is missing", folder.join(gap).display());
        return Err(damaged(folder, dataset, reason));
    }
    labels_in_range(folder, dataset, &raw.labels)?;
    Ok(raw)
}

fn append(raw: &mut Raw, bytes: &[u8], labels: usize, image: usize) -> Result<(), String> {
    let record = labels + image;
    if bytes.is_empty() {
        return Err("is empty".to_owned());
    }
    if is_pickle(bytes) {
        return Err("is a pickle of the Python version, not a file of the binary one".to_owned());
    }
    if !bytes.len().is_multiple_of(record) {
        return Err(format!(
            "is truncated: {} bytes are no multiple of {record}, the size of a record",
            bytes.len()
        ));
    }
    raw.pixels.reserve(bytes.len());
    for record in bytes.chunks_exact(record) {
        raw.labels.push(record[labels - 1]);
        raw.pixels.extend(&record[labels..]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_core::dataset::{Files, find};

    fn record(labels: &[u8], pixel: u8) -> Vec<u8> {
        let mut bytes = labels.to_vec();
        bytes.resize(labels.len() + 3072, pixel);
        bytes
    }

    fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    fn read_train(folder: &Path, id: &str) -> Result<Raw, String> {
        let dataset = find(id).unwrap();
        let Files::Cifar { labels, train, .. } = dataset.files else { panic!("{id}") };
        read(folder, dataset, labels, train).map_err(|error| error.to_string())
    }

    #[test]
    fn a_folder_with_the_first_files_is_a_part_of_the_data() {
        let two = [record(&[3], 7), record(&[9], 8)].concat();
        let files = folder(&[("data_batch_1.bin", two), ("data_batch_2.bin", record(&[0], 9))]);
        let raw = read_train(files.path(), "cifar-10").unwrap();
        assert_eq!(raw.labels, [3, 9, 0]);
        let pixels: Vec<u8> = raw.pixels.chunks_exact(3072).map(|image| image[3071]).collect();
        assert_eq!(pixels, [7, 8, 9]);
    }

    #[test]
    fn the_fine_label_of_cifar_100_counts() {
        let files = folder(&[("train.bin", record(&[19, 99], 1))]);
        assert_eq!(read_train(files.path(), "cifar-100").unwrap().labels, [99]);
    }

    #[test]
    fn damaged_files_are_named_with_the_reason() {
        let refused = |files: &[(&str, Vec<u8>)], message: &str| {
            let error = read_train(folder(files).path(), "cifar-10").unwrap_err();
            assert!(error.contains(message), "{error}");
        };
        refused(&[], "data_batch_1.bin is missing");
        refused(&[("data_batch_2.bin", record(&[0], 0))], "data_batch_1.bin is missing, but data");
        refused(
            &[("data_batch_1.bin", vec![0; 3000])],
            "data_batch_1.bin is truncated: 3000 bytes",
        );
        refused(
            &[("data_batch_1.bin", [&b"\x80\x02}q\x01"[..], &[0; 3068]].concat())],
            "data_batch_1.bin is a pickle of the Python version",
        );
        refused(&[("data_batch_1.bin", vec![])], "data_batch_1.bin is empty");
        refused(&[("data_batch_1.bin", record(&[10], 0))], "label 10 is out of range");
    }
}
