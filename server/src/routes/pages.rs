//! The pages.

use axum::Router;
use axum::response::{IntoResponse, Response};

use crate::app::AppState;
use crate::problem::Problem;

/// The routes of all pages and of `/static`.
pub fn router() -> Router<AppState> {
    Router::new()
}

/// An error as a browser shows it; the caller sets the status.
#[must_use]
pub fn error_page(problem: &Problem) -> Response {
    let text =
        format!("{}\n\n{}\n\nRequest {}\n", problem.title, problem.detail, problem.request_id);
    text.into_response()
}
