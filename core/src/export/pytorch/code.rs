//! Python text in which every number is known, so that texts that differ in numbers only can
//! become one with arguments.

use std::fmt::Display;

/// A piece of Python.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::export) struct Code(pub(super) Vec<Piece>);

/// A part of a piece of Python.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// Text that is the same wherever a class is used.
    Text(String),
    /// A number that may differ.
    Number(Number),
}

/// A number and what it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Number {
    /// What it would be called as an argument.
    pub(super) label: String,
    /// Itself.
    pub(super) value: String,
}

impl Code {
    pub(in crate::export) fn text(text: impl Into<String>) -> Self {
        Self(vec![Piece::Text(text.into())])
    }

    pub(in crate::export) fn number(label: &str, value: impl Display) -> Self {
        let (label, value) = (label.to_owned(), value.to_string());
        Self(vec![Piece::Number(Number { label, value })])
    }

    /// A named argument.
    pub(in crate::export) fn keyword(name: &str, value: impl Display) -> Self {
        Self::text(format!("{name}=")).then(Self::number(name, value))
    }

    pub(in crate::export) fn then(mut self, next: Self) -> Self {
        self.0.extend(next.0);
        self
    }

    pub(in crate::export) fn call(
        function: &str,
        arguments: impl IntoIterator<Item = Self>,
    ) -> Self {
        let mut code = Self::text(format!("{function}("));
        for (at, argument) in arguments.into_iter().enumerate() {
            if at > 0 {
                code = code.then(Self::text(", "));
            }
            code = code.then(argument);
        }
        code.then(Self::text(")"))
    }

    /// What a layer reads and writes; one label for both if they are the same.
    pub(in crate::export) fn widths(read: (&str, i64), written: (&str, i64)) -> [Self; 2] {
        if read.1 == written.1 {
            let label = family(read.0);
            return [Self::number(label, read.1), Self::number(label, written.1)];
        }
        [Self::number(read.0, read.1), Self::number(written.0, written.1)]
    }

    /// A fully connected layer.
    pub(in crate::export) fn linear(class: &str, (read, written): (i64, i64), bias: bool) -> Self {
        let widths = Self::widths(("in_features", read), ("out_features", written));
        let unbiased = (!bias).then(|| Self::text("bias=False"));
        Self::call(class, widths.into_iter().chain(unbiased))
    }

    /// The text with a place for every number, `None` where it has none.
    pub(super) fn skeleton<'a>(&'a self) -> Vec<Option<&'a str>> {
        let text = |piece: &'a Piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Number(_) => None,
        };
        self.0.iter().map(text).collect()
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = &Number> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Number(number) => Some(number),
        })
    }

    /// The text; `said` gives what stands for the next number.
    pub(super) fn write(&self, mut said: impl FnMut(&Number) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Number(number) => said(number),
        };
        self.0.iter().map(piece).collect()
    }
}

/// What numbers must have in common to be one argument: `in_channels` and `channels` may be.
pub(super) fn family(label: &str) -> &str {
    label.rsplit('_').next().unwrap_or(label)
}

/// Longest line.
const WIDTH: usize = 100;

/// A statement, indented. If it does not fit into a line, what stands in its last brackets comes on
/// lines of its own.
pub(super) fn statement(indent: usize, text: &str) -> String {
    let pad = " ".repeat(indent);
    let one = format!("{pad}{text}\n");
    let Some((open, close)) = brackets(text) else { return one };
    if one.trim_end().chars().count() <= WIDTH {
        return one;
    }
    let (head, inner, tail) = (&text[..=open], &text[open + 1..close], &text[close..]);
    let all = format!("{pad}    {inner}\n");
    let parts = arguments(inner);
    let inner = if all.trim_end().chars().count() <= WIDTH && !inner.is_empty() {
        all
    } else {
        parts.iter().map(|part| statement(indent + 4, &format!("{part},"))).collect()
    };
    format!("{pad}{head}\n{inner}{pad}{tail}\n")
}

/// The last brackets that are in no others.
fn brackets(text: &str) -> Option<(usize, usize)> {
    let close = text.rfind([')', ']', '}'])?;
    let mut depth = 0;
    let mut back = text[..=close].char_indices().rev();
    let open = back.find(|(_, letter)| {
        match letter {
            ')' | ']' | '}' => depth += 1,
            '(' | '[' | '{' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    open.map(|(open, _)| (open, close))
}

/// Cuts a list of arguments at its own commas.
fn arguments(inner: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, letter) in inner.char_indices() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(inner[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(inner[start..].trim());
    found
}
