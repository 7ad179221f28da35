//! Some images of a prepared version, read by their place in the arrays: in constant memory.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Cursor, Read, Seek as _, SeekFrom};
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use serde::Deserialize;
use skein_core::dataset::facts;

use crate::npy::Header;

/// One image, without its pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Its place in the split.
    pub index: u64,
    /// Number of its class.
    pub label: i64,
    /// Name of its file, if it had one.
    pub file: String,
}

/// One line of the list of files.
#[derive(Deserialize)]
struct Line {
    split: String,
    file: String,
}

/// Images of a split, of one class if one is named, after the first `offset` of them.
///
/// # Errors
/// - a file of the version cannot be read.
pub fn list(
    version: &Path,
    split: &str,
    class: Option<i64>,
    offset: u64,
    limit: usize,
) -> io::Result<Vec<Sample>> {
    let labels = labels(version, split)?;
    let places =
        (0_u64..).zip(labels).filter(|(_, label)| class.is_none_or(|class| class == *label));
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let mut found: Vec<Sample> = places
        .skip(offset)
        .take(limit)
        .map(|(index, label)| Sample { index, label, file: String::new() })
        .collect();
    let mut wanted = found.iter_mut().peekable();
    let mut at = 0;
    for line in BufReader::new(File::open(version.join(facts::NAMES))?).lines() {
        let Some(next) = wanted.peek() else { break };
        let line: Line = serde_json::from_str(&line?).map_err(io::Error::from)?;
        if line.split != split {
            continue;
        }
        if next.index == at
            && let Some(sample) = wanted.next()
        {
            sample.file = line.file;
        }
        at += 1;
    }
    Ok(found)
}

/// The labels of a split.
///
/// # Errors
/// - the file cannot be read, or holds something else.
pub fn labels(version: &Path, split: &str) -> io::Result<Vec<i64>> {
    let mut file = File::open(version.join(facts::labels(split)))?;
    let header = Header::read(&mut file)?;
    if header.descr != "<i8" || header.shape.len() != 1 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "labels of another type"));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let number = |eight: &[u8]| i64::from_le_bytes(eight.try_into().unwrap_or_default());
    Ok(bytes.chunks_exact(8).map(number).collect())
}

/// One image as a PNG file. Of four channels the first three are shown.
///
/// # Errors
/// - there is no such image, or a file of the version cannot be read.
pub fn png(version: &Path, split: &str, index: u64) -> io::Result<Vec<u8>> {
    let (channels, height, width, pixels) = pixels(version, split, index)?;
    let plane = height * width;
    let side = |length: usize| u32::try_from(length).unwrap_or(0);
    let image = if channels < 3 {
        GrayImage::from_raw(side(width), side(height), pixels[..plane].to_vec())
            .map(DynamicImage::from)
    } else {
        let rgb = (0..plane).flat_map(|at| [0, 1, 2].map(|channel| pixels[channel * plane + at]));
        RgbImage::from_raw(side(width), side(height), rgb.collect()).map(DynamicImage::from)
    };
    let image = image.ok_or_else(|| io::Error::other("the image has no pixels"))?;
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).map_err(io::Error::other)?;
    Ok(bytes.into_inner())
}

/// Channels, height, width, and the pixels channel by channel.
fn pixels(version: &Path, split: &str, index: u64) -> io::Result<(usize, usize, usize, Vec<u8>)> {
    let mut file = File::open(version.join(facts::images(split)))?;
    let header = Header::read(&mut file)?;
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let [count, channels, height, width] = header.shape[..] else {
        return Err(wrong("images of another shape"));
    };
    if header.descr != "|u1" || index >= count {
        return Err(wrong("there is no such image"));
    }
    let bytes = channels * height * width;
    file.seek(SeekFrom::Start(header.offset + index * bytes))?;
    let [channels, height, width, bytes] =
        [channels, height, width, bytes].map(|size| usize::try_from(size).unwrap_or(0));
    let mut pixels = vec![0; bytes];
    file.read_exact(&mut pixels)?;
    Ok((channels, height, width, pixels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npy;

    #[test]
    fn images_are_found_by_place_and_by_class() {
        let dir = tempfile::tempdir().unwrap();
        let put =
            |name: String, bytes: Vec<u8>| std::fs::write(dir.path().join(name), bytes).unwrap();
        let labels = [0_i64, 1, 0, 1, 1].map(i64::to_le_bytes).concat();
        put(facts::labels("train"), [npy::header("<i8", &[5]), labels].concat());
        let images: Vec<u8> = (0..5).flat_map(|at| [at; 12]).collect();
        put(facts::images("train"), [npy::header("|u1", &[5, 3, 2, 2]), images].concat());
        let line = |split: &str, file: &str| {
            format!("{{\"split\":\"{split}\",\"file\":\"{file}\",\"sha256\":\"\"}}\n")
        };
        let lines = ["a", "b", "c", "d", "e"].map(|file| line("train", file)).concat();
        put(facts::NAMES.to_owned(), (lines + &line("test", "t")).into_bytes());
        let found = list(dir.path(), "train", Some(1), 1, 5).unwrap();
        let found: Vec<_> = found.iter().map(|one| (one.index, &*one.file)).collect();
        assert_eq!(found, [(3, "d"), (4, "e")]);
        let png = png(dir.path(), "train", 3).unwrap();
        let shown = image::load_from_memory(&png).unwrap().to_rgb8();
        assert_eq!((shown.dimensions(), shown.get_pixel(1, 1).0), ((2, 2), [3; 3]));
        assert!(super::png(dir.path(), "train", 5).is_err());
    }
}
