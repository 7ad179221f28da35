//! What a network makes of an input.

use serde::{Deserialize, Serialize};
use skein_core::predict::{self, Class, Prediction, Prompt};
use utoipa::ToSchema;

/// A text that a run's network is to continue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptBody {
    /// How it begins; at most 16 KiB.
    pub prompt: String,
    /// Tokens that are added, at most 1000.
    #[serde(default = "predict::usual_tokens")]
    pub tokens: u32,
    /// What scores are divided by before a token is drawn, at most 10; 0 takes the likeliest.
    #[serde(default = "predict::usual_temperature")]
    pub temperature: f64,
    /// Equal requests get equal answers; another seed, another one.
    #[serde(default)]
    pub seed: u64,
    /// Draws among this many of the likeliest tokens only.
    #[serde(default)]
    pub top_k: Option<u32>,
}

impl From<PromptBody> for Prompt {
    fn from(body: PromptBody) -> Self {
        let PromptBody { prompt, tokens, temperature, seed, top_k } = body;
        Self { prompt, tokens, temperature, seed, top_k }
    }
}

/// What a run's network makes of an input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PredictionView {
    /// Of an image.
    Classes {
        /// The likeliest classes, likeliest first, at most ten.
        classes: Vec<ClassView>,
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClassView {
    /// Its number, from 0.
    pub number: usize,
    /// Its name, or its number where no names are known.
    pub name: String,
    /// Its probability, `0..=1`.
    pub probability: f64,
}

impl From<Prediction> for PredictionView {
    fn from(prediction: Prediction) -> Self {
        match prediction {
            Prediction::Classes { classes, of, fitted, hint, milliseconds } => {
                let view =
                    |Class { number, name, probability }| ClassView { number, name, probability };
                let classes = classes.into_iter().map(view).collect();
                Self::Classes { classes, of, fitted, hint, milliseconds }
            }
            Prediction::Continuation { text, read, added, cut_short, milliseconds } => {
                Self::Continuation { text, read, added, cut_short, milliseconds }
            }
        }
    }
}
