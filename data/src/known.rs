//! Single images of a data set that is known by name, as its files hold them; see
//! [`skein_core::dataset::Files`].

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use skein_core::dataset::{Dataset, Files, GZIP, idx_names};

use crate::arrays::Line;
use crate::samples::{Sample, chosen, none};

/// Bytes before the first image of an idx file.
const IMAGES_HEADER: u64 = 16;
/// Bytes before the first label of an idx file.
const LABELS_HEADER: u64 = 8;

/// A split of a data set, in the folder of its files.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Where the files are.
    pub folder: &'a Path,
    /// What they hold.
    pub dataset: &'a Dataset,
    /// `train` or `test`.
    pub split: &'a str,
}

/// Entries of one size at equal distances in a file, packed or not.
struct Column {
    path: PathBuf,
    /// Bytes before the first entry.
    first: u64,
    /// Bytes from one entry to the next.
    step: u64,
    /// Bytes of an entry.
    bytes: u64,
}

/// Images in one pair of files, or in one file of records.
struct Part {
    images: Column,
    labels: Column,
    count: u64,
}

impl Known<'_> {
    /// The places of the images, of one class if one is named, after the first `offset` of them.
    ///
    /// # Errors
    /// - the files cannot be read.
    pub fn places(&self, class: Option<i64>, offset: u64, limit: usize) -> io::Result<Vec<u64>> {
        let parts = self.parts()?;
        let labels: io::Result<Vec<_>> = parts.iter().map(Part::labels).collect();
        chosen(labels?.into_iter().flatten(), class, offset, limit)
    }

    /// Some images, in the order in which they are asked for.
    ///
    /// # Errors
    /// - there is none at one of these places, or the files cannot be read.
    pub fn images(&self, indices: &[u64]) -> io::Result<Vec<Sample>> {
        let parts = self.parts()?;
        indices.iter().map(|index| self.image(&parts, *index)).collect()
    }

    /// Images that the files hold.
    ///
    /// # Errors
    /// - the files cannot be read.
    pub fn count(&self) -> io::Result<u64> {
        Ok(self.parts()?.iter().map(|part| part.count).sum())
    }

    fn image(&self, parts: &[Part], index: u64) -> io::Result<Sample> {
        let mut at = index;
        for part in parts {
            if at < part.count {
                let (pixels, label) = (part.images.entry(at)?, part.labels.entry(at)?);
                let name = part.images.path.file_name().unwrap_or_default().to_string_lossy();
                let (split, name) = (self.split.to_owned(), name.into_owned());
                let shape = self.dataset.shape;
                let sides = [shape.channels, shape.height, shape.width];
                return Ok(Sample {
                    shape: sides.map(|side| u32::try_from(side).unwrap_or(0)),
                    pixels,
                    label: label[0].into(),
                    line: Line { split, name, digest: String::new() },
                });
            }
            at -= part.count;
        }
        Err(none(self.split, index))
    }

    /// The files of the split that are there.
    fn parts(&self) -> io::Result<Vec<Part>> {
        let of_test = self.split == "test";
        let size = self.dataset.image_bytes();
        match self.dataset.files {
            Files::Idx { train, test } => {
                let [images, labels] = if of_test { test } else { train };
                let found = |name| idx_file(self.folder, name).ok_or(io::ErrorKind::NotFound);
                let (images, labels) = (found(images)?, found(labels)?);
                let mut count = [0; 4];
                open(&labels, 4)?.read_exact(&mut count)?;
                Ok(vec![Part {
                    images: Column { path: images, first: IMAGES_HEADER, step: size, bytes: size },
                    labels: Column { path: labels, first: LABELS_HEADER, step: 1, bytes: 1 },
                    count: u32::from_be_bytes(count).into(),
                }])
            }
            Files::Cifar { labels, train, test } => {
                let step = labels + size;
                let names = if of_test { vec![test] } else { train.to_vec() };
                let paths = names.into_iter().map(|name| self.folder.join(name));
                let part = |path: PathBuf| {
                    Ok(Part {
                        count: std::fs::metadata(&path)?.len() / step,
                        images: Column { path: path.clone(), first: labels, step, bytes: size },
                        labels: Column { path, first: labels - 1, step, bytes: 1 },
                    })
                };
                paths.take_while(|path| path.is_file()).map(part).collect()
            }
            Files::Text | Files::Prepared => Ok(vec![]),
        }
    }
}

/// The file of a folder that has one of an idx file's names.
#[must_use]
pub fn idx_file(folder: &Path, name: &str) -> Option<PathBuf> {
    idx_names(name).into_iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

impl Part {
    /// The class of every image, in their order; nothing is read before it is asked for.
    fn labels(&self) -> io::Result<impl Iterator<Item = io::Result<i64>> + use<>> {
        let mut file = open(&self.labels.path, self.labels.first)?;
        let gap = self.labels.step - self.labels.bytes;
        Ok((0..self.count).map(move |_| {
            let mut label = [0];
            file.read_exact(&mut label)?;
            io::copy(&mut (&mut file).take(gap), &mut io::sink())?;
            Ok(label[0].into())
        }))
    }
}

impl Column {
    fn entry(&self, index: u64) -> io::Result<Vec<u8>> {
        let offset = self.first.saturating_add(index.saturating_mul(self.step));
        let mut content = vec![0; usize::try_from(self.bytes).map_err(io::Error::other)?];
        open(&self.path, offset)?.read_exact(&mut content)?;
        Ok(content)
    }
}

/// A file, packed or not, from some byte on.
fn open(path: &Path, offset: u64) -> io::Result<Box<dyn Read>> {
    let mut file = File::open(path)?;
    let mut head = [0; 2];
    let is_packed = file.read_exact(&mut head).is_ok() && head == GZIP;
    file.seek(SeekFrom::Start(if is_packed { 0 } else { offset }))?;
    if !is_packed {
        return Ok(Box::new(BufReader::new(file)));
    }
    let mut unpacked = BufReader::new(MultiGzDecoder::new(BufReader::new(file)));
    io::copy(&mut (&mut unpacked).take(offset), &mut io::sink())?;
    Ok(Box::new(unpacked))
}
