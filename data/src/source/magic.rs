//! Formats by their first bytes.

use std::fs::File;
use std::io::{BufReader, Read};

use skein_core::dataset::{GZIP, is_pickle};

use super::tar::{self, Packing};
use crate::refusal::Refusal;
use crate::spool::{HEAD, Place, Section};

/// What a file holds.
pub(super) enum Content {
    Zip,
    Tar(Packing),
    /// One file of a set: a text, or something that a layout knows.
    Plain,
    /// A format that is not read, and what to do instead.
    Foreign(&'static str, &'static str),
    Pickle,
}

const PACK_AGAIN: &str = "pack it as .zip, .tar.gz or .tar.zst";
const AS_FILES: &str = "save the images as files in one folder per class, or as arrays in an .npz";

/// Formats that are not read: how they begin, what they are, what to do instead.
const FOREIGN: [(&[u8], &str, &str); 13] = [
    // The upload itself was looked at before.
    (b"PK\x03\x04", "an archive within the upload", "bring its files themselves"),
    (b"7z\xBC\xAF\x27\x1C", "a 7z archive", PACK_AGAIN),
    (b"Rar!", "a RAR archive", PACK_AGAIN),
    (b"BZh", "packed by bzip2", PACK_AGAIN),
    (b"\xFD7zXZ", "packed by xz", PACK_AGAIN),
    (b"\x04\x22\x4D\x18", "packed by lz4", PACK_AGAIN),
    (b"\x89HDF\r\n\x1A\n", "an HDF5 file", AS_FILES),
    (b"MATLAB 5.0 MAT", "a MATLAB file", AS_FILES),
    (b"PAR1", "a Parquet file", AS_FILES),
    (b"ARROW1", "an Arrow file", AS_FILES),
    (b"SQLite format 3", "a SQLite database", AS_FILES),
    (b"%PDF", "a PDF", AS_FILES),
    (b"\x00\x00\x00\x0CJXL", "a JPEG XL image", "save it as PNG or JPEG"),
];

/// A format that is not read, if these bytes begin one: what it is, and what to do instead.
pub(crate) fn foreign(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let found = FOREIGN.iter().find(|(magic, ..)| head.starts_with(magic));
    found.map(|(_, format, advice)| (*format, *advice))
}

pub(super) fn content(head: &[u8], file: &File) -> Content {
    if [b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"].iter().any(|magic| head.starts_with(*magic)) {
        return Content::Zip;
    }
    if let Some((format, advice)) = foreign(head) {
        return Content::Foreign(format, advice);
    }
    if tar::is_tar(head) {
        return Content::Tar(Packing::None);
    }
    let packing = match head {
        _ if head.starts_with(&GZIP) => Packing::Gzip,
        [0x28, 0xB5, 0x2F, 0xFD, ..] => Packing::Zstd,
        _ if is_pickle(head) => return Content::Pickle,
        _ => return Content::Plain,
    };
    let place = Place { offset: 0, length: u64::MAX };
    let within = tar::unpacked(BufReader::new(Section::new(file, place)), packing);
    let mut start = Vec::new();
    // What cannot be unpacked is told as that when it is read.
    let read = within.map(|bytes| bytes.take(HEAD as u64).read_to_end(&mut start));
    match read {
        Ok(Ok(_)) if !tar::is_tar(&start) => {
            Content::Foreign("one packed file", "pack all files of the set in one .tar.gz or .zip")
        }
        _ => Content::Tar(packing),
    }
}

/// An archive by its name must be one.
pub(super) fn check_name(name: &str, head: &[u8]) -> Result<(), Refusal> {
    const ARCHIVES: [(&str, &str); 8] = [
        (".zip", "zip archive"),
        (".npz", "zip archive"),
        (".tar", "tar archive"),
        (".tgz", "tar.gz archive"),
        (".tar.gz", "tar.gz archive"),
        (".gz", "gzip file"),
        (".tar.zst", "tar.zst archive"),
        (".zst", "zstd file"),
    ];
    let small = name.to_ascii_lowercase();
    let promised = ARCHIVES.iter().find(|(ending, _)| small.ends_with(ending));
    let Some((_, promised)) = promised else { return Ok(()) };
    let begins = match head {
        [] => "is empty",
        _ if head.first_chunk() == Some(b"<htm") || head.first_chunk() == Some(b"<!DO") => {
            "begins as a web page; perhaps the download needed a login"
        }
        _ if image::guess_format(head).is_ok() => "begins as an image",
        _ if std::str::from_utf8(head).is_ok() => "begins as a text",
        _ => "begins as nothing that is known",
    };
    Err(Refusal::Misnamed { name: name.to_owned(), promised, begins })
}
