//! Runs' events as streams: everything after an event, then whatever comes.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::AppState;
use crate::domain::ids::RunId;
use crate::extract::{ApiQuery, ApiRun};
use crate::problem::{ApiError, Problem};
use crate::views::stream;

/// A comment goes out after so much silence, so that proxies keep the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Most runs of one stream.
const MOST_RUNS: usize = 100;

/// Where the stream begins and what it holds.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventParams {
    /// Begin after this event; the header `Last-Event-ID` goes before it.
    pub after: Option<u64>,
    /// Also send `status` messages.
    #[serde(default)]
    pub status: bool,
}

/// A run's events; ends with the run or the server. The data of a message is the event as JSON,
/// with the run's id as `run`.
#[utoipa::path(get, path = "/api/v1/runs/{id}/events", params(("id" = String, Path), EventParams),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = 404, body = Problem)))]
pub(super) async fn events(
    State(app): State<AppState>,
    ApiRun(id): ApiRun,
    ApiQuery(params): ApiQuery<EventParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let after = last_event(&headers)?.or(params.after).unwrap_or(0);
    Ok(answer(app.runs.listen(id, after, params.status)?))
}

/// Which runs, and where their events begin.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SeveralParams {
    /// Ids separated by commas, at most 100; `ID:EVENT` begins after that event.
    pub runs: String,
}

/// Events and `status` messages of several runs in one stream, for browsers: they keep only six
/// connections to a server. Ends with the last of the runs or the server. A run that does not exist is
/// a `gone` message. `Last-Event-ID` is ignored, as it cannot say of which run it is.
#[utoipa::path(get, path = "/api/v1/events", params(SeveralParams),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = 400, body = Problem)))]
pub(super) async fn several(
    State(app): State<AppState>,
    ApiQuery(params): ApiQuery<SeveralParams>,
) -> Result<Response, ApiError> {
    Ok(answer(app.runs.listen_to_all(&places(&params.runs)?)))
}

fn places(text: &str) -> Result<Vec<(RunId, u64)>, ApiError> {
    let fault = |word: &str| {
        ApiError::BadRequest(format!(
            "`runs` lists ids of runs as `ID` or `ID:EVENT`, not `{word}`"
        ))
    };
    let words: Vec<&str> = text.split(',').collect();
    if words.len() > MOST_RUNS {
        let detail = format!("one stream holds at most {MOST_RUNS} runs, not {}", words.len());
        return Err(ApiError::BadRequest(detail));
    }
    let place = |word: &str| {
        let (id, after) = word.split_once(':').unwrap_or((word, "0"));
        Some((RunId::parse(id)?, after.parse().ok()?))
    };
    words.into_iter().map(|word| place(word).ok_or_else(|| fault(word))).collect()
}

/// The messages, and a comment now and then while there are none.
fn answer(messages: impl Stream<Item = Bytes> + Unpin + Send + 'static) -> Response {
    let body = futures::stream::unfold(messages, async |mut messages| {
        let next = tokio::time::timeout(HEARTBEAT, messages.next()).await;
        let text = next.unwrap_or(Some(stream::HEARTBEAT))?;
        Some((Ok::<Bytes, Infallible>(text), messages))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(body)).into_response()
}

fn last_event(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get("last-event-id").filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let fault = || ApiError::BadRequest("`Last-Event-ID` must be the id of an event".to_owned());
    id.map(Some).ok_or_else(fault)
}
