//! Examples in memory, splits and the order of batches.

pub mod augment;
pub mod cifar;
pub mod feed;
pub mod idx;
pub mod images;
pub mod order;
mod pixels;
mod prepared;
mod rand_augment;
pub mod split;
pub mod text;

use std::path::Path;

use skein_core::dataset::{DataKind, DataShape, Dataset, Files};
use skein_core::spec::RunSpec;
use tch::Device;

pub use images::Images;
pub use prepared::find;

use crate::EngineError;
use crate::device::Compute;
use crate::search::bilevel::Batch;
use crate::search::sampler::At;
use augment::Augment;
use order::Order;
use text::windows::Windows;
use text::{Text, Wanted};

/// What a network learns from, one by one.
#[derive(Debug)]
pub enum Examples {
    /// Labelled images.
    Images(Images),
    /// Windows of a text; each token's label is the next one.
    Text(Windows),
}

/// Training and test examples of a data set.
#[derive(Debug)]
pub struct Data {
    /// Training examples, in the data set's own order.
    pub train: Examples,
    /// Test examples.
    pub test: Examples,
    /// Their shape.
    pub shape: DataShape,
    /// What else there is to know of a text.
    pub text: Option<Text>,
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
    /// Reads what a specification asks for onto a device. `attempts` are folders where a text's
    /// tokenizer may have been kept: of the run's attempts, the own one last.
    ///
    /// # Errors
    /// - [`EngineError::Data`] if files are missing, truncated or hold something else.
    pub fn open(
        folder: &Path,
        dataset: &Dataset,
        spec: &RunSpec,
        attempts: &[std::path::PathBuf],
        compute: Compute,
    ) -> Result<Self, EngineError> {
        match dataset.kind {
            DataKind::Images => Self::read(folder, dataset, compute),
            DataKind::Text => text::read(folder, dataset, &Wanted::of(spec, attempts), compute),
        }
    }

    /// Reads a data set of images onto a device.
    ///
    /// # Errors
    /// - [`EngineError::Data`] if files are missing, truncated or hold something else.
    pub fn read(folder: &Path, dataset: &Dataset, compute: Compute) -> Result<Self, EngineError> {
        Ok(Self {
            train: Examples::Images(training_images(folder, dataset, compute)?),
            test: Examples::Images(test_images(folder, dataset, compute)?),
            shape: dataset.shape,
            text: None,
        })
    }
}

/// Reads the training images of a data set onto a device.
///
/// # Errors
/// - as [`Data::read`].
pub fn training_images(
    folder: &Path,
    dataset: &Dataset,
    compute: Compute,
) -> Result<Images, EngineError> {
    let raw = match dataset.files {
        Files::Idx { train, .. } => idx::read(folder, dataset, train)?,
        Files::Cifar { labels, train, .. } => cifar::read(folder, dataset, labels, train)?,
        Files::Prepared => {
            let (pixels, labels) = prepared::read(folder, dataset, "train", dataset.train_images)?;
            return Images::stored(pixels, &labels, dataset, compute);
        }
        Files::Text => return Err(no_images(folder, dataset)),
    };
    Images::new(&raw, dataset, compute)
}

fn test_images(folder: &Path, dataset: &Dataset, compute: Compute) -> Result<Images, EngineError> {
    let raw = match dataset.files {
        Files::Idx { test, .. } => idx::read(folder, dataset, test)?,
        Files::Cifar { labels, test, .. } => cifar::read(folder, dataset, labels, &[test])?,
        Files::Prepared => {
            let (pixels, labels) = prepared::read(folder, dataset, "test", dataset.test_images)?;
            return Images::stored(pixels, &labels, dataset, compute);
        }
        Files::Text => return Err(no_images(folder, dataset)),
    };
    Images::new(&raw, dataset, compute)
}

fn no_images(folder: &Path, dataset: &Dataset) -> EngineError {
    damaged(folder, dataset, "it is a text, not images".to_owned())
}

impl Examples {
    /// The same examples, for another thread.
    #[must_use]
    pub fn share(&self) -> Self {
        match self {
            Self::Images(images) => Self::Images(images.share()),
            Self::Text(windows) => Self::Text(windows.share()),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Images(images) => images.count(),
            Self::Text(windows) => windows.count(),
        }
    }

    /// Most of them that an evaluation should take at once.
    #[must_use]
    pub fn at_once(&self) -> usize {
        match self {
            Self::Images(_) => usize::MAX,
            Self::Text(windows) => windows.at_once(),
        }
    }

    /// The class of each example, on the host; none of a text.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if the copy fails.
    pub fn classes(&self) -> Result<Vec<i64>, EngineError> {
        match self {
            Self::Images(images) => images.classes(),
            Self::Text(_) => Ok(vec![]),
        }
    }

    /// Labels of one example.
    #[must_use]
    pub fn labels(&self) -> usize {
        match self {
            Self::Images(_) => 1,
            Self::Text(windows) => windows.context(),
        }
    }

    /// The examples at these positions.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if memory runs out.
    pub fn batch(&self, positions: &[i64]) -> Result<Batch, EngineError> {
        match self {
            Self::Images(images) => images.batch(positions),
            Self::Text(windows) => windows.batch(positions),
        }
    }

    /// The examples of a step, changed at random: images by `augment`, windows by a shift that does
    /// not leave the order's part of the text.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if memory runs out.
    pub fn changed(
        &self,
        order: &mut Order,
        augment: &Augment,
        at: At,
    ) -> Result<Batch, EngineError> {
        let positions = order.positions(at.step);
        match self {
            Self::Images(images) => images.augmented(&positions, augment, at),
            Self::Text(windows) => windows.shifted(&positions, |one| order.goes_on(one), at),
        }
    }

    /// Where the examples lie.
    #[must_use]
    pub fn device(&self) -> Device {
        match self {
            Self::Images(images) => images.device(),
            Self::Text(windows) => windows.device(),
        }
    }
}
