//! Starting and stopping the server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::ServiceExt;
use axum::extract::Request;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Layer as _;
use tower::util::MapRequestLayer;

use crate::app::{AppState, router, without_prefix};
use crate::executor::Executors;
use crate::executor::devices::{self, Device};
use crate::executor::local::Local;
use crate::executor::predict::Predictor;
use crate::executor::prepare::Preparer;
use crate::executor::samples::Drawer;
use crate::executor::slurm::Slurm;
use crate::executor::slurm::settings::{SlurmSettings, SlurmSettingsError};
use crate::guard::Auth;
use crate::service::cluster::SetUpCheck;
use crate::service::datasets::{self, Datasets};
use crate::service::package::Digests;
use crate::service::runs::{Inner, Runs};
use crate::service::studies::Studies;
use crate::service::{ServiceError, blocking, queue};
use crate::settings::{ServeArgs, SettingsError};
use crate::storage::StorageError;
use crate::storage::db::Db;
use crate::storage::folder::DataFolder;

/// A server that stops waits no longer than this for its workers and connections: less than the ten
/// seconds after which Docker, and others, kill.
const STOP_LIMIT: Duration = Duration::from_secs(8);

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The settings contradict each other.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The settings of the cluster cannot be used.
    #[error(transparent)]
    Slurm(#[from] SlurmSettingsError),
    /// The data folder cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The runs cannot be loaded.
    #[error("cannot load the runs: {0}")]
    Runs(#[from] ServiceError),
    /// Another program listens there.
    #[error(
        "the address {0} is in use; stop the program that listens there, or choose another port \
         with --listen"
    )]
    InUse(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The listener broke.
    #[error("the server broke down: {0}")]
    Broken(io::Error),
}

/// A server that listens and is about to serve.
pub struct Server {
    listener: TcpListener,
    app: AppState,
    address: SocketAddr,
}

impl Server {
    /// Opens the data folder, loads the runs, finds the workers, and listens.
    ///
    /// # Errors
    /// - [`ServeError`].
    pub async fn start(args: ServeArgs, shutdown: CancellationToken) -> Result<Self, ServeError> {
        let (address, settings) = args.check()?;
        raise_open_files();
        // First, so that a second server leaves the data folder alone.
        let port = address.port();
        let listener = listen(address).await?;
        let address = listener.local_addr().map_err(ServeError::Broken)?;
        let token = args.token.clone();
        let (runs, studies, alive) = blocking(move || Ok(open(&args, shutdown))).await??;
        let auth = Auth::new(token, &runs.db.secret()?, port, &settings.prefix);
        runs.tracker.spawn(queue::work(runs.clone()));
        runs.tracker.spawn(queue::work_on_cluster(runs.clone()));
        if runs.executors.slurm().is_some() {
            runs.tracker.spawn(runs.clone().audit());
        }
        runs.attach(alive);
        studies.go_on();
        runs.tracker.spawn(runs.datasets.clone().go_on());
        Ok(Self { listener, app: AppState::new(settings, runs, studies, auth), address })
    }

    /// Address of the pages.
    #[must_use]
    pub fn url(&self) -> String {
        let prefix = &self.app.settings.prefix;
        format!("http://{}{prefix}/", self.address)
    }

    /// Serves until the shutdown token is cancelled, then waits for workers and flushes the index.
    ///
    /// # Errors
    /// - [`ServeError::Broken`].
    pub async fn run(self) -> Result<(), ServeError> {
        let Self { listener, app, .. } = self;
        let prefix = app.settings.prefix.clone();
        let strip = MapRequestLayer::new(move |request: Request| without_prefix(&prefix, request));
        let service = strip.layer(router(app.clone()));
        let shutdown = app.runs.shutdown.clone();
        let stopped = shutdown.clone().cancelled_owned();
        let serving = axum::serve(listener, ServiceExt::<Request>::into_make_service(service))
            .with_graceful_shutdown(stopped);
        let mut serving = tokio::spawn(serving.into_future());
        let broken = tokio::select! {
            () = shutdown.cancelled() => None,
            ended = &mut serving => Some(ended),
        };
        shutdown.cancel();
        tracing::info!("stopping: workers are asked for a checkpoint");
        app.runs.tracker.close();
        let all = async {
            app.runs.tracker.wait().await;
            if broken.is_none() {
                // Connections that are idle end at once, the others with their answer.
                let _ = serving.await;
            }
        };
        if tokio::time::timeout(STOP_LIMIT, all).await.is_err() {
            tracing::warn!("some work did not end in time; workers go on by themselves");
        }
        let runs = app.runs.clone();
        blocking(move || Ok(runs.db.flush()?)).await?;
        match broken {
            Some(Ok(Err(error))) => Err(ServeError::Broken(error)),
            _ => Ok(()),
        }
    }
}

/// Every open stream is an open file, and shells allow 1,024 unless a program asks for more.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        let allowed = limit.current.unwrap_or(u64::MAX);
        tracing::warn!(%error, allowed, "cannot raise the limit on open files");
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::InUse(address),
        _ => ServeError::Listen { address, source },
    })
}

type Opened = (Runs, Studies, Vec<Arc<crate::service::entry::Entry>>);

fn open(args: &ServeArgs, shutdown: CancellationToken) -> Result<Opened, ServeError> {
    let cluster = args.slurm.as_deref().map(SlurmSettings::read).transpose()?;
    let stop = shutdown.clone();
    let folder = DataFolder::open(&args.places.data, move || {
        tracing::error!("a server on another machine has taken the data folder over; stopping");
        stop.cancel();
    })?;
    if args.rebuild_index {
        Db::set_aside(&folder.index())?;
    }
    let db = Db::open(&folder.index())?;
    let datasets = std::path::absolute(args.places.datasets());
    let datasets = datasets.unwrap_or_else(|_| args.places.datasets());
    let worker = args.places.worker();
    let devices = devices::ask(&worker).unwrap_or_else(|fault| {
        tracing::warn!("{fault}; only the CPU is offered, and runs will fail until it works");
        vec![Device::cpu()]
    });
    let min_free_bytes = args.min_free_mib.saturating_mul(1024 * 1024);
    let tracker = TaskTracker::new();
    let runs = Runs::new(Inner {
        folder,
        predictor: Predictor::new(worker.clone(), args.predict_seconds),
        executors: Executors::new(
            Arc::new(Local::new(worker.clone(), datasets.clone())),
            cluster.map(|settings| {
                Arc::new(Slurm::new(settings, &worker, &datasets, &args.places.data))
            }),
        ),
        datasets: Datasets::new(datasets::Inner {
            folder: datasets,
            preparer: Preparer::new(std::env::current_exe().unwrap_or_default()),
            drawer: Drawer::new(args.places.worker()),
            mirrors: args.mirrors(),
            allowed: args.allow_folder.clone(),
            min_free_bytes,
            shutdown: shutdown.clone(),
            tracker: tracker.clone(),
            coming: std::sync::Mutex::default(),
        }),
        db,
        devices,
        runs_per_gpu: usize::try_from(args.runs_per_gpu).unwrap_or(1),
        min_free_bytes,
        shutdown,
        tracker,
        wake: tokio::sync::Notify::new(),
        streams: std::sync::atomic::AtomicUsize::new(0),
        creating: tokio::sync::Mutex::new(()),
        set_up: SetUpCheck::default(),
        digests: Digests::default(),
        entries: std::sync::RwLock::default(),
    });
    runs.datasets.recover();
    if let Some(slurm) = runs.executors.slurm() {
        slurm.wait_for_jobs();
    }
    let alive = runs.recover()?;
    let studies = Studies::load(runs.clone())?;
    Ok((runs, studies, alive))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Cli, Command};
    use crate::views::NewDataset;
    use clap::Parser as _;

    /// On one thread no task of the background has begun when the server has started.
    #[tokio::test]
    async fn uploads_are_known_before_the_first_request() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_str().unwrap();
        let started = async || {
            let words = ["skein", "serve", "--listen", "127.0.0.1:0", "--data", data];
            let Command::Serve(args) = Cli::parse_from(words).command else { panic!("serve") };
            Server::start(args, CancellationToken::new()).await.unwrap()
        };
        let asked = NewDataset {
            file_name: Some("birds.zip".to_owned()),
            bytes: Some(10),
            ..NewDataset::default()
        };
        let first = started().await;
        let datasets = first.app.runs.datasets.clone();
        let begun = datasets.create(asked.clone()).await.unwrap();
        assert!(datasets.coming(&begun.id).is_some());
        first.app.runs.shutdown.cancel();
        first.run().await.unwrap();
        drop(datasets);

        let second = started().await;
        let datasets = &second.app.runs.datasets;
        let found = datasets.coming(&begun.id).expect("the upload of the first server");
        assert_eq!(found.now(), begun.now());
        let other = datasets.create(asked).await.unwrap();
        assert_ne!(other.id, begun.id);
    }
}
