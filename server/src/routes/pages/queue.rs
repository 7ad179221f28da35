//! `/queue`: what works, what waits and for what, and what it works on.

use askama::Template;
use time::OffsetDateTime;

use super::format;
use super::frame::{Busy, Frame};
use crate::domain::clock;
use crate::executor::devices::Device;
use crate::service::queue::Waiting;
use crate::views::RunView;
use crate::views::cluster::ClusterInfo;

/// The page.
#[derive(Template)]
#[template(path = "queue.html")]
pub(super) struct QueuePage {
    frame: Frame,
    working: Vec<Working>,
    waiting: Vec<WaitingRow>,
    devices: Vec<DeviceRow>,
    cluster: Option<ClusterInfo>,
    /// When the cluster was last checked, in words.
    checked: Option<String>,
}

struct Working {
    /// What the strip says of it, too.
    busy: Busy,
    status: String,
    /// `CPU, 8 threads`, or a job on a node.
    place: String,
}

struct WaitingRow {
    run: RunView,
    /// Its place; the cluster has an order of its own.
    position: Option<usize>,
    place: &'static str,
    why: String,
    /// When it is expected to begin: as a time, and in words.
    starts: Option<(String, String)>,
}

struct DeviceRow {
    title: String,
    id: String,
    memory: String,
    /// What works on it.
    runs: Vec<(String, String)>,
}

/// What the page is made of.
pub(super) struct Parts {
    /// Runs that hold a device, the oldest first.
    pub(super) holders: Vec<RunView>,
    /// Runs that wait here, in order.
    pub(super) queue: Vec<(Waiting, RunView)>,
    pub(super) devices: Vec<Device>,
    pub(super) cluster: Option<ClusterInfo>,
}

impl QueuePage {
    pub(super) fn new(frame: Frame, parts: Parts, now: OffsetDateTime) -> Self {
        let Parts { holders, queue, devices, cluster } = parts;
        let rows = devices.iter().map(|device| DeviceRow::new(device, &holders)).collect();
        let (pending, working): (Vec<_>, Vec<_>) =
            holders.into_iter().partition(|run| run.status == "pending");
        let here = queue.into_iter().map(|(waiting, run)| WaitingRow {
            place: if run.executor == "slurm" { "Slurm" } else { "This machine" },
            position: Some(waiting.position),
            why: format::quoted(&waiting.reason),
            starts: None,
            run,
        });
        let there = pending.into_iter().map(WaitingRow::in_slurm);
        let checked = cluster.as_ref().and_then(|cluster| cluster.set_up.ended_at.as_deref());
        Self {
            checked: checked.map(|at| format::ago(at, now)),
            waiting: here.chain(there).collect(),
            working: working.into_iter().map(|run| Working::new(run, &devices)).collect(),
            devices: rows,
            cluster,
            frame,
        }
    }
}

impl Working {
    fn new(run: RunView, devices: &[Device]) -> Self {
        let device = devices.iter().find(|device| device.id == run.device);
        let place = match (&run.cluster, run.executor.as_str()) {
            (Some(cluster), _) => cluster.summary.clone(),
            (None, "slurm") => "Slurm".to_owned(),
            (None, _) => device.map_or_else(|| run.device.clone(), |device| device.title.clone()),
        };
        Self { place, status: run.status.clone(), busy: Busy::new(run) }
    }
}

impl WaitingRow {
    fn in_slurm(run: RunView) -> Self {
        let cluster = run.cluster.as_ref();
        let why = cluster.map(|cluster| cluster.summary.clone());
        let starts = cluster.and_then(|cluster| cluster.starts_at.clone());
        let starts = starts.map(|at| {
            let words = clock::parse(&at).map_or_else(|| at.clone(), in_utc);
            (at, words)
        });
        let why = why.unwrap_or_else(|| "handed over to Slurm".to_owned());
        Self { place: "Slurm", position: None, why, starts, run }
    }
}

impl DeviceRow {
    fn new(device: &Device, holders: &[RunView]) -> Self {
        let runs = holders.iter().filter(|run| run.executor != "slurm" && run.device == device.id);
        Self {
            title: device.title.clone(),
            id: device.id.clone(),
            memory: device
                .memory_bytes
                .map_or_else(format::dash, |bytes| format!("{}B", format::short(bytes))),
            runs: runs.map(|run| (run.id.clone(), run.name.clone())).collect(),
        }
    }
}

fn in_utc(at: OffsetDateTime) -> String {
    let (date, hour, minute) = (at.date(), at.hour(), at.minute());
    format!("{date} {hour:02}:{minute:02} UTC")
}
