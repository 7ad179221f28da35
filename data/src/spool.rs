//! All bytes of a source in one file that has no name: whatever becomes of this process, the disk
//! gives its space back.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::limits::Limits;
use crate::refusal::Refusal;

/// SHA-256.
pub(crate) type Digest = [u8; 32];

/// Bytes that are copied at once.
const CHUNK: usize = 1 << 17;
/// Bytes at the start of a file that tell its format.
pub(crate) const HEAD: usize = 512;

/// A part of the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where it begins.
    pub(crate) offset: u64,
    /// Its bytes.
    pub(crate) length: u64,
}

/// What was appended.
pub(crate) struct Stored {
    pub(crate) place: Place,
    pub(crate) digest: Digest,
    /// The first bytes of it.
    pub(crate) head: Vec<u8>,
}

/// The file, and how much may come into it.
pub(crate) struct Spool {
    file: File,
    end: u64,
    /// Bytes that were read and not kept.
    passed: u64,
    limits: Limits,
    /// Bytes of the archive; `None` if nothing is packed.
    packed: Option<u64>,
    chunk: Vec<u8>,
}

impl Spool {
    /// An empty spool on the disk of a folder.
    pub(crate) fn new(
        scratch: &Path,
        limits: &Limits,
        packed: Option<u64>,
    ) -> Result<Self, Refusal> {
        let file = tempfile::tempfile_in(scratch).map_err(Refusal::io("making a scratch file"))?;
        Ok(Self { file, end: 0, passed: 0, limits: limits.clone(), packed, chunk: vec![0; CHUNK] })
    }

    /// Bytes in it.
    pub(crate) fn len(&self) -> u64 {
        self.end
    }

    /// Appends all bytes of a file; `place` names it.
    pub(crate) fn append(&mut self, place: &str, data: &mut dyn Read) -> Result<Stored, Refusal> {
        let (offset, mut hasher) = (self.end, Sha256::new());
        let mut head = Vec::new();
        loop {
            let read = match data.read(&mut self.chunk) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Refusal::reading(place, error)),
            };
            let Some(chunk) = self.chunk.get(..read).filter(|chunk| !chunk.is_empty()) else {
                break;
            };
            let missing = HEAD - head.len();
            head.extend(chunk.iter().take(missing));
            hasher.update(chunk);
            self.file
                .write_all_at(chunk, self.end)
                .map_err(Refusal::io("writing to the scratch file"))?;
            self.end += read as u64;
            self.check()?;
        }
        let place = Place { offset, length: self.end - offset };
        Ok(Stored { place, digest: hasher.finalize().into(), head })
    }

    /// Reads a file that is not kept; its bytes count.
    pub(crate) fn pass_over(&mut self, place: &str, data: &mut dyn Read) -> Result<(), Refusal> {
        loop {
            match data.read(&mut self.chunk) {
                Ok(0) => return Ok(()),
                Ok(read) => self.passed += read as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Refusal::reading(&format!("`{place}`"), error)),
            }
            self.check()?;
        }
    }

    fn check(&self) -> Result<(), Refusal> {
        let Limits { bytes, ratio, unsuspicious, .. } = self.limits;
        let read = self.end + self.passed;
        if read > bytes {
            return Err(Refusal::Bytes(bytes));
        }
        let most = self.packed.map_or(u64::MAX, |packed| packed.saturating_mul(ratio));
        if read > unsuspicious && read > most {
            return Err(Refusal::Bomb { ratio });
        }
        Ok(())
    }

    /// Reads a whole part.
    pub(crate) fn read(&self, place: Place) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(place.length).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, place.offset)?;
        Ok(bytes)
    }

    /// Reads a part from its start, as one reads a file.
    pub(crate) fn open(&self, place: Place) -> Result<Section<File>, Refusal> {
        let file = self.file.try_clone().map_err(Refusal::io("opening the scratch file"))?;
        Ok(Section::new(file, place))
    }
}

/// A part of a file, read from its start to its end without a cursor that others share.
pub(crate) struct Section<F> {
    file: F,
    at: u64,
    end: u64,
}

impl<F> Section<F> {
    pub(crate) fn new(file: F, place: Place) -> Self {
        Self { file, at: place.offset, end: place.offset.saturating_add(place.length) }
    }
}

impl<F: std::borrow::Borrow<File>> Read for Section<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let read = self.file.borrow().read_at(&mut buffer[..wanted], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
