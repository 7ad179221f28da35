//! Arrays of NumPy: an `.npz`, which is a zip of `.npy` files, or those files themselves.
//!
//! Their names tell what they are: a split (`train`, `val`, `test`; training if none is told) and a
//! role, images (`x`, `images`, `data`) or labels (`y`, `labels`, `targets`): `x_train`,
//! `test_labels`. Images are `[count, height, width]`, `[count, height, width, channels]` or
//! `[count, channels, height, width]` with 1, 3 or 4 channels.
//!
//! Values: bytes are taken as they are. Other numbers are 0 to 1 if no value of the whole set is
//! above 1, and are multiplied by 255; else they are 0 to 255; both are rounded. Values below 0 or
//! above 255, and what is no number, are refused.

mod values;

use std::collections::BTreeMap;

use super::raw::{self, Part};
use super::{Images, Raw, Split};
use crate::gather::{Gathered, Item, Kind};
use crate::npy::Header;
use crate::refusal::Refusal;
use crate::spool::Place;
pub(crate) use values::Type;

/// What an array is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Images,
    Labels,
}

/// An array of the set.
struct Array<'a> {
    at: usize,
    item: &'a Item,
    name: String,
    header: Header,
    kind: Type,
}

/// Whether there are such files.
pub(super) fn is_array(item: &Item) -> bool {
    item.kind == Kind::Array
}

/// Makes a set of the arrays.
pub(super) fn find(gathered: &Gathered) -> Result<Images, Refusal> {
    let mut pairs: BTreeMap<Split, [Option<Array<'_>>; 2]> = BTreeMap::new();
    let mut others = Vec::new();
    for (at, item) in gathered.items.iter().enumerate().filter(|(_, item)| is_array(item)) {
        let array = open(gathered, at, item)?;
        let Some((split, role)) = purpose(&item.name.shown()) else {
            others.push(array.name);
            continue;
        };
        let place = pairs.entry(split).or_default().get_mut(role as usize);
        if let Some(place) = place
            && let Some(other) = place.replace(array)
        {
            let reason = format!("has the same purpose as `{}`; bring one of them", other.name);
            return Err(Refusal::content(item.name.shown(), reason));
        }
    }
    let mut whole = Vec::new();
    for (split, pair) in pairs {
        match pair {
            [Some(images), Some(labels)] => whole.push((split, images, labels)),
            [Some(lone), None] => return Err(missing(&lone.name, "labels", "y")),
            [None, Some(lone)] => return Err(missing(&lone.name, "images", "x")),
            [None, None] => {}
        }
    }
    if whole.is_empty() {
        return Err(Refusal::Layout(format!(
            "no array is called as images or labels (`{}`); call them x_train, y_train, x_test and \
             y_test, or images and labels",
            others.join("`, `")
        )));
    }
    set(gathered, &whole)
}

fn missing(name: &str, what: &str, letter: &str) -> Refusal {
    let reason =
        format!("has no {what} beside it; call them `{letter}` and as this array otherwise");
    Refusal::content(name, reason)
}

fn set(gathered: &Gathered, whole: &[(Split, Array<'_>, Array<'_>)]) -> Result<Images, Refusal> {
    let unit = values::is_unit(gathered, whole.iter().map(|(_, images, _)| images))?;
    let (mut form, mut parts) = (None, Vec::new());
    for (split, images, labels) in whole {
        let raw = raw(images, unit)?;
        if *form.get_or_insert(raw) != raw {
            let reason = "holds images of another size or type than the other arrays";
            return Err(Refusal::content(&images.name, reason));
        }
        let count = images.header.shape.first().copied().unwrap_or(0);
        raw::check_count(&images.name, count)?;
        let labels = label_values(gathered, labels, &images.name, count)?;
        let start = images.item.place.offset + images.header.offset;
        parts.push(Part { split: *split, item: images.at, start, stride: raw.bytes(), labels });
    }
    match form {
        Some(form) => raw::set("arrays", form, &parts, &[], gathered),
        None => Err(Refusal::Layout("there are no arrays".to_owned())),
    }
}

/// The purpose that a name tells.
fn purpose(name: &str) -> Option<(Split, Role)> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".npy").unwrap_or(&name);
    let file = name.rsplit('/').next().unwrap_or(name);
    let mut role = None;
    let mut split = None;
    for word in file.split(|letter: char| !letter.is_ascii_alphanumeric()) {
        // `xtrain`, as some write it.
        let (first, rest) = match word.chars().next() {
            Some(letter @ ('x' | 'y')) if Split::called(&word.as_bytes()[1..]).is_some() => {
                (if letter == 'x' { "x" } else { "y" }, &word[1..])
            }
            _ => (word, word),
        };
        split = split.or_else(|| Split::called(rest.as_bytes()));
        role = role.or(match first {
            "x" | "image" | "images" | "img" | "imgs" | "data" => Some(Role::Images),
            "y" | "label" | "labels" | "target" | "targets" => Some(Role::Labels),
            _ => None,
        });
    }
    role.map(|role| (split.unwrap_or(Split::Train), role))
}

fn open<'a>(gathered: &Gathered, at: usize, item: &'a Item) -> Result<Array<'a>, Refusal> {
    let name = item.name.shown();
    let header = Header::read(&mut gathered.spool.open(item.place)?)
        .map_err(|error| Refusal::content(&name, format!("cannot be read: {error}")))?;
    if header.descr.contains('O') {
        return Err(Refusal::Pickle { name });
    }
    let kind = Type::of(&header.descr).ok_or_else(|| {
        Refusal::content(
            &name,
            format!("holds `{}`, which are no numbers that are read", header.descr),
        )
    })?;
    let bytes = header.count().and_then(|count| count.checked_mul(kind.width()));
    let says = bytes.and_then(|bytes| bytes.checked_add(header.offset));
    if says != Some(item.place.length) {
        let reason = format!(
            "is damaged: its {} bytes do not hold {:?} numbers of type `{}`",
            item.place.length, header.shape, header.descr
        );
        return Err(Refusal::content(name, reason));
    }
    if header.fortran_order && header.shape.len() > 1 {
        let reason = "lies in Fortran order; save numpy.ascontiguousarray of it";
        return Err(Refusal::content(name, reason));
    }
    Ok(Array { at, item, name, header, kind })
}

fn raw(array: &Array<'_>, unit: bool) -> Result<Raw, Refusal> {
    let shape: Option<Vec<u32>> =
        array.header.shape.iter().skip(1).map(|size| u32::try_from(*size).ok()).collect();
    let (channels, height, width, mixed) = match *shape.unwrap_or_default().as_slice() {
        [height, width] => (1, height, width, false),
        // Where both would do, the channels are last, as NumPy's users mostly have them.
        [height, width, channels @ (1 | 3 | 4)] => (channels, height, width, channels > 1),
        [channels @ (1 | 3 | 4), height, width] => (channels, height, width, false),
        _ => (0, 0, 0, false),
    };
    let raw = Raw { channels, width, height, mixed, number: array.kind.number(unit) };
    if raw.is_sane() {
        return Ok(raw);
    }
    let reason = format!(
        "has the shape {:?}; images are [count, height, width], with 1, 3 or 4 channels before or \
         behind height and width",
        array.header.shape
    );
    Err(Refusal::content(&array.name, reason))
}

fn label_values(
    gathered: &Gathered,
    labels: &Array<'_>,
    images: &str,
    count: u64,
) -> Result<Vec<i64>, Refusal> {
    let shape = labels.header.shape.as_slice();
    let refuse = |reason: String| Err(Refusal::content(&labels.name, reason));
    if !matches!(shape, [_] | [_, 1]) {
        return refuse(format!("has the shape {shape:?}; labels are one whole number an image"));
    }
    if shape.first() != Some(&count) {
        let own = shape.first().copied().unwrap_or(0);
        return refuse(format!("holds {own} labels, but `{images}` {count} images"));
    }
    let offset = labels.item.place.offset + labels.header.offset;
    let place = Place { offset, length: labels.item.place.length - labels.header.offset };
    let bytes = gathered.spool.read(place).map_err(Refusal::io("reading the scratch file"))?;
    match labels.kind.whole(&bytes) {
        Some(values) => Ok(values),
        None => refuse(format!("holds `{}`; labels are whole numbers", labels.header.descr)),
    }
}
