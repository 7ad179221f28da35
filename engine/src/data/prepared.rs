//! People's own data sets: a version's facts, and images that were decoded once and lie in NumPy's
//! arrays.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use skein_core::dataset::facts::{self, Facts, OwnSet};
use skein_core::dataset::{self, Dataset};
use skein_core::spec::DatasetSpec;
use skein_data::npy::Header;

use super::damaged;
use super::pixels::{Filed, Pixels};
use crate::EngineError;

/// The data set that a specification names, and its folder below that of all data sets.
///
/// # Errors
/// - [`EngineError::Data`] if a person's own data set is not there any more.
pub fn find(datasets: &Path, spec: &DatasetSpec) -> Result<(Dataset, PathBuf), EngineError> {
    let folder = datasets.join(&spec.id);
    if let Some(known) = dataset::find(&spec.id) {
        return Ok((known.clone(), folder));
    }
    let version = spec.version.as_deref().unwrap_or("");
    let missing = |reason: String| EngineError::Data {
        dataset: spec.id.clone(),
        reason,
        hint: "its data may have been deleted; add it again on the page Datasets".to_owned(),
    };
    let read = |path: PathBuf| {
        std::fs::read(&path).map_err(|error| missing(format!("{}: {error}", path.display())))
    };
    let content = |error: serde_json::Error| missing(format!("its facts cannot be read: {error}"));
    let set: OwnSet = serde_json::from_slice(&read(folder.join(facts::SET))?).map_err(content)?;
    if !set.versions.iter().any(|known| known.version == version) {
        return Err(missing(format!("it has no version `{version}`")));
    }
    let folder = folder.join(facts::VERSIONS).join(version);
    let found: Facts =
        serde_json::from_slice(&read(folder.join(facts::FACTS))?).map_err(content)?;
    Ok((found.dataset(&spec.id, &set.title), folder))
}

/// Pixels and labels of a split.
///
/// # Errors
/// - [`EngineError::Data`] if a file is missing, cut off or of another shape.
pub(super) fn read(
    folder: &Path,
    dataset: &Dataset,
    split: &str,
    count: u64,
) -> Result<(Pixels, Vec<i64>), EngineError> {
    if count == 0 {
        return Err(damaged(folder, dataset, format!("`{split}` has no images")));
    }
    let shape = dataset.shape;
    let sides = [shape.channels, shape.height, shape.width].map(i64::unsigned_abs);
    let size = [count, sides[0], sides[1], sides[2]];
    let name = facts::images(split);
    let (file, offset) = open(folder, dataset, &name, ("|u1", 1), &size)?;
    let pixels = Filed::new(file, folder.join(&name), offset, size);
    let labels = numbers(folder, dataset, &facts::labels(split), count)?;
    if labels.iter().any(|label| !(0..shape.classes).contains(label)) {
        let reason = format!("a label of `{split}` is out of range");
        return Err(damaged(folder, dataset, reason));
    }
    Ok((Pixels::Filed(pixels), labels))
}

/// All whole numbers of an array.
fn numbers(
    folder: &Path,
    dataset: &Dataset,
    name: &str,
    count: u64,
) -> Result<Vec<i64>, EngineError> {
    let (mut file, _) = open(folder, dataset, name, ("<i8", 8), &[count])?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)
        .map_err(|error| damaged(folder, dataset, format!("`{name}` cannot be read: {error}")))?;
    let (words, _) = bytes.as_chunks::<8>();
    Ok(words.iter().map(|word| i64::from_le_bytes(*word)).collect())
}

/// An array's file, at its first number, and where that is.
fn open(
    folder: &Path,
    dataset: &Dataset,
    name: &str,
    (descr, width): (&str, u64),
    shape: &[u64],
) -> Result<(File, u64), EngineError> {
    let bad = |reason: String| damaged(folder, dataset, format!("`{name}` {reason}"));
    let unread = |error: std::io::Error| bad(format!("cannot be read: {error}"));
    let mut file = File::open(folder.join(name)).map_err(unread)?;
    let header = Header::read(&mut file).map_err(unread)?;
    if header.descr != descr || header.fortran_order || header.shape != shape {
        return Err(bad(format!(
            "holds `{}` of shape {:?}, expected `{descr}` of {shape:?}",
            header.descr, header.shape
        )));
    }
    let bytes = header.count().and_then(|count| count.checked_mul(width));
    let whole = bytes.and_then(|bytes| bytes.checked_add(header.offset));
    let length = file.metadata().map_err(unread)?.len();
    if whole != Some(length) {
        return Err(bad(format!("is cut off or too long: it has {length} bytes")));
    }
    Ok((file, header.offset))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;
    use skein_core::dataset::{DataKind, DataShape, Files};
    use skein_data::npy::header;
    use tempfile::TempDir;

    use super::*;
    use crate::data::Images;
    use crate::device::Compute;

    const SIDES: [u64; 4] = [5, 3, 4, 6];

    fn dataset() -> Dataset {
        Dataset {
            kind: DataKind::Images,
            shape: DataShape { channels: 3, height: 4, width: 6, classes: 4 },
            files: Files::Prepared,
            mean: vec![0.5; 3],
            std: vec![0.25; 3],
            ..dataset::find("cifar-10").unwrap().clone()
        }
    }

    fn pixels() -> Vec<u8> {
        (0..SIDES.iter().product()).map(|at: u64| (at * 7 % 256) as u8).collect()
    }

    /// Five images of a training split.
    fn written() -> TempDir {
        let home = tempfile::tempdir().unwrap();
        put(&home, "train.images.npy", "|u1", &SIDES, &pixels());
        let labels: Vec<u8> =
            [0_i64, 3, 1, 2, 0].iter().flat_map(|one| one.to_le_bytes()).collect();
        put(&home, "train.labels.npy", "<i8", &[5], &labels);
        home
    }

    fn put(home: &TempDir, name: &str, descr: &str, shape: &[u64], numbers: &[u8]) {
        fs::write(home.path().join(name), [&header(descr, shape), numbers].concat()).unwrap();
    }

    fn read_it(home: &TempDir) -> Result<(Pixels, Vec<i64>), EngineError> {
        read(home.path(), &dataset(), "train", 5)
    }

    #[test]
    fn images_are_those_of_the_arrays() {
        let home = written();
        let (images, labels) = read_it(&home).unwrap();
        assert_eq!(labels, [0, 3, 1, 2, 0]);
        let store = Images::stored(images, &labels, &dataset(), Compute::exact()).unwrap();
        let batch = store.batch(&[4, 1]).unwrap();
        assert_eq!(Vec::<i64>::try_from(&batch.y).unwrap(), [0, 3]);
        for (row, image) in [4, 1].into_iter().zip(0..) {
            let numbers = batch.x.get(image).reshape([-1]);
            for (at, pixel) in (0..).zip(&pixels()[row * 72..(row + 1) * 72]) {
                let expected = (f64::from(*pixel) / 255.0 - 0.5) / 0.25;
                assert!((numbers.double_value(&[at]) - expected).abs() < 1e-6);
            }
        }
        // As a GPU that it fits onto takes it.
        let (images, _) = read_it(&home).unwrap();
        let loaded = images.load(tch::Device::Cpu).unwrap();
        let loaded = Images::stored(loaded, &labels, &dataset(), Compute::exact()).unwrap();
        assert_eq!(loaded.batch(&[4, 1]).unwrap().x, batch.x);
    }

    #[rstest]
    #[case::missing(&|home: &TempDir| fs::remove_file(home.path().join("train.images.npy")).unwrap(), "`train.images.npy` cannot be read: No such file")]
    #[case::no_labels(&|home: &TempDir| fs::remove_file(home.path().join("train.labels.npy")).unwrap(), "`train.labels.npy` cannot be read: No such file")]
    #[case::cut(&|home: &TempDir| put(home, "train.images.npy", "|u1", &SIDES, &pixels()[1..]), "`train.images.npy` is cut off or too long: it has 487 bytes")]
    #[case::longer(&|home: &TempDir| put(home, "train.images.npy", "|u1", &SIDES, &[0; 361]), "`train.images.npy` is cut off or too long: it has 489 bytes")]
    #[case::within_its_header(&|home: &TempDir| fs::write(home.path().join("train.images.npy"), &header("|u1", &SIDES)[..50]).unwrap(), "`train.images.npy` cannot be read")]
    #[case::other_numbers(&|home: &TempDir| put(home, "train.images.npy", "|i1", &SIDES, &pixels()), "`train.images.npy` holds `|i1` of shape [5, 3, 4, 6], expected `|u1`")]
    #[case::other_shape(&|home: &TempDir| put(home, "train.images.npy", "|u1", &[5, 4, 6, 3], &pixels()), "of shape [5, 4, 6, 3], expected `|u1` of [5, 3, 4, 6]")]
    #[case::other_count(&|home: &TempDir| put(home, "train.labels.npy", "<i8", &[4], &[0; 32]), "`train.labels.npy` holds `<i8` of shape [4], expected `<i8` of [5]")]
    #[case::narrow_labels(&|home: &TempDir| put(home, "train.labels.npy", "<i4", &[5], &[0; 20]), "`train.labels.npy` holds `<i4`")]
    #[case::label(&|home: &TempDir| put(home, "train.labels.npy", "<i8", &[5], &[4, 0, 0, 0, 0, 0, 0, 0].repeat(5)), "a label of `train` is out of range")]
    #[case::negative(&|home: &TempDir| put(home, "train.labels.npy", "<i8", &[5], &[255; 40]), "a label of `train` is out of range")]
    #[case::no_array(&|home: &TempDir| fs::write(home.path().join("train.images.npy"), [7; 500]).unwrap(), "`train.images.npy` cannot be read")]
    fn what_is_damaged_is_named(#[case] damage: &dyn Fn(&TempDir), #[case] message: &str) {
        let home = written();
        damage(&home);
        let error = read_it(&home).unwrap_err();
        assert!(matches!(error, EngineError::Data { .. }));
        assert!(error.to_string().contains(message), "{error}");
    }

    #[test]
    fn a_split_without_images_is_named() {
        let error = read(written().path(), &dataset(), "train", 0).unwrap_err().to_string();
        assert!(error.contains("`train` has no images"), "{error}");
    }

    /// The file takes no place on the disk, but is larger than most machines' memory.
    #[test]
    fn a_set_may_be_larger_than_memory() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("train.images.npy");
        let size = [3_000_000_000, 3, 4, 6];
        fs::write(&path, header("|u1", &size)).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(128 + size.iter().product::<u64>()).unwrap();
        let (file, offset) =
            open(home.path(), &dataset(), "train.images.npy", ("|u1", 1), &size).unwrap();
        let pixels = Pixels::Filed(Filed::new(file, path, offset, size));
        assert_eq!(pixels.select(&[2_999_999_999, 5]).unwrap().size(), [2, 3, 4, 6]);
    }
}
