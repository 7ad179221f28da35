//! Data sets: list, add in parts or at once, show, change, delete.

pub mod progress;

use axum::Json;
use axum::extract::{FromRequest as _, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::TryStreamExt as _;
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::app::AppState;
use crate::executor::samples::Drawing;
use crate::extract::{ApiJson, ApiPath, ApiQuery, drain};
use crate::problem::{ApiError, Problem};
use crate::service::ServiceError;
use crate::service::datasets::incoming::Incoming;
use crate::service::datasets::samples::Wanted;
use crate::service::datasets::upload::Part;
use crate::views::{DatasetPatch, DatasetView, IncomingView, NewDataset, SampleList};

/// Most samples of one answer.
const MOST_SAMPLES: usize = 200;

/// All data sets: those that are known by name, then your own.
#[utoipa::path(get, path = "/api/v1/datasets", responses((status = 200, body = Vec<DatasetView>)))]
pub(super) async fn list(State(app): State<AppState>) -> Result<Json<Vec<DatasetView>>, ApiError> {
    Ok(Json(app.runs.list_datasets().await?))
}

/// What a small file is called that is sent as the body.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FileParams {
    /// Name of the file, with its ending; a file that is sent as the body needs one.
    pub file_name: Option<String>,
    /// Name of the data set for people.
    pub title: Option<String>,
    /// Of an own data set that gets another version.
    pub id: Option<String>,
}

/// Adds a data set, or another version of one.
///
/// With JSON the upload begins: its parts follow by `PUT …/parts`, and then `POST …/commit`. With any
/// other content the body is the whole file, and nothing else is to be done.
#[utoipa::path(post, path = "/api/v1/datasets", params(FileParams),
    request_body(content((NewDataset = "application/json"), (Vec<u8> = "application/octet-stream"))),
    responses((status = 201, body = DatasetView, description = "Parts are awaited, or it is being prepared."),
        (status = 403, body = Problem, description = "The folder may not be read."),
        (status = 409, body = Problem, description = "Something is on its way to this data set."),
        (status = 422, body = Problem, description = "Everything that is wrong at once."),
        (status = 507, body = Problem, description = "The disk takes nothing more.")))]
pub(super) async fn create(
    State(app): State<AppState>,
    ApiQuery(params): ApiQuery<FileParams>,
    request: Request,
) -> Result<Response, ApiError> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("").to_ascii_lowercase();
    let datasets = &app.runs.datasets;
    let id = if kind.starts_with("application/json") {
        let ApiJson(asked): ApiJson<NewDataset> = ApiJson::from_request(request, &()).await?;
        datasets.create(asked).await?.id.clone()
    } else {
        let FileParams { file_name, title, id } = params;
        let bytes = length(request.headers())?;
        let asked =
            NewDataset { id, title, file_name, bytes: Some(bytes), ..NewDataset::default() };
        let id = datasets.create(asked).await?.id.clone();
        let done = match append(&app, &id, Part::default(), request).await {
            Ok(_) => datasets.commit(&id).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            // Nobody can go on with it.
            let _ = datasets.abandon(&id).await;
            return Err(error.into());
        }
        id
    };
    let place = format!("{}/api/v1/datasets/{id}", app.settings.prefix);
    let view = app.runs.show_dataset(&id).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(view)).into_response())
}

/// One data set.
#[utoipa::path(get, path = "/api/v1/datasets/{id}", params(("id" = String, Path)),
    responses((status = 200, body = DatasetView), (status = 404, body = Problem)))]
pub(super) async fn show(
    State(app): State<AppState>,
    ApiPath(Path(id)): ApiPath<String>,
) -> Result<Json<DatasetView>, ApiError> {
    Ok(Json(app.runs.show_dataset(&id).await?))
}

/// Gives an own data set another name, or prepares it again with images of another size.
#[utoipa::path(patch, path = "/api/v1/datasets/{id}", params(("id" = String, Path)),
    request_body = DatasetPatch,
    responses((status = 200, body = DatasetView), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn change(
    State(app): State<AppState>,
    ApiPath(Path(id)): ApiPath<String>,
    ApiJson(patch): ApiJson<DatasetPatch>,
) -> Result<Json<DatasetView>, ApiError> {
    if let Some(title) = &patch.title {
        app.runs.datasets.rename(&id, title).await?;
    }
    if let Some(size) = patch.size {
        app.runs.datasets.resize(&id, size).await?;
    }
    Ok(Json(app.runs.show_dataset(&id).await?))
}

/// Deletes an own data set. Runs that have ended keep what they wrote.
#[utoipa::path(delete, path = "/api/v1/datasets/{id}", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "Runs that have not ended use it.")))]
pub(super) async fn delete(
    State(app): State<AppState>,
    ApiPath(Path(id)): ApiPath<String>,
) -> Result<StatusCode, ApiError> {
    app.runs.delete_dataset(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where a part begins.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PartParams {
    /// Bytes before it: as many as `incoming.received` says.
    pub offset: u64,
}

/// Takes one part of an upload, of any length. The header `Content-Digest` (RFC 9530) with `sha-256`
/// lets the server refuse a damaged part; one that is refused leaves nothing.
#[utoipa::path(put, path = "/api/v1/datasets/{id}/parts", params(("id" = String, Path), PartParams),
    request_body(content((Vec<u8> = "application/octet-stream"))),
    responses((status = 200, body = IncomingView), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "Another part is expected; the upload says which."),
        (status = 422, body = Problem, description = "The part is damaged, broken off or too long."),
        (status = 507, body = Problem, description = "The disk takes nothing more.")))]
pub(super) async fn part(
    State(app): State<AppState>,
    ApiPath(Path(id)): ApiPath<String>,
    ApiQuery(params): ApiQuery<PartParams>,
    request: Request,
) -> Result<Json<IncomingView>, ApiError> {
    let part = Part { offset: params.offset, sha256: digest(request.headers())? };
    let record = append(&app, &id, part, request).await?;
    Ok(Json(IncomingView::of(&id, &record)))
}

/// Ends an upload; the data set is prepared then.
#[utoipa::path(post, path = "/api/v1/datasets/{id}/commit", params(("id" = String, Path)),
    responses((status = 202, body = IncomingView), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "A part is missing.")))]
pub(super) async fn commit(
    State(app): State<AppState>,
    ApiPath(Path(id)): ApiPath<String>,
) -> Result<(StatusCode, Json<IncomingView>), ApiError> {
    let coming = app.runs.datasets.commit(&id).await?;
    Ok((StatusCode::ACCEPTED, Json(IncomingView::of(&id, &coming.now()))))
}

/// Gives up what is on its way to a data set, or forgets why it failed.
#[utoipa::path(delete, path = "/api/v1/datasets/{id}/incoming", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(super) async fn abandon(
    State(app): State<AppState>,
    ApiPath(Path(id)): ApiPath<String>,
) -> Result<StatusCode, ApiError> {
    app.runs.datasets.abandon(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which version.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VersionParams {
    /// The newest unless one is named.
    pub version: Option<String>,
}

/// What the doctor found in a data set.
#[utoipa::path(get, path = "/api/v1/datasets/{id}/report", params(("id" = String, Path), VersionParams),
    responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub(super) async fn report(
    State(app): State<AppState>,
    ApiPath(Path(id)): ApiPath<String>,
    ApiQuery(params): ApiQuery<VersionParams>,
) -> Result<Json<Value>, ApiError> {
    let report = app.runs.datasets.report(&id, params.version).await?;
    Ok(Json(serde_json::to_value(report).unwrap_or_default()))
}

/// Which samples.
#[derive(Debug, Default, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SampleParams {
    /// `train` (unless asked otherwise) or `test`.
    pub split: Option<String>,
    /// Only images with this label.
    pub class: Option<i64>,
    /// So many are passed over.
    pub offset: Option<u64>,
    /// Most of them, 48 unless asked otherwise, at most 200.
    pub limit: Option<usize>,
    /// The newest unless one is named.
    pub version: Option<String>,
}

/// Images of a data set, in its own order; each is at `…/samples/{split}/{index}`.
#[utoipa::path(get, path = "/api/v1/datasets/{id}/samples", params(("id" = String, Path), SampleParams),
    responses((status = 200, body = SampleList), (status = 404, body = Problem)))]
pub(super) async fn samples(
    State(app): State<AppState>,
    ApiPath(Path(id)): ApiPath<String>,
    ApiQuery(params): ApiQuery<SampleParams>,
) -> Result<Json<SampleList>, ApiError> {
    let limit = params.limit.unwrap_or(48);
    if !(1..=MOST_SAMPLES).contains(&limit) {
        let detail = format!("`limit` must be from 1 to {MOST_SAMPLES}, not {limit}");
        return Err(ApiError::BadRequest(detail));
    }
    let wanted = Wanted {
        split: params.split.unwrap_or_else(|| "train".to_owned()),
        class: params.class,
        offset: params.offset.unwrap_or(0),
        limit,
        version: params.version,
    };
    Ok(Json(app.runs.datasets.samples(&id, wanted).await?))
}

/// One image of a data set as runs see it, before any augmentation.
#[utoipa::path(get, path = "/api/v1/datasets/{id}/samples/{split}/{index}",
    params(("id" = String, Path), ("split" = String, Path), ("index" = u64, Path), VersionParams),
    responses((status = 200, content_type = "image/png", body = Vec<u8>), (status = 404, body = Problem)))]
pub(super) async fn sample(
    State(app): State<AppState>,
    ApiPath(Path((id, split, index))): ApiPath<(String, String, u64)>,
    ApiQuery(params): ApiQuery<VersionParams>,
) -> Result<Response, ApiError> {
    // A version never changes; without one, the newest may.
    let cached = if params.version.is_some() { "private, max-age=31536000" } else { "no-cache" };
    let png = app.runs.datasets.sample(&id, split, index, params.version).await?;
    Ok(([(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, cached)], png)
        .into_response())
}

/// Which images are shown as a search would change them, and how.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AugmentedParams {
    /// Positions of training images, such as `0-7`; the first eight unless asked otherwise.
    pub positions: Option<String>,
    /// Changed views of each, 7 unless asked otherwise, at most 16.
    pub views: Option<u32>,
    /// Equal seeds change images equally.
    pub seed: Option<u64>,
    /// Sections `dataset` and `search` of a specification, as JSON; what the report suggests otherwise.
    pub settings: Option<String>,
}

/// A sheet of training images, each beside views of it that a search would see.
#[utoipa::path(get, path = "/api/v1/datasets/{id}/augmented",
    params(("id" = String, Path), AugmentedParams),
    responses((status = 200, content_type = "image/png", body = Vec<u8>), (status = 404, body = Problem),
        (status = 422, body = Problem, description = "The settings do not fit."),
        (status = 503, body = Problem, description = "Others are asking; `Retry-After` says when to come back.")))]
pub(super) async fn augmented(
    State(app): State<AppState>,
    ApiPath(Path(id)): ApiPath<String>,
    ApiQuery(params): ApiQuery<AugmentedParams>,
) -> Result<Response, ApiError> {
    let settings = params.settings.as_deref().map(serde_json::from_str::<Value>).transpose();
    let settings = settings
        .map_err(|error| ApiError::BadRequest(format!("`settings` is no JSON: {error}")))?;
    if settings.as_ref().is_some_and(|settings| !settings.is_object()) {
        return Err(ApiError::BadRequest("`settings` must be a JSON object".to_owned()));
    }
    let asked = Drawing {
        spec: Value::Null,
        positions: params.positions.unwrap_or_else(|| "0-7".to_owned()),
        views: params.views.unwrap_or(7),
        seed: params.seed.unwrap_or(0),
    };
    let png = app.runs.datasets.augmented(&id, settings, asked).await?;
    let headers = [(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, png).into_response())
}

/// Takes the body as a part.
async fn append(
    app: &AppState,
    id: &str,
    part: Part,
    request: Request,
) -> Result<Incoming, ServiceError> {
    let mut pieces = request.into_body().into_data_stream();
    let taken = (&mut pieces).map_err(std::io::Error::other);
    let taken = app.runs.datasets.append(id, part, taken).await;
    if taken.is_err() {
        drain(&mut pieces).await;
    }
    taken
}

fn length(headers: &HeaderMap) -> Result<u64, ApiError> {
    let value = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let value = value.and_then(|value| value.parse().ok());
    value.ok_or_else(|| {
        ApiError::BadRequest("a file that is sent as the body needs a `Content-Length`".to_owned())
    })
}

/// The SHA-256 of `Content-Digest`, if it is given.
fn digest(headers: &HeaderMap) -> Result<Option<Vec<u8>>, ApiError> {
    let Some(value) = headers.get("content-digest") else { return Ok(None) };
    let text = value.to_str().unwrap_or("");
    let found = text.split(',').find_map(|part| part.trim().strip_prefix("sha-256="));
    let Some(found) = found else { return Ok(None) };
    let inner = found.trim().strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
    let bytes =
        inner.and_then(|inner| STANDARD.decode(inner).ok()).filter(|bytes| bytes.len() == 32);
    let fault = || ApiError::BadRequest("`Content-Digest` must be `sha-256=:BASE64:`".to_owned());
    bytes.map(Some).ok_or_else(fault)
}
