//! Rules of random search: it trains no supernet, and its finalists decide.

use serde_json::Value;

use super::fixed::without_weights;
use super::{Violations, get};

pub(super) fn rules(filled: &Value, violations: &mut Violations) {
    let number = |path: &str| get(filled, path).and_then(Value::as_f64).unwrap_or(0.0);
    let text = |path: &str| get(filled, path).and_then(Value::as_str).unwrap_or("");
    if number("after.finalists.count") < 2.0 {
        let detail = "must be at least 2: random search goes on with the best of its finalists";
        violations.add("after.finalists.count", detail);
    }
    if number("constraints.penalty") > 0.0 {
        violations.add("constraints.penalty", "must be 0: random search learns no rows");
    }
    let none = "random search trains no supernet";
    if text("search.second_stage.kind") != "none" {
        violations.add("search.second_stage.kind", format!("must be `none`: {none}"));
    }
    if !text("search.from_run").is_empty() {
        violations.add("search.from_run", format!("must be left out: {none}"));
    }
    without_weights("random search has no weights to inherit", filled, violations);
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use crate::spec::check::set;
    use crate::spec::{OptimizerSpec, RunSpec};

    fn random(changed: &Value) -> Result<RunSpec, Vec<String>> {
        let mut value = json!({
            "dataset": {"id": "fashion-mnist"},
            "space": {"preset": "toy-cell"},
            "search": {"optimizer": {"kind": "random"}},
            "after": {"finalists": {"count": 8}, "from_scratch": {"epochs": 3}},
        });
        for (path, value_of) in changed.as_object().unwrap() {
            set(&mut value, path, value_of.clone());
        }
        let said = |violation: crate::spec::Violation| {
            format!("{}: {}", violation.field, violation.detail)
        };
        RunSpec::parse(&value).map_err(|all| all.into_iter().map(said).collect())
    }

    #[test]
    fn random_search_has_finalists_and_limits_and_no_epochs() {
        let spec = random(&json!({"constraints.max_params": 200_000})).unwrap();
        assert_eq!(spec.search.optimizer, OptimizerSpec::Random);
        assert_eq!((spec.search.epochs, spec.after.finalists.count), (0, 8));
        assert_eq!(RunSpec::parse(&spec.to_value()), Ok(spec));
    }

    #[rstest]
    #[case(json!({"after.finalists.count": 0}), "after.finalists.count: must be at least 2")]
    #[case(json!({"after.from_scratch.epochs": 0}), "after.from_scratch.epochs: must be above 0: random search has no weights")]
    #[case(json!({"after.fine_tune.epochs": 1}), "after.fine_tune.epochs: must be 0: random search has no weights")]
    #[case(json!({"after.packaged": "recalibrated"}), "after.packaged: must be another one")]
    #[case(json!({"constraints.penalty": 0.1}), "constraints.penalty: must be 0")]
    #[case(json!({"search.second_stage.kind": "random"}), "search.second_stage.kind: must be `none`")]
    #[case(json!({"search.from_run": "x"}), "search.from_run: must be left out")]
    #[case(json!({"search.epochs": 3}), "search.epochs: ")]
    fn what_it_cannot_do_is_refused(#[case] changed: Value, #[case] said: &str) {
        let told = random(&changed).unwrap_err();
        assert!(told.iter().any(|one| one.starts_with(said)), "{told:?}");
    }
}
