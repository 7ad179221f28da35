//! A prompt, and how a language model goes on.
//!
//! Each token is drawn from the network's scores for the last token of the window; the window is
//! as much of the text so far as the network can read at once.

use std::time::Instant;

use rand::Rng as _;
use skein_core::predict::{Prediction, Prompt};
use skein_core::spec::LineEnds;
use tch::{Kind, Tensor};

use super::Fault;
use super::image::softmax;
use crate::EngineError;
use crate::data::text::clean;
use crate::data::text::vocabulary::Vocabulary;
use crate::exec::Pass;
use crate::state::seed::{Stream, generator};
use crate::train::network::Network;

/// Continues a [`Prompt`] that is given as JSON, until it has all its tokens or the time is over.
///
/// # Errors
/// - [`Fault::Input`] if it is none, or has characters that the network does not know.
pub(super) fn go_on(
    network: &Network,
    mut vocabulary: Vocabulary,
    context: i64,
    line_ends: Option<LineEnds>,
    request: &[u8],
    until: Instant,
) -> Result<Prediction, Fault> {
    let began = Instant::now();
    let prompt: Prompt = serde_json::from_slice(request)
        .map_err(|error| Fault::Input(format!("the request is no prompt: {error}")))?;
    prompt.check().map_err(Fault::Input)?;
    let context = usize::try_from(context).unwrap_or(1);
    // As the text that the network has learned from was cleaned.
    let given = match line_ends {
        Some(LineEnds::Normalised) => clean::lines(&prompt.prompt),
        _ => prompt.prompt.clone(),
    };
    let mut tokens = encode(&mut vocabulary, &given)?;
    let given = tokens.len();
    let mut cut_short = false;
    for step in 0..u64::from(prompt.tokens) {
        if Instant::now() >= until {
            cut_short = true;
            break;
        }
        let window = &tokens[tokens.len().saturating_sub(context)..];
        let scores = scores(network, window).map_err(Fault::Engine)?;
        tokens.push(draw(&scores, &prompt, step).map_err(Fault::Engine)?);
    }
    let text = added(&vocabulary, &tokens, given).map_err(Fault::Engine)?;
    Ok(Prediction::Continuation {
        text,
        read: given.min(context),
        added: u32::try_from(tokens.len() - given).unwrap_or(0),
        cut_short,
        milliseconds: 1000.0 * began.elapsed().as_secs_f64(),
    })
}

fn encode(vocabulary: &mut Vocabulary, prompt: &str) -> Result<Vec<u32>, Fault> {
    let strange = vocabulary.strange(prompt);
    if !strange.is_empty() {
        let shown: Vec<String> = strange.iter().take(10).map(|one| format!("{one:?}")).collect();
        let more = if strange.len() > shown.len() { " and others" } else { "" };
        return Err(Fault::Input(format!(
            "the network has never met {}{more}; its text had none",
            shown.join(", ")
        )));
    }
    let mut tokens = Vec::new();
    vocabulary.encode(prompt, &mut tokens).map_err(|error| Fault::Input(error.to_string()))?;
    if tokens.is_empty() {
        return Err(Fault::Input("the prompt has no token".to_owned()));
    }
    Ok(tokens)
}

/// Scores of the token after a window.
fn scores(network: &Network, window: &[u32]) -> Result<Vec<f64>, EngineError> {
    let window: Vec<i64> = window.iter().map(|token| i64::from(*token)).collect();
    let x = Tensor::f_from_slice(&window)?.f_view([1, -1])?;
    let last = network.forward(&x, Pass::EVALUATE)?.f_select(1, -1)?;
    Ok(Vec::<f64>::try_from(&last.to_kind(Kind::Double).f_view([-1])?)?)
}

/// Draws a token; of equals the first counts as the likelier.
fn draw(scores: &[f64], prompt: &Prompt, step: u64) -> Result<u32, EngineError> {
    let greedy = prompt.temperature == 0.0;
    let probabilities = softmax(scores, if greedy { 1.0 } else { prompt.temperature })?;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    if greedy {
        order.truncate(1);
    } else if let Some(most) = prompt.top_k {
        order.truncate(most as usize);
    }
    let total: f64 = order.iter().map(|token| probabilities[*token]).sum();
    let mut left = total * unit(prompt.seed, step);
    let drawn = order.iter().find(|token| {
        left -= probabilities[**token];
        left < 0.0
    });
    // Rounding may leave a little at the end.
    let drawn = drawn.or(order.last()).copied().unwrap_or(0);
    Ok(u32::try_from(drawn).unwrap_or(0))
}

/// A number in `0..1`.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
fn unit(seed: u64, step: u64) -> f64 {
    let drawn = generator(seed, Stream::Continuation, step).next_u64() >> 11;
    drawn as f64 / (1_u64 << 53) as f64
}

/// The text that was added. Some decoders treat the beginning of a text apart, so the whole is
/// decoded and the prompt taken away.
fn added(vocabulary: &Vocabulary, tokens: &[u32], given: usize) -> Result<String, EngineError> {
    let (whole, prompt) = (vocabulary.decode(tokens)?, vocabulary.decode(&tokens[..given])?);
    match whole.strip_prefix(&prompt) {
        Some(rest) => Ok(rest.to_owned()),
        None => vocabulary.decode(&tokens[given..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(temperature: f64, top_k: Option<u32>) -> Vec<f64> {
        let scores = [0.2_f64.ln(), 0.5_f64.ln(), 0.3_f64.ln()];
        let prompt = Prompt { prompt: "a".to_owned(), tokens: 1, temperature, seed: 3, top_k };
        let mut counts = [0.0; 3];
        for step in 0..10_000 {
            counts[draw(&scores, &prompt, step).unwrap() as usize] += 1e-4;
        }
        counts.to_vec()
    }

    #[test]
    fn tokens_are_drawn_as_often_as_their_probabilities_say() {
        let close = |found: Vec<f64>, expected: [f64; 3]| {
            // Four standard errors of 10,000 draws.
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.02), "{found:?}");
        };
        close(shares(1.0, None), [0.2, 0.5, 0.3]);
        close(shares(0.5, None), [0.04 / 0.38, 0.25 / 0.38, 0.09 / 0.38]);
        close(shares(1.0, Some(2)), [0.0, 0.625, 0.375]);
        close(shares(1.0, Some(1)), [0.0, 1.0, 0.0]);
        close(shares(0.0, None), [0.0, 1.0, 0.0]);
    }
}
