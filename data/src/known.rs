//! Single images of a data set that is known by name, as its files hold them; see
//! [`skein_core::dataset::Files`].

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
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

impl Known<'_> {
    /// The places of the images, of one class if one is named, after the first `offset` of them.
    ///
    /// # Errors
    /// - the files cannot be read.
    pub fn places(&self, class: Option<i64>, offset: u64, limit: usize) -> io::Result<Vec<u64>> {
        let labels = self.labels()?;
        Ok(chosen(labels.into_iter().map(i64::from), class, offset, limit))
    }

    /// Some images, in the order in which they are asked for.
    ///
    /// # Errors
    /// - there is none at one of these places, or the files cannot be read.
    pub fn images(&self, indices: &[u64]) -> io::Result<Vec<Sample>> {
        indices.iter().map(|index| self.image(*index)).collect()
    }

    /// Images that the files hold.
    ///
    /// # Errors
    /// - the files cannot be read.
    pub fn count(&self) -> io::Result<u64> {
        Ok(self.labels()?.len() as u64)
    }

    fn image(&self, index: u64) -> io::Result<Sample> {
        let (label, pixels, name) = match self.dataset.files {
            Files::Idx { .. } => self.idx(index)?,
            Files::Cifar { .. } => self.cifar(index)?,
            Files::Text | Files::Prepared => return Err(none(self.split, index)),
        };
        let shape = self.dataset.shape;
        let sides = [shape.channels, shape.height, shape.width];
        let line = Line { split: self.split.to_owned(), name, digest: String::new() };
        let shape = sides.map(|side| u32::try_from(side).unwrap_or(0));
        Ok(Sample { shape, pixels, label: label.into(), line })
    }

    fn idx(&self, index: u64) -> io::Result<(u8, Vec<u8>, String)> {
        let [images, labels] = self.idx_files();
        let size = self.dataset.image_bytes();
        let path = self.idx_path(images);
        let pixels = part(&path, IMAGES_HEADER.saturating_add(index.saturating_mul(size)), size)?;
        let label = part(&self.idx_path(labels), LABELS_HEADER.saturating_add(index), 1)?;
        Ok((label[0], pixels, file_name(&path)))
    }

    fn cifar(&self, index: u64) -> io::Result<(u8, Vec<u8>, String)> {
        let (before, record) = self.record();
        let mut left = index;
        for path in self.cifar_paths() {
            let held = std::fs::metadata(&path)?.len() / record;
            if left < held {
                let mut bytes = part(&path, left * record, record)?;
                let pixels = bytes.split_off(usize::try_from(before).map_err(io::Error::other)?);
                let label = bytes.pop().ok_or_else(|| none(self.split, index))?;
                return Ok((label, pixels, file_name(&path)));
            }
            left -= held;
        }
        Err(none(self.split, index))
    }

    /// The class of every image.
    fn labels(&self) -> io::Result<Vec<u8>> {
        let mut labels = Vec::new();
        match self.dataset.files {
            Files::Idx { .. } => {
                let [_, name] = self.idx_files();
                let mut file = open(&self.idx_path(name), LABELS_HEADER)?;
                file.read_to_end(&mut labels)?;
            }
            Files::Cifar { .. } => {
                let (before, record) = self.record();
                for path in self.cifar_paths() {
                    let mut file = File::open(&path)?;
                    for index in 0..file.metadata()?.len() / record {
                        let mut label = [0];
                        file.seek(SeekFrom::Start(index * record + before - 1))?;
                        file.read_exact(&mut label)?;
                        labels.push(label[0]);
                    }
                }
            }
            Files::Text | Files::Prepared => {}
        }
        Ok(labels)
    }

    /// Names of the images' and the labels' file.
    fn idx_files(&self) -> [&'static str; 2] {
        match self.dataset.files {
            Files::Idx { train, test } => {
                if self.split == "test" {
                    test
                } else {
                    train
                }
            }
            _ => ["", ""],
        }
    }

    fn idx_path(&self, name: &str) -> PathBuf {
        let paths = idx_names(name).map(|name| self.folder.join(name));
        let found = paths.iter().find(|path| path.is_file()).cloned();
        found.unwrap_or_else(|| self.folder.join(name))
    }

    /// Label bytes of a record, and all of its bytes.
    fn record(&self) -> (u64, u64) {
        let labels = if let Files::Cifar { labels, .. } = self.dataset.files { labels } else { 1 };
        (labels, labels + self.dataset.image_bytes())
    }

    /// The files of the split that are there.
    fn cifar_paths(&self) -> Vec<PathBuf> {
        let Files::Cifar { train, test, .. } = self.dataset.files else { return vec![] };
        let names = if self.split == "test" { vec![test] } else { train.to_vec() };
        let paths = names.into_iter().map(|name| self.folder.join(name));
        paths.take_while(|path| path.is_file()).collect()
    }
}

/// Some bytes of a file, packed or not.
fn part(path: &Path, offset: u64, bytes: u64) -> io::Result<Vec<u8>> {
    let mut content = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
    open(path, offset)?.read_exact(&mut content)?;
    Ok(content)
}

/// A file, packed or not, from some byte on.
fn open(path: &Path, offset: u64) -> io::Result<Box<dyn Read>> {
    let mut file = File::open(path)?;
    let mut head = [0; 2];
    let is_packed = file.read_exact(&mut head).is_ok() && head == GZIP;
    file.seek(SeekFrom::Start(if is_packed { 0 } else { offset }))?;
    if !is_packed {
        return Ok(Box::new(io::BufReader::new(file)));
    }
    let mut unpacked = MultiGzDecoder::new(io::BufReader::new(file));
    io::copy(&mut (&mut unpacked).take(offset), &mut io::sink())?;
    Ok(Box::new(unpacked))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
