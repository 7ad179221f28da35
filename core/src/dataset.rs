//! Data sets: those that Skein knows by name, and those that people bring ([`facts`], [`report`]).

pub mod facts;
pub mod positions;
pub mod report;
pub mod split;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

pub use facts::Facts;

/// Shape of the images and number of classes: what a space must know of the data.
///
/// Of a text, `classes` is the size of the vocabulary, and the rest says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dataset {
    /// Id in a run specification.
    pub id: String,
    /// Name for people.
    pub title: String,
    /// Which content it has: digits of a digest; empty for a data set that Skein knows by name.
    pub version: String,
    /// SHA-256 of that content; empty likewise.
    pub digest: String,
    /// What it holds.
    pub kind: DataKind,
    /// Shape of one example; of a text a guess, since its vocabulary hangs on its files and on the
    /// specification.
    pub shape: DataShape,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Training images that a complete copy has; 0 if that depends on the files.
    pub train_images: u64,
    /// The last so many of the training images came as a validation split.
    pub valid_images: u64,
    /// Test images that a complete copy has; likewise.
    pub test_images: u64,
    /// Mean of the pixels, scaled to `0..1`, per channel.
    pub mean: Vec<f64>,
    /// Standard deviation of the pixels, scaled to `0..1`, per channel.
    pub std: Vec<f64>,
    /// Its files.
    pub files: Files,
    /// How to get it.
    pub how_to_get: String,
}

/// What a data set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataKind {
    /// Labelled images.
    Images,
    /// A text, whose next token is to be told.
    Text,
}

/// The files of a data set, by their format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "format", rename_all = "snake_case")]
pub enum Files {
    /// MNIST's idx format: images, then labels; each is found by any of its [`idx_names`].
    Idx {
        /// Training images and labels.
        train: [&'static str; 2],
        /// Test images and labels.
        test: [&'static str; 2],
    },
    /// CIFAR's binary version: records of label bytes (the last one counts), then pixels by
    /// channel. Of the training files the first must be there, and later ones may be missing.
    Cifar {
        /// Label bytes of a record.
        labels: u64,
        /// Training files, in order.
        train: &'static [&'static str],
        /// Test file.
        test: &'static str,
    },
    /// UTF-8 text: [`TEXT_INPUT`] (or any one other file), and [`TEXT_TESTS`] if there are any.
    Text,
    /// Images that were decoded once, or a text that was checked once; see [`facts`].
    Prepared,
}

/// The training text.
pub const TEXT_INPUT: &str = "input.txt";
/// The test text: the first of these that is there; without any, the end of the training text is
/// held out.
pub const TEXT_TESTS: [&str; 2] = ["test.txt", "valid.txt"];
/// A byte-pair tokenizer that is taken as it is.
pub const TEXT_TOKENIZER: &str = "tokenizer.json";

impl Dataset {
    /// Bytes of one image.
    #[must_use]
    pub fn image_bytes(&self) -> u64 {
        let DataShape { channels, height, width, .. } = self.shape;
        u64::try_from(channels * height * width).unwrap_or(0)
    }
}

/// The names under which an idx file is found: its own, the one with a dot before `idx` that some
/// programs unpack it to, and each with `.gz` appended. What is packed is told by the content.
#[must_use]
pub fn idx_names(name: &str) -> [String; 4] {
    let dotted = name.replacen("-idx", ".idx", 1);
    [name.to_owned(), format!("{name}.gz"), dotted.clone(), format!("{dotted}.gz")]
}

/// The first bytes of a gzip file.
pub const GZIP: [u8; 2] = [0x1F, 0x8B];

/// Whether a file begins as a pickle of Python does. No record of CIFAR does: its first byte is a
/// label, and there are no more than 100 classes.
#[must_use]
pub fn is_pickle(head: &[u8]) -> bool {
    matches!(head, [0x80, 2..=5, ..])
}

/// All data sets that are known by name, in the order in which a page lists them.
pub static DATASETS: LazyLock<Vec<Dataset>> = LazyLock::new(|| {
    [FASHION_MNIST, CIFAR_10, CIFAR_100, TINY_SHAKESPEARE, TEXT]
        .iter()
        .map(Known::dataset)
        .collect()
});

/// A data set that is known by name, as it is written down here; the fields of [`Dataset`].
struct Known {
    id: &'static str,
    title: &'static str,
    kind: DataKind,
    shape: DataShape,
    classes: &'static [&'static str],
    train_images: u64,
    test_images: u64,
    mean: &'static [f64],
    std: &'static [f64],
    files: Files,
    how_to_get: &'static str,
}

impl Known {
    fn dataset(&self) -> Dataset {
        Dataset {
            id: self.id.to_owned(),
            title: self.title.to_owned(),
            version: String::new(),
            digest: String::new(),
            kind: self.kind,
            shape: self.shape,
            classes: self.classes.iter().map(|&name| name.to_owned()).collect(),
            train_images: self.train_images,
            valid_images: 0,
            test_images: self.test_images,
            mean: self.mean.to_vec(),
            std: self.std.to_vec(),
            files: self.files,
            how_to_get: self.how_to_get.to_owned(),
        }
    }
}

const FASHION_MNIST: Known = Known {
    id: "fashion-mnist",
    title: "FashionMNIST",
    kind: DataKind::Images,
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
    files: Files::Idx {
        train: ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"],
        test: ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
    },
    how_to_get: "run `make data`, or put its four idx files (plain or .gz) into the folder",
};

/// The published searches normalise both CIFAR sets by the constants of CIFAR-10.
const CIFAR_MEAN: &[f64] = &[125.3 / 255.0, 123.0 / 255.0, 113.9 / 255.0];
const CIFAR_STD: &[f64] = &[63.0 / 255.0, 62.1 / 255.0, 66.7 / 255.0];

const CIFAR_10: Known = Known {
    id: "cifar-10",
    title: "CIFAR-10",
    kind: DataKind::Images,
    shape: DataShape { channels: 3, height: 32, width: 32, classes: 10 },
    classes: &[
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ],
    train_images: 50_000,
    test_images: 10_000,
    mean: CIFAR_MEAN,
    std: CIFAR_STD,
    files: Files::Cifar {
        labels: 1,
        train: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        test: "test_batch.bin",
    },
    how_to_get: "unpack the binary version of CIFAR-10 (cifar-10-binary.tar.gz) and put its .bin files into the folder",
};

const CIFAR_100: Known = Known {
    id: "cifar-100",
    title: "CIFAR-100",
    kind: DataKind::Images,
    shape: DataShape { channels: 3, height: 32, width: 32, classes: 100 },
    classes: CIFAR_100_CLASSES,
    train_images: 50_000,
    test_images: 10_000,
    mean: CIFAR_MEAN,
    std: CIFAR_STD,
    files: Files::Cifar { labels: 2, train: &["train.bin"], test: "test.bin" },
    how_to_get: "unpack the binary version of CIFAR-100 (cifar-100-binary.tar.gz) and put its .bin files into the folder",
};

/// The fine classes, in the order of their labels.
#[rustfmt::skip]
const CIFAR_100_CLASSES: &[&str] = &[
    "apple", "aquarium fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
    "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
    "lamp", "lawn mower", "leopard", "lion", "lizard", "lobster", "man", "maple tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak tree", "orange", "orchid", "otter", "palm tree", "pear", "pickup truck", "pine tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow tree", "wolf", "woman", "worm",
];

const TINY_SHAKESPEARE: Known = Known {
    id: "tiny-shakespeare",
    title: "Tiny Shakespeare",
    kind: DataKind::Text,
    shape: DataShape { channels: 1, height: 1, width: 1, classes: 65 },
    classes: &[],
    train_images: 0,
    test_images: 0,
    mean: &[],
    std: &[],
    files: Files::Text,
    how_to_get: "put the text of Karpathy's char-rnn (1.1 MB) as input.txt into the folder",
};

const TEXT: Known = Known {
    id: "text",
    title: "Text of your own",
    how_to_get: "put UTF-8 text as input.txt into the folder, and test.txt if there is one",
    ..TINY_SHAKESPEARE
};

/// Most characters of the id of a data set.
pub const MOST_ID: usize = 64;

/// Whether a text can be the id of a data set: small letters, digits and `-` between them.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let known = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '-';
    let ends = text.starts_with('-') || text.ends_with('-');
    !text.is_empty() && text.len() <= MOST_ID && text.chars().all(known) && !ends
}

/// Finds a data set that is known by name.
#[must_use]
pub fn find(id: &str) -> Option<&'static Dataset> {
    DATASETS.iter().find(|dataset| dataset.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_name_and_every_channel_its_constants() {
        for dataset in DATASETS.iter().filter(|known| known.kind == DataKind::Images) {
            let shape = dataset.shape;
            assert_eq!(i64::try_from(dataset.classes.len()), Ok(shape.classes), "{}", dataset.id);
            let channels = usize::try_from(shape.channels).unwrap();
            assert_eq!((dataset.mean.len(), dataset.std.len()), (channels, channels));
        }
        assert_eq!(CIFAR_10.dataset().image_bytes(), 3072);
    }

    #[test]
    fn an_idx_file_has_four_names() {
        assert_eq!(
            idx_names("t10k-images-idx3-ubyte"),
            [
                "t10k-images-idx3-ubyte",
                "t10k-images-idx3-ubyte.gz",
                "t10k-images.idx3-ubyte",
                "t10k-images.idx3-ubyte.gz"
            ]
        );
    }

    #[test]
    fn a_record_is_no_pickle() {
        assert!(is_pickle(b"\x80\x02}q\x01") && is_pickle(b"\x80\x04\x95"));
        assert!((0..=99).all(|label| !is_pickle(&[label, 2, 3])) && !is_pickle(&[]));
    }
}
