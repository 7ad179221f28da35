//! The check of a JSON value that should be a study: everything that is wrong, at once.

use serde_json::{Map, Value};

use super::{MOST_RUNS, StudySpec, Variant};
use crate::spec::Violation;

/// Most seeds, methods and budgets.
const MOST: usize = 64;
/// Most characters of a study's name, and of a method's or budget's.
const LONGEST: [usize; 2] = [80, 60];
/// Largest seed: JSON numbers are exact up to there.
const LARGEST_SEED: u64 = (1 << 53) - 1;
/// What a method or a budget may not set: runs would no longer be comparable by one table.
const SHARED: [&str; 5] = ["seed", "name", "benchmark", "dataset.id", "space.preset"];

struct Violations(Vec<Violation>);

impl Violations {
    fn add(&mut self, field: impl Into<String>, detail: impl Into<String>) {
        self.0.push(Violation { field: field.into(), detail: detail.into() });
    }
}

pub(super) fn check(value: &Value) -> Result<StudySpec, Vec<Violation>> {
    let mut violations = Violations(Vec::new());
    let Some(object) = value.as_object() else {
        violations.add("", "a JSON object is expected");
        return Err(violations.0);
    };
    unknown("", object, &["name", "seeds", "run", "methods", "budgets"], &mut violations);
    let name = name("name", object.get("name"), LONGEST[0], &mut violations);
    let seeds = seeds(object.get("seeds"), &mut violations);
    let run = run(object.get("run"), &mut violations);
    let methods = variants("methods", object.get("methods"), &mut violations);
    if methods.is_empty() && violations.0.iter().all(|one| !one.field.starts_with("methods")) {
        violations.add("methods", "is missing; name at least one method");
    }
    let budgets = variants("budgets", object.get("budgets"), &mut violations);
    let count = seeds.len() * methods.len() * budgets.len().max(1);
    if count > MOST_RUNS {
        let detail = format!(
            "{} seeds × {} methods × {} budgets make {count} runs; at most {MOST_RUNS} are taken",
            seeds.len(),
            methods.len(),
            budgets.len().max(1)
        );
        violations.add("", detail);
    }
    if violations.0.is_empty() {
        Ok(StudySpec { name, seeds, run, methods, budgets })
    } else {
        Err(violations.0)
    }
}

fn unknown(prefix: &str, object: &Map<String, Value>, known: &[&str], violations: &mut Violations) {
    for key in object.keys().filter(|key| !known.contains(&key.as_str())) {
        let detail = format!("is not a known field; there are {}", known.join(", "));
        violations.add(format!("{prefix}{key}"), detail);
    }
}

fn name(field: &str, value: Option<&Value>, longest: usize, violations: &mut Violations) -> String {
    let name = value.and_then(Value::as_str).unwrap_or_default().trim();
    let fits = (1..=longest).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if !fits {
        violations.add(field, format!("must be a text of 1 to {longest} characters in one line"));
    }
    name.to_owned()
}

fn seeds(value: Option<&Value>, violations: &mut Violations) -> Vec<u64> {
    let Some(list) = value.and_then(Value::as_array) else {
        violations.add("seeds", "must be a list of whole numbers, for example [1, 2, 3, 4]");
        return Vec::new();
    };
    if !(1..=MOST).contains(&list.len()) {
        violations.add("seeds", format!("must be 1 to {MOST} seeds, not {}", list.len()));
    }
    let mut seeds = Vec::new();
    for (place, seed) in list.iter().enumerate() {
        let field = format!("seeds[{place}]");
        match seed.as_u64().filter(|seed| *seed <= LARGEST_SEED) {
            None => {
                violations.add(field, format!("must be a whole number from 0 to {LARGEST_SEED}"));
            }
            Some(seed) if seeds.contains(&seed) => violations.add(field, format!("repeats {seed}")),
            Some(seed) => seeds.push(seed),
        }
    }
    seeds
}

fn run(value: Option<&Value>, violations: &mut Violations) -> Map<String, Value> {
    let Some(run) = value.and_then(Value::as_object) else {
        violations.add("run", "must hold the fields of a run that all runs share");
        return Map::new();
    };
    for (key, why) in [
        ("seed", "is set by the study: list it in `seeds`"),
        ("name", "is made from the names of the study, the method and the budget"),
    ] {
        if run.contains_key(key) {
            violations.add(format!("run.{key}"), why);
        }
    }
    let table = run.get("benchmark").and_then(|benchmark| benchmark.get("table"));
    if table.and_then(Value::as_str).is_none_or(|name| name.trim().is_empty()) {
        let detail = "is missing; a study needs a table of true accuracies, a CSV file in the \
                      `benchmarks` folder of the data folder";
        violations.add("run.benchmark.table", detail);
    }
    run.clone()
}

fn variants(field: &str, value: Option<&Value>, violations: &mut Violations) -> Vec<Variant> {
    let list = match value {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(list)) => list,
        Some(_) => {
            violations.add(field, "must be a list of objects with `name` and `set`");
            return Vec::new();
        }
    };
    if list.len() > MOST {
        violations.add(field, format!("must be at most {MOST}, not {}", list.len()));
    }
    let mut found: Vec<Variant> = Vec::new();
    for (place, value) in list.iter().enumerate() {
        let here = format!("{field}[{place}]");
        let Some(object) = value.as_object() else {
            violations.add(here, "must be an object with `name` and `set`");
            continue;
        };
        unknown(&format!("{here}."), object, &["name", "set"], violations);
        let at = format!("{here}.name");
        let name = name(&at, object.get("name"), LONGEST[1], violations);
        if let Some(first) = found.iter().position(|one| one.name == name && !name.is_empty()) {
            violations.add(at, format!("is the name of {field}[{first}] too"));
        }
        let set = set(&format!("{here}.set"), object.get("set"), violations);
        found.push(Variant { name, set });
    }
    found
}

fn set(field: &str, value: Option<&Value>, violations: &mut Violations) -> Map<String, Value> {
    let set = match value {
        None | Some(Value::Null) => return Map::new(),
        Some(Value::Object(set)) => set,
        Some(_) => {
            violations.add(field, "must hold fields of a run");
            return Map::new();
        }
    };
    for path in SHARED.into_iter().filter(|path| super::has(set, path)) {
        let detail = match path {
            "seed" | "name" => "is set by the study",
            _ => {
                "must be the same in all runs, or one table could not compare them; set it in `run`"
            }
        };
        violations.add(format!("{field}.{path}"), detail);
    }
    set.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn said(value: &Value) -> Vec<String> {
        let violations = check(value).unwrap_err();
        violations.into_iter().map(|one| format!("{} {}", one.field, one.detail)).collect()
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let value = json!({
            "name": " ", "seed": 1, "seeds": [1, 1, -1],
            "run": {"seed": 3, "name": "x", "benchmark": {"table": ""}},
            "methods": [
                {"name": "a", "set": {"seed": 1, "dataset": {"id": "x", "limit": 8}}},
                {"name": "a", "sets": {}, "set": 5},
                7
            ],
            "budgets": [{"set": {"space": {"preset": "darts"}, "benchmark": {}}}]
        });
        let comparable =
            "must be the same in all runs, or one table could not compare them; set it in `run`";
        let expected = [
            "seed is not a known field; there are name, seeds, run, methods, budgets",
            "name must be a text of 1 to 80 characters in one line",
            "seeds[1] repeats 1",
            "seeds[2] must be a whole number from 0 to 9007199254740991",
            "run.seed is set by the study: list it in `seeds`",
            "run.name is made from the names of the study, the method and the budget",
            "run.benchmark.table is missing; a study needs a table of true accuracies, a CSV file \
             in the `benchmarks` folder of the data folder",
            "methods[0].set.seed is set by the study",
            &format!("methods[0].set.dataset.id {comparable}"),
            "methods[1].sets is not a known field; there are name, set",
            "methods[1].name is the name of methods[0] too",
            "methods[1].set must hold fields of a run",
            "methods[2] must be an object with `name` and `set`",
            "budgets[0].name must be a text of 1 to 60 characters in one line",
            &format!("budgets[0].set.benchmark {comparable}"),
            &format!("budgets[0].set.space.preset {comparable}"),
        ];
        assert_eq!(said(&value), expected);
    }

    #[rstest]
    #[case::no_object(json!([]), &[" a JSON object is expected"])]
    #[case::empty(json!({}), &[
        "name must be a text of 1 to 80 characters in one line",
        "seeds must be a list of whole numbers, for example [1, 2, 3, 4]",
        "run must hold the fields of a run that all runs share",
        "methods is missing; name at least one method",
    ])]
    #[case::no_seed(
        json!({"name": "a", "seeds": [], "run": {"benchmark": {"table": "t.csv"}}, "methods": 1}),
        &["seeds must be 1 to 64 seeds, not 0", "methods must be a list of objects with `name` and `set`"]
    )]
    fn a_wrong_study_is_refused(#[case] value: Value, #[case] expected: &[&str]) {
        assert_eq!(said(&value), expected);
    }

    #[test]
    fn too_many_runs_are_refused() {
        let methods: Vec<Value> = (0..40).map(|i| json!({"name": format!("m{i}")})).collect();
        let seeds: Vec<u64> = (0..30).collect();
        let run = json!({"benchmark": {"table": "t.csv"}});
        let value = json!({"name": "a", "seeds": seeds, "run": run, "methods": methods});
        assert_eq!(
            said(&value),
            [" 30 seeds × 40 methods × 1 budgets make 1200 runs; at most 1000 are taken"]
        );
    }
}
