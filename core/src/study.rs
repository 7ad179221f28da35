//! Studies: several search methods, each with several seeds, held against a table of what
//! architectures really reach, and against chance.
//!
//! A study is a specification that all runs share, with *methods* (and perhaps *budgets*) that each
//! set some fields of it. [`StudySpec::parse`] is the only way in; [`StudySpec::runs`] says which
//! runs there are; [`statistics`] computes and [`report`] holds what comes of them.

mod check;
pub mod report;
pub mod statistics;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::spec::Violation;

/// Most runs of a study.
pub const MOST_RUNS: usize = 1000;
/// Most characters of a run's name.
const LONGEST_NAME: usize = 120;

/// What a study compares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudySpec {
    /// Name for people.
    pub name: String,
    /// The seeds of each method's runs.
    pub seeds: Vec<u64>,
    /// Fields of a run's specification that all runs share.
    pub run: Map<String, Value>,
    /// What is compared.
    pub methods: Vec<Variant>,
    /// What it may cost; none if all runs have the budget that `run` gives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Variant>,
}

/// A method or a budget: a name, and the fields that it sets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Name for people, unique among its kind.
    pub name: String,
    /// Fields of a run's specification.
    #[serde(default)]
    pub set: Map<String, Value>,
}

/// A run that a study asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedRun {
    /// Place of its method.
    pub method: usize,
    /// Place of its budget, if the study has any.
    pub budget: Option<usize>,
    /// Its seed.
    pub seed: u64,
    /// Its specification, defaults not filled in.
    pub spec: Value,
}

impl StudySpec {
    /// Reads a study.
    ///
    /// The runs' own fields are not checked here: what they mean depends on data and machine.
    ///
    /// # Errors
    /// - every [`Violation`] at once.
    pub fn parse(value: &Value) -> Result<Self, Vec<Violation>> {
        check::check(value)
    }

    /// Every combination of method and budget, budget by budget.
    #[must_use]
    pub fn cells(&self) -> Vec<(usize, Option<usize>)> {
        let budgets: Vec<Option<usize>> = match self.budgets.len() {
            0 => vec![None],
            count => (0..count).map(Some).collect(),
        };
        let of =
            |budget: Option<usize>| (0..self.methods.len()).map(move |method| (method, budget));
        budgets.into_iter().flat_map(of).collect()
    }

    /// All runs, seed by seed, so that methods can be compared before the last seed has run.
    #[must_use]
    pub fn runs(&self) -> Vec<PlannedRun> {
        let cells = self.cells();
        let of = |seed: &u64| {
            let seed = *seed;
            cells.iter().map(move |(method, budget)| self.planned(*method, *budget, seed))
        };
        self.seeds.iter().flat_map(of).collect()
    }

    /// The run of a method with a budget and a seed.
    #[must_use]
    pub fn planned(&self, method: usize, budget: Option<usize>, seed: u64) -> PlannedRun {
        let mut spec = self.run.clone();
        let chosen = self.methods.get(method).into_iter();
        let chosen = chosen.chain(budget.and_then(|budget| self.budgets.get(budget)));
        let mut name = format!("{}: ", self.name);
        for variant in chosen {
            merge(&mut spec, &variant.set);
            name.push_str(&variant.name);
            name.push_str(", ");
        }
        let end = format!("seed {seed}");
        // A long name must not cost the seed, which tells runs apart.
        let kept = LONGEST_NAME - end.chars().count();
        name = name.chars().take(kept).collect::<String>() + &end;
        spec.insert("name".to_owned(), name.into());
        spec.insert("seed".to_owned(), seed.into());
        PlannedRun { method, budget, seed, spec: Value::Object(spec) }
    }

    /// Name of a budget.
    #[must_use]
    pub fn budget_name(&self, budget: Option<usize>) -> Option<&str> {
        Some(self.budgets.get(budget?)?.name.as_str())
    }

    /// Where a study sets a field of its runs: in a method, in a budget, or for all of them.
    #[must_use]
    pub fn place_of(&self, field: &str, method: usize, budget: Option<usize>) -> Place {
        let sets = |variant: Option<&Variant>| {
            variant.is_some_and(|variant| !field.is_empty() && has(&variant.set, field))
        };
        match budget {
            Some(at) if sets(self.budgets.get(at)) => Place::Budget,
            _ if sets(self.methods.get(method)) => Place::Method,
            _ if !field.is_empty() && has(&self.run, field) => Place::Run,
            _ => Place::Nowhere,
        }
    }
}

/// Where a field is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the method's `set`.
    Method,
    /// In the budget's `set`.
    Budget,
    /// In `run`.
    Run,
    /// It has its default.
    Nowhere,
}

/// Sets the fields of `from` in `target`; an object is merged, anything else replaces what was there.
fn merge(target: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        match (target.get_mut(key), value) {
            (Some(Value::Object(inner)), Value::Object(value)) => merge(inner, value),
            _ => {
                target.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Whether an object has something at a dotted path.
fn has(object: &Map<String, Value>, path: &str) -> bool {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    match object.get(first) {
        None => false,
        Some(_) if rest.is_empty() => true,
        Some(value) => value.as_object().is_some_and(|inner| has(inner, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn study() -> Value {
        json!({
            "name": "Toy", "seeds": [1, 2],
            "run": {
                "dataset": {"id": "fashion-mnist"}, "space": {"preset": "toy-cell"},
                "search": {"epochs": 5, "optimizer": {"kind": "drnas"}},
                "benchmark": {"table": "t.csv"}
            },
            "methods": [
                {"name": "DrNAS"},
                {"name": "GDAS", "set": {"search": {"optimizer": {"kind": "gdas"}}}}
            ],
            "budgets": [{"name": "short", "set": {"search": {"epochs": 1}}}, {"name": "long"}]
        })
    }

    #[test]
    fn a_run_is_merged_from_what_all_share_its_method_and_its_budget() {
        let spec = StudySpec::parse(&study()).unwrap();
        let runs = spec.runs();
        let names: Vec<&str> = runs.iter().map(|run| run.spec["name"].as_str().unwrap()).collect();
        insta::assert_debug_snapshot!(names, @r#"
        [
            "Toy: DrNAS, short, seed 1",
            "Toy: GDAS, short, seed 1",
            "Toy: DrNAS, long, seed 1",
            "Toy: GDAS, long, seed 1",
            "Toy: DrNAS, short, seed 2",
            "Toy: GDAS, short, seed 2",
            "Toy: DrNAS, long, seed 2",
            "Toy: GDAS, long, seed 2",
        ]
        "#);
        let one = &runs[5];
        assert_eq!((one.method, one.budget, one.seed), (1, Some(0), 2));
        assert_eq!(one.spec["seed"], 2);
        assert_eq!(one.spec["search"], json!({"epochs": 1, "optimizer": {"kind": "gdas"}}));
        assert_eq!(runs[2].spec["search"], json!({"epochs": 5, "optimizer": {"kind": "drnas"}}));
        assert_eq!(spec.budget_name(Some(1)), Some("long"));
        let stored: StudySpec =
            serde_json::from_value(serde_json::to_value(&spec).unwrap()).unwrap();
        assert_eq!(stored, spec);
    }

    #[test]
    fn without_budgets_each_method_has_one() {
        let mut value = study();
        value.as_object_mut().unwrap().remove("budgets");
        value["methods"][0]["name"] = "m".repeat(60).into();
        value["name"] = "n".repeat(80).into();
        let spec = StudySpec::parse(&value).unwrap();
        assert_eq!(spec.cells(), [(0, None), (1, None)]);
        let name = spec.runs()[0].spec["name"].as_str().unwrap().to_owned();
        assert_eq!(name.chars().count(), 120);
        assert!(name.ends_with("mseed 1"), "{name}");
    }

    #[test]
    fn a_field_is_found_where_it_is_set() {
        let spec = StudySpec::parse(&study()).unwrap();
        let place = |field: &str, method| spec.place_of(field, method, Some(0));
        assert_eq!(place("search.optimizer.kind", 1), Place::Method);
        assert_eq!(place("search.optimizer.kind", 0), Place::Run);
        assert_eq!(place("search.epochs", 0), Place::Budget);
        assert_eq!(place("search.arch_lr", 0), Place::Nowhere);
        assert_eq!(place("", 0), Place::Nowhere);
    }
}
