//! A CSV that tells the label of each image: columns for path and label, perhaps one for the split.
//!
//! Columns are told by their names in the first line. Paths are looked up from the folder of the
//! table, then from the top. Where no column tells the split, the table's own name may
//! (`train.csv`).

use std::collections::{BTreeMap, HashMap};
use std::io::{BufReader, Read as _};

use csv::{ByteRecord, ReaderBuilder};
use skein_core::dataset::report::Level;

use super::raw::split_of;
use super::{Example, Form, Images, Split};
use crate::gather::{Gathered, Item, Kind};
use crate::limits::said;
use crate::name::{MOST_PART, Name, shown};
use crate::refusal::Refusal;
use crate::report::{Named, several};
use crate::spool::HEAD;

const PATHS: [&str; 9] = [
    "path",
    "file",
    "filename",
    "file_name",
    "filepath",
    "file_path",
    "image",
    "image_path",
    "img",
];
const LABELS: [&str; 6] = ["label", "class", "category", "target", "class_name", "labels"];
const SPLITS: [&str; 4] = ["split", "set", "subset", "partition"];
/// Most bytes of a table: a line may be as long.
const MOST: u64 = 128 << 20;

/// Which column is what.
struct Columns {
    path: usize,
    label: usize,
    split: Option<usize>,
}

/// What a line tells.
struct Row {
    split: Split,
    label: Vec<u8>,
    item: usize,
}

/// Makes a set of what tables tell; `None` if there is none of such columns.
pub(super) fn find(gathered: &Gathered) -> Result<Option<Images>, Refusal> {
    let items = &gathered.items;
    let names: HashMap<&[u8], usize> =
        items.iter().enumerate().map(|(at, item)| (item.name.bytes(), at)).collect();
    let (mut rows, mut missing, mut found) = (Vec::new(), Named::default(), None);
    let tables = |item: &&Item| matches!(item.name.ending().as_str(), "csv" | "tsv");
    for table in items.iter().filter(tables) {
        if read(gathered, table, &names, &mut rows, &mut missing)? {
            found = found.or(Some(table));
        }
    }
    let Some(table) = found else { return Ok(None) };
    if missing.count as usize >= rows.len() {
        // Folders may tell the classes all the same.
        let by_folders = super::folders::find(gathered).ok();
        let first = missing.examples.first().cloned().unwrap_or_default();
        let reason = format!("tells of `{first}`, which is not there");
        return by_folders.map(Some).ok_or_else(|| Refusal::content(table.name.shown(), reason));
    }
    set(items, rows, missing, &table.name.shown()).map(Some)
}

/// Reads a table; false if it has other columns.
fn read(
    gathered: &Gathered,
    table: &Item,
    names: &HashMap<&[u8], usize>,
    rows: &mut Vec<Row>,
    missing: &mut Named,
) -> Result<bool, Refusal> {
    let name = table.name.shown();
    let unreadable = |error| Refusal::content(&name, format!("cannot be read: {error}"));
    let bytes = gathered.spool.open(table.place)?.take(MOST);
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter(gathered, table)?)
        .flexible(true)
        .from_reader(BufReader::new(bytes));
    let header = reader.byte_headers().cloned().map_err(unreadable)?;
    let Some(columns) = columns(&header) else { return Ok(false) };
    if table.place.length > MOST {
        let (has, most) = (said(table.place.length), said(MOST));
        let reason = format!("has {has}; a table of paths has at most {most}");
        return Err(Refusal::content(name, reason));
    }
    let own = split_of(&String::from_utf8_lossy(table.name.file()));
    let folder = table.name.bytes().iter().rposition(|byte| *byte == b'/');
    let folder = folder.and_then(|end| table.name.bytes().get(..end)).unwrap_or_default();
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(unreadable)? {
        let Some((path, line)) =
            line(&record, &columns).map_err(|reason| Refusal::content(&name, reason))?
        else {
            continue;
        };
        match lookup(path, folder, names).filter(|_| !line.label.is_empty()) {
            Some(item) => rows.push(Row {
                split: line.split.unwrap_or(own),
                label: line.label.to_vec(),
                item,
            }),
            None => missing.add(|| shown(path)),
        }
    }
    Ok(true)
}

/// What stands between columns: whichever of three is most frequent in the first line.
fn delimiter(gathered: &Gathered, table: &Item) -> Result<u8, Refusal> {
    let mut head = Vec::new();
    let start = gathered.spool.open(table.place)?;
    let reading = Refusal::io("reading the scratch file");
    start.take(HEAD as u64).read_to_end(&mut head).map_err(reading)?;
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: &u8| line.iter().filter(|byte| *byte == delimiter).count();
    Ok([b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b','))
}

/// What a line tells of its path.
struct Line<'a> {
    label: &'a [u8],
    split: Option<Split>,
}

/// A line's path and what it tells of it; nothing if both are empty.
fn line<'a>(
    record: &'a ByteRecord,
    columns: &Columns,
) -> Result<Option<(&'a [u8], Line<'a>)>, String> {
    let field = |at: usize| record.get(at).map(<[u8]>::trim_ascii).unwrap_or_default();
    let (path, label) = (field(columns.path), field(columns.label));
    if label.len() > MOST_PART {
        return Err(format!("has a label of {} bytes; at most {MOST_PART} are taken", label.len()));
    }
    let word = columns.split.map(field).filter(|word| !word.is_empty());
    let split = word.map(|word| {
        let unknown =
            || format!("tells of a split `{}`; there are train, val and test", shown(word));
        Split::called(word).ok_or_else(unknown)
    });
    let line = Line { label, split: split.transpose()? };
    Ok((!path.is_empty() || !label.is_empty()).then_some((path, line)))
}

fn columns(header: &ByteRecord) -> Option<Columns> {
    let named: Vec<String> = header
        .iter()
        .map(|name| String::from_utf8_lossy(name).trim_matches('\u{FEFF}').trim().to_lowercase())
        .collect();
    let find =
        |words: &[&str]| words.iter().find_map(|word| named.iter().position(|name| name == word));
    Some(Columns { path: find(&PATHS)?, label: find(&LABELS)?, split: find(&SPLITS) })
}

/// The item that a path means: below the table's folder, or from the top.
fn lookup(path: &[u8], folder: &[u8], names: &HashMap<&[u8], usize>) -> Option<usize> {
    let path: Vec<u8> = path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect();
    let beside = [folder, b"/", &path].concat();
    [beside.strip_prefix(b"/").unwrap_or(&beside), &path]
        .into_iter()
        .filter_map(|path| Name::parse(path).ok())
        .find_map(|name| names.get(name.bytes()).copied())
}

fn set(items: &[Item], rows: Vec<Row>, missing: Named, table: &str) -> Result<Images, Refusal> {
    let mut labels: BTreeMap<Vec<u8>, u32> =
        rows.iter().map(|row| (row.label.clone(), 0)).collect();
    labels.values_mut().zip(0..).for_each(|(label, number)| *label = number);
    let mut examples: Vec<Example> = rows
        .iter()
        .filter_map(|row| {
            let (item, label) = (items.get(row.item)?, *labels.get(&row.label)?);
            let (place, digest) = (item.place, item.digest);
            let index = u32::try_from(row.item).ok()?;
            Some(Example { split: row.split, label, item: index, number: None, place, digest })
        })
        .collect();
    examples.sort_by_key(|example| (example.split, example.label, example.item));
    let before = examples.len();
    examples.dedup_by_key(|example| (example.split, example.label, example.item));
    let mut findings = Vec::new();
    findings.extend(missing.finding(Level::Warning, "missing_files", |count| {
        let lines = several(count, "line tells", "lines tell");
        format!("{lines} of a file that is not there, or has no label.")
    }));
    if before > examples.len() {
        let twice = before - examples.len();
        let message =
            format!("`{table}` tells {twice} times of a file that it has told of before.");
        findings.push(crate::report::finding(Level::Note, "repeated_lines", message));
    }
    let told: std::collections::HashSet<u32> = examples.iter().map(|one| one.item).collect();
    let mut untold = Named::default();
    for (at, item) in (0..).zip(items) {
        if item.kind == Kind::Image && !told.contains(&at) {
            untold.add(|| item.name.shown());
        }
    }
    findings.extend(untold.finding(Level::Warning, "unlabelled", |count| {
        let images = several(count, "image is", "images are");
        format!(
            "{images} not told of by the table; nobody knows what they show, so they are left out."
        )
    }));
    let classes = labels.keys().map(|label| shown(label)).collect();
    Ok(Images { layout: "images with a table", classes, form: Form::Files, examples, findings })
}
