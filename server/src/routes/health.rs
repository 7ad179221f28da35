//! For those who watch the server: alive, ready, numbers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::app::AppState;
use crate::domain::run::RunStatus;
use crate::problem::ApiError;

/// The routes for watchers.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

async fn ready(State(app): State<AppState>) -> Result<&'static str, ApiError> {
    if app.runs.shutdown.is_cancelled() {
        return Err(ApiError::Unavailable("the server is stopping".to_owned()));
    }
    Ok("ok\n")
}

/// Prometheus' text format.
async fn metrics(State(app): State<AppState>) -> Response {
    let mut runs: BTreeMap<String, usize> =
        RunStatus::ALL.iter().map(|status| (status.to_string(), 0)).collect();
    for entry in app.runs.all() {
        *runs.entry(entry.status().to_string()).or_insert(0) += 1;
    }
    let mut text = "# HELP skein_runs Runs by state.\n# TYPE skein_runs gauge\n".to_owned();
    for (status, count) in runs {
        let _ = writeln!(text, "skein_runs{{status=\"{status}\"}} {count}");
    }
    let streams = app.runs.streams.load(Ordering::Relaxed);
    text.push_str("# HELP skein_event_streams Open event streams.\n");
    let _ = writeln!(text, "# TYPE skein_event_streams gauge\nskein_event_streams {streams}");
    text.push_str("# HELP skein_http_requests_total Answers by status.\n");
    text.push_str("# TYPE skein_http_requests_total counter\n");
    for (status, count) in app.requests.counts() {
        let _ = writeln!(text, "skein_http_requests_total{{status=\"{status}\"}} {count}");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
