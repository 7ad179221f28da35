//! What a search on another run's trained supernet may change.

use serde_json::Value;

use super::check::get;
use super::fields::FIELDS;
use super::{RunSpec, Violation};

/// Fields, or beginnings of their paths, that nothing in the training of a supernet hangs on.
const FREE: [&str; 10] = [
    "name",
    "constraints.max_",
    "search.from_run",
    "search.second_stage.",
    "after.",
    "benchmark.",
    "resources.device",
    "resources.threads",
    "resources.keep_activations",
    "resources.checkpoint_every",
];

/// Whether a run on another one's supernet must have a field as it is there.
#[must_use]
pub fn is_bound(path: &str) -> bool {
    !FREE.iter().any(|free| path.starts_with(free))
}

impl RunSpec {
    /// Every field that must be as it was where the supernet was trained, and is not.
    #[must_use]
    pub fn unlike(&self, trained: &Self) -> Vec<Violation> {
        let (own, theirs) = (self.to_value(), trained.to_value());
        let bound = FIELDS.iter().filter(|field| is_bound(field.path));
        let unlike = bound.filter_map(|field| {
            let [own, theirs] = [&own, &theirs].map(|spec| get(spec, field.path));
            let [own, theirs] = [own, theirs].map(|value| value.unwrap_or(&Value::Null));
            (own != theirs).then(|| Violation {
                field: field.path.to_owned(),
                detail: format!("must be {theirs}, as where the supernet was trained, not {own}"),
            })
        });
        unlike.collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(changed: &Value) -> RunSpec {
        let mut spec = json!({
            "dataset": {"id": "fashion-mnist"},
            "space": {"preset": "toy-cell"},
            "search": {"optimizer": {"kind": "drnas"}},
        });
        for (path, value) in changed.as_object().unwrap() {
            super::super::check::set(&mut spec, path, value.clone());
        }
        RunSpec::parse(&spec).unwrap()
    }

    #[test]
    fn limits_second_stage_and_trainings_may_differ() {
        let free = json!({
            "name": "again",
            "constraints.max_params": 200_000,
            "constraints.max_macs": 90_000_000,
            "search.from_run": "00000000-0000-4000-8000-000000000000",
            "search.second_stage.kind": "pareto",
            "search.second_stage.cost": "macs",
            "after.from_scratch.epochs": 3,
            "resources.threads": 1,
            "resources.keep_activations": 0.25,
        });
        assert_eq!(spec(&free).unlike(&spec(&json!({}))), []);
    }

    #[test]
    fn what_the_training_hangs_on_may_not() {
        for (path, value) in [
            ("seed", json!(2)),
            ("dataset.limit", json!(4096)),
            ("space.channels", json!(8)),
            ("search.epochs", json!(7)),
            ("search.optimizer.kl_scale", json!(0.5)),
            ("constraints.penalty", json!(0.5)),
            ("resources.precision", json!("float64")),
        ] {
            let unlike = spec(&json!({path: value})).unlike(&spec(&json!({})));
            let paths: Vec<&str> =
                unlike.iter().map(|violation| violation.field.as_str()).collect();
            assert_eq!(paths, [path]);
            assert!(unlike[0].detail.contains(&format!("not {value}")), "{}", unlike[0].detail);
        }
    }
}
