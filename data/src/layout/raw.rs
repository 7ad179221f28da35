//! Images as bare numbers in a few files, with a label each: what IDX, CIFAR and NumPy share.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::{Example, Form, Images, Raw, Split};
use crate::gather::Gathered;
use crate::refusal::Refusal;
use crate::spool::Place;

/// Images of one file, and their labels.
pub(super) struct Part {
    pub(super) split: Split,
    /// Which of the items.
    pub(super) item: usize,
    /// Where the pixels of the first image lie in the spool.
    pub(super) start: u64,
    /// Bytes from one image to the next.
    pub(super) stride: u64,
    pub(super) labels: Vec<i64>,
}

/// Makes a set of parts; classes are the labels that occur, called by `names` or their numbers.
pub(super) fn set(
    layout: &'static str,
    raw: Raw,
    parts: &[Part],
    names: &[String],
    gathered: &Gathered,
) -> Result<Images, Refusal> {
    let values: BTreeSet<i64> = parts.iter().flat_map(|part| part.labels.iter().copied()).collect();
    let numbers: BTreeMap<i64, u32> = values.iter().copied().zip(0..).collect();
    let name = |value: &i64| {
        let known = usize::try_from(*value).ok().and_then(|value| names.get(value));
        known.cloned().unwrap_or_else(|| value.to_string())
    };
    let mut examples = Vec::new();
    for part in parts {
        let mut image = part.start;
        for (number, label) in (0..).zip(&part.labels) {
            let place = Place { offset: image, length: raw.bytes() };
            let bytes =
                gathered.spool.read(place).map_err(Refusal::io("reading the scratch file"))?;
            examples.push(Example {
                split: part.split,
                label: numbers.get(label).copied().unwrap_or(0),
                item: u32::try_from(part.item).unwrap_or(u32::MAX),
                number: Some(number),
                place,
                digest: Sha256::digest(&bytes).into(),
            });
            image += part.stride;
        }
    }
    // Sorted by file and number already.
    examples.sort_by_key(|example| (example.split, example.label));
    let classes = values.iter().map(name).collect();
    Ok(Images { layout, classes, form: Form::Raw(raw), examples, findings: vec![] })
}

/// The split that a word in a name tells; training if none does.
pub(super) fn split_of(name: &str) -> Split {
    let name = name.to_ascii_lowercase();
    let words = name.split(|character: char| !character.is_ascii_alphanumeric());
    let told = words.clone().find_map(|word| Split::called(word.as_bytes()));
    let within = || match &name {
        _ if name.contains("train") => Split::Train,
        _ if name.contains("t10k") || name.contains("test") => Split::Test,
        _ if name.contains("valid") => Split::Valid,
        _ => Split::Train,
    };
    told.unwrap_or_else(within)
}

/// Most images of one file.
const MOST: u64 = 5_000_000;

/// There must be images, and not more than memory has room to tell of.
pub(super) fn check_count(name: &str, images: u64) -> Result<(), Refusal> {
    match images {
        0 => Err(Refusal::content(name, "holds no images")),
        _ if images > MOST => {
            let reason = format!("tells of {images} images; at most {MOST} are taken");
            Err(Refusal::content(name, reason))
        }
        _ => Ok(()),
    }
}
