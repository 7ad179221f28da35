//! Whether the files of a data set are there and whole.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::GzDecoder;
use skein_core::dataset::Dataset;

/// What is wrong with the files of a data set below `folder`, if anything.
#[must_use]
pub fn problem(folder: &Path, dataset: &Dataset) -> Option<String> {
    let folder = folder.join(dataset.id);
    let faults: Vec<String> =
        dataset.files.iter().filter_map(|name| file_problem(&folder, name)).collect();
    if faults.is_empty() {
        return None;
    }
    Some(format!("{} in `{}`; {}", faults.join(", "), folder.display(), dataset.how_to_get))
}

fn file_problem(folder: &Path, name: &str) -> Option<String> {
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
        fs::write(folder.join(SET.files[0]), idx(&[5, 28, 28])).unwrap();
        fs::write(folder.join(format!("{}.gz", SET.files[1])), gz(&idx(&[5]))).unwrap();
        fs::write(folder.join(SET.files[2]), idx(&[2, 28, 28])).unwrap();
        fs::write(folder.join(SET.files[3]), idx(&[2])).unwrap();
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
        fs::write(folder.join(SET.files[0]), &idx(&[5, 28, 28])[..100]).unwrap();
        let packed = gz(&idx(&[5, 28, 28]));
        let name = format!("{}.gz", SET.files[1]);
        fs::write(folder.join(name), &packed[..packed.len() - 5]).unwrap();
        fs::write(folder.join(SET.files[2]), b"nonsense").unwrap();
        fs::remove_file(folder.join(SET.files[3])).unwrap();
        let text = problem(dir.path(), SET).unwrap();
        for part in
            ["100 of 3936 bytes", "labels-idx1-ubyte` is truncated", "not an idx", "is missing"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains(SET.how_to_get), "{text}");
    }
}
