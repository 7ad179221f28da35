//! The check of a JSON value against the table of fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod config;
mod data;
mod fixed;
mod kind;
mod list;
mod progressive;
mod random;
mod rowless;
mod split;

use super::fields::{FIELDS, Field, Kind};
use super::{Sharing, SpaceSpec};
use crate::dataset::DataShape;
use crate::graph::Graph;
use crate::spaces::{self, darts::head};

/// One thing that is wrong with a specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Dotted path of the field; empty if the whole is wrong.
    pub field: String,
    /// What is wrong, and what would be right.
    pub detail: String,
}

/// What a person should know about a specification that is right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// Dotted path of the field.
    pub field: String,
    /// How the field was taken, and what may be meant instead.
    pub detail: String,
}

const OPTIMIZER: &str = "search.optimizer.kind";
/// Where hyper-parameters of the published code may stand.
pub(super) const CONFIG: &str = "config";

/// Fields that had another path once, so that older specifications stay readable.
const MOVED: &[(&str, &str)] = &[
    ("search.optimizer.candidates", "search.second_stage.candidates"),
    ("search.weight_momentum", "search.weight_optimizer.momentum"),
    ("search.weight_nesterov", "search.weight_optimizer.nesterov"),
    ("after.fit_epochs", "after.from_scratch.epochs"),
    ("after.fit_batch_size", "after.batch_size"),
    ("after.fit_lr", "after.from_scratch.lr"),
    ("after.fit_weight_decay", "after.weight_decay"),
    ("after.fit_limit", "after.limit"),
];

/// Fills every default in, or says everything that is wrong.
pub(super) fn check(value: &Value) -> Result<(Value, Vec<Remark>), Vec<Violation>> {
    let (mut violations, mut remarks) = (Violations(vec![]), vec![]);
    if !value.is_object() {
        violations.add("", format!("a JSON object is expected, not {}", kind::describe(value)));
        return Err(violations.0);
    }
    let mut value = moved(value.clone());
    let file = value.as_object_mut().and_then(|object| object.remove(CONFIG));
    let file = file.filter(|file| !file.is_null());
    let value = &value;
    let config = file
        .map_or_else(BTreeMap::new, |file| config::fields(&file, is_fixed(value), &mut violations));
    // A field follows earlier ones only, which are filled in by then.
    let mut filled = Value::Object(Map::new());
    for field in FIELDS {
        if !applies(field, &filled) {
            // Nobody knows whether it does, as long as the field that it hangs on is wrong itself.
            if let Some(given) = get(value, field.path).filter(|_| !is_decided(field, &filled)) {
                check_kind(field, given, &mut violations);
            }
            continue;
        }
        let given = get(value, field.path).filter(|given| !given.is_null());
        let found = match given.or_else(|| config.get(field.path)) {
            None => field.default.value(&filled),
            Some(Value::String(text)) if is_nothing(field, text) => Some(Value::Null),
            Some(given) => Some(check_kind(field, given, &mut violations)),
        };
        match found {
            Some(found) => set(&mut filled, field.path, found),
            None => violations.add(field.path, missing(field)),
        }
    }
    unknown("", value, &filled, &mut violations);
    data::settle(&mut filled, &mut violations);
    name(&mut filled);
    if violations.0.is_empty() {
        rules(&filled, &mut violations);
        if is_fixed(&filled) {
            remarks.extend(fixed::settle(&mut filled, &mut violations));
        }
    }
    if violations.0.is_empty() { Ok((filled, remarks)) } else { Err(violations.0) }
}

/// An empty text where text may be absent.
fn is_nothing(field: &Field, text: &str) -> bool {
    let absent = (matches!(field.kind, Kind::Text { .. }), field.default);
    absent == (true, super::fields::Default::Absent) && text.trim().is_empty()
}

struct Violations(Vec<Violation>);

impl Violations {
    fn add(&mut self, field: &str, detail: impl Into<String>) {
        self.0.push(Violation { field: field.to_owned(), detail: detail.into() });
    }
}

fn missing(field: &Field) -> String {
    match field.kind {
        Kind::OneOf(values) | Kind::Dataset(values) => {
            format!("is missing; one of {}", kind::named(values))
        }
        _ => "is missing".to_owned(),
    }
}

fn applies(field: &Field, value: &Value) -> bool {
    let Some((path, values)) = field.when else { return true };
    match get(value, path) {
        Some(Value::Null) | None => {
            let default = super::fields::find(path).and_then(|at| at.default.value(value));
            default.as_ref().and_then(Value::as_str).is_some_and(|found| values.contains(&found))
        }
        Some(given) => given.as_str().is_some_and(|given| values.contains(&given)),
    }
}

/// Whether the field that another hangs on holds something that it may.
fn is_decided(field: &Field, filled: &Value) -> bool {
    field.when.is_none_or(|(when, _)| {
        let found = super::fields::find(when).zip(get(filled, when));
        found.is_some_and(|(at, given)| kind::fault(at.kind, given).is_ok())
    })
}

/// The value with fields of older specifications at their present paths.
fn moved(mut value: Value) -> Value {
    for (from, to) in MOVED {
        let Some((parent, key)) = from.rsplit_once('.') else { continue };
        let holder = parent.split('.').try_fold(&mut value, |at, part| at.get_mut(part));
        let found = holder.and_then(Value::as_object_mut).and_then(|object| object.remove(key));
        if let Some(found) = found {
            set(&mut value, to, found);
        }
    }
    value
}

pub(super) fn get<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, part| value.as_object()?.get(part))
}

pub(super) fn set(target: &mut Value, path: &str, value: Value) {
    let Value::Object(object) = target else { return };
    match path.split_once('.') {
        None => {
            object.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = object.entry(first).or_insert_with(|| Value::Object(Map::new()));
            if inner.is_null() {
                *inner = Value::Object(Map::new());
            }
            set(inner, rest, value);
        }
    }
}

/// The value in its normal form; a violation is noted if it has none.
fn check_kind(field: &Field, given: &Value, violations: &mut Violations) -> Value {
    match kind::fault(field.kind, given) {
        Ok(value) => value,
        Err(detail) => {
            violations.add(field.path, detail);
            given.clone()
        }
    }
}

/// Notes every field of `value` that the table does not know or that does not apply.
fn unknown(prefix: &str, value: &Value, filled: &Value, violations: &mut Violations) {
    let Some(object) = value.as_object() else { return };
    for (key, inner) in object {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        if let Some(field) = super::fields::find(&path) {
            let decided =
                |_: &_| !inner.is_null() && !applies(field, filled) && is_decided(field, filled);
            if let Some((when, values)) = field.when.filter(decided) {
                let detail = format!("applies only if `{when}` is {}", values.join(" or "));
                violations.add(&path, detail);
            }
            continue;
        }
        let within = format!("{path}.");
        if FIELDS.iter().any(|field| field.path.starts_with(&within)) {
            if inner.is_object() {
                unknown(&path, inner, filled, violations);
            } else if !inner.is_null() {
                violations
                    .add(&path, format!("an object is expected, not {}", kind::describe(inner)));
            }
        } else {
            violations.add(&path, unknown_detail(&path));
        }
    }
}

fn unknown_detail(path: &str) -> String {
    let known = FIELDS.iter().map(|field| field.path);
    let nearest = known.map(|known| (distance(path, known), known)).min();
    match nearest {
        Some((distance, known)) if distance <= 3 => {
            format!("is not a known field; did you mean `{known}`?")
        }
        _ => "is not a known field".to_owned(),
    }
}

/// Edit distance between two short texts.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// A run without a name is called after what it does.
fn name(filled: &mut Value) {
    let given = filled["name"].as_str().unwrap_or("").to_owned();
    if given.is_empty() {
        let part = |path| get(filled, path).and_then(Value::as_str).unwrap_or("?").to_owned();
        let (space, kind) = (part("space.preset"), part("search.optimizer.kind"));
        filled["name"] = format!("{space} {kind} {}", part("dataset.id")).into();
    }
}

/// Rules across fields; every field is valid by itself here.
fn rules(filled: &Value, violations: &mut Violations) {
    let number = |path: &str| get(filled, path).and_then(Value::as_f64);
    let zero = |path: &str| number(path) == Some(0.0);
    if number("search.weight_lr_min") > number("search.weight_lr") {
        violations.add("search.weight_lr_min", "must not be above `search.weight_lr`");
    }
    if get(filled, "search.weight_optimizer.nesterov") == Some(&Value::Bool(true))
        && zero("search.weight_optimizer.momentum")
    {
        violations.add(
            "search.weight_optimizer.nesterov",
            "needs a `search.weight_optimizer.momentum` above 0",
        );
    }
    after_rules(filled, violations);
    if number("search.optimizer.tau_end") > number("search.optimizer.tau_start") {
        violations
            .add("search.optimizer.tau_end", "must not be above `search.optimizer.tau_start`");
    }
    let text = |path: &str| get(filled, path).and_then(Value::as_str).unwrap_or("");
    let cells = ["toy-cell", "nas-bench-201", "darts"].contains(&text("space.preset"));
    if !cells && text("search.weights") != "entangled" {
        violations.add("search.weights", "must be `entangled` in a space of widths and kernels");
    }
    if text(OPTIMIZER) == "drnas-progressive" {
        progressive::rules(filled, violations);
    } else if number("search.optimizer.frozen_epochs") >= number("search.epochs").or(Some(1.0)) {
        let detail = "must be below `search.epochs`, so that rows are learned in at least one";
        violations.add("search.optimizer.frozen_epochs", detail);
    }
    if let Some(kind) = rowless::name(text(OPTIMIZER)) {
        rowless::rules(kind, filled, violations);
    }
    match text(OPTIMIZER) {
        "fixed" => fixed::rules(filled, violations),
        "random" => random::rules(filled, violations),
        _ => {}
    }
    let table = text("benchmark.table");
    if !table.is_empty() && !is_file_name(table) {
        violations.add("benchmark.table", "must be a file name of letters, digits, `.`, `_`, `-`");
    }
    let Some(known) = data::of(filled) else { return };
    data::rules(filled, known.kind, violations);
    head_rule(filled, known.shape, violations);
    split::rules(filled, known, violations);
}

/// Whether one architecture is given, and nothing is searched.
fn is_fixed(filled: &Value) -> bool {
    get(filled, OPTIMIZER).and_then(Value::as_str) == Some("fixed")
}

/// Whether nothing is searched on a supernet.
fn trains_no_supernet(filled: &Value) -> bool {
    matches!(get(filled, OPTIMIZER).and_then(Value::as_str), Some("fixed" | "random"))
}

/// The space and its graph for the data of its paper, if it can be built.
fn space(filled: &Value) -> Option<(SpaceSpec, Graph)> {
    let space: SpaceSpec = serde_json::from_value(get(filled, "space")?.clone()).ok()?;
    let graph = spaces::build(&space, spaces::preset(&space).shape, Sharing::Entangled).ok()?;
    Some((space, graph))
}

/// A plain name: no folder, nothing hidden.
fn is_file_name(text: &str) -> bool {
    let known = |sign: char| sign.is_ascii_alphanumeric() || "._-".contains(sign);
    !text.is_empty() && !text.starts_with('.') && text.chars().all(known)
}

/// Rules of the trainings after the search.
fn after_rules(filled: &Value, violations: &mut Violations) {
    let number = |path: &str| get(filled, path).and_then(Value::as_f64);
    for (stage, packaged) in [("fine_tune", "fine_tuned"), ("from_scratch", "from_scratch")] {
        let field = |name: &str| format!("after.{stage}.{name}");
        if number(&field("lr_min")) > number(&field("lr")) {
            let detail = format!("must not be above `{}`", field("lr"));
            violations.add(&field("lr_min"), detail);
        }
        let chosen = get(filled, "after.packaged").and_then(Value::as_str) == Some(packaged);
        if chosen && number(&field("epochs")) == Some(0.0) {
            let detail = format!("needs a `{}` above 0", field("epochs"));
            violations.add("after.packaged", detail);
        }
    }
    if number("after.finalists.count") == Some(1.0) {
        violations.add("after.finalists.count", "must be 0, or at least 2 to choose from");
    }
    if get(filled, "after.optimizer.nesterov") == Some(&Value::Bool(true))
        && number("after.optimizer.momentum") == Some(0.0)
    {
        violations.add("after.optimizer.nesterov", "needs an `after.optimizer.momentum` above 0");
    }
}

/// Whether there is a map that an auxiliary head could read.
fn head_rule(filled: &Value, shape: DataShape, violations: &mut Violations) {
    if get(filled, "after.auxiliary").and_then(Value::as_f64).is_none_or(|weight| weight == 0.0) {
        return;
    }
    let cells = get(filled, "space.cells").and_then(Value::as_i64).unwrap_or(0);
    if let Some(fault) = head::fault(cells, shape) {
        violations.add("after.auxiliary", format!("{fault}; or set it to 0"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::RunSpec;
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn minimal() -> Value {
        json!({
            "dataset": {"id": "fashion-mnist"},
            "space": {"preset": "toy-cell"},
            "search": {"optimizer": {"kind": "drnas"}}
        })
    }

    fn merge(target: &mut Value, patch: &Value) {
        match (target, patch) {
            (Value::Object(target), Value::Object(patch)) => {
                for (key, value) in patch {
                    merge(target.entry(key).or_insert(Value::Null), value);
                }
            }
            (target, patch) => *target = patch.clone(),
        }
    }

    fn refused(patch: &Value) -> Vec<String> {
        let mut value = minimal();
        merge(&mut value, patch);
        let violations = RunSpec::parse(&value).unwrap_err();
        violations.iter().map(|v| format!("{} {}", v.field, v.detail)).collect()
    }

    #[test]
    fn every_default_is_filled_in() {
        let spec = RunSpec::parse(&minimal()).unwrap();
        let mut value = spec.to_value();
        for section in ["after", "search"] {
            value.as_object_mut().unwrap().remove(section);
        }
        insta::assert_json_snapshot!(value, @r#"
        {
          "benchmark": {
            "accuracy": null,
            "columns": null,
            "table": null
          },
          "constraints": {
            "max_latency_ms": null,
            "max_macs": null,
            "max_params": null,
            "parsimony": 0.0,
            "penalty": 0.0,
            "penalty_on": "params"
          },
          "dataset": {
            "class_limit": null,
            "class_share": 1.0,
            "crop": 0,
            "flip": false,
            "flip_vertical": false,
            "id": "fashion-mnist",
            "limit": null,
            "resized_crop": 0.0,
            "split": "ordered",
            "subset": null
          },
          "name": "toy-cell drnas fashion-mnist",
          "resources": {
            "checkpoint_every": 100,
            "device": "auto",
            "executor": "local",
            "keep_activations": 1.0,
            "precision": "float32",
            "threads": 0
          },
          "seed": 9001,
          "space": {
            "channels": 32,
            "dropout": 0.2,
            "operations": [
              "sep3",
              "sep5",
              "dil3",
              "dil5"
            ],
            "preset": "toy-cell"
          }
        }
        "#);
    }

    #[test]
    fn a_filled_specification_is_its_own() {
        let spec = RunSpec::parse(&minimal()).unwrap();
        assert_eq!(RunSpec::parse(&spec.to_value()).unwrap(), spec);
    }

    #[test]
    fn every_default_of_the_trainings_is_filled_in() {
        let spec = RunSpec::parse(&minimal()).unwrap();
        insta::assert_json_snapshot!(spec.to_value()["after"], @r#"
        {
          "batch_size": 96,
          "clip": 5.0,
          "color_jitter": 0.0,
          "cutmix": 0.0,
          "cutout": 0,
          "decay_all": true,
          "drop_path": 0.0,
          "ema": 0.0,
          "finalists": {
            "count": 0,
            "epochs": 1,
            "images": 8192,
            "limit": null,
            "rounds": 2
          },
          "fine_tune": {
            "epochs": 0,
            "lr": 0.01,
            "lr_min": 0.0,
            "warmup_epochs": 0.0
          },
          "from_scratch": {
            "epochs": 0,
            "lr": 0.05,
            "lr_min": 0.0,
            "warmup_epochs": 0.0
          },
          "label_smoothing": 0.0,
          "limit": null,
          "mixup": 0.0,
          "optimizer": {
            "kind": "sgd",
            "momentum": 0.9,
            "nesterov": true
          },
          "packaged": "best",
          "rand_augment": 0.0,
          "random_erasing": 0.0,
          "recalibrate_images": 2048,
          "recipe": "plain",
          "repeats": 1,
          "weight_decay": 0.0005
        }
        "#);
    }

    #[test]
    fn every_default_of_the_search_is_filled_in() {
        let spec = RunSpec::parse(&minimal()).unwrap();
        insta::assert_json_snapshot!(spec.to_value()["search"], @r#"
        {
          "arch_beta1": 0.5,
          "arch_beta2": 0.999,
          "arch_lr": 0.0003,
          "arch_weight_decay": 0.001,
          "batch_size": 64,
          "clip": 5.0,
          "color_jitter": 0.0,
          "cutout": 0,
          "decay_all": true,
          "epochs": 100,
          "fidelity": "corrected",
          "on_nonfinite": "stop",
          "optimizer": {
            "frozen_epochs": 0,
            "kind": "drnas",
            "kl_scale": 0.0
          },
          "patience_epochs": 0,
          "rand_augment": 0.0,
          "random_erasing": 0.0,
          "second_stage": {
            "kind": "none"
          },
          "train_portion": 0.5,
          "valid_limit": 2048,
          "warmup": {
            "length": 0.0,
            "unit": "epochs"
          },
          "weight_decay": 0.0005,
          "weight_lr": 0.025,
          "weight_lr_min": 0.001,
          "weight_optimizer": {
            "kind": "sgd",
            "momentum": 0.9,
            "nesterov": true
          },
          "weights": "entangled"
        }
        "#);
    }

    #[rstest]
    #[case::typo(json!({"search": {"epoch": 5}}), "search.epoch is not a known field; did you mean `search.epochs`?")]
    #[case::foreign(json!({"zebra": 5}), "zebra is not a known field")]
    #[case::zero_epochs(json!({"search": {"epochs": 0}}), "search.epochs must be at least 1, not 0")]
    #[case::negative(json!({"search": {"epochs": -3}}), "search.epochs must be at least 1, not -3")]
    #[case::fraction(json!({"search": {"epochs": 1.5}}), "search.epochs a whole number is expected, not 1.5")]
    #[case::text_for_number(json!({"seed": "x"}), "seed a whole number is expected, not \"x\"")]
    #[case::list_for_object(json!({"after": []}), "after an object is expected, not a list")]
    #[case::other_kind(json!({"search": {"optimizer": {"tau_end": 1}}}), "search.optimizer.tau_end applies only if `search.optimizer.kind` is gdas")]
    #[case::bad_kind(json!({"search": {"optimizer": {"kind": "adam"}}}), "search.optimizer.kind must be one of `drnas`, `drnas-progressive`, `darts`, `gdas`, `spos`, `ofa`, `random`, `fixed`, not \"adam\"")]
    #[case::device(json!({"resources": {"device": "gpu"}}), "resources.device must be `auto`, `cpu`, `cuda` or `cuda:N`, not \"gpu\"")]
    #[case::control(json!({"name": "a\nb"}), "name must not contain control characters")]
    #[case::rates(json!({"search": {"weight_lr_min": 1}}), "search.weight_lr_min must not be above `search.weight_lr`")]
    #[case::packaged(json!({"after": {"packaged": "fine_tuned"}}), "after.packaged needs a `after.fine_tune.epochs` above 0")]
    #[case::stage_rates(json!({"after": {"from_scratch": {"lr": 1e-3, "lr_min": 1e-2}}}), "after.from_scratch.lr_min must not be above `after.from_scratch.lr`")]
    #[case::widths(json!({"space": {"preset": "conv-macro"}, "search": {"weights": "shared"}}), "search.weights must be `entangled` in a space of widths and kernels")]
    #[case::list(json!({"space": {"operations": ["sep4"]}}), "space.operations \"sep4\" is not one of none, skip, maxpool, avgpool, conv1, conv3, conv5, conv7, sep3, sep5, sep7, dil3, dil5, dil7")]
    #[case::no_rows(json!({"search": {"optimizer": {"kind": "spos"}, "second_stage": {"kind": "none"}}}), "search.second_stage.kind must be `random`, `effects`, `evolution` or `pareto`: SPOS learns no rows that could tell an architecture")]
    #[case::no_price(json!({"search": {"optimizer": {"kind": "spos"}}, "constraints": {"penalty": 1}}), "constraints.penalty must be 0: SPOS learns no rows that could be priced")]
    #[case::no_ofa_rows(json!({"space": {"preset": "conv-macro"}, "search": {"optimizer": {"kind": "ofa"}, "second_stage": {"kind": "none"}}}), "search.second_stage.kind must be `random`, `effects`, `evolution` or `pareto`: OFA learns no rows that could tell an architecture")]
    #[case::no_ofa_price(json!({"space": {"preset": "conv-macro"}, "search": {"optimizer": {"kind": "ofa"}}, "constraints": {"penalty": 1}}), "constraints.penalty must be 0: OFA learns no rows that could be priced")]
    #[case::operations(json!({"search": {"optimizer": {"kind": "ofa"}}}), "search.optimizer.kind must be another one in a space of operations: `ofa` shrinks sizes, and operations have no order")]
    #[case::own_operations(json!({"search": {"optimizer": {"kind": "ofa"}, "weights": "shared"}}), "search.optimizer.kind must be another one in a space of operations: `ofa` shrinks sizes, and operations have no order")]
    #[case::stages(json!({"space": {"preset": "conv-macro"}, "search": {"optimizer": {"kind": "ofa"}, "epochs": 3}}), "search.epochs must be at least 4, one for each stage of progressive shrinking, not 3")]
    #[case::no_sub_net(json!({"space": {"preset": "conv-macro"}, "search": {"optimizer": {"kind": "ofa", "sub_nets": 0}}}), "search.optimizer.sub_nets must be at least 1, not 0")]
    #[case::no_distillation(json!({"search": {"optimizer": {"kd_ratio": 1}}}), "search.optimizer.kd_ratio applies only if `search.optimizer.kind` is ofa")]
    #[case::other_stage(json!({"search": {"second_stage": {"candidates": 5}}}), "search.second_stage.candidates applies only if `search.second_stage.kind` is random or effects")]
    #[case::path(json!({"benchmark": {"table": "../x.csv"}}), "benchmark.table must be a file name of letters, digits, `.`, `_`, `-`")]
    #[case::image_space(json!({"dataset": {"id": "text"}}), "space.preset `toy-cell` reads images, but the data set is a text; take `language` or `language-char`")]
    #[case::tokens_of_images(json!({"dataset": {"tokens": "bpe"}}), "dataset.tokens applies only if `dataset.kind` is text")]
    #[case::no_head(json!({"space": {"preset": "nas-bench-201"}, "after": {"auxiliary": 0.4}}), "after.auxiliary applies only if `space.preset` is darts")]
    #[case::few_cells(json!({"space": {"preset": "darts", "cells": 2}, "after": {"recipe": "darts"}}), "after.auxiliary needs at least 3 `space.cells`: the head reads the last of the two that halve the map; or set it to 0")]
    #[case::no_edges(json!({"space": {"preset": "conv-macro"}, "after": {"drop_path": 0.1}}), "after.drop_path applies only if `space.preset` is toy-cell or nas-bench-201 or darts")]
    #[case::splits(json!({"dataset": {"limit": 100}}), "search.batch_size is larger than a split: 100 images at `search.train_portion` 0.5 leave 50")]
    fn a_wrong_field_is_named(#[case] patch: Value, #[case] message: &str) {
        assert_eq!(refused(&patch), [message]);
    }

    #[test]
    fn all_violations_come_at_once() {
        let violations = RunSpec::parse(&json!({"seed": -1, "x": 1, "search": {"epochs": "2"}}));
        let fields: Vec<String> = violations.unwrap_err().into_iter().map(|v| v.field).collect();
        assert_eq!(
            fields,
            ["seed", "dataset.id", "space.preset", "search.optimizer.kind", "search.epochs", "x"]
        );
    }

    #[test]
    fn a_second_stage_follows_the_optimizer_and_older_specifications() {
        let stage = |optimizer: Value, stage: Value| {
            let mut value = minimal();
            merge(&mut value, &json!({"search": {"optimizer": optimizer, "second_stage": stage}}));
            RunSpec::parse(&value).unwrap().to_value()["search"]["second_stage"].clone()
        };
        assert_eq!(stage(json!({"kind": "gdas"}), Value::Null), json!({"kind": "none"}));
        let random = json!({"kind": "random", "candidates": 64, "images": 8192});
        assert_eq!(stage(json!({"kind": "spos"}), Value::Null), random);
        let older = stage(json!({"kind": "spos", "candidates": 7}), Value::Null);
        assert_eq!(older, json!({"kind": "random", "candidates": 7, "images": 8192}));
        assert_eq!(
            stage(json!({"kind": "drnas"}), json!({"kind": "evolution", "population": 9})),
            json!({
                "kind": "evolution", "population": 9, "parents": 10, "mutations": 25,
                "crossovers": 25, "mutation_prob": 0.2, "structure_prob": 0.4, "generations": 20, "images": 8192
            })
        );
    }

    #[test]
    fn defaults_follow_the_data_set_and_the_weights_optimizer() {
        let mut value = minimal();
        merge(
            &mut value,
            &json!({"dataset": {"id": "cifar-10"}, "search": {"weight_optimizer": {"kind": "adam"}}}),
        );
        let spec = RunSpec::parse(&value).unwrap().to_value();
        assert_eq!((&spec["dataset"]["crop"], &spec["dataset"]["flip"]), (&json!(4), &json!(true)));
        let search = &spec["search"];
        assert_eq!(
            search["weight_optimizer"],
            json!({"kind": "adam", "beta1": 0.9, "beta2": 0.999})
        );
        assert_eq!((&search["weight_lr"], &search["weight_lr_min"]), (&json!(3e-4), &json!(1e-4)));
        merge(&mut value, &json!({"space": {"preset": "conv-macro"}}));
        value["search"] = json!({"optimizer": {"kind": "drnas"}});
        let search = RunSpec::parse(&value).unwrap().to_value()["search"].take();
        let published = json!({"kind": "adam", "beta1": 0.9, "beta2": 0.995});
        assert_eq!((&search["weight_optimizer"], &search["weight_lr"]), (&published, &json!(3e-4)));
        let foreign = json!({"search": {"weight_optimizer": {"beta1": 0.5}}});
        let message = "search.weight_optimizer.beta1 applies only if `search.weight_optimizer.kind` is adam or adamw";
        assert_eq!(refused(&foreign), [message]);
    }

    #[test]
    fn a_recipe_fills_in_defaults_that_stay_editable() {
        let mut value = minimal();
        merge(&mut value, &json!({"after": {"recipe": "transformer", "mixup": 0.2}}));
        let after = RunSpec::parse(&value).unwrap().to_value()["after"].take();
        assert_eq!(after["optimizer"]["kind"], "adamw");
        assert_eq!((&after["mixup"], &after["cutmix"]), (&json!(0.2), &json!(1.0)));
        assert_eq!(
            after["from_scratch"],
            json!({"epochs": 0, "lr": 5e-4, "lr_min": 1e-5, "warmup_epochs": 20.0})
        );
        for recipe in ["plain", "cifar", "darts", "conv-macro", "transformer"] {
            merge(&mut value, &json!({"after": {"recipe": recipe}}));
            assert!(RunSpec::parse(&value).is_ok(), "{recipe}");
        }
    }

    #[test]
    fn the_recipe_of_darts_has_drop_path_and_head_where_a_space_can_have_them() {
        let of = |preset: &str, recipe: &str| {
            let mut value = minimal();
            merge(&mut value, &json!({"space": {"preset": preset}, "after": {"recipe": recipe}}));
            let spec = RunSpec::parse(&value).unwrap();
            assert_eq!(RunSpec::parse(&spec.to_value()).unwrap(), spec);
            (spec.after.drop_path, spec.after.auxiliary)
        };
        assert_eq!(of("darts", "darts"), (Some(0.2), Some(0.4)));
        assert_eq!(of("nas-bench-201", "darts"), (Some(0.2), None));
        assert_eq!(of("darts", "cifar"), (Some(0.0), Some(0.0)));
        assert_eq!(of("autoformer-t", "darts"), (None, None));
    }

    fn language(patch: &Value) -> Value {
        let mut value = json!({
            "dataset": {"id": "text"},
            "space": {"preset": "language"},
            "search": {"optimizer": {"kind": "drnas"}}
        });
        merge(&mut value, patch);
        value
    }

    #[test]
    fn language_models_have_the_published_recipe() {
        let of = |preset: &str| {
            let spec = RunSpec::parse(&language(&json!({"space": {"preset": preset}}))).unwrap();
            assert_eq!(RunSpec::parse(&spec.to_value()).unwrap(), spec);
            spec.to_value()
        };
        let (pairs, characters) = (of("language"), of("language-char"));
        assert_eq!(pairs["dataset"]["tokens"], "bpe");
        assert_eq!(pairs["dataset"]["vocabulary"], 4096);
        assert_eq!(characters["dataset"]["tokens"], "characters");
        assert_eq!(characters["dataset"].get("vocabulary"), None);
        let rates = |spec: &Value| {
            let of = |path: &str| spec.pointer(path).unwrap().as_f64().unwrap();
            let search = ["/search/weight_lr", "/search/weight_lr_min", "/after/from_scratch/lr"];
            search.map(of)
        };
        assert_eq!((rates(&pairs), rates(&characters)), ([5e-4, 5e-5, 5e-4], [1e-4, 1e-5, 1e-3]));
        for spec in [pairs, characters] {
            let adamw = json!({"kind": "adamw", "beta1": 0.9, "beta2": 0.99});
            let (search, after) = (&spec["search"], &spec["after"]);
            assert_eq!((&search["weight_optimizer"], &after["optimizer"]), (&adamw, &adamw));
            assert_eq!(search["warmup"], json!({"length": 100.0, "unit": "steps"}));
            for part in [search, after] {
                assert_eq!((&part["weight_decay"], &part["clip"]), (&json!(0.1), &json!(1.0)));
                assert_eq!(part["decay_all"], false);
            }
        }
    }

    #[rstest]
    #[case::images(json!({"dataset": {"id": "cifar-10"}}), "space.preset", "`language` reads text")]
    #[case::flip(json!({"dataset": {"flip": true}}), "dataset.flip", "changes images")]
    #[case::cutout(json!({"search": {"cutout": 4}}), "search.cutout", "changes images")]
    #[case::recipe(json!({"after": {"recipe": "cifar"}}), "after.cutout", "changes images")]
    #[case::pairs(json!({"dataset": {"tokens": "characters", "vocabulary": 300}}), "dataset.vocabulary", "applies only if `dataset.tokens` is bpe")]
    #[case::splits(json!({"dataset": {"limit": 100}}), "search.batch_size", "is larger than a split")]
    fn what_a_text_does_not_know_is_refused(
        #[case] patch: Value,
        #[case] field: &str,
        #[case] detail: &str,
    ) {
        let violations = RunSpec::parse(&language(&patch)).unwrap_err();
        assert_eq!(violations.len(), 1, "{violations:?}");
        assert_eq!(violations[0].field, field);
        assert!(violations[0].detail.contains(detail), "{violations:?}");
    }

    #[test]
    fn optimizers_fill_in_their_own_defaults() {
        let mut value = minimal();
        merge(&mut value, &json!({"search": {"optimizer": {"kind": "gdas"}}}));
        let spec = RunSpec::parse(&value).unwrap().to_value();
        assert_eq!(
            spec["search"]["optimizer"],
            json!({"kind": "gdas", "tau_start": 10.0, "tau_end": 0.1, "frozen_epochs": 0})
        );
        assert_eq!(spec["search"]["epochs"], 250);
    }
}
