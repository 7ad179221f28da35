//! Rules of a run that searches nothing: it measures and trains one given architecture.

use serde_json::Value;

use super::{Remark, Violations, get, set, space};
use crate::notation;

/// Where the architecture stands.
const ARCHITECTURE: &str = "search.optimizer.architecture";

pub(super) fn rules(filled: &Value, violations: &mut Violations) {
    let text = |path: &str| get(filled, path).and_then(Value::as_str).unwrap_or("");
    let number = |path: &str| get(filled, path).and_then(Value::as_f64).unwrap_or(0.0);
    let given = "the architecture is given, and nothing is searched";
    if number("constraints.penalty") > 0.0 {
        violations.add("constraints.penalty", format!("must be 0: {given}"));
    }
    if text("search.second_stage.kind") != "none" {
        violations.add("search.second_stage.kind", format!("must be `none`: {given}"));
    }
    if number("after.finalists.count") > 0.0 {
        violations.add("after.finalists.count", format!("must be 0: {given}"));
    }
    for path in ["max_params", "max_macs", "max_latency_ms"] {
        let path = format!("constraints.{path}");
        if number(&path) > 0.0 {
            violations.add(&path, format!("must be left out: {given}"));
        }
    }
    if text("search.from_run").is_empty() || text("search.inherit") == "none" {
        let why =
            "no weights are inherited; `search.from_run` and `search.inherit` say from which run";
        without_weights(why, filled, violations);
    }
}

/// What a network cannot do that inherits nothing.
pub(super) fn without_weights(why: &str, filled: &Value, violations: &mut Violations) {
    let is_zero = |path: &str| get(filled, path).and_then(Value::as_u64) == Some(0);
    if !is_zero("after.fine_tune.epochs") {
        violations.add("after.fine_tune.epochs", format!("must be 0: {why}"));
    }
    if is_zero("after.from_scratch.epochs") {
        violations.add("after.from_scratch.epochs", format!("must be above 0: {why}"));
    }
    if get(filled, "after.packaged").and_then(Value::as_str) == Some("recalibrated") {
        violations.add("after.packaged", format!("must be another one: {why}"));
    }
}

/// Brings the architecture into our text form, in which what does not matter is at its first
/// option. Says what a person should know about how it was read.
pub(super) fn settle(filled: &mut Value, violations: &mut Violations) -> Option<Remark> {
    // A space that cannot be built is refused elsewhere, with the reason.
    let (space, graph) = space(filled)?;
    let given = get(filled, ARCHITECTURE).and_then(Value::as_str).unwrap_or("");
    match notation::read(given, space.preset(), &graph) {
        Ok(read) => {
            let architecture = graph.canonical(&read.architecture);
            let text = architecture.to_text(space.preset(), &graph.choices);
            set(filled, ARCHITECTURE, text.into());
            read.warning.map(|detail| Remark { field: ARCHITECTURE.to_owned(), detail })
        }
        Err(error) => {
            violations.add(ARCHITECTURE, error.to_string());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use crate::spec::check::set;
    use crate::spec::{OptimizerSpec, RunSpec};

    const CELL: &str = "toy-cell|normal=sep3,sep5,dil3|reduce=dil5,sep3,sep5";

    fn fixed(changed: &Value) -> Result<RunSpec, Vec<String>> {
        let mut value = json!({
            "dataset": {"id": "fashion-mnist"},
            "space": {"preset": "toy-cell"},
            "search": {"optimizer": {"kind": "fixed", "architecture": CELL}, "from_run": "some"},
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
    fn an_architecture_in_any_form_becomes_text() {
        let forms = [
            json!(CELL),
            json!(["sep3", "sep5", "dil3", "dil5", "sep3", "sep5"]),
            json!({"version": 1, "text": CELL}),
            json!("[0, 1, 2, 3, 0, 1]"),
        ];
        for form in forms {
            let spec = fixed(&json!({"search.optimizer.architecture": form})).unwrap();
            let OptimizerSpec::Fixed { architecture } = &spec.search.optimizer else { panic!() };
            assert_eq!(architecture, CELL);
            assert_eq!(RunSpec::parse(&spec.to_value()).unwrap(), spec);
            assert_eq!((spec.search.epochs, spec.search.reset_head), (0, Some(false)));
        }
    }

    #[test]
    fn bare_numbers_are_remarked_on_and_names_are_not() {
        let remarks = |architecture: Value| {
            let mut value = fixed(&json!({})).unwrap().to_value();
            set(&mut value, "search.optimizer.architecture", architecture);
            RunSpec::read(&value).unwrap().1
        };
        assert_eq!(remarks(json!(["sep3", "sep5", "dil3", "dil5", "sep3", "sep5"])), []);
        let said = remarks(json!([0, 1, 2, 3, 0, 1]));
        assert_eq!(said[0].field, "search.optimizer.architecture");
        assert!(said[0].detail.contains("normal 0→1 sep3, normal 0→2 sep5, "), "{said:?}");
    }

    #[test]
    fn what_does_not_matter_is_at_its_first_option() {
        let of = |options: [u64; 6]| {
            let spec = fixed(&json!({
                "dataset.id": "tiny-shakespeare",
                "space": {"preset": "language-char", "layers": [1, 2], "embed_widths": [8, 16], "heads": [1, 2], "ratios": [2.0, 3.0], "context": 16},
                "search.optimizer.architecture": options,
            }));
            spec.unwrap().search.optimizer.given().unwrap().to_owned()
        };
        // Heads and ratios of the second block do not matter in a network of one layer.
        assert_eq!(of([0, 1, 1, 1, 1, 1]), of([0, 1, 1, 0, 1, 0]));
        assert_ne!(of([1, 1, 1, 1, 1, 1]), of([1, 1, 1, 0, 1, 0]));
        assert!(of([0, 1, 1, 1, 1, 1]).ends_with("|embed=16|heads=2,1|ratio=3,2"));
    }

    #[rstest]
    #[case(json!({"search.epochs": 3}), "search.epochs: applies only if `search.optimizer.kind` is drnas or ")]
    #[case(json!({"constraints.penalty": 0.1}), "constraints.penalty: must be 0: ")]
    #[case(json!({"constraints.max_macs": 1000}), "constraints.max_macs: must be left out: ")]
    #[case(json!({"search.second_stage.kind": "random"}), "search.second_stage.kind: must be `none`: ")]
    #[case(json!({"search.from_run": null}), "after.from_scratch.epochs: must be above 0: ")]
    #[case(json!({"search.inherit": "none"}), "after.from_scratch.epochs: must be above 0: ")]
    #[case(
        json!({"search.inherit": "none", "after.fine_tune.epochs": 1, "after.from_scratch.epochs": 1}),
        "after.fine_tune.epochs: must be 0: "
    )]
    #[case(
        json!({"search.from_run": "", "after.packaged": "recalibrated", "after.from_scratch.epochs": 1}),
        "after.packaged: must be another one: "
    )]
    #[case(
        json!({"search.optimizer.architecture": "toy-cell|normal=sep9"}),
        "search.optimizer.architecture: choice `normal 0→1` has no option `sep9`; it has sep3, sep5, dil3, dil5"
    )]
    #[case(json!({"search.optimizer.architecture": 3}), "search.optimizer.architecture: text, ")]
    #[case(json!({"search.optimizer.architecture": null}), "search.optimizer.architecture: is missing")]
    #[case(
        json!({"search.optimizer": {"kind": "drnas", "architecture": CELL}}),
        "search.optimizer.architecture: applies only if "
    )]
    #[case(json!({"search.optimizer": {"kind": "drnas"}, "search.epochs": 0}), "search.epochs: must be at least 1, not 0")]
    fn what_makes_no_sense_is_refused(#[case] changed: Value, #[case] expected: &str) {
        let found = fixed(&changed).unwrap_err();
        assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
    }
}
