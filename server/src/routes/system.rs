//! What this server offers: spaces, optimizers, data sets, devices; and its queue.

use std::sync::OnceLock;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use skein_core::draw::{Scene, svg};
use skein_core::graph::GraphError;
use skein_core::spaces::{self, Preset, SpaceInfo};
use skein_core::spec;
use skein_core::spec::fields::{FIELDS, Field, Item, Kind};
use skein_core::spec::{Sharing, json_schema};

use crate::app::AppState;
use crate::extract::ApiPath;
use crate::problem::{ApiError, Problem};
use crate::service::queue::Waiting;
use crate::service::series::choice_view;
use crate::service::{ServiceError, blocking, checks as looked};
use crate::views::Check;

const OPTIMIZER: &str = "search.optimizer.kind";
const PRESET: &str = "space.preset";

/// The built-in spaces with their sizes.
#[utoipa::path(get, path = "/api/v1/spaces", responses((status = 200, body = Vec<Object>)))]
pub(super) async fn spaces() -> Result<Json<Vec<Value>>, ApiError> {
    Ok(Json(described().await?.iter().map(|info| json!(info)).collect()))
}

/// The built-in spaces, in their order. They never change, and their ranges take a while.
async fn described() -> Result<&'static [SpaceInfo], ApiError> {
    static SPACES: OnceLock<Vec<SpaceInfo>> = OnceLock::new();
    if let Some(known) = SPACES.get() {
        return Ok(known);
    }
    let describe = |preset: &Preset| spaces::describe(&(preset.defaults)(), preset.shape);
    let found = blocking(move || Ok(spaces::PRESETS.iter().map(describe).collect())).await?;
    let found: Result<Vec<SpaceInfo>, GraphError> = found;
    let found = found.map_err(broken)?;
    Ok(SPACES.get_or_init(|| found))
}

/// A built-in space must build; that it does not is our fault.
fn broken(error: GraphError) -> ApiError {
    ApiError::Internal(error.to_string())
}

fn find(path: ApiPath<String>) -> Result<&'static Preset, ApiError> {
    let name = path.0.0;
    let what = format!("space `{}`", name.chars().take(60).collect::<String>());
    spaces::find(&name).ok_or(ApiError::Service(ServiceError::NotFound { what }))
}

/// One space: sizes, decisions, options as JSON Schema.
#[utoipa::path(get, path = "/api/v1/spaces/{preset}", params(("preset" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub(super) async fn space(preset: ApiPath<String>) -> Result<Json<Value>, ApiError> {
    let preset = find(preset)?;
    let graph = spaces::build(&(preset.defaults)(), preset.shape, Sharing::Entangled);
    let choices: Vec<_> = graph.map_err(broken)?.choices.iter().map(choice_view).collect();
    let mut schema = json_schema()["properties"]["space"].take();
    keep_options_of(preset.preset, &mut schema);
    let all = described().await?;
    let info = all.iter().find(|info| info.preset == preset.preset);
    Ok(Json(json!({ "space": info, "choices": choices, "schema": schema })))
}

/// The schema of all spaces holds the options of each; those of others are dropped.
fn keep_options_of(preset: &str, schema: &mut Value) {
    let Some(properties) = schema["properties"].as_object_mut() else { return };
    properties.retain(|key, _| {
        let field = spec::fields::find(&format!("space.{key}"));
        let when = field.and_then(|field| field.when);
        when.is_none_or(|(path, values)| path != PRESET || values.contains(&preset))
    });
    if let Some(name) = properties.get_mut("preset") {
        name["const"] = preset.into();
    }
}

/// A drawing of the space with every decision open.
#[utoipa::path(get, path = "/api/v1/spaces/{preset}/drawing.svg",
    params(("preset" = String, Path)),
    responses((status = 200, content_type = "image/svg+xml", body = String)))]
pub(super) async fn space_drawing(preset: ApiPath<String>) -> Result<Response, ApiError> {
    let preset = find(preset)?;
    let graph = spaces::build(&(preset.defaults)(), preset.shape, Sharing::Entangled);
    let graph = graph.map_err(broken)?;
    let drawing = svg(&Scene::of(&graph));
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], drawing).into_response())
}

/// The optimizers with their own fields.
#[utoipa::path(get, path = "/api/v1/optimizers", responses((status = 200, body = Vec<Object>)))]
pub(super) async fn optimizers() -> Json<Vec<Value>> {
    let Some(Kind::OneOf(kinds)) = spec::fields::find(OPTIMIZER).map(|field| field.kind) else {
        return Json(Vec::new());
    };
    let of = |kind: &str| {
        let own = FIELDS.iter().filter(|field| {
            field.when.is_some_and(|(path, values)| path == OPTIMIZER && values.contains(&kind))
        });
        let chosen = json!({ "search": { "optimizer": { "kind": kind } } });
        own.map(|field| field_value(field, &chosen)).collect::<Vec<_>>()
    };
    let list = kinds
        .iter()
        .map(|(kind, title)| json!({ "kind": kind, "title": title, "fields": of(kind) }));
    Json(list.collect())
}

fn field_value(field: &Field, specification: &Value) -> Value {
    let range = match field.kind {
        Kind::Integer { min, max } => json!({ "type": "integer", "min": min, "max": max }),
        Kind::Number { min, max } => json!({ "type": "number", "min": min, "max": max }),
        Kind::Text { max_chars } => json!({ "type": "text", "max_chars": max_chars }),
        Kind::OneOf(values) | Kind::Dataset(values) => {
            let values =
                values.iter().map(|(value, title)| json!({"value": value, "title": title}));
            json!({ "type": "one_of", "values": values.collect::<Vec<_>>() })
        }
        Kind::Architecture => json!({ "type": "architecture" }),
        Kind::Device => json!({ "type": "device" }),
        Kind::Flag => json!({ "type": "flag" }),
        Kind::List(item) => match *item {
            Item::Integers { min, max } => json!({ "type": "integers", "min": min, "max": max }),
            Item::Numbers { min, max } => json!({ "type": "numbers", "min": min, "max": max }),
            Item::Sizes { min, max } => json!({ "type": "sizes", "min": min, "max": max }),
            Item::Lists { min, max } => json!({ "type": "lists", "min": min, "max": max }),
            Item::Names(names) => json!({ "type": "names", "values": names }),
        },
    };
    json!({
        "path": field.path,
        "label": field.label,
        "help": field.help,
        "unit": field.unit,
        "kind": range,
        "default": field.default.value(specification),
        "advanced": field.advanced,
    })
}

/// The devices, and what runs on them.
#[utoipa::path(get, path = "/api/v1/devices", responses((status = 200, body = Vec<Object>)))]
pub(super) async fn devices(State(app): State<AppState>) -> Json<Vec<Value>> {
    let list = app.runs.devices.iter().map(|device| {
        let runs = app.runs.holders(&device.id).into_iter().map(|entry| {
            let view = entry.view();
            let progress = view.progress.as_ref();
            json!({
                "id": view.id,
                "name": view.name,
                "fraction": progress.map(|progress| progress.fraction),
                "remaining_s": progress.and_then(|progress| progress.remaining_s),
            })
        });
        let mut value = json!(device);
        value["runs"] = runs.collect();
        value
    });
    Json(list.collect())
}

/// What is wrong with the server's machine: its worker, data sets, data folder and disk.
#[utoipa::path(get, path = "/api/v1/checks", responses((status = 200, body = Vec<Check>)))]
pub(super) async fn checks(State(app): State<AppState>) -> Result<Json<Vec<Check>>, ApiError> {
    let places = app.settings.places.clone();
    Ok(Json(blocking(move || Ok(looked::all(&places))).await?))
}

/// The runs that wait, in order, each with what it waits for.
#[utoipa::path(get, path = "/api/v1/queue", responses((status = 200, body = Vec<Waiting>)))]
pub(super) async fn queue(State(app): State<AppState>) -> Json<Vec<Waiting>> {
    Json(app.runs.queue())
}

/// JSON Schema of a run specification.
#[utoipa::path(get, path = "/api/v1/spec-schema", responses((status = 200, body = Object)))]
pub(super) async fn spec_schema() -> Json<Value> {
    Json(json_schema())
}
