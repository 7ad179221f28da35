//! Architectures as people and other programs write them.
//!
//! A text is read by a small grammar (`notation/`): what stands before the architecture
//! (`heading.rs`), values as Python and JSON write them (`literal.rs`), and their meaning: operations
//! on the edges of cells (`cells.rs`), a cell of NAS-Bench-201 (`strings.rs`), one option a choice
//! (`options.rs`). What is not understood is an error that names the place; nothing is dropped.

mod cells;
mod genotype;
mod heading;
mod literal;
mod options;
mod strings;

pub(crate) use cells::option;

use crate::choice::{Architecture, ArchitectureError};
use crate::graph::Graph;
use literal::{Fault, Node, Reader, Value};

/// Signs of a text that a message repeats.
const REPEATED: usize = 80;
/// Texts within texts that are read.
const DEEPEST: usize = 4;

/// What was read, and what a person should know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The architecture.
    pub architecture: Architecture,
    /// What bare numbers were taken for, since other programs number in other ways.
    pub warning: Option<String>,
}

impl From<Architecture> for Reading {
    fn from(architecture: Architecture) -> Self {
        Self { architecture, warning: None }
    }
}

/// Reads an architecture of a space, in any of these forms:
///
/// - our text form, as in `toy-cell|normal=sep3,…`;
/// - `architecture.json` of a result package, or a list of options by name or number;
/// - a genotype of DARTS (arXiv:1806.09055), `Genotype(normal=[('sep_conv_3x3', 0), …], …)`, with
///   lists or tuples, grouped by node or not, with weights or without;
/// - a cell of NAS-Bench-201 (arXiv:2001.00326), `|nor_conv_3x3~0|+|…|`, or as lists of tuples.
///
/// Before it may stand a name and `=`, or what a log writes at the beginning of a line.
///
/// # Errors
/// - [`ArchitectureError`] says what cannot be read, and where, or what does not belong to the
///   space.
pub fn read(given: &str, preset: &str, graph: &Graph) -> Result<Reading, ArchitectureError> {
    Space { preset, graph }.read(given, 0)
}

/// The space that an architecture must belong to.
#[derive(Clone, Copy)]
struct Space<'a> {
    preset: &'a str,
    graph: &'a Graph,
}

impl Space<'_> {
    fn read(&self, given: &str, depth: usize) -> Result<Reading, ArchitectureError> {
        if depth > DEEPEST {
            return Err(unread(given, "it is a text within a text within a text"));
        }
        let start = heading::start(given, self.preset);
        let rest = given.get(start..).unwrap_or_default().trim();
        let ours = rest.strip_prefix(self.preset).is_some_and(|rest| rest.starts_with('|'));
        let mut reader = Reader::at(given, start);
        let place = |fault: Fault| fault.within(given);
        match rest.chars().next() {
            _ if ours => self.text(rest),
            Some('|') => self.strings(&mut reader).map(Reading::from).map_err(place),
            Some('[' | '(' | '{' | '\'' | '"') => {
                let node = reader.value().and_then(|node| reader.end().map(|()| node));
                self.value(given, &node.map_err(place)?, depth)
            }
            _ if strings::is_structure(rest) => {
                self.structure(&mut reader).map(Reading::from).map_err(place)
            }
            _ if literal::is_call(rest) => {
                let node = reader.value().and_then(|node| reader.end().map(|()| node));
                self.value(given, &node.map_err(place)?, depth)
            }
            _ if rest.contains('|') && rest.contains('~') => {
                self.strings(&mut reader).map(Reading::from).map_err(place)
            }
            _ if rest.contains(['[', '(', '{', '\'', '"']) => {
                let expected = format!(
                    "expected `{}|…`, `Genotype(…)`, a cell `|op~0|+…|` or a list of options",
                    self.preset
                );
                Err(place(reader.fault(expected)))
            }
            _ => self.text(rest),
        }
    }

    fn text(&self, text: &str) -> Result<Reading, ArchitectureError> {
        Architecture::parse(text, self.preset, &self.graph.choices).map(Reading::from)
    }

    fn value(
        &self,
        given: &str,
        node: &Node<'_>,
        depth: usize,
    ) -> Result<Reading, ArchitectureError> {
        let place = |fault: Fault| fault.within(given);
        match &node.value {
            Value::Text(text) => self.read(text, depth + 1),
            Value::Call { name, arguments } if heading::last_part(name) == "Genotype" => {
                self.genotype(node.at, arguments).map(Reading::from).map_err(place)
            }
            Value::Object(entries) => self.object(given, node, entries, depth),
            Value::List(items) => self.list(given, node, items, depth),
            _ => Err(place(node.fault("expected `Genotype(…)`, a list, or a text in quotes"))),
        }
    }

    fn object(
        &self,
        given: &str,
        node: &Node<'_>,
        entries: &[(Node<'_>, Node<'_>)],
        depth: usize,
    ) -> Result<Reading, ArchitectureError> {
        let place = |fault: Fault| fault.within(given);
        let of = |name: &str| entries.iter().find(|(key, _)| key.text() == Some(name));
        if of("normal").is_some() || of("reduce").is_some() {
            let arguments = genotype::arguments(entries).map_err(place)?;
            return self.genotype(node.at, &arguments).map(Reading::from).map_err(place);
        }
        let listed = match of("choices") {
            Some((_, Node { value: Value::List(options), .. })) => Some(self.options(options)?),
            Some((_, other)) => return Err(place(other.fault("expected a list of options"))),
            None => None,
        };
        let text = match of("text") {
            Some((_, Node { value: Value::Text(text), .. })) => Some(self.read(text, depth + 1)?),
            Some((_, other)) => return Err(place(other.fault("expected a text in quotes"))),
            None => None,
        };
        match (text, listed) {
            (Some(text), Some(listed)) if text.architecture != listed.architecture => {
                Err(place(node.fault("`text` and `choices` are different architectures")))
            }
            (Some(read), _) | (None, Some(read)) => Ok(read),
            (None, None) => Err(place(node.fault(
                "expected `text`, `choices` with an option each, or the cells `normal` and `reduce`",
            ))),
        }
    }

    fn list(
        &self,
        given: &str,
        node: &Node<'_>,
        items: &[Node<'_>],
        depth: usize,
    ) -> Result<Reading, ArchitectureError> {
        let place = |fault: Fault| fault.within(given);
        let texts: Vec<&str> = items.iter().filter_map(Node::text).collect();
        let all_texts = texts.len() == items.len();
        match texts[..] {
            // One node of a NAS-Bench-201 cell a text, or the whole cell in one.
            [first, ..] if all_texts && first.trim_start().starts_with('|') => {
                return self.read(&texts.join("+"), depth + 1);
            }
            [only] if all_texts && self.graph.choices.len() != 1 && !literal::is_word(only) => {
                return self.read(only, depth + 1);
            }
            _ => {}
        }
        if items.iter().all(|item| !matches!(item.value, Value::List(_))) {
            return self.options(items);
        }
        self.groups(node, items).map(Reading::from).map_err(place)
    }
}

/// A text that is no architecture, with the reason.
fn unread(text: &str, reason: &str) -> ArchitectureError {
    ArchitectureError::Text { text: short(text), reason: reason.to_owned() }
}

/// The beginning of a text, for a message.
fn short(text: &str) -> String {
    let mut short: String = text.chars().take(REPEATED).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests;
