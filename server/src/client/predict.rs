//! `skein predict`: what a finished run's network makes of an image or a prompt.

use std::path::PathBuf;

use serde_json::json;
use skein_core::number::Num;
use skein_core::predict::{IMAGE_BYTES, usual_temperature, usual_tokens};
use ureq::http::Method;

use super::http::Api;
use super::text::{percent, table};
use super::{ClientError, say, say_json};
use crate::views::PredictionView;

/// What is tried on which network.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run; the beginning of its id is enough.
    id: String,
    /// File of an image.
    #[arg(required_unless_present = "prompt", conflicts_with = "prompt")]
    file: Option<PathBuf>,
    /// Invert the image.
    #[arg(long, conflicts_with = "prompt")]
    invert: bool,
    /// A text to go on with.
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Tokens to add.
    #[arg(long, default_value_t = usual_tokens(), value_name = "N")]
    tokens: u32,
    /// What scores are divided by before a token is drawn; 0 takes the likeliest.
    #[arg(long, default_value_t = usual_temperature(), value_name = "X")]
    temperature: f64,
    /// Equal seeds give equal texts.
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Draw among this many of the likeliest tokens only.
    #[arg(long, value_name = "N")]
    top_k: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), ClientError> {
    let api = Api::from_environment();
    let path = format!("/api/v1/runs/{}/predict", api.resolve(&args.id)?);
    let found: PredictionView = match (&args.prompt, &args.file) {
        (Some(prompt), _) => {
            let Args { tokens, temperature, seed, top_k, .. } = args;
            let body = json!({
                "prompt": prompt, "tokens": tokens, "temperature": temperature, "seed": seed, "top_k": top_k,
            });
            api.send(Method::POST, &path, Some(&body), &[])?
        }
        (None, Some(file)) => {
            let refused = |error| ClientError::Refused(format!("{}: {error}", file.display()));
            if std::fs::metadata(file).map_err(refused)?.len() > IMAGE_BYTES as u64 {
                let most = IMAGE_BYTES >> 20;
                let text = format!("{} is larger than {most} MiB", file.display());
                return Err(ClientError::Refused(text));
            }
            let bytes = std::fs::read(file).map_err(refused)?;
            api.upload(&format!("{path}?invert={}", args.invert), bytes)?
        }
        (None, None) => return Err(ClientError::Refused("name a file or a prompt".to_owned())),
    };
    if args.json {
        return say_json(&found);
    }
    match found {
        PredictionView::Continuation { text, .. } => {
            say(format_args!("{}{text}", args.prompt.as_deref().unwrap_or_default()))
        }
        PredictionView::Classes { classes, hint, .. } => {
            let row =
                |class: crate::views::ClassView| vec![class.name, percent(Num(class.probability))];
            let rows: Vec<Vec<String>> = classes.into_iter().map(row).collect();
            say(table(&["CLASS", "PROBABILITY"], &rows))?;
            hint.map_or(Ok(()), say)
        }
    }
}
