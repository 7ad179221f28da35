//! Texts: files, tokens, and the windows that a language model learns from.

pub mod clean;
mod pieces;
pub mod vocabulary;
pub mod windows;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use skein_core::dataset::{DataShape, Dataset, TEXT_INPUT, TEXT_TESTS, TEXT_TOKENIZER};
use skein_core::spec::{LineEnds, RunSpec, SpaceSpec, Tokens};
use tch::{Kind, Tensor};

use super::{Data, Examples, damaged};
use crate::EngineError;
use crate::device::Compute;
use crate::error::IoContext;
use clean::Cleaned;
use pieces::{Pieces, boundary};
use vocabulary::Vocabulary;
use windows::Windows;

/// Where there is no test text, so large a part of the text is held out: one tenth.
const HELD_OUT: u64 = 10;

/// What a specification asks of a text.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// What it is cut into.
    pub tokens: Tokens,
    /// Different byte pairs, if they are learned.
    pub vocabulary: usize,
    /// What happens to its line ends.
    pub line_ends: LineEnds,
    /// Tokens of a window.
    pub context: usize,
    /// Folders of the run's attempts, the own one last: a tokenizer that was learned is kept there.
    pub attempts: &'a [PathBuf],
}

impl<'a> Wanted<'a> {
    /// Reads it off a specification.
    #[must_use]
    pub fn of(spec: &RunSpec, attempts: &'a [PathBuf]) -> Self {
        let context = match &spec.space {
            SpaceSpec::Language(options) | SpaceSpec::LanguageChar(options) => options.context,
            _ => 1,
        };
        Self {
            tokens: spec.dataset.tokens.unwrap_or(Tokens::Characters),
            vocabulary: usize::try_from(spec.dataset.vocabulary.unwrap_or(0)).unwrap_or(usize::MAX),
            // A run that knows no such choice is older than it.
            line_ends: spec.dataset.line_ends.unwrap_or(LineEnds::Kept),
            context: usize::try_from(context).unwrap_or(1),
            attempts,
        }
    }
}

/// What there is to know of a text besides its windows.
#[derive(Debug)]
pub struct Text {
    /// Its tokens.
    pub vocabulary: Vocabulary,
    /// Tokens for each character of the training text.
    pub train_density: f64,
    /// The same of the test text.
    pub test_density: f64,
    /// What of it was not taken as it is, if anything.
    pub cleaned: Option<String>,
}

impl Text {
    /// The perplexity per token, and the bits per character, that a loss in nats per token means;
    /// `test` tells whether it was measured on the test text.
    #[must_use]
    pub fn measures(&self, loss: f64, test: bool) -> (f64, f64) {
        let density = if test { self.test_density } else { self.train_density };
        (loss.exp(), loss * density / std::f64::consts::LN_2)
    }
}

/// A part of a file.
#[derive(Debug, Clone)]
struct Part {
    path: PathBuf,
    range: Range<u64>,
}

impl Part {
    fn whole(path: PathBuf) -> Result<Self, EngineError> {
        let end = fs::metadata(&path).at(&path)?.len();
        Ok(Self { path, range: 0..end })
    }

    fn pieces<'a>(
        &'a self,
        dataset: &'a Dataset,
        line_ends: LineEnds,
    ) -> Result<Pieces<'a>, EngineError> {
        Pieces::open(&self.path, &self.range, dataset, line_ends)
    }
}

/// Reads a text onto a device.
///
/// # Errors
/// - [`EngineError::Data`] if files are missing or empty, hold no text, or less than a window.
pub fn read(
    folder: &Path,
    dataset: &Dataset,
    wanted: &Wanted<'_>,
    compute: Compute,
) -> Result<Data, EngineError> {
    let ends = wanted.line_ends;
    let (train, test) = parts(folder, dataset)?;
    let mut vocabulary = match wanted.tokens {
        Tokens::Characters => Vocabulary::of_characters(train.pieces(dataset, ends)?)?,
        Tokens::Bpe => {
            let given = folder.join(TEXT_TOKENIZER);
            let learned = || train.pieces(dataset, ends);
            Vocabulary::of_pairs(&given, wanted.attempts, wanted.vocabulary, learned)?
        }
    };
    let train = encode(&mut vocabulary, train.pieces(dataset, ends)?)?;
    let test = encode(&mut vocabulary, test.pieces(dataset, ends)?)?;
    let size = vocabulary.size();
    for (what, stream) in [("training", &train), ("test", &test)] {
        if stream.tokens <= wanted.context as u64 {
            let reason = format!(
                "the {what} text has {} tokens, too few for a window of {} (`space.context`) and the token behind it",
                stream.tokens, wanted.context
            );
            return Err(damaged(folder, dataset, reason));
        }
    }
    let text = Text {
        vocabulary,
        train_density: train.density(),
        test_density: test.density(),
        cleaned: train.cleaned.and(test.cleaned).said(),
    };
    Ok(Data {
        train: Examples::Text(train.windows(wanted.context, size, compute)?),
        test: Examples::Text(test.windows(wanted.context, size, compute)?),
        shape: DataShape { classes: i64::try_from(size).unwrap_or(i64::MAX), ..dataset.shape },
        text: Some(text),
    })
}

/// The training and the test text.
fn parts(folder: &Path, dataset: &Dataset) -> Result<(Part, Part), EngineError> {
    let input = input(folder, dataset)?;
    let all = Part::whole(input)?;
    if all.range.is_empty() {
        let name = all.path.file_name().unwrap_or_default().to_string_lossy();
        return Err(damaged(folder, dataset, format!("{name} is empty")));
    }
    let test = TEXT_TESTS.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    if let Some(test) = test {
        return Ok((all, Part::whole(test)?));
    }
    let cut = boundary(&all.path, all.range.end - all.range.end / HELD_OUT)?;
    let test = Part { path: all.path.clone(), range: cut..all.range.end };
    Ok((Part { range: 0..cut, ..all }, test))
}

/// The file of the training text: the one that is called so, or the only one.
fn input(folder: &Path, dataset: &Dataset) -> Result<PathBuf, EngineError> {
    let named = folder.join(TEXT_INPUT);
    if named.is_file() {
        return Ok(named);
    }
    let mut found: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.at(folder)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let other = TEXT_TESTS.contains(&name.as_str()) || name == TEXT_TOKENIZER;
        if path.is_file() && !name.starts_with('.') && !other {
            found.push(path);
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(damaged(folder, dataset, format!("{TEXT_INPUT} is missing"))),
        count => {
            let reason = format!("there are {count} files, and none is called {TEXT_INPUT}");
            Err(damaged(folder, dataset, reason))
        }
    }
}

/// A text as tokens, gathered in tensors as narrow as the vocabulary allows.
struct Stream {
    kind: Kind,
    parts: Vec<Tensor>,
    tokens: u64,
    characters: u64,
    cleaned: Cleaned,
}

impl Stream {
    fn push(&mut self, tokens: &[u32]) -> Result<(), EngineError> {
        let numbers: Vec<i32> =
            tokens.iter().map(|token| i32::try_from(*token).unwrap_or(i32::MAX)).collect();
        self.parts.push(Tensor::f_from_slice(&numbers)?.f_to_kind(self.kind)?);
        self.tokens += tokens.len() as u64;
        Ok(())
    }

    /// Tokens for each character.
    #[expect(clippy::cast_precision_loss, reason = "texts are far below 2^52 characters")]
    fn density(&self) -> f64 {
        self.tokens as f64 / self.characters.max(1) as f64
    }

    fn windows(self, wanted: usize, size: usize, compute: Compute) -> Result<Windows, EngineError> {
        let tokens = Tensor::f_cat(&self.parts, 0)?;
        // The pieces go before the copy on the device comes.
        drop(self.parts);
        Windows::new(tokens.f_to(compute.device)?, wanted, size)
    }
}

fn encode(vocabulary: &mut Vocabulary, mut pieces: Pieces<'_>) -> Result<Stream, EngineError> {
    // One more, for characters that are not known.
    let kind = match vocabulary.size() + 1 {
        0..=256 => Kind::Uint8,
        257..=32_768 => Kind::Int16,
        _ => Kind::Int,
    };
    let cleaned = Cleaned::default();
    let mut stream = Stream { kind, parts: vec![], tokens: 0, characters: 0, cleaned };
    let mut tokens = Vec::new();
    for piece in &mut pieces {
        let piece = piece?;
        stream.characters += piece.chars().count() as u64;
        vocabulary.encode(&piece, &mut tokens)?;
        stream.push(&tokens)?;
        tokens.clear();
    }
    stream.cleaned = pieces.cleaned;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_core::dataset::find;

    fn read_in(folder: &Path, tokens: Tokens, context: usize) -> Result<Data, EngineError> {
        let attempts = [folder.join("attempt")];
        fs::create_dir_all(&attempts[0]).unwrap();
        let line_ends = LineEnds::Normalised;
        let wanted = Wanted { tokens, vocabulary: 300, line_ends, context, attempts: &attempts };
        read(folder, find("text").unwrap(), &wanted, Compute::exact())
    }

    fn fault(folder: &Path, context: usize) -> String {
        read_in(folder, Tokens::Characters, context).unwrap_err().to_string()
    }

    #[test]
    fn characters_are_sorted_and_the_end_is_held_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("novel.txt"), "abca\n".repeat(20)).unwrap();
        let data = read_in(folder.path(), Tokens::Characters, 4).unwrap();
        assert_eq!((data.shape.classes, data.train.count(), data.test.count()), (4, 22, 2));
        let batch = data.train.batch(&[0]).unwrap();
        assert_eq!(Vec::<Vec<i64>>::try_from(&batch.x).unwrap(), [[1, 2, 3, 1]]);
        assert_eq!(Vec::<Vec<i64>>::try_from(&batch.y).unwrap(), [[2, 3, 1, 0]]);
    }

    #[test]
    fn a_test_text_may_hold_characters_that_training_does_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("input.txt"), "ab".repeat(20)).unwrap();
        fs::write(folder.path().join("valid.txt"), "a🦀b🦀a").unwrap();
        let data = read_in(folder.path(), Tokens::Characters, 4).unwrap();
        assert_eq!((data.shape.classes, data.train.count()), (3, 9));
        let batch = data.test.batch(&[0]).unwrap();
        assert_eq!(Vec::<Vec<i64>>::try_from(&batch.x).unwrap(), [[0, 2, 1, 2]]);
    }

    #[test]
    fn a_book_with_a_mark_and_long_line_ends_is_the_book_without() {
        let (book, plain) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // Its last tenth begins between the two bytes of a line end.
        let text = "abcdefg\n".repeat(10);
        let long = format!("\u{FEFF}{}", text.replace('\n', "\r\n"));
        for (folder, text) in [(&book, &long), (&plain, &text)] {
            fs::write(folder.path().join("input.txt"), text).unwrap();
            fs::write(folder.path().join("test.txt"), text).unwrap();
        }
        let read = |folder: &Path| read_in(folder, Tokens::Characters, 4).unwrap();
        let (cleaned, expected) = (read(book.path()), read(plain.path()));
        let vocabulary = |data: &Data| data.text.as_ref().unwrap().vocabulary.file().unwrap();
        assert_eq!(vocabulary(&cleaned), vocabulary(&expected));
        assert_eq!(cleaned.train.count(), expected.train.count());
        let said = |data: &Data| data.text.as_ref().unwrap().cleaned.clone();
        let told = "2 byte order marks at the start were dropped, and 20 line ends of another kind \
                    were made `\\n`";
        assert_eq!((said(&cleaned).as_deref(), said(&expected)), (Some(told), None));
    }

    #[test]
    fn no_line_end_is_cut_in_two() {
        let folder = tempfile::tempdir().unwrap();
        // A tenth of 30 bytes from the end lies between the two bytes of the line end.
        fs::write(folder.path().join("input.txt"), format!("{}\r\nab", "c".repeat(26))).unwrap();
        let (train, test) = parts(folder.path(), find("text").unwrap()).unwrap();
        assert_eq!((train.range, test.range), (0..28, 28..30));
    }

    #[test]
    fn byte_pairs_are_learned_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let text = "the cat and the hat and the größe 🦀\n".repeat(60);
        fs::write(folder.path().join("input.txt"), &text).unwrap();
        let data = read_in(folder.path(), Tokens::Bpe, 4).unwrap();
        let known = data.text.as_ref().unwrap();
        assert!((257..=300).contains(&data.shape.classes), "{}", data.shape.classes);
        assert!(known.train_density < 0.5, "{}", known.train_density);
        let kept = fs::read(folder.path().join("attempt/tokenizer.json")).unwrap();
        assert_eq!(known.vocabulary.file().unwrap(), ("tokenizer.json", kept.clone()));
        fs::remove_file(folder.path().join("attempt/tokenizer.json")).unwrap();
        let again = read_in(folder.path(), Tokens::Bpe, 4).unwrap();
        assert_eq!(again.text.unwrap().vocabulary.file().unwrap().1, kept, "learning is exact");
        // One that lies beside the text counts, whatever it was made for.
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("input.txt"), "another text\n".repeat(30)).unwrap();
        fs::write(other.path().join("tokenizer.json"), &kept).unwrap();
        let given = read_in(other.path(), Tokens::Bpe, 4).unwrap();
        assert_eq!(given.shape.classes, data.shape.classes);
        fs::write(other.path().join("tokenizer.json"), "{}").unwrap();
        fs::remove_dir_all(other.path().join("attempt")).unwrap();
        let error = read_in(other.path(), Tokens::Bpe, 4).unwrap_err().to_string();
        assert!(error.contains("tokenizer.json"), "{error}");
    }

    #[test]
    fn what_cannot_be_learned_from_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(fault(folder.path(), 4).contains("input.txt is missing"));
        let input = folder.path().join("input.txt");
        fs::write(&input, "").unwrap();
        assert!(fault(folder.path(), 4).contains("input.txt is empty"));
        fs::write(&input, "abcdefghij".repeat(3)).unwrap();
        assert!(fault(folder.path(), 40).contains("the training text has 27 tokens"));
        assert!(fault(folder.path(), 4).contains("the test text has 3 tokens"));
        fs::write(&input, [0xFF, 0xFE, 0x00, 0x41]).unwrap();
        assert!(fault(folder.path(), 4).contains("no UTF-8 text (byte 0)"));
        assert!(fault(folder.path(), 4).contains("save it as UTF-8"));
        fs::rename(&input, folder.path().join("a.txt")).unwrap();
        fs::write(folder.path().join("b.txt"), "b").unwrap();
        assert!(fault(folder.path(), 4).contains("there are 2 files"));
    }
}
