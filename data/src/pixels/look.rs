//! What a picture's first bytes tell, and its decoding, which never takes more memory than allowed.

use std::fmt;
use std::io::Cursor;

use image::error::ImageError;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::limits::said;

/// Most pixels from one side to the other.
const MOST_SIDE: u32 = 16_384;
/// Most bytes of an image once it is decoded: 64 million pixels of three colours.
const MOST_BYTES: u64 = 192 << 20;

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes are of no format that is read.
    #[error("this is no PNG, JPEG, WebP, GIF or BMP image (nor TIFF or PNM)")]
    Format,
    /// More pixels than are decoded.
    #[error(
        "the image is too large: {width}×{height} pixels; send one of at most {} million",
        MOST_BYTES / 3_000_000
    )]
    Size {
        /// Pixels from left to right.
        width: u32,
        /// Pixels from top to bottom.
        height: u32,
    },
    /// More bytes than are read.
    #[error("the file has {}, more than an image needs", said(*.0))]
    File(u64),
    /// No pixels at all.
    #[error("the image has no pixels")]
    Empty,
    /// The file ends before the picture does.
    #[error("the image cannot be read: the file is cut off")]
    CutOff,
    /// The decoder gave up.
    #[error("the image cannot be read: {0}")]
    Damaged(String),
}

/// What a picture's header tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Pixels from left to right, upright.
    pub width: u32,
    /// Pixels from top to bottom, upright.
    pub height: u32,
    /// Whether it has no colours.
    pub grey: bool,
    /// How pixels are stored, in words: `RGB, 8 bit`.
    pub mode: String,
}

/// Reads the header only.
///
/// # Errors
/// - [`Fault`]
pub fn look(file: &[u8]) -> Result<Seen, Fault> {
    let (mut decoder, format) = open(file)?;
    let (width, height) = decoder.dimensions();
    let turned = turns(decoder.orientation().unwrap_or(Orientation::NoTransforms));
    let (width, height) = if turned { (height, width) } else { (width, height) };
    let grey = !decoder.color_type().has_color();
    let mode = Mode { file, format, stored: decoder.original_color_type() }.to_string();
    Ok(Seen { width, height, grey, mode })
}

/// Does something with a file that a stranger has chosen; should a decoder panic at it, that is the
/// file's fault.
///
/// # Errors
/// - what `work` tells, or [`Fault::Damaged`].
pub fn guarded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    // What is unwound through is dropped with the file.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Fault::Damaged("the decoder gave up".to_owned())))
}

/// Decodes a picture; which way it is to be turned is told beside it.
pub(super) fn decode(file: &[u8]) -> Result<(DynamicImage, Orientation), Fault> {
    let (mut decoder, format) = open(file)?;
    if format == ImageFormat::Jpeg && !ends(file) {
        return Err(Fault::CutOff);
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((DynamicImage::from_decoder(decoder).map_err(|error| plain(&error))?, orientation))
}

/// Sizes are looked at before anything is decoded: a small file may claim a huge image.
fn open(file: &[u8]) -> Result<(impl ImageDecoder + '_, ImageFormat), Fault> {
    let reader = ImageReader::new(Cursor::new(file)).with_guessed_format();
    let mut reader = reader.map_err(|error| Fault::Damaged(error.to_string()))?;
    let format = reader.format().ok_or(Fault::Format)?;
    // Only what the header itself takes, so that its sides are known when they are refused.
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(2 * MOST_BYTES);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(|error| plain(&error))?;
    let (width, height) = decoder.dimensions();
    if width.max(height) > MOST_SIDE || decoder.total_bytes() > MOST_BYTES {
        return Err(Fault::Size { width, height });
    }
    (limits.max_image_width, limits.max_image_height) = (Some(MOST_SIDE), Some(MOST_SIDE));
    decoder.set_limits(limits).map_err(|error| plain(&error))?;
    if width == 0 || height == 0 {
        return Err(Fault::Empty);
    }
    Ok((decoder, format))
}

fn plain(error: &ImageError) -> Fault {
    match error {
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Fault::CutOff
        }
        error => Fault::Damaged(error.to_string()),
    }
}

/// Whether a JPEG's pixels are followed by the marker of its end. The decoder fills in grey where
/// it is missing.
fn ends(file: &[u8]) -> bool {
    const START_OF_SCAN: [u8; 2] = [0xFF, 0xDA];
    const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];
    let mut at = 2;
    // Segments are skipped by their lengths: a thumbnail in one of them has an end of its own.
    while let Some([0xFF, marker, high, low]) = file.get(at..at + 4) {
        if [0xFF, *marker] == START_OF_SCAN {
            break;
        }
        at += match marker {
            // Fill bytes, and markers that stand alone.
            0xFF => 1,
            0x01 | 0xD0..=0xD8 => 2,
            _ => 2 + usize::from(u16::from_be_bytes([*high, *low])),
        };
    }
    let pixels = file.get(at..).unwrap_or_default();
    pixels.windows(2).rev().any(|pair| pair == END_OF_IMAGE)
}

/// Whether a camera that was held like that swaps the sides.
pub(super) fn turns(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// How pixels are stored.
struct Mode<'a> {
    file: &'a [u8],
    format: ImageFormat,
    stored: ExtendedColorType,
}

impl Mode<'_> {
    /// The decoders expand a palette, and turn CMYK into RGB, without a word.
    fn hidden(&self) -> Option<&'static str> {
        match self.format {
            ImageFormat::Png if self.file.get(25) == Some(&3) => Some("palette"),
            ImageFormat::Gif => Some("palette"),
            ImageFormat::Jpeg if components(self.file) == Some(4) => Some("CMYK"),
            _ => None,
        }
    }
}

impl fmt::Display for Mode<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(hidden) = self.hidden() {
            return out.write_str(hidden);
        }
        let name = match self.stored.channel_count() {
            1 => "grey",
            2 => "grey with alpha",
            3 => "RGB",
            _ if self.stored == ExtendedColorType::Cmyk8 => "CMYK",
            _ => "RGB with alpha",
        };
        let bits = self.stored.bits_per_pixel() / u16::from(self.stored.channel_count().max(1));
        write!(out, "{name}, {bits} bit")
    }
}

/// Components that a JPEG's frame has.
fn components(file: &[u8]) -> Option<u8> {
    let mut at = 2;
    while let Some([0xFF, marker, high, low]) = file.get(at..at + 4) {
        match marker {
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                return file.get(at + 9).copied();
            }
            0xFF => at += 1,
            0x01 | 0xD0..=0xD8 => at += 2,
            0xDA => return None,
            _ => at += 2 + usize::from(u16::from_be_bytes([*high, *low])),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_a_decoder_is_a_fault_of_the_file() {
        let fault = guarded::<()>(|| panic!("as a decoder may"));
        let said = fault.unwrap_err().to_string();
        assert_eq!(said, "the image cannot be read: the decoder gave up");
        assert_eq!(guarded(|| Ok(3)), Ok(3));
    }
}
