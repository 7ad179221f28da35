//! Images in memory, splits and the order of batches.

pub mod cifar;
pub mod idx;
pub mod order;

use std::path::Path;

use skein_core::dataset::{Dataset, Files};
use tch::{Device, Kind, Tensor};

use crate::EngineError;
use crate::device::Compute;
use crate::search::bilevel::Batch;

/// Labelled images as bytes; batches are normalised when they are taken.
#[derive(Debug)]
pub struct Images {
    /// `[count, channels, height, width]`, bytes.
    pixels: Tensor,
    /// `[count]`.
    labels: Tensor,
    mean: Tensor,
    std: Tensor,
    compute: Compute,
}

/// Training and test images of a data set.
#[derive(Debug)]
pub struct Data {
    /// Training images, in the data set's own order.
    pub train: Images,
    /// Test images.
    pub test: Images,
}

/// Images and labels as bytes, as a reader gives them.
#[derive(Debug, PartialEq, Eq)]
pub struct Raw {
    /// All pixels, image by image.
    pub pixels: Vec<u8>,
    /// One label per image.
    pub labels: Vec<u8>,
}

fn damaged(folder: &Path, dataset: &Dataset, reason: String) -> EngineError {
    EngineError::Data {
        dataset: dataset.id.to_owned(),
        reason,
        hint: format!("{}: {}", folder.display(), dataset.how_to_get),
    }
}

fn labels_in_range(folder: &Path, dataset: &Dataset, labels: &[u8]) -> Result<(), EngineError> {
    let classes = dataset.shape.classes;
    match labels.iter().find(|label| i64::from(**label) >= classes) {
        Some(label) => {
            let reason = format!("label {label} is out of range: there are {classes} classes");
            Err(damaged(folder, dataset, reason))
        }
        None => Ok(()),
    }
}

impl Data {
    /// Reads a data set onto a device.
    ///
    /// # Errors
    /// - [`EngineError::Data`] if files are missing, truncated or hold something else.
    pub fn read(folder: &Path, dataset: &Dataset, compute: Compute) -> Result<Self, EngineError> {
        let (train, test) = match dataset.files {
            Files::Idx { train, test } => {
                (idx::read(folder, dataset, train)?, idx::read(folder, dataset, test)?)
            }
            Files::Cifar { labels, train, test } => (
                cifar::read(folder, dataset, labels, train)?,
                cifar::read(folder, dataset, labels, &[test])?,
            ),
        };
        Ok(Self {
            train: Images::new(&train, dataset, compute)?,
            test: Images::new(&test, dataset, compute)?,
        })
    }
}

impl Images {
    fn new(raw: &Raw, dataset: &Dataset, compute: Compute) -> Result<Self, EngineError> {
        let shape = dataset.shape;
        let count = i64::try_from(raw.labels.len()).unwrap_or(0);
        let size = [count, shape.channels, shape.height, shape.width];
        let pixels =
            Tensor::f_from_data_size(&raw.pixels, &size, Kind::Uint8)?.f_to(compute.device)?;
        let labels: Vec<i64> = raw.labels.iter().map(|label| i64::from(*label)).collect();
        let labels = Tensor::f_from_slice(&labels)?.f_to(compute.device)?;
        let constant = |values: &[f64]| {
            Tensor::from_slice(values)
                .view([1, -1, 1, 1])
                .to_kind(compute.kind)
                .to_device(compute.device)
        };
        Ok(Self {
            pixels,
            labels,
            mean: constant(dataset.mean),
            std: constant(dataset.std),
            compute,
        })
    }

    /// Number of images.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::try_from(self.labels.size()[0]).unwrap_or(0)
    }

    /// The images at these positions, normalised.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if memory runs out.
    pub fn batch(&self, positions: &[i64]) -> Result<Batch, EngineError> {
        let at = Tensor::f_from_slice(positions)?.f_to(self.labels.device())?;
        let x = self.pixels.f_index_select(0, &at)?.f_to_kind(self.compute.kind)? / 255.0;
        Ok(Batch { x: (x - &self.mean) / &self.std, y: self.labels.f_index_select(0, &at)? })
    }

    /// Where the images lie.
    #[must_use]
    pub fn device(&self) -> Device {
        self.labels.device()
    }
}
