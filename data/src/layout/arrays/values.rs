//! Numbers of arrays, and the one rule by which they become bytes.

use std::io::{BufReader, Read as _};

use super::Array;
use crate::gather::Gathered;
use crate::layout::Number;
use crate::refusal::Refusal;
use crate::spool::Place;

/// Numbers that are read at once.
const AT_ONCE: usize = 1 << 13;

/// How a number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Type {
    /// `u`, `i`, `f` or `b`, as NumPy calls them.
    letter: u8,
    bytes: u8,
    /// Whether the first byte counts most.
    big: bool,
}

impl Type {
    /// Reads what NumPy writes: `<f4`, `|u1`.
    pub(super) fn of(descr: &str) -> Option<Self> {
        let [order @ (b'<' | b'>' | b'|' | b'='), letter, digit] = *descr.as_bytes() else {
            return None;
        };
        let bytes = digit.checked_sub(b'0')?;
        let known = match letter {
            b'u' | b'i' => matches!(bytes, 1 | 2 | 4 | 8),
            b'f' => matches!(bytes, 4 | 8),
            b'b' => bytes == 1,
            _ => false,
        };
        known.then_some(Self { letter, bytes, big: order == b'>' })
    }

    /// Bytes of a number.
    pub(crate) fn width(self) -> u64 {
        self.bytes.into()
    }

    /// How its numbers become bytes.
    pub(super) fn number(self, unit: bool) -> Number {
        if self.letter == b'u' && self.bytes == 1 {
            Number::Byte
        } else {
            Number::Other { kind: self, scale: if unit { 255.0 } else { 1.0 } }
        }
    }

    /// The bytes of numbers: multiplied, rounded.
    pub(crate) fn bytes(self, numbers: &[u8], scale: f64) -> Vec<u8> {
        let chunks = numbers.chunks_exact(self.bytes.into());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
        chunks.map(|number| (self.value(number) * scale).round().clamp(0.0, 255.0) as u8).collect()
    }

    /// Whole numbers; `None` for another type, or one that is too large.
    pub(super) fn whole(self, numbers: &[u8]) -> Option<Vec<i64>> {
        let chunks = numbers.chunks_exact(self.bytes.into());
        chunks.map(|number| i64::try_from(self.integer(number)?).ok()).collect()
    }

    fn integer(self, number: &[u8]) -> Option<i128> {
        let mut wide = [0; 8];
        for (place, byte) in wide.iter_mut().zip(self.little(number)) {
            *place = byte;
        }
        let bits = u64::from_le_bytes(wide);
        match self.letter {
            b'u' | b'b' => Some(bits.into()),
            b'i' => {
                let unused = 64 - 8 * u32::from(self.bytes);
                Some(((bits << unused).cast_signed() >> unused).into())
            }
            _ => None,
        }
    }

    /// Its bytes, the one that counts least first.
    fn little(self, number: &[u8]) -> impl Iterator<Item = u8> {
        let last = number.len().saturating_sub(1);
        (0..number.len())
            .filter_map(move |at| number.get(if self.big { last - at } else { at }).copied())
    }

    #[expect(clippy::cast_precision_loss, reason = "what is above 255 is refused anyhow")]
    fn value(self, number: &[u8]) -> f64 {
        if let Some(whole) = self.integer(number) {
            return whole as f64;
        }
        let (mut four, mut eight) = ([0; 4], [0; 8]);
        for (at, byte) in self.little(number).enumerate() {
            if let Some(place) = four.get_mut(at) {
                *place = byte;
            }
            if let Some(place) = eight.get_mut(at) {
                *place = byte;
            }
        }
        if self.bytes == 4 { f32::from_le_bytes(four).into() } else { f64::from_le_bytes(eight) }
    }
}

/// Whether all values lie within 0 to 1; so they are multiplied.
///
/// # Errors
/// - [`Refusal::Content`] if a value is below 0, above 255 or no number.
pub(super) fn is_unit<'a>(
    gathered: &Gathered,
    arrays: impl Iterator<Item = &'a Array<'a>>,
) -> Result<bool, Refusal> {
    let mut largest = 0.0_f64;
    for array in arrays.filter(|array| array.kind.number(false) != Number::Byte) {
        let width = usize::from(array.kind.bytes);
        let offset = array.item.place.offset + array.header.offset;
        let place = Place { offset, length: array.item.place.length - array.header.offset };
        let mut numbers = BufReader::new(gathered.spool.open(place)?);
        let mut chunk = Vec::new();
        loop {
            chunk.clear();
            (&mut numbers)
                .take((AT_ONCE * width) as u64)
                .read_to_end(&mut chunk)
                .map_err(Refusal::io("reading the scratch file"))?;
            if chunk.is_empty() {
                break;
            }
            for value in chunk.chunks_exact(width).map(|number| array.kind.value(number)) {
                if !(0.0..=255.0).contains(&value) {
                    let reason = format!(
                        "holds the value {value}; pixels are 0 to 255, or fractions of 0 to 1"
                    );
                    return Err(Refusal::content(&array.name, reason));
                }
                largest = largest.max(value);
            }
        }
    }
    Ok(largest <= 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_types_are_read() {
        let whole = |descr: &str, bytes: &[u8]| Type::of(descr).unwrap().whole(bytes);
        assert_eq!(whole("|u1", &[0, 255]), Some(vec![0, 255]));
        assert_eq!(whole("|i1", &[0, 255]), Some(vec![0, -1]));
        assert_eq!(whole("<i2", &[1, 2, 255, 255]), Some(vec![513, -1]));
        assert_eq!(whole(">i4", &[0, 0, 1, 2]), Some(vec![258]));
        assert_eq!(whole("<u8", &[255; 8]), None);
        assert_eq!(whole("<f4", &[0; 4]), None);
        let bytes = |descr: &str, bytes: &[u8], scale| Type::of(descr).unwrap().bytes(bytes, scale);
        assert_eq!(bytes("<f4", &0.5_f32.to_le_bytes(), 255.0), [128]);
        assert_eq!(bytes(">f8", &200.4_f64.to_be_bytes(), 1.0), [200]);
        assert_eq!(bytes("|b1", &[0, 1], 255.0), [0, 255]);
        for descr in ["|O", "<f2", "<c8", "|S3", "<U10", "u1", "<u3", "|O8"] {
            assert_eq!(Type::of(descr), None, "{descr}");
        }
    }
}
