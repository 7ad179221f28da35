//! `skein search`: a run from a file.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use skein_core::encoding;

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

/// Reads a specification from a file.
pub(super) fn read(path: &Path) -> Result<Value, ClientError> {
    let name = path.display();
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(path).map(|read| bytes = read)
    };
    read.map_err(|error| ClientError::Refused(format!("cannot read `{name}`: {error}")))?;
    let text = encoding::decode(&bytes)
        .map_err(|error| ClientError::Refused(format!("cannot read `{name}`: {error}")))?;
    parse(text, path.extension().and_then(|extension| extension.to_str()))
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
    fn a_file_in_another_encoding_is_read_or_refused_with_advice() {
        let dir = tempfile::tempdir().unwrap();
        let text = "seed = 1\n[dataset]\nid = \"x\"\n";
        let written = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            read(&path)
        };
        let marked = format!("\u{FEFF}{}", text.replace('\n', "\r\n"));
        let plain = written("plain.toml", text.as_bytes()).unwrap();
        assert_eq!(written("marked.toml", marked.as_bytes()).unwrap(), plain);
        let json = format!("\u{FEFF}{plain}");
        assert_eq!(written("marked.json", json.as_bytes()).unwrap(), plain);
        assert_eq!(written("marked", json.as_bytes()).unwrap(), plain);
        let wide: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [&wide[..], &wide[2..], b"seed = \"\xE9\""] {
            let error = written("wide.toml", bytes).unwrap_err().to_string();
            assert!(error.contains("save it as UTF-8"), "{error}");
        }
    }

    #[test]
    fn both_forms_give_the_same_specification() {
        let json = parse(r#"{"seed": 1, "dataset": {"id": "x"}}"#, None).unwrap();
        let toml = parse("seed = 1\n[dataset]\nid = \"x\"\n", None).unwrap();
        assert_eq!(json, toml);
        assert!(parse("{", Some("json")).is_err());
        assert!(parse("a = ", Some("toml")).unwrap_err().contains("line 1"));
    }
}
