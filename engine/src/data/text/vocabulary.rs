//! What a text is cut into: characters, or byte pairs of the `tokenizers` crate.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;
use skein_core::dataset::TEXT_TOKENIZER;
use skein_core::folder;
use skein_core::spec::Tokens;
use tokenizers::Tokenizer;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::pieces::Pieces;
use crate::EngineError;
use crate::error::IoContext;

/// Stands in a list of characters for all that the training text does not hold.
const UNKNOWN: char = char::REPLACEMENT_CHARACTER;

/// Tokens and their numbers.
#[derive(Debug)]
pub enum Vocabulary {
    /// Characters of the training text.
    Characters {
        /// Sorted; the number of a token is its place.
        known: Vec<char>,
        /// The same the other way round.
        numbers: HashMap<char, u32>,
        /// Whether another character was met; all of them are one more token.
        unknown: bool,
    },
    /// Byte pairs.
    Pairs {
        /// What cuts a text into them.
        tokenizer: Box<Tokenizer>,
        /// One more than the largest number.
        size: usize,
    },
}

impl Vocabulary {
    /// The characters of a text.
    pub(super) fn of_characters(pieces: Pieces<'_>) -> Result<Self, EngineError> {
        let mut all = BTreeSet::new();
        for piece in pieces {
            all.extend(piece?.chars());
        }
        let known: Vec<char> = all.into_iter().collect();
        let numbers = known.iter().copied().zip(0..).collect();
        Ok(Self::Characters { known, numbers, unknown: false })
    }

    /// Byte pairs: those that an attempt has kept, else those that are `given` beside the text,
    /// else as many as are wanted are learned from the text. They are kept for later attempts.
    pub(super) fn of_pairs<'a>(
        given: &Path,
        attempts: &[PathBuf],
        wanted: usize,
        pieces: impl FnOnce() -> Result<Pieces<'a>, EngineError>,
    ) -> Result<Self, EngineError> {
        let kept = attempts.iter().rev().map(|attempt| attempt.join(folder::TOKENIZER));
        // A torn file of an attempt that died is passed over.
        let kept = kept.into_iter().find_map(|path| load(&path).ok());
        let tokenizer = match kept {
            Some(kept) => kept,
            None if given.is_file() => load(given)?,
            None => learn(wanted, pieces()?)?,
        };
        let vocabulary = Self::pairs(tokenizer);
        if let (Some(own), (_, bytes)) = (attempts.last(), vocabulary.file()?) {
            let path = own.join(folder::TOKENIZER);
            fs::write(&path, bytes).at(&path)?;
        }
        Ok(vocabulary)
    }

    /// Reads a file that [`Vocabulary::file`] gave.
    ///
    /// # Errors
    /// - [`EngineError::Io`] if it is not there, [`EngineError::Content`] or [`EngineError::Data`] if
    ///   it holds something else.
    pub fn read(path: &Path, tokens: Tokens) -> Result<Self, EngineError> {
        match tokens {
            Tokens::Bpe => Ok(Self::pairs(load(path)?)),
            Tokens::Characters => {
                let list: List =
                    serde_json::from_slice(&fs::read(path).at(path)?).map_err(|error| {
                        EngineError::Content { path: path.to_owned(), reason: error.to_string() }
                    })?;
                let mut known = list.tokens;
                if list.unknown {
                    known.pop();
                }
                let numbers = known.iter().copied().zip(0..).collect();
                Ok(Self::Characters { known, numbers, unknown: list.unknown })
            }
        }
    }

    fn pairs(tokenizer: Tokenizer) -> Self {
        let numbers = tokenizer.get_vocab(true).into_values();
        let size = numbers.max().map_or(0, |largest| largest as usize + 1);
        Self::Pairs { tokenizer: Box::new(tokenizer), size }
    }

    /// Characters of a text that have no token of their own, each once, in their order.
    #[must_use]
    pub fn strange(&self, text: &str) -> Vec<char> {
        let Self::Characters { numbers, .. } = self else { return vec![] };
        let mut strange: Vec<char> = Vec::new();
        for character in text.chars().filter(|character| !numbers.contains_key(character)) {
            if !strange.contains(&character) {
                strange.push(character);
            }
        }
        strange
    }

    /// The text of some tokens.
    ///
    /// # Errors
    /// - [`EngineError::Data`] if a tokenizer that was given refuses them.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, EngineError> {
        match self {
            Self::Characters { known, .. } => {
                let one = |token: &u32| known.get(*token as usize).copied().unwrap_or(UNKNOWN);
                Ok(tokens.iter().map(one).collect())
            }
            Self::Pairs { tokenizer, .. } => tokenizer.decode(tokens, false).map_err(refused),
        }
    }

    /// Number of different tokens.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Characters { known, unknown, .. } => known.len() + usize::from(*unknown),
            Self::Pairs { size, .. } => *size,
        }
    }

    /// Appends the tokens of a text; notes whether it has characters that are not known.
    ///
    /// # Errors
    /// - [`EngineError::Content`] if a tokenizer that was given refuses the text.
    pub fn encode(&mut self, text: &str, tokens: &mut Vec<u32>) -> Result<(), EngineError> {
        match self {
            Self::Characters { known, numbers, unknown } => {
                let other = u32::try_from(known.len()).unwrap_or(u32::MAX);
                tokens.extend(text.chars().map(|character| {
                    numbers.get(&character).copied().unwrap_or_else(|| {
                        *unknown = true;
                        other
                    })
                }));
            }
            Self::Pairs { tokenizer, .. } => {
                let encoding = tokenizer.encode_fast(text, false).map_err(refused)?;
                tokens.extend_from_slice(encoding.get_ids());
            }
        }
        Ok(())
    }

    /// Name and content of the file from which others can read the tokens.
    ///
    /// # Errors
    /// - [`EngineError::Bug`] if it cannot be written as JSON.
    pub fn file(&self) -> Result<(&'static str, Vec<u8>), EngineError> {
        let text = match self {
            Self::Characters { known, unknown, .. } => {
                let tokens: Vec<char> =
                    known.iter().copied().chain(unknown.then_some(UNKNOWN)).collect();
                let list = json!({"kind": "characters", "unknown": unknown, "tokens": tokens});
                serde_json::to_string_pretty(&list).map_err(|error| error.to_string())
            }
            Self::Pairs { tokenizer, .. } => {
                tokenizer.to_string(false).map_err(|error| error.to_string())
            }
        };
        let name = match self {
            Self::Characters { .. } => folder::VOCABULARY,
            Self::Pairs { .. } => folder::TOKENIZER,
        };
        Ok((name, text.map_err(EngineError::Bug)?.into_bytes()))
    }
}

/// A list of characters in a file.
#[derive(Deserialize)]
struct List {
    unknown: bool,
    tokens: Vec<char>,
}

/// Reads a `tokenizer.json`.
fn load(path: &Path) -> Result<Tokenizer, EngineError> {
    let bytes = fs::read(path).at(path)?;
    let refused = |error: tokenizers::Error| EngineError::Data {
        dataset: TEXT_TOKENIZER.to_owned(),
        reason: format!("{} is no tokenizer: {error}", path.display()),
        hint: "take one that the `tokenizers` library wrote, or remove it".to_owned(),
    };
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(refused)?;
    // Neither belongs to a stream.
    tokenizer.with_padding(None).with_truncation(None).map_err(refused)?;
    Ok(tokenizer)
}

/// Learns byte pairs in the manner of GPT-2: all bytes are known, and words are cut by its rule.
fn learn(wanted: usize, pieces: Pieces<'_>) -> Result<Tokenizer, EngineError> {
    let mut tokenizer = Tokenizer::new(BPE::default());
    let bytes = ByteLevel::new(false, false, true);
    tokenizer.with_pre_tokenizer(Some(bytes)).with_decoder(Some(bytes));
    let mut trainer = TrainerWrapper::from(
        BpeTrainerBuilder::new()
            .show_progress(false)
            .vocab_size(wanted)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build(),
    );
    let mut failed = None;
    let texts = pieces.map_while(|piece| match piece {
        Ok(piece) => Some(piece),
        Err(error) => {
            failed = Some(error);
            None
        }
    });
    tokenizer.train(&mut trainer, texts).map_err(refused)?;
    match failed {
        Some(error) => Err(error),
        None => Ok(tokenizer),
    }
}

fn refused(error: tokenizers::Error) -> EngineError {
    EngineError::Data {
        dataset: TEXT_TOKENIZER.to_owned(),
        reason: format!("the tokenizer refuses the text: {error}"),
        hint: "take another tokenizer, or characters as tokens".to_owned(),
    }
}
