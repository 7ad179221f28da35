//! The binary files of CIFAR-10 and CIFAR-100: records of one or two label bytes (the last one
//! counts) and 32×32 pixels by channel.

use super::raw::{self, Part, split_of};
use super::{Images, Number, Raw};
use crate::gather::{Gathered, Item, Kind};
use crate::name::shown;
use crate::refusal::Refusal;
use crate::spool::Place;

const RAW: Raw = Raw { channels: 3, width: 32, height: 32, mixed: false, number: Number::Byte };
/// Most bytes of a file of names.
const MOST_NAMES: u64 = 1 << 16;

/// Whether a file's name is that of such a file.
pub(super) fn is_cifar(item: &Item) -> bool {
    item.kind != Kind::Image && item.name.ending() == "bin"
}

/// Makes a set of the files.
pub(super) fn find(gathered: &Gathered) -> Result<Images, Refusal> {
    let files = || gathered.items.iter().enumerate().filter(|(_, item)| is_cifar(item));
    let fine = names(gathered, b"fine_label_names.txt")?;
    let ten = names(gathered, b"batches.meta.txt")?;
    let whole = |labels: u64| {
        files().all(|(_, item)| item.place.length.is_multiple_of(RAW.bytes() + labels))
    };
    // Of two labels only if the names say so, or nothing else fits.
    let labels = if fine.is_some() || (!whole(1) && whole(2)) { 2 } else { 1 };
    let known = if labels == 2 { "cifar-100" } else { "cifar-10" };
    let batches = files().any(|(_, item)| item.name.file().starts_with(b"data_batch"));
    let usual = || skein_core::dataset::find(known).map(|set| set.classes.clone());
    let names = match (labels, fine, ten) {
        (2, Some(names), _) | (1, _, Some(names)) => names,
        _ if labels == 2 || batches => usual().unwrap_or_default(),
        _ => vec![],
    };
    let mut parts = Vec::new();
    for (at, item) in files() {
        parts.push(part(gathered, at, item, labels, &names)?);
    }
    raw::set("CIFAR's binary files", RAW, &parts, &names, gathered)
}

fn part(
    gathered: &Gathered,
    at: usize,
    item: &Item,
    labels: u64,
    names: &[String],
) -> Result<Part, Refusal> {
    let (name, place, stride) = (item.name.shown(), item.place, RAW.bytes() + labels);
    if item.kind == Kind::Pickle {
        return Err(Refusal::Pickle { name });
    }
    if !place.length.is_multiple_of(stride) {
        let reason = format!(
            "is no whole file of CIFAR: {} bytes are no multiple of {stride}, the size of a record",
            place.length
        );
        return Err(Refusal::content(name, reason));
    }
    raw::check_count(&name, place.length / stride)?;
    let mut found = Vec::new();
    for record in 0..place.length / stride {
        let offset = place.offset + record * stride + labels - 1;
        let label = gathered.spool.read(Place { offset, length: 1 });
        let label = label.map_err(Refusal::io("reading the scratch file"))?;
        let label = label.first().copied().unwrap_or(0);
        if !names.is_empty() && usize::from(label) >= names.len() {
            let reason =
                format!("has the label {label} at record {record}, of {} classes", names.len());
            return Err(Refusal::content(name, reason));
        }
        found.push(label.into());
    }
    let split = split_of(&String::from_utf8_lossy(item.name.file()));
    Ok(Part { split, item: at, start: place.offset + labels, stride, labels: found })
}

/// Names of classes, one a line.
fn names(gathered: &Gathered, file: &[u8]) -> Result<Option<Vec<String>>, Refusal> {
    let Some(item) = gathered.items.iter().find(|item| item.name.file() == file) else {
        return Ok(None);
    };
    let place = Place { length: item.place.length.min(MOST_NAMES), ..item.place };
    let text = gathered.spool.read(place).map_err(Refusal::io("reading the scratch file"))?;
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let names: Vec<String> = lines.filter(|line| !line.is_empty()).map(shown).collect();
    Ok((!names.is_empty()).then_some(names))
}
