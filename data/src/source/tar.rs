//! Tar archives, plain or packed, read once from start to end.
//!
//! Headers are taken as they are: what long names and attributes of an entry say is read here, with
//! a bound, since the `tar` crate would read a name of any length into memory.

mod attributes;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use ::tar::{Archive, Entry, EntryType};
use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

use self::attributes::Attributes;
use super::Visit;
use crate::name::shown;
use crate::refusal::Refusal;
use crate::spool::{Place, Section};

const ARCHIVE: &str = "the archive";
/// Bytes that are read ahead.
const AHEAD: usize = 1 << 16;
/// Most bytes behind the end of the archive: programs fill up a last block.
const MOST_BEHIND: u64 = 1 << 20;

/// How a tar archive is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    /// What such an archive is called.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::None => "tar",
            Self::Gzip => "tar.gz",
            Self::Zstd => "tar.zst",
        }
    }
}

/// Whether these are the first bytes of a tar archive.
pub(super) fn is_tar(head: &[u8]) -> bool {
    let Some(head) = head.first_chunk::<512>() else { return false };
    if head[257..].starts_with(b"ustar") {
        return true;
    }
    // The oldest kind has nothing but the sum of its own bytes, its field counted as blanks.
    let field = std::str::from_utf8(&head[148..156]).unwrap_or_default();
    let declared = u32::from_str_radix(field.trim_matches(['\0', ' ']), 8);
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    let own: u32 = head[148..156].iter().map(|byte| u32::from(*byte)).sum();
    declared == Ok(sum - own + 8 * u32::from(b' '))
}

/// Bytes of a packed file.
pub(super) fn unpacked<'a>(
    packed: impl BufRead + 'a,
    packing: Packing,
) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match packing {
        Packing::None => Box::new(packed),
        Packing::Gzip => Box::new(MultiGzDecoder::new(packed)),
        Packing::Zstd => Box::new(Frames::new(packed)?),
    })
}

/// Visits all entries.
///
/// # Errors
/// - what the archive has that is refused, and what the visitor refuses.
pub(super) fn read(file: &File, packing: Packing, visit: &mut dyn Visit) -> Result<(), Refusal> {
    let done = Cell::new(0);
    let section = Section::new(file, Place { offset: 0, length: u64::MAX });
    let packed = BufReader::with_capacity(AHEAD, Counted { bytes: section, done: &done });
    let reading = |error| Refusal::reading(ARCHIVE, error);
    let zeros = Cell::new(0);
    let bytes = unpacked(packed, packing).map_err(reading)?;
    let mut archive = Archive::new(Ended { bytes, zeros: &zeros });
    let mut attributes = Attributes::default();
    for entry in archive.entries().map_err(reading)?.raw(true) {
        let mut entry = entry.map_err(reading)?;
        if attributes.take(&mut entry)? {
            continue;
        }
        let name = attributes.name(&entry)?;
        visit_entry(&name, &mut entry, done.get(), visit)?;
    }
    // The checksum of what is packed lies at its very end.
    let mut rest = archive.into_inner().take(MOST_BEHIND + 1);
    let behind = io::copy(&mut rest, &mut io::sink()).map_err(reading)?;
    if behind > MOST_BEHIND {
        let reason = "there is more behind its end".to_owned();
        return Err(Refusal::Damaged { place: ARCHIVE.to_owned(), reason });
    }
    // Two blocks of zeros end an archive; some programs write one.
    if zeros.get() < 512 { Err(Refusal::CutOff(ARCHIVE.to_owned())) } else { Ok(()) }
}

fn visit_entry(
    name: &[u8],
    entry: &mut Entry<'_, impl Read>,
    done: u64,
    visit: &mut dyn Visit,
) -> Result<(), Refusal> {
    let what = match entry.header().entry_type() {
        EntryType::Directory => return visit.folder(name),
        EntryType::Regular | EntryType::Continuous => {
            let place = format!("`{}`", shown(name));
            let left = entry.header().size().map_err(|error| Refusal::reading(&place, error))?;
            return visit.file(name, &mut Whole { bytes: entry, left }, done);
        }
        EntryType::Link | EntryType::Symlink => "link",
        EntryType::Char | EntryType::Block => "device",
        EntryType::Fifo => "pipe",
        EntryType::GNUSparse => "sparse file",
        _ => "special entry",
    };
    Err(Refusal::Special { name: shown(name), what })
}

/// Counts what is read.
struct Counted<'a, R> {
    bytes: R,
    done: &'a Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        self.done.set(self.done.get() + read as u64);
        Ok(read)
    }
}

/// Counts the zeros at the end of what is read.
struct Ended<'a, R> {
    bytes: R,
    zeros: &'a Cell<u64>,
}

impl<R: Read> Read for Ended<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        let last = buffer[..read].iter().rposition(|byte| *byte != 0);
        let zeros = last.map_or(self.zeros.get() + read as u64, |last| (read - 1 - last) as u64);
        self.zeros.set(zeros);
        Ok(read)
    }
}

/// Bytes that must be as many as the header tells.
struct Whole<R> {
    bytes: R,
    left: u64,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        self.left = self.left.saturating_sub(read as u64);
        if read == 0 && !buffer.is_empty() && self.left > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(read)
    }
}

/// One frame after the other, as programs write that pack on several threads.
struct Frames<R: Read> {
    /// Absent only while the next one is opened.
    decoder: Option<StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>,
}

impl<R: BufRead> Frames<R> {
    fn new(bytes: R) -> io::Result<Self> {
        Ok(Self { decoder: Some(StreamingDecoder::new(bytes).map_err(damaged)?) })
    }
}

fn damaged(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.decoder {
            let read = decoder.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let Some(decoder) = self.decoder.take() else { break };
            let mut bytes = decoder.into_inner();
            if !bytes.fill_buf()?.is_empty() {
                self.decoder = Some(StreamingDecoder::new(bytes).map_err(damaged)?);
            }
        }
        Ok(0)
    }
}
