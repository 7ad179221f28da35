//! A text: checked to be one, and copied.

use std::io::Read as _;

use sha2::{Digest as _, Sha256};
use skein_core::dataset::facts::{self, Facts, HeldOut};
use skein_core::dataset::report::{self, Level, Report};
use skein_core::dataset::{DataKind, DataShape, TEXT_INPUT, TEXT_TESTS};
use skein_core::encoding::{NoText, is_utf16};

use crate::arrays::{Folder, Line, Output, hex};
use crate::gather::{Gathered, Item};
use crate::layout::{Split, Text};
use crate::prepare::{Prepared, Progress, Stage};
use crate::refusal::Refusal;
use crate::report::finding;
use crate::spool::{Place, Spool};

/// Bytes that are read at once.
const AT_ONCE: usize = 1 << 16;
/// Without a test text, so large a part at the end is held out: one tenth.
const HELD_OUT: u64 = 10;
/// Characters below which there is little to learn.
const FEW: u64 = 10_000;
/// Characters that there are.
const ALL: usize = 0x11_0000;

/// Characters of a text.
struct Characters {
    count: u64,
    known: Vec<bool>,
    /// Line ends with a carriage return.
    returns: u64,
}

impl Characters {
    fn none() -> Self {
        Self { count: 0, known: vec![false; ALL], returns: 0 }
    }
}

/// A part of the text as it is written.
struct Part<'a> {
    split: Split,
    /// Its name in the version.
    name: &'static str,
    place: Place,
    item: &'a Item,
}

/// Prepares a text into a folder.
pub(crate) fn prepare(
    text: &Text,
    gathered: &Gathered,
    folder: &Folder,
    progress: &mut dyn FnMut(Progress),
) -> Result<Prepared, Refusal> {
    let item = |at: usize| {
        gathered.items.get(at).ok_or_else(|| Refusal::Layout("there is no text".to_owned()))
    };
    let whole = item(text.train)?;
    let given = text.test.map(item).transpose()?;
    let total = whole.place.length + given.map_or(0, |item| item.place.length);
    progress(Progress { stage: Stage::Checking, done: 0, total });
    let mut all = Characters::none();
    check(&gathered.spool, whole, &mut all)?;
    let (train, test) = match given {
        Some(test) => {
            check(&gathered.spool, test, &mut Characters::none())?;
            (whole.place, test.place)
        }
        None => cut(&gathered.spool, whole)?,
    };
    progress(Progress { stage: Stage::Writing, done: 0, total });
    let parts = [
        Part { split: Split::Train, name: TEXT_INPUT, place: train, item: whole },
        Part { split: Split::Test, name: TEXT_TESTS[0], place: test, item: given.unwrap_or(whole) },
    ];
    let (digest, characters) = write(&parts, gathered, folder)?;
    progress(Progress { stage: Stage::Writing, done: total, total });
    let source = format!("{} of text", gathered.word);
    let report = report(text, gathered, &source, &all, characters);
    let facts = facts(digest, source, &all, [train.length, test.length], given.is_some());
    Ok(Prepared { facts, report })
}

fn facts(digest: String, source: String, all: &Characters, bytes: [u64; 2], given: bool) -> Facts {
    let classes = all.known.iter().filter(|known| **known).count();
    let classes = i64::try_from(classes).unwrap_or(i64::MAX);
    Facts {
        format: facts::FORMAT,
        digest,
        kind: DataKind::Text,
        shape: DataShape { channels: 1, height: 1, width: 1, classes },
        classes: vec![],
        train: bytes[0],
        valid: 0,
        test: bytes[1],
        held_out: if given { HeldOut::Given } else { HeldOut::Drawn { share: 0.1, seed: 0 } },
        mean: vec![],
        std: vec![],
        source,
        resized: false,
    }
}

/// Writes both texts; a digest of them, and the characters of each.
fn write(
    parts: &[Part<'_>; 2],
    gathered: &Gathered,
    folder: &Folder,
) -> Result<(String, [u64; 2]), Refusal> {
    let mut lines = folder.create(facts::NAMES)?;
    let (mut digest, mut characters) = (Sha256::new(), [0; 2]);
    digest.update(b"[1,\"text\"]");
    for (part, characters) in parts.iter().zip(&mut characters) {
        let own = copy(&gathered.spool, part.place, folder.create(part.name)?, characters)?;
        digest.update(own);
        let name = String::from_utf8_lossy(part.item.name.bytes()).into_owned();
        lines.line(&Line { split: part.split.name().to_owned(), name, digest: hex(&own) })?;
    }
    lines.finish()?;
    Ok((hex(&digest.finalize()), characters))
}

/// Refuses what is no text, and counts its characters.
fn check(spool: &Spool, item: &Item, all: &mut Characters) -> Result<(), Refusal> {
    let name = || item.name.shown();
    if item.place.length == 0 {
        return Err(Refusal::content(name(), "is empty"));
    }
    let mut file = spool.open(item.place)?;
    let (mut rest, mut at) = (Vec::new(), 0_u64);
    loop {
        let kept = rest.len();
        let wanted = (AT_ONCE - kept) as u64;
        (&mut file)
            .take(wanted)
            .read_to_end(&mut rest)
            .map_err(Refusal::io("reading the scratch file"))?;
        let ended = rest.len() == kept;
        if ended && rest.is_empty() {
            return Ok(());
        }
        if at == 0 && is_utf16(&rest) {
            return Err(Refusal::content(name(), format!("is no text: {}", NoText::Utf16)));
        }
        let wrong = |place: usize| {
            let place = at + place as u64;
            let reason = format!("is no UTF-8 text (byte {place}); save it as UTF-8");
            Err(Refusal::content(name(), reason))
        };
        let valid = match std::str::from_utf8(&rest) {
            Ok(text) => text,
            Err(error) if error.error_len().is_some() || ended => {
                return wrong(error.valid_up_to());
            }
            Err(error) => std::str::from_utf8(&rest[..error.valid_up_to()]).unwrap_or_default(),
        };
        if let Some(zero) = valid.bytes().position(|byte| byte == 0) {
            return wrong(zero);
        }
        for character in valid.chars() {
            all.count += 1;
            all.returns += u64::from(character == '\r');
            if let Some(known) = all.known.get_mut(character as usize) {
                *known = true;
            }
        }
        let done = valid.len();
        at += done as u64;
        rest.drain(..done);
    }
}

/// The text in two, between characters and not within a line end.
fn cut(spool: &Spool, item: &Item) -> Result<(Place, Place), Refusal> {
    let Place { offset, length } = item.place;
    let mut at = length - length / HELD_OUT;
    let near = Place {
        offset: offset + at.saturating_sub(1),
        length: (length - at.saturating_sub(1)).min(5),
    };
    let near = spool.read(near).map_err(Refusal::io("reading the scratch file"))?;
    if near.starts_with(b"\r\n") {
        at += 1;
    } else {
        at += near.iter().skip(1).take_while(|byte| **byte & 0xC0 == 0x80).count() as u64;
    }
    let at = at.min(length);
    if at == length {
        let reason = "is too short to hold a tenth of it out";
        return Err(Refusal::content(item.name.shown(), reason));
    }
    Ok((Place { offset, length: at }, Place { offset: offset + at, length: length - at }))
}

/// Copies a part and counts its characters; its digest.
fn copy(
    spool: &Spool,
    place: Place,
    mut output: Output,
    characters: &mut u64,
) -> Result<[u8; 32], Refusal> {
    let mut file = spool.open(place)?;
    let (mut chunk, mut hasher) = (vec![0; AT_ONCE], Sha256::new());
    loop {
        let read = file.read(&mut chunk).map_err(Refusal::io("reading the scratch file"))?;
        if read == 0 {
            break;
        }
        let chunk = chunk.get(..read).unwrap_or_default();
        *characters += chunk.iter().filter(|byte| **byte & 0xC0 != 0x80).count() as u64;
        hasher.update(chunk);
        output.write(chunk)?;
    }
    output.finish()?;
    Ok(hasher.finalize().into())
}

fn report(
    text: &Text,
    gathered: &Gathered,
    source: &str,
    all: &Characters,
    characters: [u64; 2],
) -> Report {
    let mut findings = text.findings.clone();
    if all.count < FEW {
        let message =
            format!("The text has {} characters; there is little to learn from it.", all.count);
        findings.push(finding(Level::Warning, "short_text", message));
    }
    if text.test.is_none() {
        let message = "There is no test text, so the last tenth is held out.".to_owned();
        findings.push(finding(Level::Note, "test_drawn", message));
    }
    if all.returns > 0 {
        let message = format!(
            "{} line ends have a carriage return, as Windows writes them; runs make them `\\n` unless \
             they are told to keep them.",
            all.returns
        );
        findings.push(finding(Level::Note, "line_ends", message));
    }
    findings.sort_by_key(|finding| finding.level);
    let split = |(split, images): (Split, u64)| report::Split {
        name: split.name().to_owned(),
        images,
        per_class: vec![],
    };
    let splits = [(Split::Train, characters[0]), (Split::Test, characters[1])];
    Report {
        format: report::FORMAT,
        source: source.to_owned(),
        files: gathered.files,
        bytes: gathered.spool.len(),
        splits: splits.map(split).into(),
        sizes: None,
        modes: vec![],
        findings,
        suggestion: None,
    }
}
