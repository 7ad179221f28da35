//! The idx format of MNIST and its relatives, plain or gzipped, by any of its names.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use skein_core::dataset::{Dataset, GZIP};
use skein_data::known::idx_file;

use super::{Raw, damaged, labels_in_range};
use crate::EngineError;

/// Reads images and labels.
///
/// # Errors
/// - [`EngineError::Data`] if a file is missing, truncated, or not what it should be.
pub fn read(
    folder: &Path,
    dataset: &Dataset,
    [images, labels]: [&str; 2],
) -> Result<Raw, EngineError> {
    let shape = dataset.shape;
    let bad = |reason: String| damaged(folder, dataset, reason);
    let sides = [shape.height, shape.width].map(|side| u32::try_from(side).unwrap_or(0));
    let size = usize::try_from(dataset.image_bytes()).unwrap_or(0);
    let (count, pixels) = open(folder, images, &sides, size).map_err(bad)?;
    let (others, labels) = open(folder, labels, &[], 1).map_err(bad)?;
    if count == 0 {
        return Err(bad("there are no images".to_owned()));
    }
    if count != others {
        return Err(bad(format!("there are {count} images but {others} labels")));
    }
    labels_in_range(folder, dataset, &labels)?;
    Ok(Raw { pixels, labels })
}

/// The number of entries and their bytes.
fn open(folder: &Path, name: &str, sides: &[u32], size: usize) -> Result<(usize, Vec<u8>), String> {
    let found = idx_file(folder, name).and_then(|path| File::open(path).ok());
    let file = found.ok_or_else(|| {
        format!("{} is missing (with or without .gz)", folder.join(name).display())
    })?;
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => format!("{name} is truncated"),
        _ => format!("{name} cannot be read: {error}"),
    };
    let mut file = BufReader::new(file);
    let is_packed = file.fill_buf().map_err(unreadable)?.starts_with(&GZIP);
    let mut reader: Box<dyn Read> =
        if is_packed { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    let mut header = vec![0; 8 + 4 * sides.len()];
    reader.read_exact(&mut header).map_err(unreadable)?;
    let numbers: Vec<u32> = header
        .chunks_exact(4)
        .map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
        .collect();
    let magic = 0x0801 + 2 * u32::from(!sides.is_empty());
    if numbers[0] != magic {
        return Err(format!(
            "{name} is not an idx file of bytes: it begins with {:#010x}",
            numbers[0]
        ));
    }
    if numbers[2..] != *sides {
        return Err(format!("{name} holds entries of {:?}, expected {sides:?}", &numbers[2..]));
    }
    let count = numbers[1] as usize;
    // Read in pieces, so that a wrong header cannot ask for much memory.
    let mut bytes = Vec::new();
    reader.take((count * size) as u64).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() < count * size {
        return Err(format!(
            "{name} is truncated: {} of {count} entries are there",
            bytes.len() / size.max(1)
        ));
    }
    Ok((count, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn write(folder: &Path, name: &str, header: &[u32], bytes: &[u8]) {
        let mut content: Vec<u8> = header.iter().flat_map(|number| number.to_be_bytes()).collect();
        content.extend(bytes);
        std::fs::write(folder.join(name), content).unwrap();
    }

    fn sample(images: u32, labels: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "i", &[0x0803, images, 28, 28], &vec![7; images as usize * 784]);
        write(folder.path(), "l", &[0x0801, u32::try_from(labels.len()).unwrap()], labels);
        folder
    }

    fn read_sample(folder: &Path) -> Result<Raw, String> {
        let dataset = skein_core::dataset::find("fashion-mnist").unwrap();
        read(folder, dataset, ["i", "l"]).map_err(|error| error.to_string())
    }

    #[test]
    fn plain_and_gzipped_files_are_the_same() {
        let folder = sample(3, &[0, 1, 9]);
        let plain = read_sample(folder.path()).unwrap();
        assert_eq!((plain.pixels.len(), plain.labels.as_slice()), (3 * 784, [0, 1, 9].as_slice()));
        for name in ["i", "l"] {
            let content = std::fs::read(folder.path().join(name)).unwrap();
            std::fs::remove_file(folder.path().join(name)).unwrap();
            let file = std::fs::File::create(folder.path().join(format!("{name}.gz"))).unwrap();
            let mut zipped = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            zipped.write_all(&content).unwrap();
            zipped.finish().unwrap();
        }
        assert_eq!(read_sample(folder.path()).unwrap(), plain);
    }

    /// Programs that unpack write a dot before `idx`, and some leave `.gz` at what they unpacked.
    #[test]
    fn files_are_found_under_the_names_that_programs_give_them() {
        let dataset = skein_core::dataset::find("fashion-mnist").unwrap();
        let folder = sample(3, &[0, 1, 9]);
        let names = ["a-images-idx3-ubyte", "a-labels-idx1-ubyte"];
        for (from, to) in [("i", "a-images.idx3-ubyte"), ("l", "a-labels.idx1-ubyte.gz")] {
            std::fs::rename(folder.path().join(from), folder.path().join(to)).unwrap();
        }
        assert_eq!(read(folder.path(), dataset, names).unwrap().labels, [0, 1, 9]);
    }

    #[test]
    fn damaged_files_are_named_with_the_reason() {
        let missing = tempfile::tempdir().unwrap();
        assert!(
            read_sample(missing.path()).unwrap_err().contains("i is missing (with or without .gz)")
        );
        let folder = sample(3, &[0, 1, 9]);
        write(folder.path(), "i", &[0x0803, 3, 28, 28], &[7; 1000]);
        let error = read_sample(folder.path()).unwrap_err();
        assert_eq!(error, "data set fashion-mnist: i is truncated: 1 of 3 entries are there");
        write(folder.path(), "i", &[0x0803, 3, 32, 32], &[]);
        assert!(
            read_sample(folder.path())
                .unwrap_err()
                .contains("entries of [32, 32], expected [28, 28]")
        );
        assert!(
            read_sample(sample(3, &[0, 1, 10]).path())
                .unwrap_err()
                .contains("label 10 is out of range")
        );
        assert!(
            read_sample(sample(2, &[0, 1, 2]).path())
                .unwrap_err()
                .contains("2 images but 3 labels")
        );
        assert!(read_sample(sample(0, &[]).path()).unwrap_err().contains("there are no images"));
        write(folder.path(), "i", &[0x1F8B], &[0; 20]);
        assert!(read_sample(folder.path()).unwrap_err().contains("not an idx file"));
    }
}
