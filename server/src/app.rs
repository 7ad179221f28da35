//! State and router of the server, and the order of its layers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::guard::Auth;
use crate::problem::ApiError;
use crate::routes;
use crate::service::runs::Runs;
use crate::service::studies::Studies;
use crate::settings::Settings;
use crate::{frame, guard};

/// Most bytes of a request's body.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// What every handler can reach; cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<App>);

/// The parts of the server.
pub struct App {
    /// Settings that requests need.
    pub settings: Settings,
    /// The runs.
    pub runs: Runs,
    /// The studies.
    pub studies: Studies,
    /// The token.
    pub auth: Auth,
    /// Answers by status.
    pub requests: Requests,
}

impl std::ops::Deref for AppState {
    type Target = App;

    fn deref(&self) -> &App {
        &self.0
    }
}

impl AppState {
    /// Puts the parts together.
    #[must_use]
    pub fn new(settings: Settings, runs: Runs, studies: Studies, auth: Auth) -> Self {
        let requests = Requests::default();
        Self(Arc::new(App { settings, runs, studies, auth, requests }))
    }
}

/// Counts answers by status.
#[derive(Debug, Default)]
pub struct Requests(Mutex<BTreeMap<u16, u64>>);

impl Requests {
    /// Notes one answer.
    pub fn count(&self, status: StatusCode) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(status.as_u16()).or_insert(0) += 1;
    }

    /// Answers so far, by status.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<u16, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// All routes with their layers. From the outside in: request id, headers and pages for errors;
/// panics; host and origin; token; limits.
pub fn router(app: AppState) -> Router {
    let (api, openapi) = routes::api().split_for_parts();
    let compressed = Router::new()
        .merge(api)
        .merge(routes::docs::router(openapi))
        .merge(routes::pages::router())
        .merge(routes::session::router())
        .merge(routes::health::router())
        .layer(CompressionLayer::new());
    Router::new()
        .merge(compressed)
        .merge(routes::files::router())
        .fallback(async || ApiError::NoRoute)
        .method_not_allowed_fallback(async || ApiError::Method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn_with_state(app.clone(), guard::token))
        .layer(from_fn_with_state(app.clone(), guard::origin))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(app.clone(), frame::frame))
        .with_state(app)
}

fn panicked(cause: Box<dyn std::any::Any + Send>) -> Response {
    let text = cause.downcast_ref::<String>().cloned();
    let text = text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    let text = text.unwrap_or_else(|| "a handler panicked".to_owned());
    ApiError::Internal(text).into_response()
}

/// Drops the prefix of a request's path, so that routes need not know it.
#[must_use]
pub fn without_prefix(prefix: &str, mut request: Request) -> Request {
    let uri = request.uri();
    let Some(rest) = uri.path().strip_prefix(prefix).filter(|_| !prefix.is_empty()) else {
        return request;
    };
    if !rest.is_empty() && !rest.starts_with('/') {
        return request;
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = format!("{}{query}", if rest.is_empty() { "/" } else { rest });
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = path.parse().ok();
    if let Ok(stripped) = Uri::from_parts(parts) {
        *request.uri_mut() = stripped;
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("/nas", "/nas/api/v1/runs?limit=2", "/api/v1/runs?limit=2")]
    #[case("/nas", "/nas", "/")]
    #[case("/nas", "/nasty", "/nasty")]
    #[case("/nas", "/runs", "/runs")]
    #[case("", "/runs", "/runs")]
    fn prefixes(#[case] prefix: &str, #[case] from: &str, #[case] to: &str) {
        let request = Request::builder().uri(from).body(axum::body::Body::empty()).unwrap();
        assert_eq!(without_prefix(prefix, request).uri().to_string(), to);
    }
}
