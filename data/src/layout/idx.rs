//! IDX files, as MNIST has them: images and labels in a file each, plain or packed by gzip.

use std::collections::BTreeMap;

use super::raw::{self, Part, split_of};
use super::{Images, Number, Raw, Split};
use crate::gather::{Gathered, Item, Kind};
use crate::refusal::Refusal;
use crate::spool::{HEAD, Place};

/// What an IDX header tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// Which type its numbers have.
    kind: u8,
    sizes: Vec<u64>,
}

impl Header {
    /// Two zero bytes, type, number of dimensions, sizes.
    pub(crate) fn read(head: &[u8]) -> Option<Self> {
        let ([0, 0, kind @ 8..=14, count @ 1..=4], rest) = head.split_first_chunk::<4>()? else {
            return None;
        };
        let sizes = rest.get(..4 * usize::from(*count))?.as_chunks::<4>().0;
        let sizes = sizes.iter().map(|size| u32::from_be_bytes(*size).into()).collect();
        Some(Self { kind: *kind, sizes })
    }

    /// Bytes of a number.
    fn width(&self) -> u64 {
        match self.kind {
            8 | 9 => 1,
            11 => 2,
            14 => 8,
            _ => 4,
        }
    }

    fn offset(&self) -> u64 {
        4 + 4 * self.sizes.len() as u64
    }

    /// Bytes that a whole file has.
    fn bytes(&self) -> u64 {
        let numbers = self.sizes.iter().fold(1, |all: u64, size| all.saturating_mul(*size));
        numbers.saturating_mul(self.width()).saturating_add(self.offset())
    }
}

/// Whether these are such files.
pub(super) fn is_idx(item: &Item) -> bool {
    item.kind == Kind::Idx
}

/// Pairs of images and labels, by what their names have in common.
pub(super) fn find(gathered: &Gathered) -> Result<Images, Refusal> {
    let mut pairs: BTreeMap<String, [Option<(usize, Header)>; 2]> = BTreeMap::new();
    for (at, item) in gathered.items.iter().enumerate().filter(|(_, item)| is_idx(item)) {
        let header = header(gathered, item)?;
        let role = usize::from(header.sizes.len() == 1);
        let pair = pairs.entry(key(&item.name.shown())).or_default();
        if let Some(found) = pair.get_mut(role)
            && let Some((other, _)) = found.replace((at, header))
        {
            let other = gathered.items.get(other).map(|item| item.name.shown());
            return Err(Refusal::Layout(format!(
                "`{}` and `{}` are both {} of one split; bring one",
                other.unwrap_or_default(),
                item.name.shown(),
                ["images", "labels"][role],
            )));
        }
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut form = None;
    for pair in pairs.into_values() {
        let (part, raw) = part(gathered, pair)?;
        if *form.get_or_insert(raw) != raw {
            return Err(shapes());
        }
        if parts.iter().any(|other| other.split == part.split) {
            let name = gathered.items.get(part.item).map(|item| item.name.shown());
            return Err(Refusal::Layout(format!(
                "there are several sets of IDX files, `{}` is of a second one; bring one set",
                name.unwrap_or_default()
            )));
        }
        parts.push(part);
    }
    match form {
        Some(form) => raw::set("IDX files", form, &parts, &[], gathered),
        None => Err(Refusal::Layout("there are no IDX files".to_owned())),
    }
}

fn shapes() -> Refusal {
    Refusal::Layout("the IDX files hold images of different sizes".to_owned())
}

/// What a name has besides its role.
fn key(name: &str) -> String {
    let mut key = name.to_ascii_lowercase();
    for word in
        [".gz", "images", "image", "imgs", "labels", "label", "idx1", "idx2", "idx3", "idx4"]
    {
        key = key.replace(word, "");
    }
    key
}

fn header(gathered: &Gathered, item: &Item) -> Result<Header, Refusal> {
    let (name, place) = (item.name.shown(), item.place);
    let head = Place { length: place.length.min(HEAD as u64), ..place };
    let head = gathered.spool.read(head).map_err(Refusal::io("reading the scratch file"))?;
    let header = Header::read(&head);
    let header = header.ok_or_else(|| Refusal::content(&name, "has a cut off header"))?;
    let (has, says) = (place.length, header.bytes());
    if has != says {
        let reason = format!("is damaged: it has {has} bytes, and its header tells of {says}");
        return Err(Refusal::content(name, reason));
    }
    Ok(header)
}

fn part(
    gathered: &Gathered,
    [images, labels]: [Option<(usize, Header)>; 2],
) -> Result<(Part, Raw), Refusal> {
    let lone = |at: usize, what: &str| {
        let name = gathered.items.get(at).map(|item| item.name.shown()).unwrap_or_default();
        Refusal::content(name, format!("has no {what} beside it"))
    };
    let (item, images, (labels_at, labels)) = match (images, labels) {
        (Some((item, images)), Some(labels)) => (item, images, labels),
        (Some((at, _)), None) => return Err(lone(at, "file of labels")),
        (None, Some((at, _))) => return Err(lone(at, "file of images")),
        (None, None) => return Err(shapes()),
    };
    let items = (gathered.items.get(item), gathered.items.get(labels_at));
    let (Some(file), Some(labels_file)) = items else { return Err(shapes()) };
    let name = file.name.shown();
    let raw = raw(&images).ok_or_else(|| {
        let reason = format!("holds entries of {:?}, which are no images of bytes", images.sizes);
        Refusal::content(&name, reason)
    })?;
    let counts = [&images, &labels].map(|header| header.sizes.first().copied().unwrap_or(0));
    raw::check_count(&name, counts[0])?;
    if counts[0] != counts[1] {
        let labels_name = labels_file.name.shown();
        let reason =
            format!("holds {} images, but `{labels_name}` {} labels", counts[0], counts[1]);
        return Err(Refusal::content(name, reason));
    }
    let place = labels_file.place;
    let numbers =
        Place { offset: place.offset + labels.offset(), length: place.length - labels.offset() };
    let numbers = gathered.spool.read(numbers).map_err(Refusal::io("reading the scratch file"))?;
    let labels = values(labels.kind, &numbers).ok_or_else(|| {
        Refusal::content(labels_file.name.shown(), "holds labels that are no whole numbers")
    })?;
    let split: Split = split_of(&String::from_utf8_lossy(file.name.file()));
    let start = file.place.offset + images.offset();
    Ok((Part { split, item, start, stride: raw.bytes(), labels }, raw))
}

/// Images of bytes: `[count, height, width]`, perhaps with channels behind.
fn raw(header: &Header) -> Option<Raw> {
    let sizes: Vec<u32> =
        header.sizes.iter().skip(1).map(|size| u32::try_from(*size).ok()).collect::<Option<_>>()?;
    let (height, width, channels) = match *sizes.as_slice() {
        [height, width] => (height, width, 1),
        [height, width, channels @ (1 | 3 | 4)] => (height, width, channels),
        _ => return None,
    };
    let raw = Raw { channels, width, height, mixed: channels > 1, number: Number::Byte };
    (header.kind == 8 && raw.is_sane()).then_some(raw)
}

fn values(kind: u8, bytes: &[u8]) -> Option<Vec<i64>> {
    Some(match kind {
        8 => bytes.iter().map(|value| i64::from(*value)).collect(),
        9 => bytes.iter().map(|value| i64::from(value.cast_signed())).collect(),
        11 => bytes.as_chunks().0.iter().map(|value| i16::from_be_bytes(*value).into()).collect(),
        12 => bytes.as_chunks().0.iter().map(|value| i32::from_be_bytes(*value).into()).collect(),
        _ => return None,
    })
}
