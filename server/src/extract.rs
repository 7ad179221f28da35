//! Extractors whose refusals are problems.

use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header;
use axum::http::request::Parts;
use futures::StreamExt as _;
use serde::de::DeserializeOwned;
use skein_core::encoding;

use crate::app::BODY_LIMIT;
use crate::domain::ids::RunId;
use crate::problem::ApiError;
use crate::service::ServiceError;

/// Bytes beyond a limit that are read to no purpose but to be heard.
const DRAINED: usize = 64 << 20;

/// A JSON body.
#[derive(Debug)]
pub struct ApiJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("").to_ascii_lowercase();
        let essence = kind.split(';').next().unwrap_or("").trim();
        if essence != "application/json" && !essence.ends_with("+json") {
            return Err(ApiError::MediaType);
        }
        let bytes = whole(request.into_body(), BODY_LIMIT).await?;
        let unexpected = |error: &dyn std::fmt::Display| {
            ApiError::BadRequest(format!("the body is not the JSON that is expected: {error}"))
        };
        let text = encoding::decode(&bytes).map_err(|error| unexpected(&error))?;
        serde_json::from_str(text).map(Self).map_err(|error| unexpected(&error))
    }
}

/// A body that is not too large. Some of what is too much is read as well: a sender who is cut off
/// does not hear why.
///
/// # Errors
/// - [`ApiError::TooLarge`], or [`ApiError::BadRequest`] if the sender stops.
pub async fn whole(body: Body, limit: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let unread = |_| ApiError::BadRequest("the body could not be read".to_owned());
        let part = part.map_err(unread)?;
        if bytes.len() + part.len() > limit {
            drain(&mut parts).await;
            return Err(ApiError::TooLarge { limit_kib: limit / 1024 });
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

/// Reads some of the rest of a body that is refused, so that its sender hears why.
pub async fn drain(parts: &mut BodyDataStream) {
    let mut read = 0;
    while let Some(Ok(part)) = parts.next().await {
        read += part.len();
        if read > DRAINED {
            return;
        }
    }
}

/// Query parameters; unknown ones are refused if `T` does so.
#[derive(Debug)]
pub struct ApiQuery<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::from_request_parts(parts, state).await;
        let query = query.map_err(|rejection| ApiError::BadRequest(rejection.body_text()))?;
        Ok(Self(query.0))
    }
}

/// The id of a run, the only parameter of the path.
#[derive(Debug)]
pub struct ApiRun(pub RunId);

impl<S: Send + Sync> FromRequestParts<S> for ApiRun {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text) = ApiPath::<String>::from_request_parts(parts, state).await?.0;
        run_id(&text).map(Self)
    }
}

/// Parameters of the path.
#[derive(Debug)]
pub struct ApiPath<T>(pub Path<T>);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for ApiPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(Self).map_err(|rejection| ApiError::BadRequest(rejection.body_text()))
    }
}

/// Reads the id of a run in a path; what is no id names no run.
///
/// # Errors
/// - [`ServiceError::NotFound`].
pub fn run_id(text: &str) -> Result<RunId, ApiError> {
    let short: String = text.chars().take(60).collect();
    let what = format!("run `{short}`");
    RunId::parse(text).ok_or(ApiError::Service(ServiceError::NotFound { what }))
}
