//! The HTTP interface: each handler parses, calls one service method and shapes the answer.

pub mod cluster;
pub mod datasets;
pub mod docs;
pub mod events;
pub mod files;
pub mod health;
pub mod pages;
pub mod predict;
pub mod run_data;
pub mod runs;
pub mod session;
pub mod studies;
pub mod system;

use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::AppState;

#[derive(OpenApi)]
#[openapi(info(
    title = "Skein",
    description = "Neural architecture search on weight-entangled spaces. Errors are RFC 9457 \
                   problem documents; streams are server-sent events."
))]
struct Api;

/// The documented interface below `/api/v1`.
pub fn api() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(runs::list, runs::create))
        .routes(routes!(runs::preflight))
        .routes(routes!(runs::show, runs::rename, runs::delete))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::pause))
        .routes(routes!(runs::resume))
        .routes(routes!(runs::train))
        .routes(routes!(runs::front))
        .routes(routes!(events::events))
        .routes(routes!(events::several))
        .routes(routes!(run_data::metrics))
        .routes(routes!(run_data::rows))
        .routes(routes!(run_data::architecture))
        .routes(routes!(run_data::architecture_svg))
        .routes(routes!(run_data::architecture_txt))
        .routes(routes!(run_data::architectures))
        .routes(routes!(run_data::architecture_file))
        .routes(routes!(run_data::logs))
        .routes(routes!(run_data::artifacts))
        .routes(routes!(predict::predict))
        .routes(routes!(studies::list, studies::create))
        .routes(routes!(studies::show, studies::delete))
        .routes(routes!(studies::csv))
        .routes(routes!(studies::cancel))
        .routes(routes!(system::spaces))
        .routes(routes!(system::space))
        .routes(routes!(system::space_drawing))
        .routes(routes!(system::optimizers))
        .routes(routes!(datasets::list, datasets::create))
        .routes(routes!(datasets::show, datasets::change, datasets::delete))
        .routes(routes!(datasets::part))
        .routes(routes!(datasets::commit))
        .routes(routes!(datasets::abandon))
        .routes(routes!(datasets::progress::events))
        .routes(routes!(datasets::report))
        .routes(routes!(datasets::samples))
        .routes(routes!(datasets::sample))
        .routes(routes!(datasets::augmented))
        .routes(routes!(system::devices))
        .routes(routes!(system::checks))
        .routes(routes!(system::queue))
        .routes(routes!(cluster::show))
        .routes(routes!(cluster::check))
        .routes(routes!(system::spec_schema))
}
