//! People's own data sets: a version's facts, and images that were decoded once: arrays in files that are mapped, not read.
//!
//! A mapped file takes no memory of its own: what is looked at comes from the disk's cache, so a data
//! set may be larger than memory, and runs that use it at once share it.

use std::fs::File;
use std::path::{Path, PathBuf};

use skein_core::dataset::facts::{self, Facts, OwnSet};
use skein_core::dataset::{self, Dataset};
use skein_core::spec::DatasetSpec;
use skein_data::npy::Header;
use tch::{Device, Kind, Tensor};

use super::damaged;
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

/// Pixels `[count, channels, height, width]` and labels `[count]` of a split, on the CPU.
///
/// # Errors
/// - [`EngineError::Data`] if a file is missing, cut off or of another shape.
pub(super) fn read(
    folder: &Path,
    dataset: &Dataset,
    split: &str,
    count: u64,
) -> Result<(Tensor, Tensor), EngineError> {
    let shape = dataset.shape;
    let sides = [shape.channels, shape.height, shape.width].map(i64::unsigned_abs);
    let sizes = [count, sides[0], sides[1], sides[2]];
    let pixels = map(folder, dataset, &facts::images(split), ("|u1", 1), &sizes)?;
    let labels = map(folder, dataset, &facts::labels(split), ("<i8", 8), &sizes[..1])?;
    let labels = labels.f_view_dtype(Kind::Int64)?;
    let range = [labels.f_min()?, labels.f_max()?].map(|end| end.int64_value(&[]));
    if range[0] < 0 || range[1] >= shape.classes {
        let reason = format!("a label of `{split}` is out of range");
        return Err(damaged(folder, dataset, reason));
    }
    let sizes = sizes.map(|size| i64::try_from(size).unwrap_or(0));
    Ok((pixels.f_view(sizes)?, labels))
}

/// The bytes of an array's numbers.
fn map(
    folder: &Path,
    dataset: &Dataset,
    name: &str,
    (descr, width): (&str, u64),
    shape: &[u64],
) -> Result<Tensor, EngineError> {
    let path = folder.join(name);
    let bad = |reason: String| damaged(folder, dataset, format!("`{name}` {reason}"));
    let mut file = File::open(&path).map_err(|error| bad(format!("cannot be read: {error}")))?;
    let header =
        Header::read(&mut file).map_err(|error| bad(format!("cannot be read: {error}")))?;
    if header.descr != descr || header.fortran_order || header.shape != shape {
        return Err(bad(format!(
            "holds `{}` of shape {:?}, expected `{descr}` of {shape:?}",
            header.descr, header.shape
        )));
    }
    let bytes = header.count().and_then(|count| count.checked_mul(width));
    let length = file.metadata().map_err(|error| bad(format!("cannot be read: {error}")))?.len();
    let Some(bytes) = bytes.filter(|bytes| bytes.checked_add(header.offset) == Some(length)) else {
        return Err(bad(format!("is cut off: it has {length} bytes")));
    };
    let [start, bytes, length] =
        [header.offset, bytes, length].map(|size| i64::try_from(size).unwrap_or(i64::MAX));
    let path = path.to_str().ok_or_else(|| bad("has a name that is not UTF-8".to_owned()))?;
    let whole = Tensor::f_from_file(path, false, length, (Kind::Uint8, Device::Cpu))?;
    Ok(whole.f_narrow(0, start, bytes)?)
}
