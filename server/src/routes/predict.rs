//! Trying a finished run's network.

use axum::Json;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::header;
use serde::Deserialize;
use skein_core::predict::IMAGE_BYTES;
use utoipa::IntoParams;

use crate::app::AppState;
use crate::extract::{ApiJson, ApiQuery, ApiRun, whole};
use crate::problem::{ApiError, Problem};
use crate::service::predict::Trial;
use crate::views::{PredictionView, PromptBody};

/// What is done to an image first.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PredictParams {
    /// Inverts an image, for example one with a light background for a network that has learned
    /// from dark ones.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    pub invert: bool,
}

/// What the network of a run makes of an image (PNG, JPEG, WebP, GIF, BMP, TIFF or PNM, at most 10 MiB), or
/// how it continues a prompt.
#[utoipa::path(post, path = "/api/v1/runs/{id}/predict", params(("id" = String, Path), PredictParams),
    request_body(content((Vec<u8> = "image/*"), (PromptBody = "application/json"))),
    responses((status = 200, body = PredictionView),
        (status = 404, body = Problem), (status = 409, body = Problem, description = "The run has no usable network."),
        (status = 413, body = Problem), (status = 415, body = Problem, description = "The network reads something else."),
        (status = 422, body = Problem, description = "The input cannot be used."),
        (status = 503, body = Problem, description = "Others are asking; `Retry-After` says when to come back."),
        (status = 504, body = Problem, description = "It took too long.")))]
pub(super) async fn predict(
    State(app): State<AppState>,
    ApiRun(id): ApiRun,
    ApiQuery(params): ApiQuery<PredictParams>,
    request: Request,
) -> Result<Json<PredictionView>, ApiError> {
    let trial = trial(request, params.invert).await?;
    Ok(Json(app.runs.predict(id, trial).await?.into()))
}

async fn trial(request: Request, invert: bool) -> Result<Trial, ApiError> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("").to_ascii_lowercase();
    let is_image = kind.starts_with("image/") || kind.starts_with("application/octet-stream");
    if is_image {
        let bytes = whole(request.into_body(), IMAGE_BYTES).await?;
        return Ok(Trial::Image { bytes, invert });
    }
    let ApiJson(body): ApiJson<PromptBody> = ApiJson::from_request(request, &()).await?;
    Ok(Trial::Prompt(body.into()))
}
