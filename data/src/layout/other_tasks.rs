//! Sets for tasks that are not ours: told by what lies beside the images.

use std::collections::BTreeSet;

use crate::gather::{Item, Kind};
use crate::refusal::Refusal;

/// Refuses a set for detection or segmentation.
pub(super) fn refuse(items: &[Item]) -> Result<(), Refusal> {
    let pictured =
        items.iter().any(|item| item.kind == Kind::Image && folder(item, &IMAGES).is_some());
    for item in items {
        let parts: Vec<String> =
            item.name.parts().map(|part| String::from_utf8_lossy(part).to_lowercase()).collect();
        let (file, folders) =
            parts.split_last().map_or(("", &[][..]), |(f, rest)| (f.as_str(), rest));
        let below = |name: &str| folders.iter().any(|folder| folder == name);
        let ending = item.name.ending();
        let coco = ending == "json"
            && (file.starts_with("instances") || file.contains("coco") || below("annotations"));
        let voc = ending == "xml" && below("annotations");
        let yolo = ending == "txt" && below("labels") && pictured;
        if coco || voc || yolo {
            return Err(Refusal::Task { task: "detection", sign: item.name.shown() });
        }
    }
    match masks(items) {
        Some(sign) => Err(Refusal::Task { task: "segmentation", sign }),
        None => Ok(()),
    }
}

const IMAGES: [&[u8]; 4] = [b"images", b"image", b"imgs", b"img"];
const MASKS: [&[u8]; 7] = [
    b"masks",
    b"mask",
    b"labels",
    b"annotations",
    b"segmentation",
    b"segmentations",
    b"segmentationclass",
];

/// A mask with the name of an image, if there are such.
fn masks(items: &[Item]) -> Option<String> {
    let images = || items.iter().filter(|item| item.kind == Kind::Image);
    let named = |item: &Item| {
        let file = item.name.file();
        let dot = file.iter().position(|byte| *byte == b'.').unwrap_or(file.len());
        file[..dot].to_vec()
    };
    let of: BTreeSet<Vec<u8>> =
        images().filter(|item| folder(item, &IMAGES).is_some()).map(named).collect();
    let segmented = images().find(|item| folder(item, &[b"segmentationclass"]).is_some());
    let masked = images().find(|item| {
        let name = named(item);
        folder(item, &MASKS).is_some()
            && folder(item, &IMAGES).is_none()
            && (of.contains(&name) || of.contains(without_suffix(&name)))
    });
    segmented.or(masked).map(|item| item.name.shown())
}

/// The folder of an item that is called by one of some names.
fn folder<'a>(item: &'a Item, names: &[&[u8]]) -> Option<&'a [u8]> {
    let mut folders = item.name.parts().rev().skip(1);
    folders.find(|part| names.iter().any(|name| part.eq_ignore_ascii_case(name)))
}

/// Masks are often called as their image, and `_mask` behind.
fn without_suffix(name: &[u8]) -> &[u8] {
    let suffixes: [&[u8]; 3] = [b"_mask", b"_seg", b"-mask"];
    suffixes.iter().find_map(|suffix| name.strip_suffix(*suffix)).unwrap_or(name)
}
