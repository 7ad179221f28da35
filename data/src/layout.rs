//! Which kind of set the files of a source are, and which of them are its examples.
//!
//! One file a kind of set. What is no set of ours is refused by name: pickles, and sets for other
//! tasks ([`other_tasks`]).

mod arrays;
mod cifar;
mod folders;
pub(crate) mod idx;
mod other_tasks;
mod packed;
mod raw;
mod table;
mod text;

use skein_core::dataset::report::Finding;

use crate::gather::{Gathered, Item, Kind};
use crate::refusal::Refusal;
use crate::spool::{Digest, Place};

/// A part of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Split {
    Train,
    Valid,
    Test,
}

impl Split {
    /// The split that a folder, a key or a column calls so.
    pub(crate) fn called(word: &[u8]) -> Option<Self> {
        match word.to_ascii_lowercase().as_slice() {
            b"train" | b"training" => Some(Self::Train),
            b"val" | b"valid" | b"validation" | b"dev" => Some(Self::Valid),
            b"test" | b"testing" | b"t10k" => Some(Self::Test),
            _ => None,
        }
    }

    /// What it is called in our own files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        }
    }
}

/// A labelled image.
#[derive(Debug, Clone)]
pub(crate) struct Example {
    pub(crate) split: Split,
    /// Which of the classes.
    pub(crate) label: u32,
    /// Which of the items holds it.
    pub(crate) item: u32,
    /// Which image of the item it is, if that holds several.
    pub(crate) number: Option<u32>,
    pub(crate) place: Place,
    /// Of its bytes; zeros until it is known.
    pub(crate) digest: Digest,
}

/// How the pixels of a set are stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Form {
    /// Each image in a file of its own.
    Files,
    /// Numbers, all of one shape.
    Raw(Raw),
}

/// Images without a file format.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Raw {
    pub(crate) channels: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Whether the channels of a pixel lie side by side.
    pub(crate) mixed: bool,
    pub(crate) number: Number,
}

/// How a number is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    /// A byte.
    Byte,
    /// Another number of an array, which is multiplied and rounded.
    Other {
        /// How it is stored.
        kind: arrays::Type,
        /// What it is multiplied by.
        scale: f64,
    },
}

impl Raw {
    /// Bytes of an image.
    pub(crate) fn bytes(self) -> u64 {
        let width = match self.number {
            Number::Byte => 1,
            Number::Other { kind, .. } => kind.width(),
        };
        let pixels = u64::from(self.width) * u64::from(self.height);
        pixels.saturating_mul(u64::from(self.channels) * width)
    }

    /// Whether it has pixels, and no more than a file of an image may have.
    pub(crate) fn is_sane(self) -> bool {
        let sides = 1..=16_384;
        sides.contains(&self.width)
            && sides.contains(&self.height)
            && self.channels > 0
            && self.bytes() <= 256 << 20
    }
}

/// A set of images.
#[derive(Debug)]
pub(crate) struct Images {
    /// In words: `class folders`.
    pub(crate) layout: &'static str,
    /// Names as they are shown, in the order of the labels.
    pub(crate) classes: Vec<String>,
    pub(crate) form: Form,
    /// Sorted by split, class and name, so that the order of an archive does not matter.
    pub(crate) examples: Vec<Example>,
    pub(crate) findings: Vec<Finding>,
}

/// A text.
#[derive(Debug)]
pub(crate) struct Text {
    /// Which item is learned from.
    pub(crate) train: usize,
    /// Which item is the test text, if there is one.
    pub(crate) test: Option<usize>,
    pub(crate) findings: Vec<Finding>,
}

/// What a source holds.
#[derive(Debug)]
pub(crate) enum Set {
    Images(Images),
    Text(Text),
}

/// Tells what a source holds.
///
/// # Errors
/// - [`Refusal`]: it holds nothing that is known.
pub(crate) fn find(gathered: &mut Gathered) -> Result<Set, Refusal> {
    if gathered.items.is_empty() {
        return Err(Refusal::Layout("there are no files in it".to_owned()));
    }
    other_tasks::refuse(&gathered.items)?;
    packed::unpack(gathered)?;
    let any = |is: fn(&Item) -> bool| gathered.items.iter().any(is);
    if any(|item| item.kind == Kind::Image) {
        let table = table::find(gathered)?;
        return table.map_or_else(|| folders::find(gathered), Ok).map(Set::Images);
    }
    if any(arrays::is_array) {
        return arrays::find(gathered).map(Set::Images);
    }
    if any(idx::is_idx) {
        return idx::find(gathered).map(Set::Images);
    }
    if any(cifar::is_cifar) {
        return cifar::find(gathered).map(Set::Images);
    }
    if let Some(refusal) = foreign(&gathered.items) {
        return Err(refusal);
    }
    match text::find(gathered)? {
        Some(text) => Ok(Set::Text(text)),
        None => Err(nothing(&gathered.items)),
    }
}

/// A file of a format that is not read, if there is one.
fn foreign(items: &[Item]) -> Option<Refusal> {
    items.iter().find_map(|item| {
        let name = item.name.shown();
        match item.kind {
            Kind::Pickle => Some(Refusal::Pickle { name }),
            Kind::Foreign(format, advice) => Some(Refusal::Format { name, format, advice }),
            Kind::Gzip => Some(Refusal::Format {
                name,
                format: "packed within the upload",
                advice: "bring it unpacked",
            }),
            _ => None,
        }
    })
}

/// Nothing can be made of some files.
fn nothing(items: &[Item]) -> Refusal {
    let some = items.iter().take(3).map(|item| format!("`{}`", item.name.shown()));
    Refusal::Layout(format!(
        "there are no images and nothing else that is known, only files like {}; bring images in \
         one folder per class, IDX files, the binary files of CIFAR, an .npz with images and \
         labels, a CSV of paths and labels beside the images, or a text",
        some.collect::<Vec<_>>().join(", ")
    ))
}
