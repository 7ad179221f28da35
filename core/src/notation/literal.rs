//! Values as Python and JSON write them: text, numbers, lists, tuples, objects and calls.

use crate::choice::ArchitectureError;

/// Lists within lists that are read.
const DEEPEST: usize = 16;
/// Signs of what was found that a message repeats.
const FOUND: usize = 24;

/// What cannot be read, and where: bytes from the beginning of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    at: usize,
    reason: String,
}

impl Fault {
    pub(super) fn new(at: usize, reason: impl Into<String>) -> Self {
        Self { at, reason: reason.into() }
    }

    /// The error, with line and column of a text.
    pub(super) fn within(self, text: &str) -> ArchitectureError {
        let before = text.get(..self.at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let rest = text.get(self.at..).unwrap_or_default().lines().next().unwrap_or_default();
        let mut found: String = rest.chars().take(FOUND).collect();
        if found.len() < rest.len() {
            found.push('…');
        }
        ArchitectureError::Place {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            found: if found.is_empty() { "the end".to_owned() } else { format!("`{found}`") },
            reason: self.reason,
        }
    }
}

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node<'a> {
    pub(super) at: usize,
    pub(super) value: Value<'a>,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    /// Text in quotes.
    Text(String),
    /// A number, as it is written.
    Number(&'a str),
    /// A name such as `None`, or a dotted one.
    Word(&'a str),
    /// A list or a tuple.
    List(Vec<Node<'a>>),
    /// Keys with values.
    Object(Vec<(Node<'a>, Node<'a>)>),
    /// A name with arguments.
    Call {
        /// The name, perhaps dotted.
        name: &'a str,
        /// What stands between the parentheses.
        arguments: Vec<Argument<'a>>,
    },
}

/// An argument of a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Argument<'a> {
    pub(super) name: Option<String>,
    pub(super) value: Node<'a>,
}

impl<'a> Node<'a> {
    pub(super) fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault::new(self.at, reason)
    }

    pub(super) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    pub(super) fn list(&self) -> Option<&[Node<'a>]> {
        if let Value::List(items) = &self.value { Some(items) } else { None }
    }

    /// A whole number that is not negative.
    pub(super) fn whole(&self) -> Option<usize> {
        if let Value::Number(number) = self.value { number.parse().ok() } else { None }
    }
}

/// Whether a text begins with a name and an opening parenthesis.
pub(super) fn is_call(text: &str) -> bool {
    let name = text.len() - text.trim_start_matches(is_name).len();
    name > 0 && text[name..].trim_start().starts_with('(')
}

/// Whether a text is one name.
pub(super) fn is_word(text: &str) -> bool {
    text.trim().chars().all(is_name)
}

fn is_name(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_' || sign == '.'
}

/// Reads a text from some place on.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn at(text: &'a str, at: usize) -> Self {
        Self { text, at, depth: 0 }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Where the next sign is that counts: white space and comments do not.
    pub(super) fn blank(&mut self) -> usize {
        loop {
            let rest = self.rest().trim_start_matches(|sign: char| sign.is_whitespace());
            let rest = rest.strip_prefix("\\\n").unwrap_or(rest);
            let rest = match rest.starts_with('#') {
                true => rest.find('\n').map_or("", |end| &rest[end..]),
                false => rest,
            };
            let at = self.text.len() - rest.len();
            if at == self.at {
                return at;
            }
            self.at = at;
        }
    }

    /// The next sign that counts.
    pub(super) fn peek(&mut self) -> Option<char> {
        self.blank();
        self.rest().chars().next()
    }

    /// Takes a sign, if it is the next that counts.
    pub(super) fn take(&mut self, sign: char) -> bool {
        let is_next = self.peek() == Some(sign);
        if is_next {
            self.at += sign.len_utf8();
        }
        is_next
    }

    pub(super) fn fault(&mut self, reason: impl Into<String>) -> Fault {
        Fault::new(self.blank(), reason)
    }

    pub(super) fn expect(&mut self, sign: char) -> Result<(), Fault> {
        if self.take(sign) { Ok(()) } else { Err(self.fault(format!("expected `{sign}`"))) }
    }

    /// Nothing may follow.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault("expected nothing after the architecture")),
        }
    }

    /// Takes signs as long as they are of a kind.
    pub(super) fn run(&mut self, kind: impl Fn(char) -> bool) -> &'a str {
        self.blank();
        let rest = self.rest();
        let run = &rest[..rest.find(|sign| !kind(sign)).unwrap_or(rest.len())];
        self.at += run.len();
        run
    }

    /// A value of any kind.
    pub(super) fn value(&mut self) -> Result<Node<'a>, Fault> {
        let at = self.blank();
        if self.depth == DEEPEST {
            return Err(self.fault("too many lists within lists"));
        }
        self.depth += 1;
        let value = match self.peek() {
            Some('[') => self.items(']').map(|(items, _)| Value::List(items)),
            Some('(') => self.items(')').map(|(mut items, comma)| match items.pop() {
                // Parentheses around one value only group.
                Some(only) if items.is_empty() && !comma => only.value,
                last => Value::List(items.into_iter().chain(last).collect()),
            }),
            Some('{') => self.object(),
            Some('\'' | '"') => self.quoted().map(Value::Text),
            Some(sign) if sign.is_ascii_digit() || "+-.".contains(sign) => self.number(),
            Some(sign) if is_name(sign) => self.word(),
            _ => Err(self.fault("expected a value")),
        };
        self.depth -= 1;
        Ok(Node { at, value: value? })
    }

    /// Values up to a closing bracket, and whether a comma stands before it.
    fn items(&mut self, close: char) -> Result<(Vec<Node<'a>>, bool), Fault> {
        let mut items = vec![];
        self.open();
        let comma = self.separated(close, |reader| {
            items.push(reader.value()?);
            Ok(())
        })?;
        Ok((items, comma))
    }

    fn object(&mut self) -> Result<Value<'a>, Fault> {
        let mut entries = vec![];
        self.open();
        self.separated('}', |reader| {
            let key = reader.value()?;
            reader.expect(':')?;
            entries.push((key, reader.value()?));
            Ok(())
        })?;
        Ok(Value::Object(entries))
    }

    fn open(&mut self) {
        self.blank();
        self.at += 1;
    }

    /// Items with commas between, and perhaps one at the end, which the answer says.
    fn separated(
        &mut self,
        close: char,
        mut item: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<bool, Fault> {
        let mut comma = false;
        while !self.take(close) {
            item(self)?;
            comma = self.take(',');
            if !comma && self.peek() != Some(close) {
                return Err(self.fault(format!("expected `,` or `{close}`")));
            }
        }
        Ok(comma)
    }

    fn quoted(&mut self) -> Result<String, Fault> {
        let at = self.blank();
        let open = || Fault::new(at, "this quote is not closed");
        let mut signs = self.rest().char_indices();
        let quote = signs.next().map(|(_, quote)| quote).ok_or_else(open)?;
        let mut text = String::new();
        while let Some((place, sign)) = signs.next() {
            match sign {
                _ if sign == quote => {
                    self.at += place + sign.len_utf8();
                    return Ok(text);
                }
                '\\' => match signs.next().ok_or_else(open)?.1 {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    'u' => {
                        let digits: String = signs.by_ref().take(4).map(|(_, sign)| sign).collect();
                        let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                        let here = at + place;
                        text.push(code.ok_or_else(|| Fault::new(here, "no sign has this number"))?);
                    }
                    other => text.push(other),
                },
                _ => text.push(sign),
            }
        }
        Err(open())
    }

    fn number(&mut self) -> Result<Value<'a>, Fault> {
        let at = self.blank();
        let number = self.run(|sign| sign.is_alphanumeric() || "+-._".contains(sign));
        match number.parse::<f64>() {
            Ok(_) => Ok(Value::Number(number)),
            Err(_) => Err(Fault::new(at, "expected a number")),
        }
    }

    fn word(&mut self) -> Result<Value<'a>, Fault> {
        let name = self.run(is_name);
        if matches!(name, "u" | "b") && self.rest().starts_with(['\'', '"']) {
            return self.quoted().map(Value::Text);
        }
        if self.peek() != Some('(') {
            return Ok(Value::Word(name));
        }
        let mut arguments = vec![];
        self.open();
        self.separated(')', |reader| {
            arguments.push(reader.argument()?);
            Ok(())
        })?;
        Ok(Value::Call { name, arguments })
    }

    fn argument(&mut self) -> Result<Argument<'a>, Fault> {
        let value = self.value()?;
        match value.value {
            Value::Word(name) if self.take('=') => {
                Ok(Argument { name: Some(name.to_owned()), value: self.value()? })
            }
            _ => Ok(Argument { name: None, value }),
        }
    }
}
