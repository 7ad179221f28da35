//! `skein-worker samples`.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use skein_core::dataset::positions::Positions;
use skein_core::event::{Failure, FailureClass};
use skein_core::samples::{Answer, MOST_SAMPLES, SPEC_BYTES, Sheet};
use skein_engine::samples::{Asked, sheet};
use skein_engine::{EngineError, predict};

use crate::{FAILED, caught, print};

#[derive(Args)]
pub(crate) struct SamplesArgs {
    /// Folder of the data sets.
    #[arg(long)]
    datasets: PathBuf,
    /// Positions of the training images, such as `0-7,100`.
    #[arg(long)]
    positions: String,
    /// Changed views of each image.
    #[arg(long, default_value_t = 4)]
    views: u32,
    /// Seed of the changes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where the PNG file goes.
    #[arg(long)]
    out: PathBuf,
    /// Seconds that it may take.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
}

/// Writes the sheet, and says where what is on it or why there is none.
pub(crate) fn show(args: &SamplesArgs) -> ExitCode {
    match caught(|| written(args)) {
        Ok(sheet) => print(json!(Answer::Sheet(sheet))),
        Err(failure) => {
            print(json!(Answer::Failure(failure)));
            ExitCode::from(FAILED)
        }
    }
}

fn written(args: &SamplesArgs) -> Result<Sheet, Failure> {
    predict::bound(Duration::from_secs(args.seconds)).map_err(|error| error.failure())?;
    let mut text = Vec::new();
    let most = SPEC_BYTES as u64;
    std::io::stdin()
        .lock()
        .take(most)
        .read_to_end(&mut text)
        .map_err(|error| refused(error.to_string()))?;
    let specification: Value = serde_json::from_slice(&text)
        .map_err(|error| refused(format!("the specification cannot be read: {error}")))?;
    let positions = Positions::parse(&args.positions)
        .map_err(|error| refused(format!("`--positions` {error}")))?;
    // One too many tells that there are more.
    let positions = positions.iter().take(MOST_SAMPLES + 1).map(u64::cast_signed).collect();
    let asked = Asked { positions, views: args.views, seed: args.seed };
    let (sheet, bytes) = sheet(&args.datasets, &specification, &asked)?;
    fs::write(&args.out, bytes)
        .map_err(|source| EngineError::Io { path: args.out.clone(), source }.failure())?;
    Ok(sheet)
}

fn refused(message: String) -> Failure {
    Failure { class: FailureClass::User, message, hint: "ask for something else".to_owned() }
}
