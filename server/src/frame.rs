//! What every request passes through: an id, a log line, security headers, and pages instead of
//! problem documents for browsers.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

use crate::app::AppState;
use crate::problem::Problem;
use crate::routes::pages;

tokio::task_local! {
    static REQUEST_ID: String;
}

/// Carries the id in both directions.
const ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// What a page may load and do.
const CSP: &str = "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; \
                   frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
/// A drawing carries its own style and needs nothing else.
const CSP_DRAWING: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// Id of the request that is being answered; empty outside of one.
#[must_use]
pub fn request_id() -> String {
    REQUEST_ID.try_with(Clone::clone).unwrap_or_default()
}

/// The outermost layer.
pub async fn frame(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let id = id_of(&request);
    let is_page = wants_page(&request);
    let is_head = request.method() == Method::HEAD;
    let span = tracing::info_span!("request", request_id = %id, method = %request.method(), path = request.uri().path());
    let began = Instant::now();
    let answer = REQUEST_ID.scope(id.clone(), next.run(request));
    let mut response = async {
        let response = answer.await;
        let (status, took) = (response.status().as_u16(), began.elapsed());
        tracing::debug!(status, ?took, "answered");
        response
    }
    .instrument(span)
    .await;
    app.requests.count(response.status());
    if is_page
        && !is_head
        && let Some(problem) = response.extensions_mut().remove::<Problem>()
    {
        let problem = Problem { prefix: app.settings.prefix.clone(), ..problem };
        let mut page = pages::error_page(&problem);
        for (name, value) in response.headers() {
            // These tell of the body that the page replaces.
            let body = [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING];
            if !body.contains(name) {
                page.headers_mut().insert(name.clone(), value.clone());
            }
        }
        *page.status_mut() = response.status();
        response = page;
    }
    secure(&mut response, &id);
    response
}

/// The id that a proxy gave, if it is harmless, or a new one.
fn id_of(request: &Request) -> String {
    let given = request.headers().get(ID_HEADER).and_then(|id| id.to_str().ok());
    let harmless = |id: &&str| {
        (1..=64).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let new = || uuid::Uuid::now_v7().simple().to_string();
    given.filter(harmless).map_or_else(new, str::to_owned)
}

/// Whether a person looks at the answer.
pub(crate) fn wants_page(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn secure(response: &mut Response, id: &str) {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_drawing = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"image/svg"));
    let headers = response.headers_mut();
    let csp = HeaderValue::from_static(if is_drawing { CSP_DRAWING } else { CSP });
    headers.insert(header::CONTENT_SECURITY_POLICY, csp);
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(ID_HEADER, id);
    }
}
