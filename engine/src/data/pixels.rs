//! Pixels of many images: in memory, or in a file of which single images are read.
//!
//! Such a file is read, not mapped. libtorch maps a file as if it were to be written to, which the
//! system refuses for a file larger than memory; and a file that is cut off while it is mapped kills
//! the process. What is read comes from the disk's cache, which runs share: it costs about as much.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tch::{Device, Kind, Tensor};

use crate::EngineError;
use crate::error::IoContext as _;

/// Bytes that are read at once where all are.
const AT_ONCE: u64 = 64 << 20;

/// Pixels `[count, channels, height, width]`, bytes.
#[derive(Debug)]
pub(super) enum Pixels {
    /// In the memory of a device.
    Loaded(Tensor),
    /// In a file.
    Filed(Filed),
}

/// Pixels in a file, image by image.
#[derive(Debug)]
pub(super) struct Filed {
    file: Arc<File>,
    path: PathBuf,
    /// Bytes before the first image.
    offset: u64,
    size: [u64; 4],
    /// Memory that was read into before: fresh memory costs more than the reading.
    buffer: Mutex<Vec<u8>>,
}

impl Pixels {
    /// Bytes of all pixels.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Loaded(pixels) => pixels.numel(),
            Self::Filed(filed) => usize::try_from(filed.size.iter().product::<u64>()).unwrap_or(0),
        }
    }

    /// The same pixels, for another thread.
    pub(super) fn share(&self) -> Self {
        match self {
            Self::Loaded(pixels) => Self::Loaded(pixels.shallow_clone()),
            Self::Filed(filed) => Self::Filed(filed.share()),
        }
    }

    /// All of them, in the memory of a device.
    pub(super) fn load(self, device: Device) -> Result<Self, EngineError> {
        Ok(Self::Loaded(match self {
            Self::Loaded(pixels) => pixels.f_to(device)?,
            Self::Filed(filed) => filed.load(device)?,
        }))
    }

    /// The images at these positions.
    pub(super) fn select(&self, positions: &[i64]) -> Result<Tensor, EngineError> {
        match self {
            Self::Loaded(pixels) => {
                let at = Tensor::f_from_slice(positions)?.f_to(pixels.device())?;
                Ok(pixels.f_index_select(0, &at)?)
            }
            Self::Filed(filed) => filed.read(positions),
        }
    }
}

impl Filed {
    /// Images of `size` that begin behind so many bytes of a file.
    pub(super) fn new(file: File, path: PathBuf, offset: u64, size: [u64; 4]) -> Self {
        Self { file: Arc::new(file), path, offset, size, buffer: Mutex::default() }
    }

    fn share(&self) -> Self {
        let Self { file, path, offset, size, .. } = self;
        Self {
            file: Arc::clone(file),
            path: path.clone(),
            offset: *offset,
            size: *size,
            buffer: Mutex::default(),
        }
    }

    /// Bytes of one image.
    fn image(&self) -> u64 {
        self.size[1..].iter().product()
    }

    fn read(&self, positions: &[i64]) -> Result<Tensor, EngineError> {
        let image = usize::try_from(self.image()).unwrap_or(usize::MAX);
        let outside = |at: &&i64| u64::try_from(**at).map_or(true, |at| at >= self.size[0]);
        if let Some(at) = positions.iter().find(outside) {
            return Err(EngineError::Bug(format!("there is no image {at} of {}", self.size[0])));
        }
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.resize(positions.len() * image, 0);
        let mut rest = &mut buffer[..];
        // Neighbours are read in one piece.
        for group in positions.chunk_by(|a, b| a + 1 == *b) {
            let (piece, behind) = rest.split_at_mut(group.len() * image);
            rest = behind;
            let first = group.first().map_or(0, |at| at.unsigned_abs());
            let from = self.offset + first * self.image();
            self.file.read_exact_at(piece, from).at(&self.path)?;
        }
        let mut size = self.size.map(u64::cast_signed);
        size[0] = i64::try_from(positions.len()).unwrap_or(0);
        Ok(Tensor::f_from_data_size(&buffer, &size, Kind::Uint8)?)
    }

    fn load(&self, device: Device) -> Result<Tensor, EngineError> {
        let size = self.size.map(u64::cast_signed);
        let whole = Tensor::f_empty(size, (Kind::Uint8, device))?;
        let step = i64::try_from((AT_ONCE / self.image().max(1)).max(1)).unwrap_or(1);
        for first in (0..size[0]).step_by(usize::try_from(step).unwrap_or(1)) {
            let count = step.min(size[0] - first);
            let piece = self.read(&(first..first + count).collect::<Vec<_>>())?;
            whole.f_narrow(0, first, count)?.f_copy_(&piece)?;
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three bytes before seven images of four bytes.
    fn filed() -> (tempfile::NamedTempFile, Filed) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), (0..31).collect::<Vec<u8>>()).unwrap();
        let opened = File::open(file.path()).unwrap();
        let filed = Filed::new(opened, file.path().to_owned(), 3, [7, 1, 2, 2]);
        (file, filed)
    }

    fn bytes(pixels: &Tensor) -> Vec<u8> {
        Vec::try_from(&pixels.reshape([-1])).unwrap()
    }

    #[test]
    fn any_images_are_read_in_any_order() {
        let (_file, filed) = filed();
        let whole = Pixels::Filed(filed.share()).load(Device::Cpu).unwrap();
        let filed = Pixels::Filed(filed);
        assert_eq!((filed.bytes(), whole.bytes()), (28, 28));
        for positions in [&[0, 1, 2, 3, 4, 5, 6][..], &[6, 0], &[4, 5, 2, 2, 3], &[3]] {
            let found = filed.select(positions).unwrap();
            assert_eq!(found.size(), [positions.len() as i64, 1, 2, 2]);
            assert_eq!(found, whole.select(positions).unwrap());
            let expected = positions.iter().flat_map(|at| {
                let first = u8::try_from(3 + 4 * at).unwrap();
                first..first + 4
            });
            assert_eq!(bytes(&found), expected.collect::<Vec<u8>>());
        }
    }

    #[test]
    fn what_is_not_there_is_an_error_also_if_the_file_was_cut_meanwhile() {
        let (file, filed) = filed();
        for outside in [-1, 7] {
            let error = filed.read(&[0, outside]).unwrap_err().to_string();
            assert!(error.contains(&format!("there is no image {outside} of 7")), "{error}");
        }
        file.as_file().set_len(20).unwrap();
        assert!(filed.read(&[3]).is_ok());
        assert!(matches!(filed.read(&[3, 4]), Err(EngineError::Io { .. })));
    }
}
