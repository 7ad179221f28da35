//! A text read piece by piece, so that a large one never lies in memory as a whole.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use skein_core::dataset::Dataset;
use skein_core::encoding::is_utf16;
use skein_core::spec::LineEnds;

use super::clean::Cleaned;
use crate::EngineError;
use crate::data::damaged;
use crate::error::IoContext;

/// Bytes of a piece at most, but for an unfinished character.
const PIECE: u64 = 1 << 18;

/// A part of a file as pieces of UTF-8; a piece ends with a line where it can.
#[derive(Debug)]
pub(super) struct Pieces<'a> {
    file: File,
    path: &'a Path,
    dataset: &'a Dataset,
    /// Bytes not yet read.
    ahead: u64,
    /// Read but not yet given.
    rest: Vec<u8>,
    /// Place of `rest` in the file.
    at: u64,
    line_ends: LineEnds,
    /// What was done to the pieces that were given.
    pub(super) cleaned: Cleaned,
}

impl<'a> Pieces<'a> {
    /// The pieces of a range of bytes, which must begin with a character.
    pub(super) fn open(
        path: &'a Path,
        range: &Range<u64>,
        dataset: &'a Dataset,
        line_ends: LineEnds,
    ) -> Result<Self, EngineError> {
        let mut file = File::open(path).at(path)?;
        file.seek(SeekFrom::Start(range.start)).at(path)?;
        let ahead = range.end - range.start;
        let (rest, at, cleaned) = (vec![], range.start, Cleaned::default());
        Ok(Self { file, path, dataset, ahead, rest, at, line_ends, cleaned })
    }

    fn piece(&mut self) -> Result<Option<String>, EngineError> {
        loop {
            let wanted = PIECE.min(self.ahead);
            let read = (&mut self.file).take(wanted).read_to_end(&mut self.rest).at(self.path)?;
            if read == 0 && wanted > 0 {
                return Err(self.fault("it became shorter while it was read"));
            }
            self.ahead -= read as u64;
            if self.rest.is_empty() {
                return Ok(None);
            }
            let whole = self.whole()?;
            let line = self.rest[..whole].iter().rposition(|byte| *byte == b'\n');
            let mut end = line.filter(|_| self.ahead > 0).map_or(whole, |line| line + 1);
            if self.ahead > 0 && self.rest[..end].last() == Some(&b'\r') {
                end -= 1;
            }
            // Nothing yet but the beginning of a character or line end: the rest lies ahead.
            if end > 0 {
                return self.give(end).map(Some);
            }
        }
    }

    /// Bytes that are complete characters.
    fn whole(&self) -> Result<usize, EngineError> {
        match std::str::from_utf8(&self.rest) {
            Ok(text) => Ok(text.len()),
            Err(error) if error.error_len().is_none() && self.ahead > 0 => Ok(error.valid_up_to()),
            Err(error) => {
                let at = self.at + error.valid_up_to() as u64;
                let wide = if at == 0 && is_utf16(&self.rest) { " but UTF-16" } else { "" };
                Err(self.fault(&format!("it is no UTF-8 text (byte {at}){wide}; save it as UTF-8")))
            }
        }
    }

    fn give(&mut self, end: usize) -> Result<String, EngineError> {
        let rest = self.rest.split_off(end);
        let bytes = std::mem::replace(&mut self.rest, rest);
        if let Some(zero) = bytes.iter().position(|byte| *byte == 0) {
            let at = self.at + zero as u64;
            let advice = if is_utf16(&bytes) { "; it is UTF-16, save it as UTF-8" } else { "" };
            return Err(self.fault(&format!("it is no text: byte {at} is zero{advice}")));
        }
        let first = self.at == 0;
        self.at += end as u64;
        let piece =
            String::from_utf8(bytes).map_err(|error| EngineError::Bug(error.to_string()))?;
        Ok(match self.line_ends {
            LineEnds::Normalised => self.cleaned.clean(piece, first),
            LineEnds::Kept => piece,
        })
    }

    fn fault(&self, reason: &str) -> EngineError {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let folder = self.path.parent().unwrap_or(self.path);
        damaged(folder, self.dataset, format!("{name}: {reason}"))
    }
}

impl Iterator for Pieces<'_> {
    type Item = Result<String, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let piece = self.piece().transpose();
        if matches!(piece, Some(Err(_))) {
            (self.ahead, self.rest) = (0, vec![]);
        }
        piece
    }
}

/// The first place from `at` on where a character begins, and no second half of a line end.
pub(super) fn boundary(path: &Path, at: u64) -> Result<u64, EngineError> {
    let mut file = File::open(path).at(path)?;
    let before = at.min(1);
    file.seek(SeekFrom::Start(at - before)).at(path)?;
    let mut bytes = Vec::new();
    file.take(before + 4).read_to_end(&mut bytes).at(path)?;
    let next = bytes.get(usize::from(before > 0)..).unwrap_or_default();
    if before > 0 && bytes.starts_with(b"\r\n") {
        return Ok(at + 1);
    }
    Ok(at + next.iter().take_while(|byte| **byte & 0xC0 == 0x80).count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<String>, EngineError> {
        read_with(bytes, LineEnds::Normalised)
    }

    fn read_with(bytes: &[u8], line_ends: LineEnds) -> Result<Vec<String>, EngineError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input.txt");
        std::fs::write(&path, bytes).unwrap();
        let dataset = skein_core::dataset::find("text").unwrap();
        Pieces::open(&path, &(0..bytes.len() as u64), dataset, line_ends)?.collect()
    }

    #[test]
    fn line_ends_are_normalised_wherever_pieces_end_unless_they_are_kept() {
        // No line ends with `\n` alone, so that pieces end where they may.
        for (line, clean) in [("some words\r\n", "some words\n"), ("some words\r", "some words\n")]
        {
            let text = format!("\u{FEFF}{}", line.repeat(60_000));
            let pieces = read(text.as_bytes()).unwrap();
            assert!(pieces.len() > 2);
            assert!(pieces.concat() == clean.repeat(60_000), "{line:?}");
            assert!(read_with(text.as_bytes(), LineEnds::Kept).unwrap().concat() == text);
        }
        // The first piece ends between the two bytes of a line end.
        let long = format!("{}\r\nb", "a".repeat(usize::try_from(PIECE).unwrap() - 1));
        assert!(read(long.as_bytes()).unwrap().concat() == long.replace('\r', ""));
    }

    #[test]
    fn pieces_make_the_text_again_and_end_with_lines() {
        let text = "Größe, 数, 🦀 und mehr.\n".repeat(40_000);
        let pieces = read(text.as_bytes()).unwrap();
        assert!(pieces.len() > 3);
        assert!(pieces.iter().all(|piece| piece.ends_with('\n')));
        assert_eq!(pieces.concat(), text);
        let unbroken = "数🦀".repeat(100_000);
        let pieces = read(unbroken.as_bytes()).unwrap();
        assert!(pieces.len() > 2);
        assert_eq!(pieces.concat(), unbroken);
        assert!(read(b"").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_place() {
        let mut bytes = "é".repeat(200_000).into_bytes();
        bytes.push(0xFF);
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains("input.txt: it is no UTF-8 text (byte 400000)"), "{error}");
        let wide: Vec<u8> = "a text".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(read(&wide).unwrap_err().to_string().contains("UTF-16, save it as UTF-8"));
        assert!(read(b"ab\0c").unwrap_err().to_string().contains("byte 2 is zero"));
        assert!(read("aé".split_at(1).0.as_bytes()).is_ok());
        assert!(read(&"aé".as_bytes()[..2]).is_err());
    }

    #[test]
    fn a_boundary_is_where_a_character_begins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "a🦀b").unwrap();
        let found: Vec<u64> = (0..6).map(|at| boundary(&path, at).unwrap()).collect();
        assert_eq!(found, [0, 1, 5, 5, 5, 5]);
    }
}
