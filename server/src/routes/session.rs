//! Logging in and out by cookie. The form itself is a page.

use std::time::Duration;

use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;

use crate::app::AppState;
use crate::guard::encode;
use crate::problem::ApiError;

/// A wrong token is answered after this time, so that guessing is slow.
const DELAY: Duration = Duration::from_millis(500);

/// The routes of the log-in.
pub fn router() -> Router<AppState> {
    Router::new().route("/login", post(log_in)).route("/logout", post(log_out))
}

#[derive(Deserialize)]
struct LogIn {
    #[serde(default)]
    token: String,
    #[serde(default)]
    next: String,
}

async fn log_in(
    State(app): State<AppState>,
    form: Result<Form<LogIn>, FormRejection>,
) -> Result<Response, ApiError> {
    let Ok(Form(form)) = form else {
        return Err(ApiError::BadRequest("send the form's field `token`".to_owned()));
    };
    let prefix = &app.settings.prefix;
    let Some(cookie) = app.auth.log_in(&form.token) else {
        tokio::time::sleep(DELAY).await;
        return redirect(&format!("{prefix}/login?failed=1&next={}", encode(&form.next)), None);
    };
    // Only a path of this server; `//host` and `/\host` would lead elsewhere.
    let inside = form.next.starts_with('/')
        && !form.next.starts_with("//")
        && !form.next.contains(['\\', '\r', '\n']);
    let next = if inside { form.next.as_str() } else { "/" };
    redirect(&format!("{prefix}{next}"), Some(&cookie))
}

async fn log_out(State(app): State<AppState>) -> Result<Response, ApiError> {
    let prefix = &app.settings.prefix;
    redirect(&format!("{prefix}/login"), Some(&app.auth.log_out()))
}

fn redirect(to: &str, cookie: Option<&str>) -> Result<Response, ApiError> {
    let value = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| ApiError::BadRequest("`next` must be a plain path".to_owned()))
    };
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, value(to)?)]).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, value(cookie)?);
    }
    Ok(response)
}
