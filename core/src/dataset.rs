//! The data sets that Skein knows: shapes, files, normalisation.

use serde::Serialize;

/// Shape of the images and number of classes: what a space must know of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DataShape {
    /// Colour channels.
    pub channels: i64,
    /// Pixels from top to bottom.
    pub height: i64,
    /// Pixels from left to right.
    pub width: i64,
    /// Number of classes.
    pub classes: i64,
}

/// A data set by its id.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Dataset {
    /// Id in a run specification.
    pub id: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// Shape of one example.
    pub shape: DataShape,
    /// Names of the classes.
    pub classes: &'static [&'static str],
    /// Training images that a complete copy has.
    pub train_images: u64,
    /// Test images that a complete copy has.
    pub test_images: u64,
    /// Mean of the pixels, scaled to `0..1`, per channel.
    pub mean: &'static [f64],
    /// Standard deviation of the pixels, scaled to `0..1`, per channel.
    pub std: &'static [f64],
    /// File names, each also accepted with `.gz` appended: training images and labels, test
    /// images and labels.
    pub files: [&'static str; 4],
    /// How to get it.
    pub how_to_get: &'static str,
}

/// All data sets, in the order in which a page lists them.
pub const DATASETS: &[Dataset] = &[Dataset {
    id: "fashion-mnist",
    title: "FashionMNIST",
    shape: DataShape { channels: 1, height: 28, width: 28, classes: 10 },
    classes: &[
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ],
    train_images: 60_000,
    test_images: 10_000,
    mean: &[0.2859],
    std: &[0.3530],
    files: [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ],
    how_to_get: "run `make data`, or put its four idx files (plain or .gz) into the folder",
}];

/// Finds a data set by its id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Dataset> {
    DATASETS.iter().find(|dataset| dataset.id == id)
}
