//! What of a text is not taken as it is: a byte order mark at its start, and line ends of other
//! systems, which would become tokens that nobody sees and that a network writes again.

use skein_core::encoding::MARK;

/// How much was cleaned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Cleaned {
    marks: u64,
    line_ends: u64,
}

impl Cleaned {
    /// Together with another.
    pub(super) fn and(self, other: Self) -> Self {
        Self { marks: self.marks + other.marks, line_ends: self.line_ends + other.line_ends }
    }

    /// In words; `None` if all is as it was.
    pub(super) fn said(self) -> Option<String> {
        let marks = match self.marks {
            0 => None,
            1 => Some("a byte order mark at the start was dropped".to_owned()),
            marks => Some(format!("{marks} byte order marks at the start were dropped")),
        };
        let ends = match self.line_ends {
            0 => None,
            1 => Some("1 line end of another kind was made `\\n`".to_owned()),
            ends => Some(format!("{ends} line ends of another kind were made `\\n`")),
        };
        let said: Vec<String> = marks.into_iter().chain(ends).collect();
        (!said.is_empty()).then(|| said.join(", and "))
    }

    /// Cleans a piece that ends with no half line end.
    pub(super) fn clean(&mut self, piece: String, first: bool) -> String {
        let marked = first && piece.starts_with(MARK);
        self.marks += u64::from(marked);
        let piece = if marked { piece[MARK.len_utf8()..].to_owned() } else { piece };
        if !piece.contains('\r') {
            return piece;
        }
        self.line_ends += piece.matches('\r').count() as u64;
        lines(&piece)
    }
}

/// A text whose line ends are `\n`.
pub fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_of_all_systems_become_one() {
        let mut cleaned = Cleaned::default();
        assert_eq!(cleaned.clean("\u{FEFF}a\r\nb\rc\n".to_owned(), true), "a\nb\nc\n");
        assert_eq!(cleaned, Cleaned { marks: 1, line_ends: 2 });
        assert_eq!(cleaned.clean("\u{FEFF}d\n".to_owned(), false), "\u{FEFF}d\n");
        assert_eq!(cleaned, Cleaned { marks: 1, line_ends: 2 });
        assert_eq!(Cleaned::default().said(), None);
    }
}
