//! Single images of a prepared version, for people to look at: found by their place, so that a set
//! of any size takes the memory of one image.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use skein_core::dataset::facts;

pub use crate::arrays::Line;
use crate::npy::Header;

/// Most bytes of an image that is read.
const MOST: u64 = 64 << 20;

/// An image of a prepared version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Channels, height, width.
    pub shape: [u32; 3],
    /// Channel by channel, row by row.
    pub pixels: Vec<u8>,
    /// The number of its class.
    pub label: i64,
    /// What is told of its file.
    pub line: Line,
}

impl Sample {
    /// The same pixels, with the channels of each side by side, as drawing programs want them.
    #[must_use]
    pub fn interleaved(&self) -> Vec<u8> {
        crate::pixels::interleaved(&self.pixels, self.shape[0] as usize)
    }

    /// The image as a PNG file. Of four channels the first three are shown.
    ///
    /// # Errors
    /// - there are no pixels, or another number of channels.
    pub fn png(&self) -> io::Result<Vec<u8>> {
        let [channels, height, width] = self.shape;
        let plane = (height as usize) * (width as usize);
        let shown: Vec<u8> = match channels {
            4 => crate::pixels::interleaved(&self.pixels[..3 * plane], 3),
            _ => self.interleaved(),
        };
        let kind = if channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
        let mut bytes = Vec::new();
        PngEncoder::new(&mut bytes)
            .write_image(&shown, width, height, kind)
            .map_err(io::Error::other)?;
        Ok(bytes)
    }
}

/// One image of a file of arrays, `train` (which holds the validation images too) or `test`.
///
/// # Errors
/// - there is none at this place, or the version is damaged.
pub fn image(version: &Path, split: &str, index: u64) -> io::Result<Sample> {
    let mut found = images(version, split, &[index])?;
    found.pop().ok_or_else(|| none(split, index))
}

/// Several images, in the order in which they are asked for; the names are looked through once.
///
/// # Errors
/// - there is none at one of these places, or the version is damaged.
pub fn images(version: &Path, split: &str, indices: &[u64]) -> io::Result<Vec<Sample>> {
    let (mut pixels, shape) = open(version, &facts::images(split), "|u1")?;
    let (mut labels, _) = open(version, &facts::labels(split), "<i8")?;
    let &[count, channels, height, width] = shape.as_slice() else {
        return Err(damaged("images have other dimensions"));
    };
    let size = channels.checked_mul(height).and_then(|size| size.checked_mul(width));
    let size = size.filter(|size| *size <= MOST).ok_or_else(|| damaged("an image is too large"))?;
    let lines = lines(version, split, indices)?;
    let sides = [channels, height, width].map(|side| u32::try_from(side).unwrap_or(0));
    indices
        .iter()
        .zip(lines)
        .map(|(index, line)| {
            let line = line.filter(|_| *index < count).ok_or_else(|| none(split, *index))?;
            let mut own = vec![0; usize::try_from(size).map_err(io::Error::other)?];
            pixels.read_at(*index, &mut own)?;
            let mut label = [0; 8];
            labels.read_at(*index, &mut label)?;
            Ok(Sample { shape: sides, pixels: own, label: i64::from_le_bytes(label), line })
        })
        .collect()
}

/// The places of a split's images, of one class if one is named, after the first `offset` of them.
///
/// # Errors
/// - the version is damaged.
pub fn places(
    version: &Path,
    split: &str,
    class: Option<i64>,
    offset: u64,
    limit: usize,
) -> io::Result<Vec<u64>> {
    let (labels, shape) = open(version, &facts::labels(split), "<i8")?;
    let count = shape.first().copied().unwrap_or(0);
    let mut file = BufReader::new(labels.file);
    let labels = (0..count).map(|_| {
        let mut label = [0; 8];
        file.read_exact(&mut label).map(|()| i64::from_le_bytes(label))
    });
    chosen(labels, class, offset, limit)
}

/// The places of the labels that equal `class` (all if there is none), after `offset` of them; no
/// more labels are read than that takes.
pub(crate) fn chosen(
    labels: impl IntoIterator<Item = io::Result<i64>>,
    class: Option<i64>,
    offset: u64,
    limit: usize,
) -> io::Result<Vec<u64>> {
    let (mut passed, mut found) = (0, Vec::new());
    for (place, label) in (0..).zip(labels) {
        if found.len() == limit {
            break;
        }
        let label = label?;
        if class.is_none_or(|class| class == label) {
            if passed >= offset {
                found.push(place);
            }
            passed += 1;
        }
    }
    Ok(found)
}

/// An array's file, and where its numbers begin.
struct Array {
    file: File,
    offset: u64,
}

impl Array {
    /// Reads the entry at a place; all have the size of `entry`.
    fn read_at(&mut self, index: u64, entry: &mut [u8]) -> io::Result<()> {
        let place = index.checked_mul(entry.len() as u64);
        let place = place.and_then(|place| place.checked_add(self.offset));
        self.file.seek(SeekFrom::Start(place.ok_or_else(|| damaged("an array is too large"))?))?;
        self.file.read_exact(entry)
    }
}

fn open(version: &Path, name: &str, descr: &str) -> io::Result<(Array, Vec<u64>)> {
    let mut file = File::open(version.join(name))?;
    let header = Header::read(&mut file)?;
    if header.descr != descr || header.fortran_order {
        return Err(damaged("an array holds other numbers"));
    }
    Ok((Array { file, offset: header.offset }, header.shape))
}

/// What is told of the images at some places.
fn lines(version: &Path, split: &str, indices: &[u64]) -> io::Result<Vec<Option<Line>>> {
    let mut found = vec![None; indices.len()];
    let last = indices.iter().max().copied().unwrap_or(0);
    let mut at = 0;
    for text in BufReader::new(File::open(version.join(facts::NAMES))?).lines() {
        let line: Line = serde_json::from_str(&text?)?;
        // Validation images lie behind the training images, in the same arrays.
        if (line.split == "test") != (split == "test") {
            continue;
        }
        for (wanted, found) in indices.iter().zip(&mut found) {
            if *wanted == at {
                *found = Some(line.clone());
            }
        }
        if at >= last {
            break;
        }
        at += 1;
    }
    Ok(found)
}

pub(crate) fn none(split: &str, index: u64) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("there is no image {index} in `{split}`"))
}

fn damaged(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.to_owned())
}
