//! Runs: list, create, show, rename, delete, stop, resume.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::app::AppState;
use crate::domain::run::RunStatus;
use crate::extract::{ApiJson, ApiQuery, ApiRun};
use crate::problem::{ApiError, Problem};
use crate::service::create::Created;
use crate::service::list::{ListQuery, Sort};
use crate::views::{FrontAsked, Preflight, RunDetail, RunList, TrainingAsked};

/// Runs on a page, unless asked otherwise.
const PAGE: usize = 50;
/// Most runs on a page.
const LARGEST_PAGE: usize = 200;

/// Which runs, and how.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// Only these states, separated by commas.
    pub status: Option<String>,
    /// Only runs whose name, id, space, optimizer, data or architecture contains this text.
    pub q: Option<String>,
    /// `created`, `name`, `status` or `accuracy`.
    #[param(value_type = Option<String>)]
    pub sort: Option<Sort>,
    /// `asc` or `desc`.
    #[param(value_type = Option<String>)]
    pub order: Option<Order>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Runs on a page, at most 200.
    pub limit: Option<usize>,
}

/// Direction of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Smallest first.
    Asc,
    /// Largest first.
    Desc,
}

impl ListParams {
    /// The query that they stand for.
    ///
    /// # Errors
    /// - [`ApiError::BadRequest`] if a state is unknown or the limit is out of range.
    pub fn query(self) -> Result<ListQuery, ApiError> {
        let limit = self.limit.unwrap_or(PAGE);
        if !(1..=LARGEST_PAGE).contains(&limit) {
            let detail = format!("`limit` must be from 1 to {LARGEST_PAGE}, not {limit}");
            return Err(ApiError::BadRequest(detail));
        }
        let words = self.status.as_deref().unwrap_or("").split(',');
        let words = words.map(str::trim).filter(|word| !word.is_empty());
        let unknown = |word| ApiError::BadRequest(format!("`{word}` is no state of a run"));
        let status: Result<Vec<RunStatus>, ApiError> =
            words.map(|word| RunStatus::parse(word).ok_or_else(|| unknown(word))).collect();
        let sort = self.sort.unwrap_or_default();
        Ok(ListQuery {
            status: status?,
            q: self.q.filter(|q| !q.trim().is_empty()),
            sort,
            ascending: match self.order {
                Some(order) => order == Order::Asc,
                None => matches!(sort, Sort::Name | Sort::Status),
            },
            cursor: self.cursor,
            limit,
        })
    }
}

/// A page of runs, newest first unless asked otherwise.
#[utoipa::path(get, path = "/api/v1/runs", params(ListParams), responses(
    (status = 200, body = RunList), (status = 400, body = Problem)))]
pub(super) async fn list(
    State(app): State<AppState>,
    ApiQuery(params): ApiQuery<ListParams>,
) -> Result<Json<RunList>, ApiError> {
    Ok(Json(app.runs.list(params.query()?).await?))
}

/// Creates a run. With an `Idempotency-Key`, a repeated request gives the first one's run.
#[utoipa::path(post, path = "/api/v1/runs", request_body = Object, responses(
    (status = 201, body = RunDetail, description = "The run waits in the queue."),
    (status = 422, body = Problem, description = "Every violation at once."),
    (status = 507, body = Problem, description = "The data folder takes nothing more.")))]
pub(super) async fn create(
    State(app): State<AppState>,
    headers: HeaderMap,
    ApiJson(spec): ApiJson<Value>,
) -> Result<Response, ApiError> {
    let created = app.runs.create(spec, key(&headers)?).await?;
    answer(&app, created)
}

/// Trains an architecture of a run in a run of its own: what the run found, or another of its space.
#[utoipa::path(post, path = "/api/v1/runs/{id}/train", params(("id" = String, Path)),
    request_body = TrainingAsked, responses(
    (status = 201, body = RunDetail, description = "The new run waits in the queue."),
    (status = 404, body = Problem),
    (status = 409, body = Problem, description = "The run has no architecture, or no weights, yet."),
    (status = 422, body = Problem, description = "Every violation at once."),
    (status = 507, body = Problem, description = "The data folder takes nothing more.")))]
pub(super) async fn train(
    State(app): State<AppState>,
    ApiRun(id): ApiRun,
    headers: HeaderMap,
    ApiJson(asked): ApiJson<TrainingAsked>,
) -> Result<Response, ApiError> {
    let created = app.runs.train(id, asked, key(&headers)?).await?;
    answer(&app, created)
}

/// Compares architectures on a run's trained supernet, in a run of its own: the front of accuracy
/// against cost, in a minute or two.
#[utoipa::path(post, path = "/api/v1/runs/{id}/front", params(("id" = String, Path)),
    request_body = FrontAsked, responses(
    (status = 201, body = RunDetail, description = "The new run waits in the queue."),
    (status = 404, body = Problem),
    (status = 409, body = Problem, description = "The run has no supernet that lends weights."),
    (status = 422, body = Problem, description = "Every violation at once."),
    (status = 507, body = Problem, description = "The data folder takes nothing more.")))]
pub(super) async fn front(
    State(app): State<AppState>,
    ApiRun(id): ApiRun,
    headers: HeaderMap,
    ApiJson(asked): ApiJson<FrontAsked>,
) -> Result<Response, ApiError> {
    let created = app.runs.front(id, asked.cost, key(&headers)?).await?;
    answer(&app, created)
}

/// Tells where a run is that was created.
fn answer(app: &AppState, created: Created) -> Result<Response, ApiError> {
    let path = format!("runs/{}", created.run.run.id);
    Ok(made(app, &path, created.run, created.replayed))
}

/// The answer to a request that has created something, or had before: what, and where it is.
pub(super) fn made(app: &AppState, path: &str, what: impl Serialize, replayed: bool) -> Response {
    let location = format!("{}/api/v1/{path}", app.settings.prefix);
    let replayed = if replayed { "true" } else { "false" };
    let headers = [
        (header::LOCATION, HeaderValue::from_str(&location)),
        (HeaderName::from_static("idempotent-replayed"), HeaderValue::from_str(replayed)),
    ];
    let mut response = (StatusCode::CREATED, Json(what)).into_response();
    for (name, value) in headers {
        value.ok().and_then(|value| response.headers_mut().insert(name, value));
    }
    response
}

/// The key of a request that may be repeated.
///
/// # Errors
/// - [`ApiError::BadRequest`] if it is none.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=255).contains(&text.len()));
    let text = text.ok_or_else(|| {
        ApiError::BadRequest("`Idempotency-Key` must have 1 to 255 visible characters".to_owned())
    })?;
    Ok(Some(text.to_owned()))
}

/// Checks a specification and says what it would mean; creates nothing.
#[utoipa::path(post, path = "/api/v1/runs/preflight", request_body = Object, responses(
    (status = 200, body = Preflight), (status = 422, body = Problem)))]
pub(super) async fn preflight(
    State(app): State<AppState>,
    ApiJson(spec): ApiJson<Value>,
) -> Result<Json<Preflight>, ApiError> {
    Ok(Json(app.runs.preflight(spec).await?))
}

/// A run with its specification.
#[utoipa::path(get, path = "/api/v1/runs/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = RunDetail), (status = 404, body = Problem)))]
pub(super) async fn show(
    State(app): State<AppState>,
    ApiRun(id): ApiRun,
) -> Result<Json<RunDetail>, ApiError> {
    Ok(Json(app.runs.get(id).await?))
}

/// What can be changed of a run.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// Name for people.
    pub name: String,
}

/// Gives a run another name.
#[utoipa::path(patch, path = "/api/v1/runs/{id}", request_body = Patch,
    params(("id" = String, Path)),
    responses((status = 200, body = RunDetail), (status = 400, body = Problem)))]
pub(super) async fn rename(
    State(app): State<AppState>,
    ApiRun(id): ApiRun,
    ApiJson(patch): ApiJson<Patch>,
) -> Result<Json<RunDetail>, ApiError> {
    let name = patch.name.trim();
    let fits = (1..=120).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if !fits {
        let detail = "`name` must have 1 to 120 characters, none of them a control character";
        return Err(ApiError::BadRequest(detail.to_owned()));
    }
    Ok(Json(app.runs.rename(id, name.to_owned()).await?))
}

/// Deletes a run that is not active, and everything it wrote.
#[utoipa::path(delete, path = "/api/v1/runs/{id}", params(("id" = String, Path)), responses(
    (status = 204, description = "It is gone."), (status = 409, body = Problem)))]
pub(super) async fn delete(
    State(app): State<AppState>,
    ApiRun(id): ApiRun,
) -> Result<StatusCode, ApiError> {
    app.runs.delete(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a run; its worker may write a checkpoint first.
#[utoipa::path(post, path = "/api/v1/runs/{id}/cancel", params(("id" = String, Path)), responses(
    (status = 202, body = RunDetail), (status = 409, body = Problem)))]
pub(super) async fn cancel(
    State(app): State<AppState>,
    ApiRun(id): ApiRun,
) -> Result<(StatusCode, Json<RunDetail>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(app.runs.cancel(id).await?)))
}

/// Stops a run so that it can be resumed.
#[utoipa::path(post, path = "/api/v1/runs/{id}/pause", params(("id" = String, Path)), responses(
    (status = 202, body = RunDetail), (status = 409, body = Problem)))]
pub(super) async fn pause(
    State(app): State<AppState>,
    ApiRun(id): ApiRun,
) -> Result<(StatusCode, Json<RunDetail>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(app.runs.pause(id).await?)))
}

/// Goes on with a run that is paused, lost, failed or cancelled, from its last checkpoint.
#[utoipa::path(post, path = "/api/v1/runs/{id}/resume", params(("id" = String, Path)), responses(
    (status = 202, body = RunDetail), (status = 409, body = Problem)))]
pub(super) async fn resume(
    State(app): State<AppState>,
    ApiRun(id): ApiRun,
) -> Result<(StatusCode, Json<RunDetail>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(app.runs.resume(id).await?)))
}
