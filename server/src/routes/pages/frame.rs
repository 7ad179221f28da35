//! The frame of every page: rail, devices, what runs now.

use skein_core::number::{self, Num};

use super::list::is_stopping;
use super::{assets, format};
use crate::views::RunView;

/// The cluster among the devices of the strip.
pub(super) const CLUSTER: &str = "slurm";

/// What every template needs.
#[derive(Debug, Clone, Default)]
pub(super) struct Frame {
    /// Prefix of every address, without a slash at its end.
    pub(super) prefix: String,
    /// Which item of the rail is current.
    pub(super) page: &'static str,
    /// Whether there is a rail; a page for strangers has none.
    pub(super) rail: bool,
    /// The devices of this machine.
    pub(super) devices: Vec<DeviceBox>,
    /// Runs that wait for a device.
    pub(super) waiting: usize,
}

/// A device in the strip.
#[derive(Debug, Clone)]
pub(super) struct DeviceBox {
    /// `cpu`, `cuda:0`.
    pub(super) id: String,
    /// Name for people.
    pub(super) title: String,
    /// What runs on it.
    pub(super) runs: Vec<Busy>,
    /// What to say of it if no run is named.
    pub(super) said: Option<String>,
}

/// What runs on a device.
#[derive(Debug, Clone)]
pub(super) struct Busy {
    /// The run.
    pub(super) id: String,
    /// Its name.
    pub(super) name: String,
    /// How far it is.
    pub(super) percent: u8,
    /// How long it still takes; empty if that cannot be told yet.
    pub(super) remaining: String,
}

impl Frame {
    /// Whether runs can work on a cluster.
    pub(super) fn has_cluster(&self) -> bool {
        self.devices.iter().any(|device| device.id == CLUSTER)
    }

    /// Address of a bundled file.
    pub(super) fn asset(&self, name: &str) -> String {
        assets::address(&self.prefix, name)
    }
}

impl Busy {
    /// What the strip says of a run.
    pub(super) fn new(run: RunView) -> Self {
        let progress = run.progress.as_ref();
        let remaining = progress.and_then(|progress| progress.remaining_s);
        Self {
            percent: progress.map_or(0, |progress| format::whole_percent(progress.fraction)),
            remaining: match remaining {
                _ if is_stopping(&run.status) => String::new(),
                Some(Num(seconds)) if seconds.is_finite() => number::duration(seconds),
                _ => String::new(),
            },
            id: run.id,
            name: run.name,
        }
    }
}
