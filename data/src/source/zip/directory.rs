//! The directory at the end of a zip archive.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use super::ARCHIVE;
use crate::refusal::Refusal;

/// Bytes of the record at the very end, without the comment behind it.
const END: usize = 22;
/// Most bytes of that comment.
const MOST_COMMENT: usize = 0xFFFF;
/// Stands where a number is too large for its field.
const ELSEWHERE: u32 = u32::MAX;

/// Where the directory lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directory {
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) entries: u64,
    /// Bytes before the archive, which its offsets do not count.
    pub(super) shift: u64,
}

impl Directory {
    /// Looks for it from the end.
    pub(super) fn find(file: &File) -> Result<Self, Refusal> {
        let cut = || Refusal::CutOff(ARCHIVE.to_owned());
        let length = file.metadata().map_err(Refusal::io("reading the archive"))?.len();
        let wanted = length.min((END + MOST_COMMENT) as u64);
        let mut tail = vec![0; usize::try_from(wanted).unwrap_or(0)];
        file.read_exact_at(&mut tail, length - wanted)
            .map_err(|error| Refusal::reading(ARCHIVE, error))?;
        // The comment reaches exactly to the end, whatever it holds.
        let found = (0..tail.len().saturating_sub(END - 1)).rev().find(|at| {
            let end = &tail[*at..];
            end.starts_with(b"PK\x05\x06") && end.len() == END + usize::from(u16_at(end, 20))
        });
        let at = found.ok_or_else(cut)?;
        let end = &tail[at..];
        let position = length - wanted + at as u64;
        let (disk, entries) = (u16_at(end, 4), u16_at(end, 10));
        let (bytes, offset) = (u32_at(end, 12), u32_at(end, 16));
        let elsewhere = entries == u16::MAX || bytes == ELSEWHERE || offset == ELSEWHERE;
        if elsewhere && let Some(large) = Self::large(file, position)? {
            return Ok(large);
        }
        if disk != 0 || u16_at(end, 8) != entries {
            return Err(in_parts());
        }
        Self::checked(entries.into(), bytes.into(), offset.into(), position)
    }

    /// The record of archives with many files or bytes (zip64), if there is one.
    fn large(file: &File, position: u64) -> Result<Option<Self>, Refusal> {
        let mut locator = [0; 20];
        let Some(at) = position.checked_sub(20) else { return Ok(None) };
        let reading = |error| Refusal::reading(ARCHIVE, error);
        file.read_exact_at(&mut locator, at).map_err(reading)?;
        if !locator.starts_with(b"PK\x06\x07") {
            return Ok(None);
        }
        let mut end = [0; 56];
        let offset = u64_at(&locator, 8);
        // What lies before the archive is not counted; then the record is just before the locator.
        for offset in [Some(offset), at.checked_sub(56)].into_iter().flatten() {
            let read = file.read_exact_at(&mut end, offset);
            if read.is_ok() && end.starts_with(b"PK\x06\x06") {
                if u64_at(&end, 24) != u64_at(&end, 32) || u32_at(&end, 16) != 0 {
                    return Err(in_parts());
                }
                let (bytes, start) = (u64_at(&end, 40), u64_at(&end, 48));
                return Self::checked(u64_at(&end, 32), bytes, start, offset).map(Some);
            }
        }
        Err(Refusal::CutOff(ARCHIVE.to_owned()))
    }

    /// The directory ends where its end record begins.
    fn checked(entries: u64, bytes: u64, offset: u64, end: u64) -> Result<Self, Refusal> {
        let start = end.checked_sub(bytes).filter(|start| *start >= offset);
        let Some(start) = start else {
            return Err(Refusal::CutOff(ARCHIVE.to_owned()));
        };
        Ok(Self { offset: start, bytes, entries, shift: start - offset })
    }
}

fn in_parts() -> Refusal {
    Refusal::Damaged {
        place: ARCHIVE.to_owned(),
        reason: "it is one part of several; pack it in one".to_owned(),
    }
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    /// Something else, in words.
    Other(&'static str),
}

/// An entry of the directory.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) encrypted: bool,
    pub(super) method: u16,
    pub(super) checksum: u32,
    pub(super) packed: u64,
    pub(super) bytes: u64,
    /// Where its own header lies.
    pub(super) offset: u64,
}

impl Entry {
    /// Reads the next one.
    pub(super) fn read(directory: &mut impl Read, shift: u64) -> io::Result<Self> {
        let wrong = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, reason);
        let mut head = [0; 46];
        directory.read_exact(&mut head)?;
        if !head.starts_with(b"PK\x01\x02") {
            return Err(wrong("its directory holds what is no entry"));
        }
        let mut name = vec![0; u16_at(&head, 28).into()];
        directory.read_exact(&mut name)?;
        let mut extra = vec![0; u16_at(&head, 30).into()];
        directory.read_exact(&mut extra)?;
        io::copy(&mut directory.take(u16_at(&head, 32).into()), &mut io::sink())?;
        let sizes = [24, 20, 42].map(|at| u32_at(&head, at));
        let [bytes, packed, offset] = large(sizes, &extra)
            .ok_or_else(|| wrong("its directory lacks the size of an entry"))?;
        // Windows' own separator; the format knows only the other.
        if !name.contains(&b'/') {
            name.iter_mut().filter(|byte| **byte == b'\\').for_each(|byte| *byte = b'/');
        }
        let kind = kind(&name, u16_at(&head, 4), u32_at(&head, 38));
        let flags = u16_at(&head, 8);
        Ok(Self {
            name,
            kind,
            encrypted: flags & 0x41 != 0 || u16_at(&head, 10) == 99,
            method: u16_at(&head, 10),
            checksum: u32_at(&head, 16),
            packed,
            bytes,
            offset: offset.saturating_add(shift),
        })
    }
}

/// Unix programs tell the kind of file in the upper half of the attributes.
fn kind(name: &[u8], made_by: u16, attributes: u32) -> Kind {
    const UNIX: [u16; 2] = [3, 19];
    let mode = if UNIX.contains(&(made_by >> 8)) { (attributes >> 16) & 0xF000 } else { 0 };
    match mode {
        0xA000 => Kind::Other("link"),
        0x1000 => Kind::Other("pipe"),
        0x2000 | 0x6000 => Kind::Other("device"),
        0xC000 => Kind::Other("socket"),
        _ if mode == 0x4000 || name.ends_with(b"/") => Kind::Folder,
        _ => Kind::File,
    }
}

/// Sizes that did not fit, in their order, out of the extra field of zip64.
fn large(sizes: [u32; 3], mut extra: &[u8]) -> Option<[u64; 3]> {
    let mut wide: &[u8] = &[];
    while extra.len() >= 4 {
        let (id, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let field = extra.get(4..4 + length).unwrap_or_default();
        if id == 1 {
            wide = field;
        }
        extra = extra.get(4 + length..).unwrap_or_default();
    }
    let mut found = [0; 3];
    for (size, found) in sizes.into_iter().zip(&mut found) {
        *found = size.into();
        if size == ELSEWHERE {
            (*found, wide) = (u64::from_le_bytes(*wide.first_chunk()?), wide.get(8..)?);
        }
    }
    Some(found)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |field| u16::from_le_bytes(*field))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |field| u32::from_le_bytes(*field))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |field| u64::from_le_bytes(*field))
}
