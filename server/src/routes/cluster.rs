//! The cluster of this server.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::app::AppState;
use crate::problem::{ApiError, Problem};
use crate::service::cluster::no_cluster;
use crate::views::cluster::ClusterInfo;

/// The cluster's partitions, and the newest check of the way to it.
#[utoipa::path(get, path = "/api/v1/cluster",
    responses((status = 200, body = ClusterInfo), (status = 404, body = Problem)))]
pub(super) async fn show(State(app): State<AppState>) -> Result<Json<ClusterInfo>, ApiError> {
    Ok(Json(app.runs.cluster().await?.ok_or_else(no_cluster)?))
}

/// Looks at the way to the cluster with a tiny job: folders, worker, devices and clock of a node. It may take
/// minutes; `GET /api/v1/cluster` says what was found.
#[utoipa::path(post, path = "/api/v1/cluster/check",
    responses((status = 202, body = ClusterInfo), (status = 404, body = Problem)))]
pub(super) async fn check(
    State(app): State<AppState>,
) -> Result<(StatusCode, Json<ClusterInfo>), ApiError> {
    app.runs.check_cluster(&app.settings.places)?;
    let Json(now) = show(State(app)).await?;
    Ok((StatusCode::ACCEPTED, Json(now)))
}
