//! What a finished network is asked, and what it answers: the words between `skein-worker predict`
//! and the server.
//!
//! Images come as the bytes of a file, texts as a [`Prompt`]; the answer is one [`Answer`].

use serde::{Deserialize, Serialize};

use crate::event::Failure;

/// Most bytes of an image's file.
pub const IMAGE_BYTES: usize = 10 << 20;
/// Most bytes of a prompt.
pub const PROMPT_BYTES: usize = 16 << 10;
/// Most tokens of a continuation.
pub const MOST_TOKENS: u32 = 1000;
/// Largest temperature; far below it every token is about as likely as any other.
pub const MOST_TEMPERATURE: f64 = 10.0;
/// Most classes in an answer.
pub const MOST_CLASSES: usize = 10;

/// A text to be continued.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// How it begins.
    pub prompt: String,
    /// Tokens that are added.
    #[serde(default = "usual_tokens")]
    pub tokens: u32,
    /// What scores are divided by before a token is drawn; 0 takes the likeliest.
    #[serde(default = "usual_temperature")]
    pub temperature: f64,
    /// Seed of the draws: equal requests get equal answers.
    #[serde(default)]
    pub seed: u64,
    /// Draws among this many of the likeliest tokens only.
    #[serde(default)]
    pub top_k: Option<u32>,
}

/// Tokens of a continuation, unless a request says otherwise.
#[must_use]
pub fn usual_tokens() -> u32 {
    200
}

/// The temperature, unless a request says otherwise.
#[must_use]
pub fn usual_temperature() -> f64 {
    0.8
}

impl Prompt {
    /// What is wrong with it, in words; nothing if it can be continued.
    ///
    /// # Errors
    /// - the fault.
    pub fn check(&self) -> Result<(), String> {
        if self.prompt.is_empty() {
            return Err("`prompt` is empty; it needs at least one character".to_owned());
        }
        if self.prompt.len() > PROMPT_BYTES {
            let most = PROMPT_BYTES >> 10;
            return Err(format!("`prompt` is longer than {most} KiB"));
        }
        if !(1..=MOST_TOKENS).contains(&self.tokens) {
            return Err(format!("`tokens` must be from 1 to {MOST_TOKENS}, not {}", self.tokens));
        }
        if !(0.0..=MOST_TEMPERATURE).contains(&self.temperature) {
            let given = self.temperature;
            return Err(format!("`temperature` must be from 0 to {MOST_TEMPERATURE}, not {given}"));
        }
        if self.top_k == Some(0) {
            return Err("`top_k` must be at least 1".to_owned());
        }
        Ok(())
    }
}

/// What a network makes of an input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Prediction {
    /// Of an image.
    Classes {
        /// The likeliest classes, likeliest first, at most [`MOST_CLASSES`].
        classes: Vec<Class>,
        /// How many classes there are.
        of: usize,
        /// How the image became the network's input.
        fitted: String,
        /// What about the image may mislead the network.
        hint: Option<String>,
        /// Milliseconds that the network took.
        milliseconds: f64,
    },
    /// Of a text.
    Continuation {
        /// What follows the prompt.
        text: String,
        /// Tokens of the prompt that the network has read: its last ones.
        read: usize,
        /// Tokens that were added.
        added: u32,
        /// Whether the time ran out before all tokens were added.
        cut_short: bool,
        /// Milliseconds that the network took.
        milliseconds: f64,
    },
}

/// A class with its probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Class {
    /// Its number, from 0.
    pub number: usize,
    /// Its name, or its number where no names are known.
    pub name: String,
    /// Its probability, `0..=1`.
    pub probability: f64,
}

/// The one line that `skein-worker predict` writes. Of a failure, class `user` is due to the
/// input, `infrastructure` to the package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The network's.
    Prediction(Prediction),
    /// Why there is none.
    Failure(Failure),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_prompt_needs_only_its_text_and_says_what_is_wrong() {
        let read = |value| serde_json::from_value::<Prompt>(value).unwrap();
        let plain = read(json!({"prompt": "a"}));
        assert_eq!((plain.tokens, plain.temperature, plain.seed), (200, 0.8, 0));
        assert_eq!(plain.check(), Ok(()));
        assert!(serde_json::from_value::<Prompt>(json!({"prompt": "a", "token": 1})).is_err());
        let faults = [
            (json!({"prompt": ""}), "`prompt` is empty"),
            (json!({"prompt": "a".repeat(PROMPT_BYTES + 1)}), "longer than 16 KiB"),
            (json!({"prompt": "a", "tokens": 0}), "from 1 to 1000, not 0"),
            (json!({"prompt": "a", "tokens": 1001}), "from 1 to 1000, not 1001"),
            (json!({"prompt": "a", "temperature": -0.1}), "from 0 to 10, not -0.1"),
            (json!({"prompt": "a", "top_k": 0}), "`top_k`"),
        ];
        for (value, expected) in faults {
            let fault = read(value).check().unwrap_err();
            assert!(fault.contains(expected), "{fault}");
        }
    }

    #[test]
    fn an_answer_is_told_by_its_first_word() {
        let classes = vec![Class { number: 3, name: "Dress".to_owned(), probability: 0.75 }];
        let prediction = Prediction::Classes {
            classes,
            of: 10,
            fitted: "as it is".to_owned(),
            hint: None,
            milliseconds: 1.5,
        };
        let answer = Answer::Prediction(prediction);
        let value = json!(answer);
        assert_eq!(value["prediction"]["kind"], "classes");
        assert_eq!(serde_json::from_value::<Answer>(value).unwrap(), answer);
    }
}
