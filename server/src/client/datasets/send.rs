//! Sending a file in parts: a part that is lost on the way is sent again.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indicatif::ProgressBar;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use ureq::http::Method;

use super::source::{self, Source};
use super::{Api, ClientError, begin, path, style};
use crate::views::{DatasetView, IncomingView, NewDataset};

/// Bytes of a part.
const PART: u64 = 8 << 20;
/// Attempts at a part.
const TRIES: u32 = 6;

/// Sends what lies at a path, and says that this was all.
pub(super) fn send(api: &Api, from: &Path, asked: NewDataset) -> Result<DatasetView, ClientError> {
    let Source { file_name, bytes, mut content } = source::open(from)?;
    let begun =
        begin(api, &NewDataset { file_name: Some(file_name), bytes: Some(bytes), ..asked })?;
    let bar = ProgressBar::new(bytes).with_style(style(
        "uploading {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
    ));
    let mut offset = 0;
    while offset < bytes {
        let mut part = Vec::new();
        let read = content.by_ref().take(PART).read_to_end(&mut part);
        let read =
            read.map_err(|error| ClientError::Failed(format!("{}: {error}", from.display())))?;
        if read == 0 {
            let text = format!("{} has become shorter while it was sent", from.display());
            return Err(ClientError::Failed(text));
        }
        send_part(api, &begun.id, offset, &part)?;
        offset += read as u64;
        bar.set_position(offset);
    }
    bar.finish_and_clear();
    let path = format!("{}/commit", path(&begun.id));
    let _: IncomingView = again(|| api.send(Method::POST, &path, Some(&json!({})), &[]))?;
    Ok(begun)
}

fn send_part(api: &Api, id: &str, offset: u64, part: &[u8]) -> Result<(), ClientError> {
    let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(part)));
    let target = format!("{}/parts?offset={offset}", path(id));
    let sent: Result<IncomingView, _> =
        again(|| api.put(&target, part.to_vec(), &[("content-digest", &digest)]));
    match sent {
        Ok(_) => Ok(()),
        // The answer to an earlier attempt may have been lost, and the part be there.
        Err(error) => {
            let view: DatasetView = api.get(&path(id))?;
            let there = view.incoming.map(|incoming| incoming.received);
            if there == Some(offset + part.len() as u64) { Ok(()) } else { Err(error) }
        }
    }
}

/// Tries again for a while if the server is not heard.
fn again<T>(mut attempt: impl FnMut() -> Result<T, ClientError>) -> Result<T, ClientError> {
    for wait in 0..TRIES - 1 {
        match attempt() {
            Err(ClientError::Failed(_)) => std::thread::sleep(Duration::from_millis(250 << wait)),
            done => return done,
        }
    }
    attempt()
}
