//! Messages of an event stream, as the standard for server-sent events writes them.

use std::fmt::Write as _;

use bytes::Bytes;
use serde::Serialize;

use super::RunView;

/// A comment that keeps a silent connection open.
pub const HEARTBEAT: Bytes = Bytes::from_static(b":\n\n");

/// Appends an event: the worker's own JSON with the run's id before it.
pub fn event(text: &mut String, run: &str, id: u64, kind: &str, json: &str) {
    let rest = json.strip_prefix('{').unwrap_or_default();
    // Outside of strings, JSON may hold a carriage return, which would end the message's line.
    let rest = rest.replace('\r', " ");
    // Writing into a string cannot fail.
    let _ = write!(text, "event: {kind}\nid: {id}\ndata: {{\"run\":\"{run}\",{rest}\n\n");
}

/// The state of a run.
#[must_use]
pub fn status(view: &RunView) -> Bytes {
    message("status", view)
}

/// There is no such run, or no longer.
#[must_use]
pub fn gone(run: &str) -> Bytes {
    message("gone", &serde_json::json!({ "run": run }))
}

fn message(name: &str, value: &impl Serialize) -> Bytes {
    let json = serde_json::to_string(value).unwrap_or_default();
    format!("event: {name}\ndata: {json}\n\n").into()
}
