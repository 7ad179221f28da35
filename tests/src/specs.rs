//! Valid specifications.

use serde_json::{Value, json};

/// A specification that the fake worker works on; its instructions are the run's name.
#[must_use]
pub fn spec(name: &str) -> Value {
    json!({
        "name": name,
        "dataset": {"id": "fashion-mnist", "limit": 256},
        "space": {"preset": "toy-cell"},
        "search": {"optimizer": {"kind": "drnas"}, "epochs": 2, "batch_size": 16},
        "resources": {"device": "cpu"}
    })
}

/// A specification that the real worker has searched in a second or two.
#[must_use]
pub fn tiny() -> Value {
    json!({
        "dataset": {"id": "fashion-mnist", "limit": 128},
        "space": {"preset": "toy-cell", "channels": 4},
        "search": {"optimizer": {"kind": "drnas"}, "epochs": 2, "batch_size": 16, "valid_limit": 32},
        "after": {"recalibrate_images": 32, "limit": 64, "batch_size": 16},
        "resources": {"device": "cpu", "threads": 1}
    })
}

/// The same with a name, with a limit that binds nothing, and with two finalists.
#[must_use]
pub fn searched() -> Value {
    let mut spec = tiny();
    spec["name"] = json!("searched");
    spec["constraints"] = json!({"max_params": 100_000_000});
    spec["after"]["finalists"] = json!({"count": 2, "rounds": 1, "limit": 64, "images": 64});
    spec
}
