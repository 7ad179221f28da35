//! The bundled scripts and styles, embedded in the binary.

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

/// What `npm run build` in `static/` writes; the server also compiles without it.
#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../static/dist"]
#[allow_missing = true]
struct Dist;

/// Address of a file below the prefix, with a digest of its content, so that it may be cached.
#[must_use]
pub(super) fn address(prefix: &str, name: &str) -> String {
    match Dist::get(name) {
        Some(file) => format!("{prefix}/static/{name}?v={}", &digest(&file)[..12]),
        None => format!("{prefix}/static/{name}"),
    }
}

/// Whether the pages have their scripts; a build without `npm run build` lacks them.
#[must_use]
pub(super) fn are_embedded() -> bool {
    Dist::get("app.js").is_some()
}

/// `GET /static/{*name}`.
pub(super) async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(file) = Dist::get(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = format!("\"{}\"", &digest(&file)[..32]);
    let caching = [
        (header::ETAG, tag.clone()),
        // An address carries the digest, so what it names never changes.
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()),
    ];
    let known =
        headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    if known {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    let kind = file.metadata.mimetype().to_owned();
    (caching, [(header::CONTENT_TYPE, kind)], file.data.into_owned()).into_response()
}

fn digest(file: &EmbeddedFile) -> String {
    file.metadata.sha256_hash().iter().fold(String::with_capacity(64), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    })
}
