//! `skein spaces`: what can be searched.

use clap::Subcommand;
use serde_json::Value;
use skein_core::spaces::SpaceInfo;

use super::http::Api;
use super::text::{grouped, pairs, table};
use super::{ClientError, say, say_json};

/// The commands about spaces.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the spaces.
    Ls {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one space with its decisions and options.
    Show {
        /// The space.
        preset: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(command: Command) -> Result<(), ClientError> {
    let api = Api::from_environment();
    match command {
        Command::Ls { json } => list(&api, json),
        Command::Show { preset, json } => show(&api, &preset, json),
    }
}

fn list(api: &Api, json: bool) -> Result<(), ClientError> {
    let spaces: Vec<SpaceInfo> = api.get("/api/v1/spaces")?;
    if json {
        return say_json(&spaces);
    }
    let rows: Vec<Vec<String>> = spaces
        .iter()
        .map(|space| {
            let params = format!("{}–{}", grouped(space.min_params), grouped(space.max_params));
            vec![space.preset.clone(), space.architectures.clone(), params, space.title.clone()]
        })
        .collect();
    say(table(&["SPACE", "ARCHITECTURES", "PARAMETERS", "TITLE"], &rows))
}

fn show(api: &Api, preset: &str, json: bool) -> Result<(), ClientError> {
    let detail: Value = api.get(&format!("/api/v1/spaces/{}", crate::guard::encode(preset)))?;
    if json {
        return say_json(&detail);
    }
    let space: SpaceInfo = serde_json::from_value(detail["space"].clone())
        .map_err(|error| ClientError::Failed(format!("the answer cannot be read: {error}")))?;
    say(pairs(&[
        ("space", space.preset),
        ("title", space.title),
        ("what", space.summary),
        ("source", space.source),
        ("architectures", space.architectures),
        ("smallest", format!("{} parameters", grouped(space.min_params))),
        ("largest", format!("{} parameters", grouped(space.max_params))),
        ("supernet", format!("{} parameters, entangled", grouped(space.entangled_params))),
        ("", format!("{} parameters, separate weights", grouped(space.shared_params))),
    ]))?;
    for choice in detail["choices"].as_array().into_iter().flatten() {
        let text = |key: &str| choice[key].as_str().unwrap_or_default().to_owned();
        let options = choice["options"].as_array().into_iter().flatten();
        let options: Vec<&str> = options.filter_map(Value::as_str).collect();
        say(format!("  {} {}: {}", text("tensor"), text("label"), options.join(", ")))?;
    }
    Ok(())
}
