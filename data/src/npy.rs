//! NumPy's array files (`.npy`, format 1.0 to 3.0): their headers.

use std::io::{self, Read};

/// What begins every such file.
pub const MAGIC: [u8; 6] = *b"\x93NUMPY";
/// Bytes of the headers that we write: numbers after them are aligned.
pub const HEADER: usize = 128;
/// Most bytes of a header that are read.
const MOST_HEADER: usize = 1 << 16;
/// Most dimensions of an array that is read.
const MOST_DIMENSIONS: usize = 8;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Type of the numbers as NumPy writes it: `|u1`, `<i8`.
    pub descr: String,
    /// Whether the first index runs fastest.
    pub fortran_order: bool,
    /// Sizes of the dimensions.
    pub shape: Vec<u64>,
    /// Bytes before the numbers.
    pub offset: u64,
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// - the file ends early, or begins with something else.
    pub fn read(file: &mut impl Read) -> io::Result<Self> {
        let mut start = [0; 8];
        file.read_exact(&mut start)?;
        if start[..6] != MAGIC {
            return Err(wrong("it is no NumPy array"));
        }
        let (length, before) = if start[6] == 1 {
            let mut size = [0; 2];
            file.read_exact(&mut size)?;
            (usize::from(u16::from_le_bytes(size)), 10)
        } else {
            let mut size = [0; 4];
            file.read_exact(&mut size)?;
            (usize::try_from(u32::from_le_bytes(size)).unwrap_or(usize::MAX), 12)
        };
        if length > MOST_HEADER {
            return Err(wrong("the header of the NumPy array is too long"));
        }
        let mut text = vec![0; length];
        file.read_exact(&mut text)?;
        let text = String::from_utf8(text).map_err(|_| wrong("its header is no text"))?;
        let offset = (before + length) as u64;
        Self::parse(&text, offset).ok_or_else(|| wrong("its header cannot be understood"))
    }

    /// The header is a Python dictionary of three entries.
    fn parse(text: &str, offset: u64) -> Option<Self> {
        let after = |key: &str| {
            let at = text.find(&format!("'{key}'"))? + key.len() + 2;
            text[at..].trim_start().strip_prefix(':').map(str::trim_start)
        };
        let descr = after("descr")?.strip_prefix('\'')?.split_once('\'')?.0.to_owned();
        let fortran_order = match after("fortran_order")? {
            rest if rest.starts_with("True") => true,
            rest if rest.starts_with("False") => false,
            _ => return None,
        };
        let shape = after("shape")?.strip_prefix('(')?.split_once(')')?.0;
        let sizes = shape.split(',').map(str::trim).filter(|size| !size.is_empty());
        let shape: Vec<u64> = sizes.map(|size| size.parse().ok()).collect::<Option<_>>()?;
        (shape.len() <= MOST_DIMENSIONS).then_some(Self { descr, fortran_order, shape, offset })
    }

    /// Numbers in all, if that is a number.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        self.shape.iter().try_fold(1_u64, |all, size| all.checked_mul(*size))
    }
}

/// A header of [`HEADER`] bytes for numbers of a type, the last index fastest.
#[must_use]
pub fn header(descr: &str, shape: &[u64]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}");
    let length = HEADER - 10;
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend(u16::try_from(length).unwrap_or(0).to_le_bytes());
    bytes.extend(text.bytes());
    bytes.resize(HEADER - 1, b' ');
    bytes.push(b'\n');
    bytes
}

fn wrong(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn what_is_written_is_read() {
        for shape in [vec![], vec![7], vec![u64::MAX, 3, 1, 224]] {
            let bytes = header("|u1", &shape);
            assert_eq!(bytes.len(), HEADER);
            let read = Header::read(&mut bytes.as_slice()).unwrap();
            let offset = HEADER as u64;
            assert_eq!(read, Header { descr: "|u1".into(), fortran_order: false, shape, offset });
        }
    }

    /// As NumPy 2.1 writes `numpy.zeros((2, 3), "<i8", order="F")`.
    #[test]
    fn what_numpy_writes_is_read() {
        let text = "{'descr': '<i8', 'fortran_order': True, 'shape': (2, 3), }";
        let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        bytes.extend(format!("{text:<117}\n").bytes());
        let read = Header::read(&mut bytes.as_slice()).unwrap();
        assert_eq!((read.descr.as_str(), read.fortran_order, read.offset), ("<i8", true, 128));
        assert_eq!((read.count(), read.shape), (Some(6), vec![2, 3]));
    }

    #[rstest]
    #[case::empty(b"")]
    #[case::another(b"PK\x03\x04............")]
    #[case::cut(b"\x93NUMPY\x01\x00\x76\x00{'descr'")]
    #[case::long(b"\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF{'descr'")]
    #[case::python(b"\x93NUMPY\x01\x00\x0C\x00{'descr': []}")]
    fn nothing_else_is(#[case] bytes: &[u8]) {
        assert!(Header::read(&mut &bytes[..]).is_err());
    }

    #[test]
    fn sizes_that_overflow_have_no_count() {
        let bytes = header("|u1", &[u64::MAX, 2]);
        assert_eq!(Header::read(&mut bytes.as_slice()).unwrap().count(), None);
    }
}
