//! Studies: list, create, show, cancel, delete.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::runs::{key, made};
use crate::app::AppState;
use crate::domain::ids::StudyId;
use crate::extract::{ApiJson, ApiPath, ApiQuery};
use crate::problem::{ApiError, Problem};
use crate::service::ServiceError;
use crate::views::studies::{StudyDetail, StudyList, StudyView};

/// By what a study is reported.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReportParams {
    /// Another column of the study's table to take true accuracies from.
    pub column: Option<String>,
}

impl ReportParams {
    /// The column, if one is named; an empty one is none, as a form sends it.
    #[must_use]
    pub fn column(self) -> Option<String> {
        self.column.filter(|column| !column.is_empty())
    }
}

/// All studies, newest first.
#[utoipa::path(get, path = "/api/v1/studies", responses((status = 200, body = StudyList)))]
pub(super) async fn list(State(app): State<AppState>) -> Json<StudyList> {
    Json(StudyList { studies: app.studies.list() })
}

/// Creates a study; its runs are queued one after the other. With an `Idempotency-Key`, a repeated
/// request gives the first one's study.
#[utoipa::path(post, path = "/api/v1/studies", request_body = Object, responses(
    (status = 201, body = StudyView, description = "Its runs are being queued."),
    (status = 422, body = Problem, description = "Every violation of every run at once; nothing was created."),
    (status = 507, body = Problem, description = "The data folder takes nothing more.")))]
pub(super) async fn create(
    State(app): State<AppState>,
    headers: HeaderMap,
    ApiJson(spec): ApiJson<Value>,
) -> Result<Response, ApiError> {
    let created = app.studies.create(spec, key(&headers)?).await?;
    let path = format!("studies/{}", created.study.id);
    Ok(made(&app, &path, created.study, created.replayed))
}

/// A study with its report: what each method reaches, against the others and against chance.
#[utoipa::path(get, path = "/api/v1/studies/{id}", params(("id" = String, Path), ReportParams),
    responses((status = 200, body = StudyDetail), (status = 404, body = Problem),
    (status = 422, body = Problem, description = "The table has no such column of accuracies.")))]
pub(super) async fn show(
    State(app): State<AppState>,
    ApiPath(Path(id)): ApiPath<String>,
    ApiQuery(params): ApiQuery<ReportParams>,
) -> Result<Json<StudyDetail>, ApiError> {
    Ok(Json(app.studies.get(study_id(&id)?, params.column()).await?))
}

/// Its report as comma-separated text, one line a run.
#[utoipa::path(get, path = "/api/v1/studies/{id}/report.csv",
    params(("id" = String, Path), ReportParams),
    responses((status = 200, content_type = "text/csv", body = String),
    (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn csv(
    State(app): State<AppState>,
    ApiPath(Path(id)): ApiPath<String>,
    ApiQuery(params): ApiQuery<ReportParams>,
) -> Result<Response, ApiError> {
    let text = app.studies.csv(study_id(&id)?, params.column()).await?;
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response())
}

/// Ends all its runs that have not ended; no more are created.
#[utoipa::path(post, path = "/api/v1/studies/{id}/cancel", params(("id" = String, Path)),
    responses((status = 202, body = StudyView), (status = 404, body = Problem)))]
pub(super) async fn cancel(
    State(app): State<AppState>,
    ApiPath(Path(id)): ApiPath<String>,
) -> Result<(StatusCode, Json<StudyView>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(app.studies.cancel(study_id(&id)?).await?)))
}

/// Deletes the study alone: its runs stay, and go on if they are at work.
#[utoipa::path(delete, path = "/api/v1/studies/{id}", params(("id" = String, Path)),
    responses((status = 204, description = "It is gone; its runs stay."), (status = 404, body = Problem)))]
pub(super) async fn delete(
    State(app): State<AppState>,
    ApiPath(Path(id)): ApiPath<String>,
) -> Result<StatusCode, ApiError> {
    app.studies.delete(study_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reads the id of a study in a path; what is no id names no study.
///
/// # Errors
/// - [`ServiceError::NotFound`].
pub(super) fn study_id(text: &str) -> Result<StudyId, ApiError> {
    let short: String = text.chars().take(60).collect();
    let what = format!("study `{short}`");
    StudyId::parse(text).ok_or(ApiError::Service(ServiceError::NotFound { what }))
}
