//! The pages: server-rendered, readable without scripts, live with them.
//!
//! Every page is a template below `templates/` filled by a struct of one of the modules below;
//! only the handlers here fetch anything.

mod again;
mod architectures;
mod assets;
mod certify;
mod charts;
mod dataset;
mod datasets;
mod examples;
mod form;
mod format;
mod frame;
mod ladder;
mod list;
mod new;
mod queue;
mod show;
mod small;
mod studies;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;
use skein_core::dataset::DataKind;
use time::OffsetDateTime;

use self::again::Beside;
use self::architectures::{ArchitecturesPage, Query as ArchitectureWords};
use self::certify::CertifyPage;
use self::dataset::{DatasetPage, Shows};
use self::datasets::DatasetsPage;
use self::form::{Offer, OwnDataset};
use self::frame::{Busy, DeviceBox, Frame};
use self::list::{ListPage, Query as ListWords};
use self::new::{NewPage, Query as NewWords};
use self::queue::{Parts, QueuePage};
use self::show::ShowPage;
use self::small::{ErrorPage, LoginPage, Strip};
use self::studies::{StudiesPage, StudyPage};
use crate::app::AppState;
use crate::domain::ids::RunId;
use crate::extract::{ApiPath, ApiQuery, ApiRun, run_id};
use crate::problem::{ApiError, Problem};
use crate::routes::studies::{ReportParams, study_id};
use crate::service::datasets::samples::Wanted;
use crate::service::{ServiceError, front};

/// The routes of all pages and of `/static`.
pub fn router() -> Router<AppState> {
    if !assets::are_embedded() {
        tracing::warn!(
            "built without scripts: run `npm ci && npm run build` in static/, then build again"
        );
    }
    Router::new()
        .route("/", get(home))
        .route("/runs", get(list))
        .route("/runs/new", get(new_run))
        .route("/runs/{id}", get(show))
        .route("/runs/{id}/architectures", get(architectures))
        .route("/queue", get(queue))
        .route("/datasets", get(datasets))
        .route("/datasets/{id}", get(dataset))
        .route("/studies", get(studies))
        .route("/studies/{id}", get(study))
        .route("/certify", get(certify))
        .route("/strip", get(strip))
        .route("/login", get(login))
        .route("/static/{*name}", get(assets::serve))
        .route("/favicon.ico", get(favicon))
}

/// An error as a browser shows it; the caller sets the status.
#[must_use]
pub fn error_page(problem: &Problem) -> Response {
    html(&ErrorPage::new(problem))
}

async fn home(State(app): State<AppState>) -> Redirect {
    Redirect::to(&format!("{}/runs", app.settings.prefix))
}

async fn favicon(State(app): State<AppState>) -> Redirect {
    Redirect::permanent(&assets::address(&app.settings.prefix, "favicon.svg"))
}

async fn list(
    State(app): State<AppState>,
    ApiQuery(words): ApiQuery<ListWords>,
) -> Result<Response, ApiError> {
    let runs = app.runs.list(words.params()?.query()?).await?;
    let names = app.runs.datasets.names().await?;
    let page = ListPage::new(frame(&app, "runs"), words, runs, &names, OffsetDateTime::now_utc());
    Ok(html(&page))
}

async fn new_run(
    State(app): State<AppState>,
    ApiQuery(words): ApiQuery<NewWords>,
) -> Result<Response, ApiError> {
    let base = (frame(&app, "new"), offer(&app).await?);
    if !words.train.is_empty() {
        let id = run_id(&words.train)?;
        let run = app.runs.get(id).await?.run;
        let spec = app.runs.training(id, words.training(run.status == "succeeded"))?;
        return Ok(html(&NewPage::train(base, run.id, run.name, &spec)));
    }
    if !words.again.is_empty() {
        let detail = app.runs.get(run_id(&words.again)?).await?;
        return Ok(html(&NewPage::again(base, detail.run.id, detail.run.name, detail.spec)));
    }
    if !words.from.is_empty() {
        let detail = app.runs.get(run_id(&words.from)?).await?;
        let page = NewPage::clone_of(base, detail.run.id, detail.run.name, &detail.spec);
        return Ok(html(&page));
    }
    if !words.dataset.is_empty() {
        let spec = app.runs.datasets.suggested(&words.dataset).await?;
        return Ok(html(&NewPage::on(base, &spec)));
    }
    if words.example.is_empty() {
        return Ok(html(&NewPage::defaults(base)));
    }
    let what = || format!("example `{}`", words.example.chars().take(60).collect::<String>());
    let example = examples::find(&words.example);
    let example = example.ok_or_else(|| ServiceError::NotFound { what: what() })?;
    Ok(html(&NewPage::example(base, example)))
}

async fn show(State(app): State<AppState>, ApiRun(id): ApiRun) -> Result<Response, ApiError> {
    let detail = app.runs.get(id).await?;
    let trained_by = detail.spec["search"]["from_run"].as_str().and_then(RunId::parse);
    let trained_by = trained_by.and_then(|id| app.runs.entry(id).ok());
    let trained_by = trained_by.map(|entry| (entry.id.to_string(), entry.view().name));
    let files = app.runs.artifact_names(id).await?;
    let (entry, followers) = (app.runs.entry(id)?, app.runs.followers(id));
    let beside = Beside {
        trained_by,
        files,
        front: front::newest(std::iter::once(&entry).chain(&followers)).map(|id| id.to_string()),
        supernet: entry.spec.search.optimizer.lends_weights(),
        followers: followers.iter().map(|entry| entry.view()).collect(),
        data: app.runs.datasets.names().await?.remove(&entry.spec.dataset.id),
    };
    Ok(html(&ShowPage::new(frame(&app, "run"), detail, beside, OffsetDateTime::now_utc())))
}

async fn architectures(
    State(app): State<AppState>,
    ApiRun(id): ApiRun,
    ApiQuery(words): ApiQuery<ArchitectureWords>,
) -> Result<Response, ApiError> {
    let detail = app.runs.get(id).await?;
    let (view, pair) = app.runs.compared(id, [words.a, words.b]).await?;
    let frame = frame(&app, "run");
    let page = ArchitecturesPage::new(frame, detail, &view.architectures, pair, words.all);
    Ok(html(&page))
}

async fn datasets(State(app): State<AppState>) -> Result<Response, ApiError> {
    let list = app.runs.list_datasets().await?;
    let page = DatasetsPage::new(frame(&app, "datasets"), list, OffsetDateTime::now_utc());
    Ok(html(&page))
}

/// Which images a data set's page shows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SheetWords {
    split: String,
    class: String,
}

async fn dataset(
    State(app): State<AppState>,
    ApiPath(Path(id)): ApiPath<String>,
    ApiQuery(words): ApiQuery<SheetWords>,
) -> Result<Response, ApiError> {
    let datasets = &app.runs.datasets;
    let set = app.runs.show_dataset(&id).await?;
    let runs = app.runs.using(&id).iter().map(|entry| entry.view()).collect();
    let class = words.class.parse().ok();
    let split = if words.split == "test" { "test" } else { "train" };
    let wanted = Wanted {
        split: split.to_owned(),
        class,
        offset: 0,
        limit: 48,
        version: Some(set.version.clone()),
    };
    let images = set.present && set.kind == Some(DataKind::Images);
    let samples = if images { Some(datasets.samples(&id, wanted).await?) } else { None };
    let report = if set.versions.is_empty() { None } else { datasets.report(&id, None).await.ok() };
    let shows = Shows { set, report, samples, class, runs };
    let page = DatasetPage::new(frame(&app, "datasets"), shows, OffsetDateTime::now_utc());
    Ok(html(&page))
}

async fn queue(State(app): State<AppState>) -> Result<Response, ApiError> {
    let queue = app.runs.queue().into_iter().filter_map(|waiting| {
        let entry = app.runs.entry(RunId::parse(&waiting.run)?).ok()?;
        Some((waiting, entry.view()))
    });
    let parts = Parts {
        holders: app.runs.holding().iter().map(|entry| entry.view()).collect(),
        queue: queue.collect(),
        devices: app.runs.devices.clone(),
        cluster: app.runs.cluster().await?,
    };
    let page = QueuePage::new(frame(&app, "queue"), parts, OffsetDateTime::now_utc());
    Ok(html(&page))
}

async fn studies(State(app): State<AppState>) -> Response {
    let list = app.studies.list();
    html(&StudiesPage::new(frame(&app, "studies"), list, OffsetDateTime::now_utc()))
}

async fn study(
    State(app): State<AppState>,
    ApiPath(Path(id)): ApiPath<String>,
    ApiQuery(params): ApiQuery<ReportParams>,
) -> Result<Response, ApiError> {
    let detail = app.studies.get(study_id(&id)?, params.column()).await?;
    Ok(html(&StudyPage::new(frame(&app, "studies"), detail, OffsetDateTime::now_utc())))
}

async fn certify(State(app): State<AppState>) -> Response {
    let certificate = app.runs.certificate().await;
    html(&CertifyPage::new(frame(&app, "certify"), certificate, OffsetDateTime::now_utc()))
}

async fn strip(State(app): State<AppState>) -> Response {
    html(&Strip { frame: frame(&app, "") })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LoginWords {
    next: String,
    failed: String,
}

async fn login(
    State(app): State<AppState>,
    words: Result<ApiQuery<LoginWords>, ApiError>,
) -> Response {
    let words = words.map(|words| words.0).unwrap_or_default();
    let error = (!words.failed.is_empty()).then(|| "This is not the server's token.".to_owned());
    let frame = Frame { prefix: app.settings.prefix.clone(), ..Frame::default() };
    html(&LoginPage { frame, error, next: words.next })
}

/// What a form offers to choose from.
async fn offer(app: &AppState) -> Result<Offer, ServiceError> {
    let own = app.runs.datasets.usable().await?.into_iter();
    let own = own.map(|set| OwnDataset { id: set.id, title: set.title, kind: set.kind });
    let devices = app.runs.devices.iter().map(|device| device.id.clone());
    let cluster = app.runs.executors.slurm().is_some();
    Ok(Offer { devices: devices.collect(), datasets: own.collect(), cluster })
}

/// What the frame of a page shows now.
fn frame(app: &AppState, page: &'static str) -> Frame {
    let devices = app.runs.devices.iter().map(|device| DeviceBox {
        id: device.id.clone(),
        title: device.title.clone(),
        runs: app.runs.holders(&device.id).iter().map(|entry| Busy::new(entry.view())).collect(),
        said: None,
    });
    let cluster = app.runs.executors.slurm().map(|_| {
        let (working, waiting) = app.runs.on_cluster();
        DeviceBox {
            id: frame::CLUSTER.to_owned(),
            title: "Slurm".to_owned(),
            runs: vec![],
            said: Some(format!("{working} at work, {waiting} in its queue")),
        }
    });
    Frame {
        prefix: app.settings.prefix.clone(),
        page,
        rail: true,
        devices: devices.chain(cluster).collect(),
        waiting: app.runs.queue().len(),
    }
}

fn html(page: &impl Template) -> Response {
    match page.render() {
        // Pages hold live numbers; going back must not show old ones.
        Ok(text) => ([(header::CACHE_CONTROL, "no-store")], Html(text)).into_response(),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "page not rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, "the page could not be rendered").into_response()
        }
    }
}
