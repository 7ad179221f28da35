//! Whether the files of a data set are there and whole.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use skein_core::dataset::{self, Dataset, Files, TEXT_INPUT, TEXT_TESTS, TEXT_TOKENIZER};
use skein_core::encoding::is_utf16;
use skein_data::known::idx_file;

/// Bytes of a file of images that are looked at to tell its format.
const HEAD: u64 = 8;
/// Bytes of a text that are looked at.
const TEXT_HEAD: u64 = 1 << 16;

/// What is wrong with the files of a data set below `folder`, if anything.
#[must_use]
pub fn problem(folder: &Path, dataset: &Dataset) -> Option<String> {
    let folder = folder.join(&dataset.id);
    let faults: Vec<String> = match dataset.files {
        Files::Idx { train, test } => {
            [train, test].iter().flat_map(|names| idx_problems(&folder, dataset, *names)).collect()
        }
        Files::Cifar { labels, train, test } => {
            let record = labels + dataset.image_bytes();
            // Later training files may be missing, but none before one that is there.
            let last = train.iter().rposition(|name| folder.join(name).is_file()).unwrap_or(0);
            let needed = train[..=last].iter().chain([&test]);
            needed.filter_map(|name| cifar_problem(&folder, name, record)).collect()
        }
        Files::Text => text_problem(&folder).into_iter().collect(),
        // Nothing was registered before it was whole.
        Files::Prepared => vec![],
    };
    if faults.is_empty() {
        return None;
    }
    Some(format!("{} in `{}`; {}", faults.join(", "), folder.display(), dataset.how_to_get))
}

/// Looks at the beginning only: a text may be large, and the worker reads all of it.
fn text_problem(folder: &Path) -> Option<String> {
    let path = match text_input(folder) {
        Ok(path) => path,
        Err(fault) => return Some(fault),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut head = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(TEXT_HEAD).read_to_end(&mut head));
    if let Err(error) = read {
        return Some(format!("`{name}` cannot be read: {error}"));
    }
    let is_text = match std::str::from_utf8(&head) {
        Ok(text) => !text.contains('\0'),
        // The last character may be cut.
        Err(error) => error.error_len().is_none() && !head.contains(&0),
    };
    match (head.is_empty(), is_text) {
        (true, _) => Some(format!("`{name}` is empty")),
        (_, false) if is_utf16(&head) => Some(format!("`{name}` is UTF-16; save it as UTF-8")),
        (_, false) => Some(format!("`{name}` is no UTF-8 text")),
        _ => None,
    }
}

/// The file of the training text: the one that is called so, or the only one.
fn text_input(folder: &Path) -> Result<PathBuf, String> {
    let named = folder.join(TEXT_INPUT);
    if named.is_file() {
        return Ok(named);
    }
    let found = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found = found.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let other = TEXT_TESTS.contains(&name.as_str()) || name == TEXT_TOKENIZER;
        path.is_file() && !name.starts_with('.') && !other
    });
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(format!("`{TEXT_INPUT}` is missing")),
        _ => Err(format!("there are several files, and none is called `{TEXT_INPUT}`")),
    }
}

/// Bytes of a training text below `folder`, if it is there.
#[must_use]
pub fn text_bytes(folder: &Path, dataset: &Dataset) -> Option<u64> {
    let folder = folder.join(&dataset.id);
    let bytes = fs::metadata(text_input(&folder).ok()?).ok()?.len();
    let has_test = TEXT_TESTS.iter().any(|name| folder.join(name).is_file());
    // The worker holds a tenth out.
    Some(if has_test { bytes } else { bytes - bytes / 10 })
}

fn cifar_problem(folder: &Path, name: &str, record: u64) -> Option<String> {
    let path = folder.join(name);
    match head(&path).and_then(|head| Ok((head, fs::metadata(&path)?.len()))) {
        Ok((head, _)) if dataset::is_pickle(&head) => Some(format!(
            "`{name}` is a pickle of the Python version; the binary version is needed"
        )),
        Ok((_, bytes)) if bytes > 0 && bytes.is_multiple_of(record) => None,
        Ok((_, bytes)) => Some(format!(
            "`{name}` is truncated: {bytes} bytes are no multiple of {record}, the size of a record"
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let plain = name.trim_end_matches(".bin");
            let beside = folder.join(plain).is_file();
            let beside = if beside {
                format!(" (`{plain}` is of the Python version)")
            } else {
                String::new()
            };
            Some(format!("`{name}` is missing{beside}"))
        }
        Err(error) => Some(format!("`{name}` cannot be read: {error}")),
    }
}

/// The first bytes of a file.
fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// What is wrong with images and their labels.
fn idx_problems(folder: &Path, dataset: &Dataset, names: [&str; 2]) -> Vec<String> {
    let [images, labels] = names.map(|name| idx(folder, name));
    let (images, labels) = match (images, labels) {
        (Ok(images), Ok(labels)) => (images, labels),
        (images, labels) => return [images.err(), labels.err()].into_iter().flatten().collect(),
    };
    let [name, labels_name] = names;
    let sides = [dataset.shape.height, dataset.shape.width].map(i64::unsigned_abs);
    let (count, others) = (images[0], labels[0]);
    let fault = match (&images[1..], &labels[1..]) {
        (own, _) if own != sides => {
            format!("`{name}` holds entries of {own:?}, not {sides:?}")
        }
        (_, own) if !own.is_empty() => {
            format!("`{labels_name}` holds entries of {own:?}, not one number each")
        }
        _ if count == 0 => format!("`{name}` holds no images"),
        _ if count != others => {
            format!("`{name}` holds {count} images, but `{labels_name}` {others} labels")
        }
        _ => return vec![],
    };
    vec![fault]
}

/// The sizes that a whole idx file has, or what is wrong with it.
fn idx(folder: &Path, name: &str) -> Result<Vec<u64>, String> {
    let missing = || format!("`{name}` (or `{name}.gz`) is missing");
    let path = idx_file(folder, name).ok_or_else(missing)?;
    let cannot = |error: std::io::Error| format!("`{name}` cannot be read: {error}");
    let is_packed = head(&path).map_err(cannot)?.starts_with(&dataset::GZIP);
    let read = if is_packed { packed(&path) } else { plain(&path) };
    let (sizes, has) = read.map_err(cannot)?;
    let header = 4 + 4 * sizes.len() as u64;
    let says = sizes.iter().fold(1, |all: u64, size| all.saturating_mul(*size));
    let says = says.saturating_add(header);
    // Of what is packed only the length modulo 2³² is known.
    let says = if is_packed { says & u64::from(u32::MAX) } else { says };
    if says == has {
        Ok(sizes)
    } else {
        Err(format!("`{name}` is truncated: {has} of {says} bytes"))
    }
}

/// Sizes that the header tells, and bytes that there are.
fn plain(path: &Path) -> std::io::Result<(Vec<u64>, u64)> {
    Ok((sizes(&mut File::open(path)?)?, fs::metadata(path)?.len()))
}

/// The same; a gzip file ends with the length of its content (modulo 2³²).
fn packed(path: &Path) -> std::io::Result<(Vec<u64>, u64)> {
    let sizes = sizes(&mut GzDecoder::new(File::open(path)?))?;
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-4))?;
    let mut length = [0; 4];
    file.read_exact(&mut length)?;
    Ok((sizes, u32::from_le_bytes(length).into()))
}

/// Reads the header of an idx file: two zero bytes, type, number of dimensions, sizes.
fn sizes(file: &mut impl Read) -> std::io::Result<Vec<u64>> {
    let mut magic = [0; 4];
    file.read_exact(&mut magic)?;
    if magic[..3] != [0, 0, 8] || magic[3] == 0 || magic[3] > 4 {
        return Err(std::io::Error::other("it is not an idx file of bytes"));
    }
    let mut sizes = Vec::new();
    for _ in 0..magic[3] {
        let mut size = [0; 4];
        file.read_exact(&mut size)?;
        sizes.push(u32::from_be_bytes(size).into());
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    fn set() -> &'static Dataset {
        &skein_core::dataset::DATASETS[0]
    }
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
        let folder = dir.join(&set().id);
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
        assert_eq!(problem(dir.path(), set()), None);
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
        let text = problem(dir.path(), set()).unwrap();
        for part in
            ["100 of 3936 bytes", "labels-idx1-ubyte` is truncated", "not an idx", "is missing"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains(&set().how_to_get), "{text}");
    }

    #[test]
    fn files_are_found_under_the_names_that_programs_give_them() {
        let dir = tempfile::tempdir().unwrap();
        let folder = fill(dir.path());
        for (from, to) in [
            (FILES[0].to_owned(), "train-images.idx3-ubyte"),
            (format!("{}.gz", FILES[1]), "train-labels.idx1-ubyte"),
            (FILES[2].to_owned(), "t10k-images.idx3-ubyte.gz"),
        ] {
            fs::rename(folder.join(from), folder.join(to)).unwrap();
        }
        assert_eq!(problem(dir.path(), set()), None);
    }

    #[test]
    fn images_that_cannot_be_learned_from_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = fill(dir.path());
        let told = |name: &str, dims: &[u32]| {
            fs::write(folder.join(name), idx(dims)).unwrap();
            problem(dir.path(), set()).unwrap_or_default()
        };
        assert!(
            told(FILES[2], &[3, 28, 28]).contains("holds 3 images, but `t10k-labels-idx1-ubyte` 2")
        );
        assert!(told(FILES[2], &[2, 32, 32]).contains("entries of [32, 32], not [28, 28]"));
        assert!(told(FILES[2], &[2]).contains("entries of [], not [28, 28]"));
        told(FILES[2], &[0, 28, 28]);
        assert!(told(FILES[3], &[0]).contains("`t10k-images-idx3-ubyte` holds no images"));
    }

    #[test]
    fn the_python_version_of_cifar_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let set = skein_core::dataset::find("cifar-100").unwrap();
        let folder = dir.path().join(&set.id);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("train.bin"), b"\x80\x02}q\x01(U\tfilenames").unwrap();
        fs::write(folder.join("test"), b"\x80\x02}").unwrap();
        let text = problem(dir.path(), set).unwrap();
        assert!(
            text.contains("`train.bin` is a pickle of the Python version; the binary"),
            "{text}"
        );
        assert!(text.contains("`test.bin` is missing (`test` is of the Python version)"), "{text}");
    }

    #[test]
    fn a_text_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let set = skein_core::dataset::find("text").unwrap();
        let folder = dir.path().join(&set.id);
        fs::create_dir_all(&folder).unwrap();
        let problem = || problem(dir.path(), set);
        assert!(problem().unwrap().contains("`input.txt` is missing"));
        fs::write(folder.join("novel.txt"), "größe".repeat(20_000)).unwrap();
        assert_eq!(problem(), None, "a character cut at the end of the head is fine");
        assert_eq!(text_bytes(dir.path(), set), Some(126_000));
        fs::write(folder.join("other.txt"), "b").unwrap();
        assert!(problem().unwrap().contains("there are several files"));
        fs::write(folder.join("input.txt"), "").unwrap();
        assert!(problem().unwrap().contains("`input.txt` is empty"));
        fs::write(folder.join("input.txt"), b"a\0b").unwrap();
        assert!(problem().unwrap().contains("is no UTF-8 text"));
        fs::write(folder.join("input.txt"), [b'a', 0xFF, b'b']).unwrap();
        assert!(problem().unwrap().contains("is no UTF-8 text"));
        let wide: Vec<u8> = "\u{FEFF}fine".encode_utf16().flat_map(u16::to_le_bytes).collect();
        fs::write(folder.join("input.txt"), wide).unwrap();
        assert!(problem().unwrap().contains("is UTF-16; save it as UTF-8"));
        fs::write(folder.join("input.txt"), "fine").unwrap();
        fs::write(folder.join("test.txt"), "fine").unwrap();
        assert_eq!((problem(), text_bytes(dir.path(), set)), (None, Some(4)));
    }

    #[test]
    fn the_first_files_of_cifar_are_enough_if_they_are_whole() {
        let dir = tempfile::tempdir().unwrap();
        let set = skein_core::dataset::find("cifar-10").unwrap();
        let folder = dir.path().join(&set.id);
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
