//! What the package says of the input and of where it was made.

use serde_json::{Value, json};
use skein_core::dataset::Dataset;
use skein_core::package::card::Facts;
use skein_core::package::preprocess::Preprocess;

use super::{Contents, pretty};
use crate::{EngineError, device};

/// Version of `environment.json`.
const ENVIRONMENT_VERSION: u32 = 1;

/// `preprocess.json`.
pub(super) fn preprocess_json(contents: &Contents<'_>) -> Result<String, EngineError> {
    let Facts { dataset, spec, .. } = contents.facts;
    let said = Preprocess::of(dataset, &spec.dataset, contents.network.graph())?;
    pretty(&json!(said))
}

/// `environment.json`: what the run was made with.
pub(super) fn environment_json(contents: &Contents<'_>) -> Result<String, EngineError> {
    let system = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    pretty(&json!({
        "version": ENVIRONMENT_VERSION,
        "skein": env!("CARGO_PKG_VERSION"),
        "commit": option_env!("SKEIN_COMMIT").map_or(Value::Null, Value::from),
        "libtorch": option_env!("SKEIN_LIBTORCH_VERSION").map_or(Value::Null, Value::from),
        "device": contents.facts.device,
        "processor": device::processor(),
        "threads": tch::get_num_threads(),
        "precision": contents.facts.spec.resources.precision,
        "seed": contents.facts.spec.seed,
        "dataset": dataset(contents.facts.dataset),
        "system": text(system.sysname()),
        "release": text(system.release()),
        "machine": text(system.machine()),
    }))
}

/// Which data the run saw: of a person's own, also which content of them.
fn dataset(dataset: &Dataset) -> Value {
    let known = dataset.digest.is_empty();
    let text = |text: &str| if known { Value::Null } else { text.into() };
    json!({
        "id": dataset.id,
        "title": dataset.title,
        "version": text(&dataset.version),
        "sha256": text(&dataset.digest),
    })
}
