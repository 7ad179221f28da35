//! Names of files in a source: bytes that somebody else chose.
//!
//! A name never becomes a path on the disk. It is checked once, kept as it came, and shown with
//! everything escaped that could disguise it.

use std::fmt::Write as _;

/// Most bytes of a name.
pub const MOST_BYTES: usize = 4096;
/// Most bytes between two slashes.
pub const MOST_PART: usize = 255;

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// Nothing is left of it.
    #[error("is an empty name")]
    Empty,
    /// `/etc/passwd`, `C:\x`.
    #[error("is an absolute path")]
    Absolute,
    /// `../x`.
    #[error("leads out of the archive by `..`")]
    Parent,
    /// A zero byte.
    #[error("has a zero byte in it")]
    Zero,
    /// Longer than a file system allows.
    #[error("is longer than {MOST_BYTES} bytes, or has a part longer than {MOST_PART}")]
    Long,
}

/// A checked name: parts between single slashes, none of them empty, `.` or `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// Checks a name as an archive tells it.
    ///
    /// # Errors
    /// - [`NameFault`]
    pub fn parse(raw: &[u8]) -> Result<Self, NameFault> {
        if raw.len() > MOST_BYTES {
            return Err(NameFault::Long);
        }
        if raw.contains(&0) {
            return Err(NameFault::Zero);
        }
        if matches!(raw, [b'/', ..] | [b'\\', ..] | [b'A'..=b'Z' | b'a'..=b'z', b':', b'/' | b'\\', ..])
        {
            return Err(NameFault::Absolute);
        }
        let mut name = Vec::with_capacity(raw.len());
        for part in raw.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => continue,
                b".." => return Err(NameFault::Parent),
                _ if part.len() > MOST_PART => return Err(NameFault::Long),
                _ => {}
            }
            if !name.is_empty() {
                name.push(b'/');
            }
            name.extend(part);
        }
        if name.is_empty() { Err(NameFault::Empty) } else { Ok(Self(name.into())) }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What lies between the slashes.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/')
    }

    /// The last part.
    #[must_use]
    pub fn file(&self) -> &[u8] {
        self.parts().next_back().unwrap_or_default()
    }

    /// What follows the last dot of the last part, in small letters.
    #[must_use]
    pub fn ending(&self) -> String {
        let file = self.file();
        let dot = file.iter().rposition(|byte| *byte == b'.').filter(|at| *at > 0);
        let ending = dot.and_then(|dot| file.get(dot + 1..)).unwrap_or_default();
        String::from_utf8_lossy(ending).to_ascii_lowercase()
    }

    /// Whether it is text.
    #[must_use]
    pub fn is_utf8(&self) -> bool {
        std::str::from_utf8(&self.0).is_ok()
    }

    /// For people; see [`shown`].
    #[must_use]
    pub fn shown(&self) -> String {
        shown(&self.0)
    }

    /// Whether programs left it there, not people: hidden files, and what macOS and Windows add.
    #[must_use]
    pub fn is_clutter(&self) -> bool {
        const CLUTTER: [&[u8]; 4] = [b"__MACOSX", b"thumbs.db", b"desktop.ini", b"__pycache__"];
        self.parts().any(|part| {
            part.starts_with(b".") || CLUTTER.iter().any(|name| part.eq_ignore_ascii_case(name))
        })
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Name({})", self.shown())
    }
}

/// A name for people: bytes that are no UTF-8 as `\xff`; control characters, line ends, marks that
/// turn the direction of writing and characters without a width as `\u{202e}`. All else, quotes and
/// angle brackets among it, stays: whoever puts it on a page escapes it there.
#[must_use]
pub fn shown(name: &[u8]) -> String {
    let mut said = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_hidden(character) {
                said.extend(character.escape_unicode());
            } else {
                said.push(character);
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(said, "\\x{byte:02x}");
        }
    }
    said
}

fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{00AD}'
                | '\u{034F}'
                | '\u{061C}'
                | '\u{115F}'..='\u{1160}'
                | '\u{180E}'
                | '\u{200B}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{3164}'
                | '\u{FEFF}'
                | '\u{FFA0}'
                | '\u{FFF9}'..='\u{FFFB}'
                | '\u{E0000}'..='\u{E007F}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::plain(b"cats/1.png", b"cats/1.png")]
    #[case::dot(b"./cats//1.png", b"cats/1.png")]
    #[case::folder(b"cats/", b"cats")]
    #[case::dots(b"..cats/...", b"..cats/...")]
    #[case::colon(b"C:cats", b"C:cats")]
    #[case::bytes(b"\xff/1.png", b"\xff/1.png")]
    fn a_name_is_brought_to_one_form(#[case] raw: &[u8], #[case] name: &[u8]) {
        assert_eq!(Name::parse(raw).unwrap().bytes(), name);
    }

    #[rstest]
    #[case::empty(b"", NameFault::Empty)]
    #[case::dot(b"./", NameFault::Empty)]
    #[case::absolute(b"/etc/passwd", NameFault::Absolute)]
    #[case::drive(b"C:\\x", NameFault::Absolute)]
    #[case::share(b"\\\\server\\x", NameFault::Absolute)]
    #[case::parent(b"a/../../x", NameFault::Parent)]
    #[case::zero(b"a\0b", NameFault::Zero)]
    #[case::long_part(&[b'a'; 256], NameFault::Long)]
    #[case::long(&[b'/'; 4097], NameFault::Long)]
    fn an_unsafe_name_is_refused(#[case] raw: &[u8], #[case] fault: NameFault) {
        assert_eq!(Name::parse(raw), Err(fault));
    }

    #[test]
    fn names_are_shown_undisguised() {
        assert_eq!(shown("größe 猫 \"<b>'&".as_bytes()), "größe 猫 \"<b>'&");
        assert_eq!(shown("gnp.\u{202e}cat".as_bytes()), "gnp.\\u{202e}cat");
        assert_eq!(shown(b"a\nb\x1b[31m\xff\xfe"), "a\\u{a}b\\u{1b}[31m\\xff\\xfe");
        assert_eq!(shown("a\u{200b}\u{2069}\u{feff}".as_bytes()), "a\\u{200b}\\u{2069}\\u{feff}");
    }

    #[test]
    fn clutter_is_told() {
        for name in ["__MACOSX/cats/._1.png", "cats/.DS_Store", "a/Thumbs.db", ".git/x"] {
            assert!(Name::parse(name.as_bytes()).unwrap().is_clutter(), "{name}");
        }
        assert!(!Name::parse(b"cats/thumbs.png").unwrap().is_clutter());
    }

    #[test]
    fn an_ending_follows_the_last_dot() {
        let ending = |name: &str| Name::parse(name.as_bytes()).unwrap().ending();
        assert_eq!(
            (ending("a.b/c.JPG"), ending("a.b/c"), ending("x.tar.gz")),
            ("jpg".into(), String::new(), "gz".into())
        );
    }
}
