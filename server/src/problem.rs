//! Errors as RFC 9457 documents: `application/problem+json`.
//!
//! Every error of the server ends here. Its text is safe to show; causes that are not the caller's
//! concern go to the log, together with the request's id.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use skein_core::spec::Violation;
use utoipa::ToSchema;

use crate::frame::request_id;
use crate::service::ServiceError;
use crate::service::predict::TrialError;

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Names the kind of problem.
    pub r#type: String,
    /// The kind in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened and what to do.
    pub detail: String,
    /// What is wrong with which field.
    #[schema(value_type = Vec<Object>)]
    pub errors: Vec<Violation>,
    /// Finds the request in the server's log.
    pub request_id: String,
    /// URL prefix of the server, for pages that show the problem.
    #[serde(skip)]
    pub prefix: String,
}

/// Why a request is not answered as it wished.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A service refused or failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The request cannot be read.
    #[error("{0}")]
    BadRequest(String),
    /// No token, or a wrong one.
    #[error("this server asks for its token: send `Authorization: Bearer TOKEN`, or log in")]
    Unauthorized,
    /// The request comes from where none may come from.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such address.
    #[error("there is no page or resource at this address")]
    NoRoute,
    /// The address does not know the method.
    #[error("this address does not take this method")]
    Method,
    /// The body is too large.
    #[error("the body is larger than {limit_kib} KiB")]
    TooLarge {
        /// Most that is taken.
        limit_kib: usize,
    },
    /// The body is no JSON.
    #[error("the body must be JSON, sent with `Content-Type: application/json`")]
    MediaType,
    /// The headers are too large.
    #[error("the request's headers are larger than {limit_kib} KiB")]
    HeadersTooLarge {
        /// Most that is taken.
        limit_kib: usize,
    },
    /// The part of the file that is asked for does not exist.
    #[error("the file has only {length} bytes")]
    Range {
        /// Length of the file.
        length: u64,
    },
    /// The server is not ready.
    #[error("{0}")]
    Unavailable(String),
    /// Our own fault.
    #[error("{0}")]
    Internal(String),
}

impl ApiError {
    /// Status and title: one line for every kind.
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Service(error) => service_kind(error),
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad-request", "Bad request"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "Log-in needed"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Self::NoRoute => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::Method => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed")
            }
            Self::TooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Request too large")
            }
            Self::MediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "JSON is expected")
            }
            Self::HeadersTooLarge { .. } => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers-too-large",
                "Headers too large",
            ),
            Self::Range { .. } => {
                (StatusCode::RANGE_NOT_SATISFIABLE, "range", "No such part of the file")
            }
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not ready"),
            Self::Internal(_) => INTERNAL,
        }
    }

    /// The document, without the request's id.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let (status, kind, title) = self.kind();
        let hidden = status == StatusCode::INTERNAL_SERVER_ERROR;
        let detail = if hidden {
            "the server could not answer; its log has the cause under this request's id".to_owned()
        } else {
            self.to_string()
        };
        let errors = match self {
            Self::Service(ServiceError::Invalid(violations)) => violations.clone(),
            _ => Vec::new(),
        };
        Problem {
            r#type: format!("urn:skein:problem:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail,
            errors,
            request_id: request_id(),
            prefix: String::new(),
        }
    }
}

const INTERNAL: (StatusCode, &str, &str) =
    (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error");

fn service_kind(error: &ServiceError) -> (StatusCode, &'static str, &'static str) {
    match error {
        ServiceError::NotFound { .. } => (StatusCode::NOT_FOUND, "not-found", "Not found"),
        ServiceError::Invalid(_) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "invalid-spec", "Invalid specification")
        }
        ServiceError::Conflict(_) => {
            (StatusCode::CONFLICT, "conflict", "The state does not allow this")
        }
        ServiceError::KeyReused => {
            (StatusCode::UNPROCESSABLE_ENTITY, "key-reused", "Idempotency-Key used before")
        }
        ServiceError::NoSpace(_) => {
            (StatusCode::INSUFFICIENT_STORAGE, "no-space", "The data folder takes nothing more")
        }
        ServiceError::Refused { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "refused", "It cannot be used")
        }
        ServiceError::Busy(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "busy", "Others are asking already")
        }
        ServiceError::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
        ServiceError::Trial(error) => trial_kind(error),
        ServiceError::Storage(_) | ServiceError::Io(_) | ServiceError::Task(_) => INTERNAL,
    }
}

fn trial_kind(error: &TrialError) -> (StatusCode, &'static str, &'static str) {
    match error {
        TrialError::Kind(_) => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "Another input is expected")
        }
        TrialError::Input(_) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "invalid-input", "The input cannot be used")
        }
        TrialError::Package(_) => {
            (StatusCode::CONFLICT, "unusable-package", "The network cannot be used")
        }
        TrialError::Busy(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "busy", "Others are asking already")
        }
        TrialError::Slow(_) => (StatusCode::GATEWAY_TIMEOUT, "too-slow", "It took too long"),
        TrialError::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not ready"),
        TrialError::Worker(_) => INTERNAL,
    }
}

/// Seconds after which a request that found the server busy may be repeated.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = self.problem();
        if problem.status >= 500 {
            let cause = &self as &dyn std::error::Error;
            tracing::error!(error = cause, request_id = problem.request_id, "request failed");
        }
        let mut response = problem_response(&problem);
        if let Self::Range { length } = self {
            let value = HeaderValue::try_from(format!("bytes */{length}"));
            value
                .ok()
                .and_then(|value| response.headers_mut().insert(header::CONTENT_RANGE, value));
        }
        if matches!(self, Self::Unauthorized) {
            let value = HeaderValue::from_static("Bearer realm=\"skein\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        let busy = |error: &ServiceError| {
            matches!(error, ServiceError::Trial(TrialError::Busy(_)) | ServiceError::Busy(_))
        };
        if matches!(&self, Self::Service(error) if busy(error)) {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        // The frame renders it as a page for a browser.
        response.extensions_mut().insert(problem);
        response
    }
}

fn problem_response(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(problem)).into_response()
}
