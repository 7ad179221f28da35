//! What a run page says of runs before and after it.

use serde_json::Value;

use super::form::at;
use super::list::is_active;
use crate::service::train::{FINE_TUNE, FROM_SCRATCH, usual_epochs};
use crate::views::{RunDetail, RunView};

/// What the page shows of other places.
pub(super) struct Beside {
    /// Name of the data set that somebody brought, if it is one and is here.
    pub(super) data: Option<String>,
    /// Id and name of the run that this one goes on from, as long as there is one.
    pub(super) trained_by: Option<(String, String)>,
    /// Runs that go on from this one.
    pub(super) followers: Vec<RunView>,
    /// Id of the run that compares architectures on this one's supernet, if one does.
    pub(super) front: Option<String>,
    /// Whether this one has a supernet that lends its weights.
    pub(super) supernet: bool,
    /// Names of the files that the run offers.
    pub(super) files: Vec<String>,
}

/// How a run goes on from another, and others from it.
pub(super) struct Again {
    /// Whether the architecture is given and nothing was searched.
    pub(super) given: bool,
    /// Whether it trained a supernet.
    pub(super) searched: bool,
    /// Whether it goes on from another run.
    pub(super) from_run: bool,
    /// Whether weights of it can be inherited.
    pub(super) lends: bool,
    /// Whether it has an architecture that can be trained in another run.
    pub(super) trains: bool,
    /// Whether other architectures can be compared on its supernet.
    pub(super) compares: bool,
    /// Id of the run that did, if one did.
    pub(super) front: Option<String>,
    /// Epochs that a fine-tuning and a training from scratch are first offered with.
    pub(super) epochs: [u64; 2],
    /// Runs that go on from it.
    pub(super) followers: Vec<RunView>,
    /// Id and name of the run that it goes on from, as long as there is one.
    pub(super) trained_by: Option<(String, String)>,
}

impl Again {
    pub(super) fn of(detail: &RunDetail, beside: Beside) -> Self {
        let RunDetail { run, spec } = detail;
        let stages = [("fine_tune", FINE_TUNE), ("from_scratch", FROM_SCRATCH)];
        Self {
            given: run.optimizer == "fixed",
            searched: !["fixed", "random"].contains(&run.optimizer.as_str()),
            from_run: at(spec, "search.from_run").is_some_and(Value::is_string),
            lends: run.status == "succeeded",
            compares: run.status == "succeeded" && beside.supernet,
            front: beside.front,
            trains: run.architecture.is_some() && !is_active(&run.status),
            epochs: stages.map(|(stage, usual)| usual_epochs(&spec["after"], stage, usual)),
            followers: beside.followers,
            trained_by: beside.trained_by,
        }
    }
}
