//! The interface's description: OpenAPI, and the same as a plain page.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use utoipa::openapi::OpenApi;

use crate::app::AppState;

/// The routes of the description.
pub fn router(openapi: OpenApi) -> Router<AppState> {
    let value = Arc::new(serde_json::to_value(openapi).unwrap_or_default());
    let (json, page) = (Arc::clone(&value), value);
    Router::new().route("/api/openapi.json", get(async move || Json(json.as_ref().clone()))).route(
        "/api/docs",
        get(async move |State(app): State<AppState>| Html(render(&page, &app.settings.prefix))),
    )
}

fn render(openapi: &Value, prefix: &str) -> String {
    let mut rows = String::new();
    for (path, methods) in openapi["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let text = |key: &str| escape(operation[key].as_str().unwrap_or_default());
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let query = parameters.filter(|parameter| parameter["in"] == "query");
            let query: Vec<String> = query
                .map(|parameter| {
                    let word = |key: &str| escape(parameter[key].as_str().unwrap_or_default());
                    format!("<li><code>{}</code> {}</li>", word("name"), word("description"))
                })
                .collect();
            let _ = write!(
                rows,
                "<section><h2><code>{} {}</code></h2><p>{}</p><ul>{}</ul></section>",
                method.to_uppercase(),
                escape(path),
                [text("summary"), text("description")].join(" "),
                query.concat()
            );
        }
    }
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Skein: API</title>\
         <link rel=\"stylesheet\" href=\"{prefix}/static/app.css\"></head><body><main>\
         <h1>API</h1><p>The same as <a href=\"{prefix}/api/openapi.json\">OpenAPI document</a>. \
         Errors are problem documents (RFC 9457).</p>{rows}</main></body></html>"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
