//! Bytes as text: UTF-8, with or without a byte order mark at its start.

/// A byte order mark, which some editors put before a text. It is no part of it.
pub const MARK: char = '\u{FEFF}';
/// Bytes at the start of a text that tell UTF-16.
const HEAD: usize = 64;

/// Why bytes are no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoText {
    /// They are UTF-16, as some editors save "Unicode".
    #[error("it is UTF-16; save it as UTF-8")]
    Utf16,
    /// They are something else.
    #[error("it is no UTF-8 text (byte {0}); save it as UTF-8")]
    Other(usize),
}

/// The text of some bytes, without the mark.
///
/// # Errors
/// - [`NoText`].
pub fn decode(bytes: &[u8]) -> Result<&str, NoText> {
    // UTF-16 of English is also UTF-8, with zeros in it.
    if is_utf16(bytes) {
        return Err(NoText::Utf16);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| NoText::Other(error.valid_up_to()))?;
    Ok(text.strip_prefix(MARK).unwrap_or(text))
}

/// Whether some bytes begin as a text in UTF-16 does.
#[must_use]
pub fn is_utf16(bytes: &[u8]) -> bool {
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return true;
    }
    let head = &bytes[..bytes.len().min(HEAD) / 2 * 2];
    let zeros = |at: usize| head.iter().skip(at).step_by(2).filter(|byte| **byte == 0).count();
    let half = head.len() / 2;
    half >= 2
        && matches!((zeros(0), zeros(1)), (a, b) if (a, b) == (0, half) || (a, b) == (half, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, swapped: bool) -> Vec<u8> {
        let pairs = text.encode_utf16();
        pairs.flat_map(|p| if swapped { p.to_be_bytes() } else { p.to_le_bytes() }).collect()
    }

    #[test]
    fn a_mark_is_no_part_of_the_text() {
        assert_eq!(decode("\u{FEFF}größe".as_bytes()), Ok("größe"));
        assert_eq!(decode("a\u{FEFF}b".as_bytes()), Ok("a\u{FEFF}b"));
        assert_eq!(decode(b""), Ok(""));
    }

    #[test]
    fn utf_16_is_told_with_and_without_a_mark() {
        for swapped in [false, true] {
            for text in ["\u{FEFF}{\"seed\": 1}", "seed = 1\n", "\u{FEFF}größe"] {
                assert_eq!(decode(&utf16(text, swapped)), Err(NoText::Utf16), "{text}");
            }
        }
        assert_eq!(decode(b"a\xFFb"), Err(NoText::Other(1)));
        assert_eq!(decode(b"a\0"), Ok("a\0"), "one pair tells nothing");
        assert!(NoText::Utf16.to_string().contains("save it as UTF-8"));
    }
}
