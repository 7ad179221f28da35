//! Rules of DrNAS with partial channels, whose supernet lends no weights to a network.

use serde_json::Value;

use super::{Violations, get};
use crate::spaces::darts;
use crate::spaces::darts::partial::Partial;
use crate::spec::{Sharing, SpaceSpec};

const PARTS: [&str; 2] = ["search.optimizer.part_start", "search.optimizer.part_end"];

pub(super) fn rules(filled: &Value, violations: &mut Violations) {
    let text = |path: &str| get(filled, path).and_then(Value::as_str).unwrap_or("");
    let number = |path: &str| get(filled, path).and_then(Value::as_u64).unwrap_or(0);
    if text("space.preset") != "darts" {
        let detail = "`drnas-progressive` searches the space `darts` only; take `drnas`";
        violations.add(super::OPTIMIZER, detail);
        return;
    }
    if number("search.epochs") < 2 {
        violations.add("search.epochs", "must be at least 2, one for each half");
    }
    if number("search.optimizer.frozen_epochs") >= (number("search.epochs") / 2).max(1) {
        let detail = "must leave an epoch of the first half of `search.epochs` to learn which operations to keep";
        violations.add("search.optimizer.frozen_epochs", detail);
    }
    parts(filled, violations);
    if text("search.second_stage.kind") != "none" {
        let detail = "must be `none`: operations that see a part of the channels say little about whole networks";
        violations.add("search.second_stage.kind", detail);
    }
    let lent = "the network found has other channels than the supernet and inherits no weights";
    if number("after.fine_tune.epochs") > 0 {
        violations.add("after.fine_tune.epochs", format!("must be 0: {lent}"));
    }
    if number("after.from_scratch.epochs") == 0 {
        violations.add("after.from_scratch.epochs", format!("must be above 0: {lent}"));
    }
    if text("after.packaged") == "recalibrated" {
        violations.add("after.packaged", format!("must be another one: {lent}"));
    }
}

/// Channels must be cut into equal parts, and a map into halves.
fn parts(filled: &Value, violations: &mut Violations) {
    let number = |path: &str| get(filled, path).and_then(Value::as_i64).unwrap_or(0);
    let channels = number("space.channels");
    let uneven = PARTS.into_iter().find(|path| channels % number(path).max(1) != 0);
    if let Some(path) = uneven {
        let detail = format!(
            "must divide `space.channels`, but {channels} channels are no multiple of {}; DrNAS takes 36 channels with the parts 6 and 4",
            number(path)
        );
        violations.add(path, detail);
        return;
    }
    let space = get(filled, "space").cloned().unwrap_or_default();
    let data = super::data::of(filled);
    // What cannot be read is refused elsewhere, and so is a space that does not fit by itself.
    let (Ok(SpaceSpec::Darts(options)), Some(data)) = (serde_json::from_value(space), data) else {
        return;
    };
    let partial = Partial { part: number(PARTS[0]), kept: None };
    let whole = darts::build(&options, data.shape, Sharing::Entangled);
    let built = darts::partial::build(&options, data.shape, Sharing::Entangled, &partial);
    if let (Ok(_), Err(error)) = (whole, built) {
        violations.add(PARTS[0], format!("does not fit the images: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::super::RunSpec;
    use super::super::set;
    use super::*;

    fn spec(changed: &Value) -> Value {
        let mut spec = json!({
            "dataset": {"id": "cifar-10"},
            "space": {"preset": "darts"},
            "search": {"optimizer": {"kind": "drnas-progressive"}},
        });
        for (path, value) in changed.as_object().unwrap() {
            set(&mut spec, path, value.clone());
        }
        spec
    }

    #[test]
    fn the_published_settings_are_the_defaults() {
        let spec = RunSpec::parse(&spec(&json!({}))).unwrap().to_value();
        assert_eq!(
            (&spec["space"]["channels"], &spec["search"]["epochs"]),
            (&36.into(), &50.into())
        );
        let optimizer = json!({
            "kind": "drnas-progressive", "part_start": 6, "part_end": 4,
            "operations": 4, "frozen_epochs": 10,
        });
        assert_eq!(spec["search"]["optimizer"], optimizer);
        assert_eq!(RunSpec::parse(&spec).unwrap().to_value(), spec);
    }

    #[rstest]
    #[case::space(json!({"space.preset": "nas-bench-201"}), "search.optimizer.kind", "the space `darts` only")]
    #[case::frozen(json!({"search.epochs": 20}), "search.optimizer.frozen_epochs", "an epoch of the first half")]
    #[case::epochs(json!({"search.epochs": 1, "search.optimizer.frozen_epochs": 0}), "search.epochs", "at least 2")]
    #[case::channels(json!({"space.channels": 16}), PARTS[0], "16 channels are no multiple of 6")]
    #[case::part(json!({"search.optimizer.part_end": 5}), PARTS[1], "36 channels are no multiple of 5")]
    #[case::stage(json!({"search.second_stage.kind": "evolution"}), "search.second_stage.kind", "must be `none`")]
    #[case::tuning(json!({"after.fine_tune.epochs": 3}), "after.fine_tune.epochs", "inherits no weights")]
    #[case::nothing(json!({"after.from_scratch.epochs": 0}), "after.from_scratch.epochs", "above 0")]
    #[case::packaged(json!({"after.packaged": "recalibrated"}), "after.packaged", "inherits no weights")]
    fn what_it_cannot_do_is_refused(
        #[case] changed: Value,
        #[case] field: &str,
        #[case] detail: &str,
    ) {
        let violations = RunSpec::parse(&spec(&changed)).unwrap_err();
        assert_eq!(violations.len(), 1, "{violations:?}");
        assert_eq!(violations[0].field, field);
        assert!(violations[0].detail.contains(detail), "{violations:?}");
    }
}
