//! How far an upload and its preparation are, as a stream.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::sync::watch;

use crate::app::AppState;
use crate::extract::ApiPath;
use crate::problem::{ApiError, Problem};
use crate::service::datasets::incoming::{Incoming, State as Stands};
use crate::views::IncomingView;

/// A stream says so often that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Least time between two messages of progress.
const PACE: Duration = Duration::from_millis(200);

/// How far an upload and its preparation are, as `incoming` messages; ends with a `dataset` message once
/// nothing is on its way.
#[utoipa::path(get, path = "/api/v1/datasets/{id}/events", params(("id" = String, Path)),
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = 404, body = Problem)))]
pub(in crate::routes) async fn events(
    State(app): State<AppState>,
    ApiPath(Path(id)): ApiPath<String>,
) -> Result<Response, ApiError> {
    // That there is such a data set.
    app.runs.datasets.show(&id).await?;
    let body = Body::from_stream(messages(app, id).map(Ok::<Bytes, Infallible>));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, body).into_response())
}

/// What a stream says next.
enum Next {
    /// How things stand.
    Now(watch::Receiver<Incoming>),
    /// The next change.
    Change(watch::Receiver<Incoming>),
    /// The data set as it is in the end.
    End,
    /// Nothing more.
    Over,
}

fn messages(app: AppState, id: String) -> impl Stream<Item = Bytes> {
    let coming = app.runs.datasets.coming(&id);
    let first = coming.map_or(Next::End, |coming| Next::Now(coming.changes()));
    futures::stream::unfold((app, id, first), async |(app, id, mut next)| {
        loop {
            next = match next {
                Next::Over => return None,
                Next::End => {
                    let text = message("dataset", &app.runs.show_dataset(&id).await.ok()?);
                    return Some((text, (app, id, Next::Over)));
                }
                Next::Now(mut changes) => {
                    let record = changes.borrow_and_update().clone();
                    let text = message("incoming", &IncomingView::of(&id, &record));
                    let failed = record.state == Stands::Failed;
                    let next = if failed { Next::Over } else { Next::Change(changes) };
                    return Some((text, (app, id, next)));
                }
                Next::Change(mut changes) => {
                    tokio::time::sleep(PACE).await;
                    let changed = tokio::select! {
                        () = app.runs.shutdown.cancelled() => return None,
                        changed = tokio::time::timeout(HEARTBEAT, changes.changed()) => changed,
                    };
                    match changed {
                        Ok(Ok(())) => Next::Now(changes),
                        Ok(Err(_)) => Next::End,
                        Err(_) => {
                            let text = Bytes::from_static(b":\n\n");
                            return Some((text, (app, id, Next::Change(changes))));
                        }
                    }
                }
            }
        }
    })
}

fn message(name: &str, value: &impl serde::Serialize) -> Bytes {
    let data = serde_json::to_string(value).unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}
