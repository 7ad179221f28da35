//! Whether a study can be run: each of its runs is checked like one that is created alone, and one
//! table must fit all of them.

use serde_json::Value;
use skein_core::choice::Choice;
use skein_core::spec::{BenchmarkSpec, Violation};
use skein_core::study::{Place, StudySpec};

use crate::service::ServiceError;
use crate::service::create::Checked;

/// What the runs of a study have in common.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) preset: String,
    pub(super) choices: Vec<Choice>,
    pub(super) benchmark: BenchmarkSpec,
    /// The text of the table.
    pub(super) table: String,
}

/// A violation of a method with a budget.
struct Found {
    method: usize,
    budget: Option<usize>,
    violation: Violation,
}

/// Checks every method with every budget; `check` is that of a run.
///
/// # Errors
/// - [`ServiceError::Invalid`] with everything that is wrong, each with the place in the study where
///   it would be put right.
pub(super) fn check(
    spec: &StudySpec,
    check: impl Fn(&Value) -> Result<Checked, ServiceError>,
) -> Result<Common, ServiceError> {
    // Seeds differ in nothing but their size.
    let seed = spec.seeds.iter().copied().max().unwrap_or_default();
    let (mut common, mut found): (Option<Common>, Vec<Found>) = (None, Vec::new());
    for (method, budget) in spec.cells() {
        let mut add = |violation| found.push(Found { method, budget, violation });
        match check(&spec.planned(method, budget, seed).spec) {
            Ok(checked) => match &common {
                None => common = Some(Common::of(checked)),
                Some(first) if first.choices == checked.graph.choices => {}
                Some(_) => add(Violation {
                    field: "space".to_owned(),
                    detail: "has other choices than that of the first run; one table could not \
                             compare them"
                        .to_owned(),
                }),
            },
            Err(ServiceError::Invalid(violations)) => violations.into_iter().for_each(add),
            Err(other) => return Err(other),
        }
    }
    match common {
        Some(common) if found.is_empty() => Ok(common),
        _ => Err(ServiceError::Invalid(placed(spec, &found))),
    }
}

impl Common {
    fn of(checked: Checked) -> Self {
        Self {
            preset: checked.spec.space.preset().to_owned(),
            choices: checked.graph.choices,
            benchmark: checked.spec.benchmark,
            table: checked.with.benchmark.unwrap_or_default(),
        }
    }
}

/// Each violation once, with its place in the study.
fn placed(spec: &StudySpec, found: &[Found]) -> Vec<Violation> {
    let mut violations: Vec<Violation> = Vec::new();
    let cells = spec.cells().len();
    for Found { method, budget, violation } in found {
        let Violation { field, detail } = violation;
        let everywhere = found.iter().filter(|one| one.violation == *violation).count() == cells;
        let field = match (spec.place_of(field, *method, *budget), budget) {
            (Place::Budget, Some(budget)) => format!("budgets[{budget}].set.{field}"),
            (Place::Method, _) => format!("methods[{method}].set.{field}"),
            _ if everywhere => format!("run.{field}"),
            _ if field.is_empty() => format!("methods[{method}]"),
            _ => format!("methods[{method}]: {field}"),
        };
        let violation = Violation { field, detail: detail.clone() };
        if !violations.contains(&violation) {
            violations.push(violation);
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn study() -> StudySpec {
        let value = json!({
            "name": "a", "seeds": [1, 7], "run": {"benchmark": {"table": "t.csv"}, "search": {"epochs": 0}},
            "methods": [{"name": "one"}, {"name": "two", "set": {"search": {"arch_lr": -1}}}],
            "budgets": [{"name": "b", "set": {"after": {"x": 1}}}, {"name": "c"}]
        });
        StudySpec::parse(&value).unwrap()
    }

    fn refused(of: impl Fn(&Value) -> Vec<(&'static str, &'static str)>) -> Vec<String> {
        let violation = |(field, detail): (&str, &str)| Violation {
            field: field.to_owned(),
            detail: detail.to_owned(),
        };
        let check_run = |spec: &Value| {
            assert_eq!(spec["seed"], 7, "the largest seed stands for all");
            Err(ServiceError::Invalid(of(spec).into_iter().map(violation).collect()))
        };
        let Err(ServiceError::Invalid(found)) = check(&study(), check_run) else { panic!() };
        found.into_iter().map(|one| format!("{} {}", one.field, one.detail)).collect()
    }

    #[test]
    fn a_violation_is_said_once_where_it_would_be_put_right() {
        let said = refused(|spec| {
            let mut found = vec![("search.epochs", "too few")];
            if spec["search"]["arch_lr"] == -1 {
                found.extend([("search.arch_lr", "negative"), ("search.optimizer.kind", "odd")]);
            }
            if spec["after"]["x"] == 1 {
                found.push(("after.x", "unknown"));
            }
            found
        });
        let expected = [
            "run.search.epochs too few",
            "budgets[0].set.after.x unknown",
            "methods[1].set.search.arch_lr negative",
            "methods[1]: search.optimizer.kind odd",
        ];
        assert_eq!(said, expected);
    }
}
