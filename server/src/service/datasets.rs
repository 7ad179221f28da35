//! Whether the files of a data set are there and whole.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::GzDecoder;
use skein_core::dataset::{Dataset, Files};

/// What is wrong with the files of a data set below `folder`, if anything.
#[must_use]
pub fn problem(folder: &Path, dataset: &Dataset) -> Option<String> {
    let folder = folder.join(dataset.id);
    let faults: Vec<String> = match dataset.files {
        Files::Idx { train, test } => {
            train.iter().chain(&test).filter_map(|name| idx_problem(&folder, name)).collect()
        }
        Files::Cifar { labels, train, test } => {
            let record = labels + dataset.image_bytes();
            // Later training files may be missing, but none before one that is there.
            let last = train.iter().rposition(|name| folder.join(name).is_file()).unwrap_or(0);
            let needed = train[..=last].iter().chain([&test]);
            needed.filter_map(|name| cifar_problem(&folder, name, record)).collect()
        }
    };
    if faults.is_empty() {
        return None;
    }
    Some(format!("{} in `{}`; {}", faults.join(", "), folder.display(), dataset.how_to_get))
}

fn cifar_problem(folder: &Path, name: &str, record: u64) -> Option<String> {
    match fs::metadata(folder.join(name)) {
        Ok(file) if file.len() > 0 && file.len().is_multiple_of(record) => None,
        Ok(file) => Some(format!(
            "`{name}` is truncated: {} bytes are no multiple of {record}, the size of a record",
            file.len()
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Some(format!("`{name}` is missing"))
        }
        Err(error) => Some(format!("`{name}` cannot be read: {error}")),
    }
}

fn idx_problem(folder: &Path, name: &str) -> Option<String> {
    let plain = folder.join(name);
    let packed = folder.join(format!("{name}.gz"));
    let lengths = if plain.is_file() {
        plain_lengths(&plain)
    } else if packed.is_file() {
        packed_lengths(&packed)
    } else {
        return Some(format!("`{name}` (or `{name}.gz`) is missing"));
    };
    match lengths {
        Ok((says, has)) if says == has => None,
        Ok((says, has)) => Some(format!("`{name}` is truncated: {has} of {says} bytes")),
        Err(error) => Some(format!("`{name}` cannot be read: {error}")),
    }
}

/// Bytes that the header promises, and bytes that there are.
fn plain_lengths(path: &Path) -> std::io::Result<(u64, u64)> {
    Ok((promised(&mut File::open(path)?)?, fs::metadata(path)?.len()))
}

/// The same; a gzip file ends with the length of its content (modulo 2³²).
fn packed_lengths(path: &Path) -> std::io::Result<(u64, u64)> {
    let promised = promised(&mut GzDecoder::new(File::open(path)?))?;
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-4))?;
    let mut length = [0; 4];
    file.read_exact(&mut length)?;
    Ok((promised & u64::from(u32::MAX), u32::from_le_bytes(length).into()))
}

/// Reads the header of an idx file: two zero bytes, type, number of dimensions, sizes.
fn promised(file: &mut impl Read) -> std::io::Result<u64> {
    let mut magic = [0; 4];
    file.read_exact(&mut magic)?;
    if magic[..3] != [0, 0, 8] || magic[3] == 0 || magic[3] > 4 {
        return Err(std::io::Error::other("it is not an idx file of bytes"));
    }
    let mut length: u64 = 1;
    for _ in 0..magic[3] {
        let mut size = [0; 4];
        file.read_exact(&mut size)?;
        length = length.saturating_mul(u32::from_be_bytes(size).into());
    }
    Ok(length.saturating_add(4 + 4 * u64::from(magic[3])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    const SET: &Dataset = &skein_core::dataset::DATASETS[0];
    const FILES: [&str; 4] = [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ];

    fn idx(dims: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, u8::try_from(dims.len()).unwrap()];
        dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
        bytes.resize(bytes.len() + dims.iter().product::<u32>() as usize, 7);
        bytes
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn fill(dir: &Path) -> std::path::PathBuf {
        let folder = dir.join(SET.id);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(FILES[0]), idx(&[5, 28, 28])).unwrap();
        fs::write(folder.join(format!("{}.gz", FILES[1])), gz(&idx(&[5]))).unwrap();
        fs::write(folder.join(FILES[2]), idx(&[2, 28, 28])).unwrap();
        fs::write(folder.join(FILES[3]), idx(&[2])).unwrap();
        folder
    }

    #[test]
    fn whole_files_plain_or_packed_are_fine() {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        assert_eq!(problem(dir.path(), SET), None);
    }

    #[test]
    fn every_fault_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = fill(dir.path());
        fs::write(folder.join(FILES[0]), &idx(&[5, 28, 28])[..100]).unwrap();
        let packed = gz(&idx(&[5, 28, 28]));
        let name = format!("{}.gz", FILES[1]);
        fs::write(folder.join(name), &packed[..packed.len() - 5]).unwrap();
        fs::write(folder.join(FILES[2]), b"nonsense").unwrap();
        fs::remove_file(folder.join(FILES[3])).unwrap();
        let text = problem(dir.path(), SET).unwrap();
        for part in
            ["100 of 3936 bytes", "labels-idx1-ubyte` is truncated", "not an idx", "is missing"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains(SET.how_to_get), "{text}");
    }

    #[test]
    fn the_first_files_of_cifar_are_enough_if_they_are_whole() {
        let dir = tempfile::tempdir().unwrap();
        let set = skein_core::dataset::find("cifar-10").unwrap();
        let folder = dir.path().join(set.id);
        fs::create_dir_all(&folder).unwrap();
        let missing = problem(dir.path(), set).unwrap();
        assert!(missing.contains("`data_batch_1.bin` is missing, `test_batch.bin` is missing"));
        for name in ["data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"] {
            fs::write(folder.join(name), vec![0; 2 * 3073]).unwrap();
        }
        assert_eq!(problem(dir.path(), set), None);
        fs::write(folder.join("data_batch_4.bin"), vec![0; 3000]).unwrap();
        let text = problem(dir.path(), set).unwrap();
        assert!(text.contains("`data_batch_3.bin` is missing"), "{text}");
        assert!(text.contains("`data_batch_4.bin` is truncated: 3000 bytes"), "{text}");
    }
}
