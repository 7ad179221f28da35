//! Zip archives, by the directory at their end.
//!
//! It is walked entry by entry and never held, so that a million entries take no memory, and two
//! entries of one name are both seen. (The `zip` crate holds all of it and keeps one of the two.)
//! Each file's length and checksum are held against what the directory declares.

mod directory;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use self::directory::{Directory, Entry, Kind};
use super::Visit;
use crate::name::shown;
use crate::refusal::Refusal;
use crate::spool::{Place, Section};

/// What the archive is called in messages.
const ARCHIVE: &str = "the archive";
/// Bytes that are read ahead.
const AHEAD: usize = 1 << 16;

/// Visits all entries in the order of the directory.
///
/// # Errors
/// - what the archive has that is refused, and what the visitor refuses.
pub(crate) fn read(file: &File, visit: &mut dyn Visit) -> Result<(), Refusal> {
    let directory = Directory::find(file)?;
    let place = Place { offset: directory.offset, length: directory.bytes };
    let mut entries = BufReader::with_capacity(AHEAD, Section::new(file, place));
    let mut done: u64 = 0;
    for _ in 0..directory.entries {
        let entry = Entry::read(&mut entries, directory.shift)
            .map_err(|error| Refusal::reading(ARCHIVE, error))?;
        done = done.saturating_add(entry.packed);
        match entry.kind {
            Kind::Folder => visit.folder(&entry.name)?,
            Kind::Other(what) => {
                return Err(Refusal::Special { name: shown(&entry.name), what });
            }
            Kind::File => unpack(file, &entry, done, visit)?,
        }
    }
    Ok(())
}

fn unpack(file: &File, entry: &Entry, done: u64, visit: &mut dyn Visit) -> Result<(), Refusal> {
    if entry.encrypted {
        return Err(Refusal::Encrypted(shown(&entry.name)));
    }
    let place = place(file, entry)?;
    let ahead = AHEAD.min(usize::try_from(entry.packed).unwrap_or(AHEAD)).max(1);
    let packed = BufReader::with_capacity(ahead, Section::new(file, place));
    let declared = (entry.bytes, entry.checksum);
    match entry.method {
        0 => visit.file(&entry.name, &mut Checked::new(packed, declared), done),
        8 => {
            let bytes = DeflateDecoder::new(packed);
            visit.file(&entry.name, &mut Checked::new(bytes, declared), done)
        }
        method => Err(Refusal::Damaged {
            place: format!("`{}`", shown(&entry.name)),
            reason: format!(
                "it is packed by method {method}; pack it as an ordinary zip (deflate)"
            ),
        }),
    }
}

/// Where the packed bytes lie: behind a header of their own, whose length only it tells.
fn place(file: &File, entry: &Entry) -> Result<Place, Refusal> {
    const LOCAL: [u8; 4] = *b"PK\x03\x04";
    let mut head = [0; 30];
    let name = || format!("`{}`", shown(&entry.name));
    let all = file.metadata().map_err(Refusal::io("reading the archive"))?.len();
    if entry.offset.checked_add(30).is_none_or(|end| end > all) {
        return Err(Refusal::CutOff(name()));
    }
    file.read_exact_at(&mut head, entry.offset)
        .map_err(|error| Refusal::reading(&name(), error))?;
    if head[..4] != LOCAL {
        let reason = "the directory points to no file".to_owned();
        return Err(Refusal::Damaged { place: name(), reason });
    }
    let lengths = [26, 28].map(|at| u64::from(u16::from_le_bytes([head[at], head[at + 1]])));
    let offset = entry.offset.saturating_add(30 + lengths[0] + lengths[1]);
    if offset.checked_add(entry.packed).is_none_or(|end| end > all) {
        return Err(Refusal::CutOff(name()));
    }
    Ok(Place { offset, length: entry.packed })
}

/// Bytes that must be as many, and have such a checksum, as was declared.
struct Checked<R> {
    bytes: R,
    left: u64,
    checksum: u32,
    seen: Crc,
}

impl<R> Checked<R> {
    fn new(bytes: R, (left, checksum): (u64, u32)) -> Self {
        Self { bytes, left, checksum, seen: Crc::new() }
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wrong = |reason: &str| Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        let read = self.bytes.read(buffer)?;
        let Some(left) = self.left.checked_sub(read as u64) else {
            return wrong("it holds more bytes than the archive declares");
        };
        self.left = left;
        self.seen.update(&buffer[..read]);
        if read > 0 || buffer.is_empty() {
            return Ok(read);
        }
        if left > 0 {
            return wrong("it holds fewer bytes than the archive declares");
        }
        if self.seen.sum() != self.checksum {
            return wrong("its checksum is wrong");
        }
        Ok(0)
    }
}
