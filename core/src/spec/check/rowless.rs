//! Rules of the optimizers that learn no rows: the second stage must tell the architecture.

use serde_json::Value;

use super::{OPTIMIZER, Violations, get, space};
use crate::shrink::Stages;

/// Name for people of an optimizer that learns no rows.
pub(super) fn name(kind: &str) -> Option<&'static str> {
    match kind {
        "spos" => Some("SPOS"),
        "ofa" => Some("OFA"),
        _ => None,
    }
}

pub(super) fn rules(name: &str, filled: &Value, violations: &mut Violations) {
    if get(filled, "search.second_stage.kind").and_then(Value::as_str) == Some("none") {
        let detail = format!(
            "must be `random`, `effects`, `evolution` or `pareto`: {name} learns no rows that could tell an architecture"
        );
        violations.add("search.second_stage.kind", detail);
    }
    if get(filled, "constraints.penalty").and_then(Value::as_f64) > Some(0.0) {
        let detail = format!("must be 0: {name} learns no rows that could be priced");
        violations.add("constraints.penalty", detail);
    }
    if name == "OFA" {
        stages(filled, violations);
    }
}

/// Progressive shrinking needs sizes, and an epoch for each stage.
fn stages(filled: &Value, violations: &mut Violations) {
    // A space that cannot be built is refused elsewhere, with the reason.
    let Some((_, graph)) = space(filled) else { return };
    match Stages::count(&graph.choices) {
        None => violations.add(
            OPTIMIZER,
            "must be another one in a space of operations: `ofa` shrinks sizes, and operations have no order",
        ),
        Some(count) => {
            let epochs = get(filled, "search.epochs").and_then(Value::as_u64).unwrap_or(count);
            if epochs < count {
                let detail = format!(
                    "must be at least {count}, one for each stage of progressive shrinking, not {epochs}"
                );
                violations.add("search.epochs", detail);
            }
        }
    }
}
