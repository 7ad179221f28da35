//! A run's events as a stream: everything after `Last-Event-ID`, then whatever comes.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use serde::Deserialize;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::IntoParams;

use crate::app::AppState;
use crate::extract::{ApiQuery, ApiRun};
use crate::problem::{ApiError, Problem};
use crate::service::stream::Item;

/// A comment goes out after so much silence, so that proxies keep the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);

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

/// A run's events; ends with the run or the server.
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
    let items = app.runs.listen(id, after, params.status)?;
    let stream = ReceiverStream::new(items).map(|item| Ok::<_, Infallible>(message(&item)));
    let mut response =
        Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let buffering = HeaderName::from_static("x-accel-buffering");
    headers.insert(buffering, HeaderValue::from_static("no"));
    Ok(response)
}

fn last_event(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get("last-event-id").filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let fault = || ApiError::BadRequest("`Last-Event-ID` must be the id of an event".to_owned());
    id.map(Some).ok_or_else(fault)
}

fn message(item: &Item) -> Event {
    match item {
        Item::Event(line) => {
            let kind = line.event.body.kind();
            Event::default().event(kind).id(line.id.to_string()).data(&line.json)
        }
        Item::Status(view) => {
            let json = serde_json::to_string(view.as_ref()).unwrap_or_default();
            Event::default().event("status").data(json)
        }
    }
}
