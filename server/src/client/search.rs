//! `skein search`: a run from a file.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::follow::follow;
use super::http::Api;
use super::{ClientError, check_end, runs, say, say_json, say_warnings};
use crate::views::RunDetail;

/// What to search, and whether to watch.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Specification in TOML or JSON; `-` reads standard input.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Stay and show progress until the run has ended.
    #[arg(long)]
    follow: bool,
    /// Print the run as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), ClientError> {
    let spec = read(&args.file)?;
    let api = Api::from_environment();
    let made: RunDetail = api.create("/api/v1/runs", &spec)?;
    say_warnings(&made.run);
    let id = &made.run.id;
    let page = format!("{}/runs/{id}", api.base());
    if !args.follow {
        return if args.json { say_json(&made) } else { say(format!("{id}  {page}")) };
    }
    if !args.json {
        say(format!("{id}  {page}"))?;
    }
    let ended = follow(&api, id, &|| false)?;
    if args.json {
        say_json(&ended)?;
    } else if ended.run.summary.is_some() {
        say(runs::result_table(&ended.run))?;
    }
    check_end(&ended.run)
}

fn read(path: &Path) -> Result<Value, ClientError> {
    let name = path.display();
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(path).map(|read| text = read)
    };
    read.map_err(|error| ClientError::Refused(format!("cannot read `{name}`: {error}")))?;
    parse(&text, path.extension().and_then(|extension| extension.to_str()))
        .map_err(|error| ClientError::Refused(format!("`{name}` is no specification: {error}")))
}

/// By extension; without one, whatever begins with a brace is JSON.
fn parse(text: &str, extension: Option<&str>) -> Result<Value, String> {
    let json = match extension {
        Some("json") => true,
        Some("toml") => false,
        _ => text.trim_start().starts_with('{'),
    };
    if json {
        serde_json::from_str(text).map_err(|error| error.to_string())
    } else {
        toml::from_str(text).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_give_the_same_specification() {
        let json = parse(r#"{"seed": 1, "dataset": {"id": "x"}}"#, None).unwrap();
        let toml = parse("seed = 1\n[dataset]\nid = \"x\"\n", None).unwrap();
        assert_eq!(json, toml);
        assert!(parse("{", Some("json")).is_err());
        assert!(parse("a = ", Some("toml")).unwrap_err().contains("line 1"));
    }
}
