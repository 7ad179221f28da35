//! Images in one folder per class, perhaps below `train`, `val` and `test`.
//!
//! Folders around all others are passed over. The class of an image is the first folder that is
//! left, whatever lies below it, and classes are numbered in the order of their names' bytes, as
//! `torchvision.datasets.ImageFolder` does.

use std::collections::{BTreeMap, BTreeSet};

use skein_core::dataset::report::Level;

use super::{Example, Form, Images, Split};
use crate::gather::{Gathered, Item, Kind};
use crate::name::shown;
use crate::refusal::Refusal;
use crate::report::{Named, several};

/// Makes a set of the images.
pub(super) fn find(gathered: &Gathered) -> Result<Images, Refusal> {
    let items = &gathered.items;
    let images = || items.iter().filter(|item| is_image(item));
    let wrapped = wrappers(images());
    let split = splits(images(), wrapped)?;
    let (mut unlabelled, mut found) = (Named::default(), Vec::new());
    for (at, item) in items.iter().enumerate().filter(|(_, item)| is_image(item)) {
        match place(item, wrapped, split) {
            Some((split, class)) => found.push((split, class, at)),
            None => unlabelled.add(|| item.name.shown()),
        }
    }
    if found.is_empty() {
        return Err(Refusal::Layout(format!(
            "the images lie in no folders of classes (`{}` for one); put the images of each class \
             into a folder that is called as the class",
            unlabelled.examples.first().map_or("", String::as_str)
        )));
    }
    let names: BTreeSet<&[u8]> = found.iter().map(|(_, class, _)| *class).collect();
    let labels: BTreeMap<&[u8], u32> = names.iter().copied().zip(0..).collect();
    let mut examples: Vec<Example> = found
        .iter()
        .filter_map(|(split, class, at)| {
            let (item, place) = (items.get(*at)?, items.get(*at)?.place);
            let (label, index) = (*labels.get(class)?, u32::try_from(*at).ok()?);
            let digest = item.digest;
            Some(Example { split: *split, label, item: index, number: None, place, digest })
        })
        .collect();
    // Items are sorted by name already.
    examples.sort_by_key(|example| (example.split, example.label));
    let mut findings = Vec::new();
    findings.extend(unlabelled.finding(Level::Warning, "unlabelled", |count| {
        let images = several(count, "image lies", "images lie");
        format!(
            "{images} in no folder of a class; nobody knows what they show, so they are left out."
        )
    }));
    findings.extend(empty(gathered, wrapped, split, &names).finding(
        Level::Warning,
        "empty_classes",
        |count| {
            let folders = several(count, "folder holds", "folders hold");
            format!("{folders} no image; there is no such class in the set.")
        },
    ));
    let classes = names.into_iter().map(shown).collect();
    Ok(Images { layout: "class folders", classes, form: Form::Files, examples, findings })
}

/// A name that promises an image counts: what is wrong with it is found when it is decoded.
fn is_image(item: &Item) -> bool {
    const ENDINGS: [&str; 13] = [
        "png", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "tif", "tiff", "pgm", "ppm",
        "pnm",
    ];
    item.kind == Kind::Image || ENDINGS.contains(&item.name.ending().as_str())
}

/// How many folders lie around all images, but for loose ones. The last folder of an image is its
/// class's, and never counts.
fn wrappers<'a>(images: impl Iterator<Item = &'a Item> + Clone) -> usize {
    let mut wrapped = 0;
    loop {
        let (mut first, mut deep) = (None, false);
        for image in images.clone() {
            let mut parts = image.name.parts().skip(wrapped);
            let (part, rest) = (parts.next(), parts.count());
            if rest == 0 {
                continue;
            }
            if *first.get_or_insert(part) != part {
                return wrapped;
            }
            deep |= rest > 1;
        }
        match first.flatten() {
            Some(part) if deep && Split::called(part).is_none() => wrapped += 1,
            _ => return wrapped,
        }
    }
}

/// Whether the outermost folders are splits.
fn splits<'a>(
    images: impl Iterator<Item = &'a Item> + Clone,
    wrapped: usize,
) -> Result<bool, Refusal> {
    let (mut within, mut deep, mut beside) = (BTreeSet::new(), false, None);
    for image in images {
        let parts: Vec<&[u8]> = image.name.parts().skip(wrapped).collect();
        match parts.first().and_then(|part| Split::called(part)) {
            Some(split) => {
                within.insert(split);
                deep |= parts.len() > 2;
            }
            None if parts.len() > 1 => beside = beside.or(Some(image)),
            None => {}
        }
    }
    // `train` may be a class among others: a railway's. It has no folders below it then.
    if !deep {
        return Ok(false);
    }
    if !within.contains(&Split::Train) {
        return Err(Refusal::Layout("there is no folder `train` beside the others".to_owned()));
    }
    match beside {
        None => Ok(true),
        Some(image) => Err(Refusal::Layout(format!(
            "beside the folders of splits, like `train`, there are images elsewhere (`{}`); put \
             them into a split, or leave them out",
            image.name.shown()
        ))),
    }
}

/// Split and class of an image, if it has a class.
fn place(item: &Item, wrapped: usize, split: bool) -> Option<(Split, &[u8])> {
    let mut parts = item.name.parts().skip(wrapped);
    let of = if split { Split::called(parts.next()?)? } else { Split::Train };
    let class = parts.next()?;
    // The last part is the file itself.
    parts.next().map(|_| (of, class))
}

/// Folders where a class would be, without an image.
fn empty(gathered: &Gathered, wrapped: usize, split: bool, classes: &BTreeSet<&[u8]>) -> Named {
    let at = wrapped + usize::from(split);
    let mut empty: BTreeSet<&[u8]> = BTreeSet::new();
    let below = gathered.items.iter().map(|item| (&item.name, 1));
    for (name, file) in below.chain(gathered.folders.iter().map(|name| (name, 0))) {
        let parts: Vec<&[u8]> = name.parts().collect();
        if let Some(class) = parts.get(at).filter(|_| parts.len() > at + file) {
            empty.insert(class);
        }
    }
    let mut named = Named::default();
    empty.difference(classes).for_each(|class| named.add(|| shown(class)));
    named
}
