//! Downloads: parts of files, tags, digests; never compressed on the way.

use std::io::SeekFrom;
use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use crate::app::AppState;
use crate::extract::{ApiPath, run_id};
use crate::problem::ApiError;
use crate::service::ServiceError;
use crate::service::package::Artifact;

/// The route of downloads.
pub fn router() -> Router<AppState> {
    Router::new().route("/api/v1/runs/{id}/artifacts/{name}", get(download))
}

async fn download(
    State(app): State<AppState>,
    path: ApiPath<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (id, name) = path.0.0;
    let artifact = app.runs.artifact(run_id(&id)?, name).await?;
    let etag = format!("\"{}\"", artifact.file.sha256);
    let fixed = fixed_headers(&artifact, &etag);
    if matches_any(&headers, header::IF_NONE_MATCH, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, fixed).into_response());
    }
    let length = tokio::fs::metadata(&artifact.path).await.map_err(ServiceError::Io)?.len();
    let range = match asked_range(&headers, &etag) {
        Some(text) => parse_range(&text, length).map_err(|()| ApiError::Range { length })?,
        None => None,
    };
    let (status, first, count) = match range {
        Some((first, last)) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        None => (StatusCode::OK, 0, length),
    };
    let body = match method {
        Method::HEAD => Body::empty(),
        _ => part(&artifact.path, first, count).await.map_err(ServiceError::Io)?,
    };
    let mut response = (status, fixed, body).into_response();
    let sizes = response.headers_mut();
    sizes.insert(header::CONTENT_LENGTH, HeaderValue::from(count));
    if let Some((first, last)) = range {
        let value = HeaderValue::try_from(format!("bytes {first}-{last}/{length}"));
        value.ok().and_then(|value| sizes.insert(header::CONTENT_RANGE, value));
    }
    Ok(response)
}

async fn part(path: &Path, first: u64, count: u64) -> std::io::Result<Body> {
    let mut file = tokio::fs::File::open(path).await?;
    file.seek(SeekFrom::Start(first)).await?;
    Ok(Body::from_stream(ReaderStream::with_capacity(file.take(count), 64 * 1024)))
}

fn fixed_headers(artifact: &Artifact, etag: &str) -> HeaderMap {
    let name = &artifact.file.name;
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' })
        .collect();
    let texts = [
        (header::CONTENT_TYPE, content_type(name)),
        (header::ETAG, etag.to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{plain}\"")),
        (HeaderName::from_static("repr-digest"), repr_digest(&artifact.file.sha256)),
    ];
    let valid = texts
        .into_iter()
        .filter_map(|(name, text)| HeaderValue::try_from(text).ok().map(|value| (name, value)));
    valid.collect()
}

fn content_type(name: &str) -> String {
    match name.rsplit('.').next() {
        Some("safetensors" | "onnx") => "application/octet-stream".to_owned(),
        Some("csv") => "text/csv; charset=utf-8".to_owned(),
        Some("txt" | "md" | "py" | "toml") => "text/plain; charset=utf-8".to_owned(),
        _ => mime_guess::from_path(name).first_or_octet_stream().to_string(),
    }
}

/// RFC 9530: the digest in base64 between colons.
fn repr_digest(hex: &str) -> String {
    let byte = |at: usize| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).filter_map(byte).collect();
    format!("sha-256=:{}:", base64(&bytes))
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = at(0) << 16 | at(1) << 8 | at(2);
        for position in 0..4 {
            let letter = LETTERS[(group >> (18 - 6 * position) & 63) as usize];
            text.push(if position <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

fn matches_any(headers: &HeaderMap, name: HeaderName, etag: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(','));
    tags.any(|tag| tag.trim().trim_start_matches("W/") == etag || tag.trim() == "*")
}

/// The range that is asked for, unless it was meant for another version of the file.
fn asked_range(headers: &HeaderMap, etag: &str) -> Option<String> {
    let range = headers.get(header::RANGE)?.to_str().ok()?;
    match headers.get(header::IF_RANGE) {
        Some(tag) if tag.as_bytes() != etag.as_bytes() => None,
        _ => Some(range.to_owned()),
    }
}

/// First and last byte of a single range; `None` if it is to be ignored (several ranges, another
/// unit), an error if it lies outside.
fn parse_range(text: &str, length: u64) -> Result<Option<(u64, u64)>, ()> {
    let Some(spec) = text.strip_prefix("bytes=").filter(|spec| !spec.contains(',')) else {
        return Ok(None);
    };
    let Some((first, last)) = spec.trim().split_once('-') else { return Ok(None) };
    let number = |text: &str| text.parse::<u64>().ok();
    match (first.is_empty(), last.is_empty()) {
        (true, false) => match number(last) {
            None => Ok(None),
            Some(0) => Err(()),
            Some(_) if length == 0 => Err(()),
            Some(count) => Ok(Some((length.saturating_sub(count), length - 1))),
        },
        (false, _) => {
            let last = if last.is_empty() { Some(u64::MAX) } else { number(last) };
            match (number(first), last) {
                (Some(first), Some(last)) if first > last => Ok(None),
                (Some(first), Some(_)) if first >= length => Err(()),
                (Some(first), Some(last)) => Ok(Some((first, last.min(length - 1)))),
                _ => Ok(None),
            }
        }
        (true, true) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("bytes=0-0", Ok(Some((0, 0))))]
    #[case("bytes=5-", Ok(Some((5, 9))))]
    #[case("bytes=-3", Ok(Some((7, 9))))]
    #[case("bytes=-30", Ok(Some((0, 9))))]
    #[case("bytes=2-100", Ok(Some((2, 9))))]
    #[case("bytes=10-", Err(()))]
    #[case("bytes=-0", Err(()))]
    #[case("bytes=4-2", Ok(None))]
    #[case("bytes=0-1,3-4", Ok(None))]
    #[case("lines=0-1", Ok(None))]
    #[case("bytes=x-y", Ok(None))]
    fn ranges(#[case] text: &str, #[case] range: Result<Option<(u64, u64)>, ()>) {
        assert_eq!(parse_range(text, 10), range);
    }

    #[rstest]
    #[case("", "")]
    #[case("f", "Zg==")]
    #[case("fo", "Zm8=")]
    #[case("foo", "Zm9v")]
    #[case("foobar", "Zm9vYmFy")]
    fn base64_is_that_of_rfc_4648(#[case] text: &str, #[case] encoded: &str) {
        assert_eq!(base64(text.as_bytes()), encoded);
    }

    #[test]
    fn a_file_of_no_bytes_has_no_range() {
        assert_eq!(parse_range("bytes=0-", 0), Err(()));
        assert_eq!(parse_range("bytes=-1", 0), Err(()));
    }
}
