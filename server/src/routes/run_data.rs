//! What a run has said and found: metrics, rows, architectures, logs, files.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use skein_core::package;
use utoipa::IntoParams;

use crate::app::AppState;
use crate::extract::{ApiPath, ApiQuery, ApiRun, run_id};
use crate::problem::{ApiError, Problem};
use crate::service::ServiceError;
use crate::service::architectures::Form;
use crate::views::{
    ArchitectureView, ArchitecturesView, FileList, FileView, LogView, MetricsView, RowsView,
};

/// Most points of a curve that may be asked for.
const MOST_POINTS: usize = 100_000;

/// How many points, and in which form.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MetricsParams {
    /// Points of a curve; 600 unless asked otherwise.
    pub max_points: Option<usize>,
    /// `json` or `csv`; `csv` gives every point.
    pub format: Option<String>,
}

/// All metrics: as JSON thinned, as CSV every point.
#[utoipa::path(get, path = "/api/v1/runs/{id}/metrics",
    params(("id" = String, Path), MetricsParams),
    responses((status = 200, body = MetricsView), (status = 404, body = Problem)))]
pub(super) async fn metrics(
    State(app): State<AppState>,
    ApiRun(id): ApiRun,
    ApiQuery(params): ApiQuery<MetricsParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let csv = match params.format.as_deref() {
        None => accept.is_some_and(|accept| accept.starts_with("text/csv")),
        Some("csv") => true,
        Some("json") => false,
        Some(_) => {
            return Err(ApiError::BadRequest("`format` must be `json` or `csv`".to_owned()));
        }
    };
    if csv {
        let text = app.runs.metrics_csv(id).await?;
        return Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response());
    }
    Ok(Json(app.runs.metrics(id, points(params.max_points, 600)?).await?).into_response())
}

fn points(asked: Option<usize>, usual: usize) -> Result<usize, ApiError> {
    let points = asked.unwrap_or(usual);
    if (2..=MOST_POINTS).contains(&points) {
        return Ok(points);
    }
    Err(ApiError::BadRequest(format!("`max_points` must be from 2 to {MOST_POINTS}")))
}

/// How many steps.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RowsParams {
    /// Steps; 300 unless asked otherwise.
    pub max_points: Option<usize>,
}

/// The rows over time.
#[utoipa::path(get, path = "/api/v1/runs/{id}/rows", params(("id" = String, Path), RowsParams),
    responses((status = 200, body = RowsView), (status = 404, body = Problem)))]
pub(super) async fn rows(
    State(app): State<AppState>,
    ApiRun(id): ApiRun,
    ApiQuery(params): ApiQuery<RowsParams>,
) -> Result<Json<RowsView>, ApiError> {
    Ok(Json(app.runs.rows(id, points(params.max_points, 300)?).await?))
}

/// Of which step.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StepParams {
    /// A search step; the newest unless asked otherwise.
    pub step: Option<u64>,
}

/// The architecture that would be derived, now and before.
#[utoipa::path(get, path = "/api/v1/runs/{id}/architecture",
    params(("id" = String, Path), StepParams),
    responses((status = 200, body = ArchitectureView), (status = 404, body = Problem)))]
pub(super) async fn architecture(
    State(app): State<AppState>,
    ApiRun(id): ApiRun,
    ApiQuery(params): ApiQuery<StepParams>,
) -> Result<Json<ArchitectureView>, ApiError> {
    Ok(Json(app.runs.architecture(id, params.step).await?))
}

/// Its drawing.
#[utoipa::path(get, path = "/api/v1/runs/{id}/architecture.svg",
    params(("id" = String, Path), StepParams),
    responses((status = 200, content_type = "image/svg+xml", body = String)))]
pub(super) async fn architecture_svg(
    State(app): State<AppState>,
    ApiRun(id): ApiRun,
    ApiQuery(params): ApiQuery<StepParams>,
) -> Result<Response, ApiError> {
    let svg = app.runs.drawing(id, params.step).await?;
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], svg).into_response())
}

/// Its one-line text form.
#[utoipa::path(get, path = "/api/v1/runs/{id}/architecture.txt",
    params(("id" = String, Path), StepParams),
    responses((status = 200, body = String), (status = 404, body = Problem)))]
pub(super) async fn architecture_txt(
    State(app): State<AppState>,
    ApiRun(id): ApiRun,
    ApiQuery(params): ApiQuery<StepParams>,
) -> Result<String, ApiError> {
    let found = app.runs.architecture(id, params.step).await?.current;
    let none = || ServiceError::NotFound { what: "architecture yet".to_owned() };
    Ok(found.ok_or_else(none)?.text + "\n")
}

/// The architectures of all epochs: which is the last, which the best, how much they differ.
#[utoipa::path(get, path = "/api/v1/runs/{id}/architectures", params(("id" = String, Path)),
    responses((status = 200, body = ArchitecturesView), (status = 404, body = Problem)))]
pub(super) async fn architectures(
    State(app): State<AppState>,
    ApiRun(id): ApiRun,
) -> Result<Json<ArchitecturesView>, ApiError> {
    Ok(Json(app.runs.architectures(id).await?))
}

/// What a drawing is compared with.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AgainstParams {
    /// Of a drawing: an epoch or a label; what differs from its architecture is marked.
    pub against: Option<String>,
}

/// One of them as a file: an epoch (from 0), `last`, `best` or `derived`, and `.json`, `.txt` or
/// `.svg`.
#[utoipa::path(get, path = "/api/v1/runs/{id}/architectures/{file}",
    params(("id" = String, Path), ("file" = String, Path), AgainstParams),
    responses((status = 200, content_type = "application/json", body = Object),
        (status = 404, body = Problem)))]
pub(super) async fn architecture_file(
    State(app): State<AppState>,
    path: ApiPath<(String, String)>,
    ApiQuery(params): ApiQuery<AgainstParams>,
) -> Result<Response, ApiError> {
    let (id, file) = path.0.0;
    let id = run_id(&id)?;
    let (which, form, kind) = match file.rsplit_once('.') {
        Some((which, "json")) => (which, Form::Json, "application/json"),
        Some((which, "txt")) => (which, Form::Text, "text/plain; charset=utf-8"),
        Some((which, "svg")) => (which, Form::Drawing, "image/svg+xml"),
        _ => return Err(ApiError::NoRoute),
    };
    if params.against.is_some() && form != Form::Drawing {
        return Err(ApiError::BadRequest("only a drawing (`.svg`) takes `against`".to_owned()));
    }
    let text = app.runs.architecture_file(id, which.to_owned(), params.against, form).await?;
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// Of which attempt, and how much.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogParams {
    /// The attempt; the newest unless asked otherwise.
    pub attempt: Option<u32>,
    /// Lines, counted from the end; 500 unless asked otherwise.
    pub tail: Option<usize>,
}

/// The end of an attempt's log.
#[utoipa::path(get, path = "/api/v1/runs/{id}/logs", params(("id" = String, Path), LogParams),
    responses((status = 200, body = LogView), (status = 404, body = Problem)))]
pub(super) async fn logs(
    State(app): State<AppState>,
    ApiRun(id): ApiRun,
    ApiQuery(params): ApiQuery<LogParams>,
) -> Result<Json<LogView>, ApiError> {
    let tail = params.tail.unwrap_or(500).clamp(1, 10_000);
    Ok(Json(app.runs.log(id, params.attempt, tail).await?))
}

/// The files that the run offers for download.
#[utoipa::path(get, path = "/api/v1/runs/{id}/artifacts", params(("id" = String, Path)),
    responses((status = 200, body = FileList), (status = 404, body = Problem)))]
pub(super) async fn artifacts(
    State(app): State<AppState>,
    ApiRun(id): ApiRun,
) -> Result<Json<FileList>, ApiError> {
    let base = format!("{}/api/v1/runs/{id}/artifacts", app.settings.prefix);
    let files = app.runs.artifacts(id).await?.into_iter().map(|found| FileView {
        url: format!("{base}/{}", crate::guard::encode(&found.file.name)),
        about: package::find(&found.file.name).map_or("", |kind| kind.about).to_owned(),
        name: found.file.name,
        bytes: found.file.bytes,
        sha256: found.file.sha256,
    });
    Ok(Json(FileList { files: files.collect() }))
}
