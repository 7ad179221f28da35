//! Hyper-parameters as the published code's `.config` files hold them.
//!
//! Such a file is a JSON object of names, each with a type and a text: `"lr": ["float", "0.025"]`.
//! What a specification says itself counts more; what does not apply to its space or optimizer is
//! left aside, as there.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Violations;
use super::kind::describe;
use crate::encoding;

/// Names in the file of a search, with the fields that they stand for.
const SEARCH: &[(&str, &str)] = &[
    ("lr", "search.weight_lr"),
    ("learning_rate_min", "search.weight_lr_min"),
    ("epochs", "search.epochs"),
    ("batch_size", "search.batch_size"),
    ("optim", "search.weight_optimizer.kind"),
    ("momentum", "search.weight_optimizer.momentum"),
    ("nesterov", "search.weight_optimizer.nesterov"),
    ("weight_decay", "search.weight_decay"),
    ("arch_learning_rate", "search.arch_lr"),
    ("arch_weight_decay", "search.arch_weight_decay"),
    ("cutout", "search.cutout"),
    ("train_portion", "search.train_portion"),
    ("tau_max", "search.optimizer.tau_start"),
    ("tau_min", "search.optimizer.tau_end"),
    ("k", "search.optimizer.part_start"),
    ("channel", "space.channels"),
    ("layers", "space.cells"),
    ("num_cells", "space.cells"),
];
/// The same in the file of a training.
const TRAINING: &[(&str, &str)] = &[
    ("lr", "after.from_scratch.lr"),
    ("learning_rate_min", "after.from_scratch.lr_min"),
    ("epochs", "after.from_scratch.epochs"),
    ("batch_size", "after.batch_size"),
    ("optim", "after.optimizer.kind"),
    ("momentum", "after.optimizer.momentum"),
    ("nesterov", "after.optimizer.nesterov"),
    ("weight_decay", "after.weight_decay"),
    ("drop_path_prob", "after.drop_path"),
    ("auxiliary_weight", "after.auxiliary"),
    ("cutout", "after.cutout"),
    ("channel", "space.channels"),
    ("layers", "space.cells"),
    ("num_cells", "space.cells"),
];
/// Names that change nothing here: what is loaded how, or what follows from the space.
const IDLE: [&str; 8] = [
    "use_data_parallel",
    "track_running_stats",
    "max_nodes",
    "cutout_length",
    "train_portion",
    "reg_type",
    "reg_scale",
    "auxiliary",
];
/// Names that must have one value, with the reason.
const DEMANDED: [(&str, &str, &str); 2] = [
    ("criterion", "Softmax", "networks are trained by cross-entropy"),
    ("affine", "0", "norms of the search have no weights of their own"),
];

/// The fields that a file fills in.
pub(super) fn fields(
    file: &Value,
    fixed: bool,
    violations: &mut Violations,
) -> BTreeMap<&'static str, Value> {
    let Some(entries) = entries(file, violations) else { return BTreeMap::new() };
    let mut fields = BTreeMap::new();
    let text =
        |name: &str| entries.get(name).and_then(|entry| entry.get(1)).and_then(Value::as_str);
    let table = if fixed { TRAINING } else { SEARCH };
    for (name, entry) in &entries {
        let known = table.iter().find(|(known, _)| known == name);
        let value = match value(entry) {
            Ok(value) => value,
            Err(detail) => {
                violations.add(&format!("config.{name}"), detail);
                continue;
            }
        };
        if let Some((_, path)) = known {
            fields.insert(*path, value);
        } else if let Some((_, only, why)) = DEMANDED.iter().find(|(known, ..)| known == name) {
            if text(name) != Some(only) {
                violations.add(&format!("config.{name}"), format!("must be \"{only}\": {why}"));
            }
        } else if !is_idle(name) {
            violations.add(&format!("config.{name}"), "is not a name that Skein knows");
        }
    }
    // −1 stands for none.
    for path in ["search.cutout", "after.cutout"] {
        if fields.get(path).and_then(Value::as_i64).is_some_and(|side| side < 0) {
            fields.insert(path, 0.into());
        }
    }
    if text("auxiliary") != Some("1") {
        fields.insert("after.auxiliary", 0.into());
    }
    if text("reg_type") == Some("kl")
        && let Some(Ok(scale)) = entries.get("reg_scale").map(value)
    {
        fields.insert("search.optimizer.kl_scale", scale);
    }
    fields
}

/// Whether a name of the published code's files changes nothing here.
fn is_idle(name: &str) -> bool {
    let elsewhere = || SEARCH.iter().chain(TRAINING).any(|(known, _)| *known == name);
    IDLE.contains(&name) || elsewhere()
}

/// The object, which may be given as the file's text.
fn entries(file: &Value, violations: &mut Violations) -> Option<Map<String, Value>> {
    let parsed = match file {
        Value::String(text) => serde_json::from_str(text.trim_start_matches(encoding::MARK))
            .map_err(|error| error.to_string()),
        other => Ok(other.clone()),
    };
    match parsed {
        Ok(Value::Object(entries)) => Some(entries),
        Ok(other) => {
            let detail =
                format!("a `.config` file is expected, an object, not {}", describe(&other));
            violations.add("config", detail);
            None
        }
        Err(error) => {
            violations.add("config", format!("cannot be read as JSON: {error}"));
            None
        }
    }
}

/// The value of `[type, text]`.
fn value(entry: &Value) -> Result<Value, String> {
    let wrong =
        || format!("`[type, text]` is expected, such as `[\"float\", \"0.1\"]`, not {entry}");
    let (Some(kind), Some(text)) =
        (entry.get(0).and_then(Value::as_str), entry.get(1).and_then(Value::as_str))
    else {
        return Err(wrong());
    };
    let number = || text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    match kind {
        "int" | "float" => number().map(|number| json!(number)).map(whole).ok_or_else(wrong),
        "bool" => match text.trim() {
            "0" | "False" | "false" => Ok(false.into()),
            "1" | "True" | "true" => Ok(true.into()),
            _ => Err(wrong()),
        },
        // Optimizers are in lower case here.
        "str" => Ok(text.trim().to_lowercase().into()),
        _ => Err(wrong()),
    }
}

/// A number without a fraction as a whole one.
fn whole(number: Value) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "checked")]
    match number.as_f64() {
        Some(value) if value.fract() == 0.0 && value.abs() < 9e15 => json!(value as i64),
        _ => number,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::spec::RunSpec;

    /// A file of a search with GDAS.
    fn file() -> Value {
        json!({
            "lr": ["float", "0.03"], "epochs": ["int", "7"], "optim": ["str", "SGD"],
            "weight_decay": ["float", "0.0004"], "momentum": ["float", "0.8"],
            "nesterov": ["bool", "0"], "criterion": ["str", "Softmax"],
            "batch_size": ["int", "32"], "channel": ["int", "8"], "num_cells": ["int", "2"],
            "affine": ["bool", "0"], "learning_rate_min": ["float", "1e-3"],
            "arch_learning_rate": ["float", "6e-4"], "tau_max": ["int", "9"],
            "tau_min": ["float", "0.2"], "cutout": ["int", "-1"],
            "train_portion": ["float", "0.6"], "use_data_parallel": ["bool", "0"],
        })
    }

    fn spec(optimizer: &Value, config: &Value) -> Result<RunSpec, Vec<String>> {
        let value = json!({
            "dataset": {"id": "cifar-10"}, "space": {"preset": "nas-bench-201"},
            "search": {"optimizer": optimizer, "batch_size": 16}, "config": config,
        });
        RunSpec::parse(&value).map_err(|all| {
            all.into_iter().map(|one| format!("{}: {}", one.field, one.detail)).collect()
        })
    }

    #[test]
    fn a_file_of_a_search_fills_in_what_the_specification_leaves_out() {
        let gdas = json!({"kind": "gdas"});
        let read = spec(&gdas, &file()).unwrap();
        let search = &read.search;
        assert_eq!((search.epochs, search.batch_size, search.cutout), (7, 16, 0));
        assert_eq!((search.weight_lr, search.weight_lr_min, search.arch_lr), (0.03, 1e-3, 6e-4));
        let value = read.to_value();
        let of = |path: &str| value.pointer(path).unwrap().clone();
        assert_eq!(
            of("/search/optimizer"),
            json!({"kind": "gdas", "tau_start": 9.0, "tau_end": 0.2, "frozen_epochs": 0})
        );
        assert_eq!(
            of("/search/weight_optimizer"),
            json!({"kind": "sgd", "momentum": 0.8, "nesterov": false})
        );
        assert_eq!((of("/space/channels"), of("/space/cells")), (json!(8), json!(2)));
        // As text too, and what does not apply is left aside.
        let text = spec(&json!({"kind": "drnas"}), &json!(file().to_string())).unwrap();
        assert_eq!(text.search.weight_lr, 0.03);
        // As an editor may have saved it.
        let marked = format!("\u{FEFF}{}", file());
        assert_eq!(spec(&json!({"kind": "drnas"}), &json!(marked)).unwrap(), text);
        assert_eq!(value.get("config"), None);
    }

    #[test]
    fn a_file_of_a_training_fills_in_the_training_from_scratch() {
        let cell = "nas-bench-201|cell=conv3,conv3,skip,conv1,avgpool,conv3";
        let mut config = file();
        config["drop_path_prob"] = json!(["float", "0.2"]);
        let read = spec(&json!({"kind": "fixed", "architecture": cell}), &config).unwrap();
        let after = &read.after;
        assert_eq!((after.from_scratch.epochs, after.from_scratch.lr), (7, 0.03));
        assert_eq!((after.batch_size, after.drop_path, after.cutout), (32, Some(0.2), 0));
        assert_eq!(read.search.weight_lr, 0.025, "nothing is searched");
    }

    #[test]
    fn what_cannot_be_kept_is_told() {
        let told = |name: &str, entry: Value| {
            let mut config = file();
            config[name] = entry;
            spec(&json!({"kind": "gdas"}), &config).unwrap_err().join("; ")
        };
        assert!(told("affine", json!(["bool", "1"])).starts_with("config.affine: must be \"0\""));
        assert!(told("lr", json!(0.1)).starts_with("config.lr: `[type, text]` is expected"));
        assert!(
            told("epochs", json!(["int", "-3"])).starts_with("search.epochs: must be at least 1")
        );
        assert_eq!(
            told("teapot", json!(["int", "1"])),
            "config.teapot: is not a name that Skein knows"
        );
        let whole = spec(&json!({"kind": "gdas"}), &json!("lr = 1")).unwrap_err().join("; ");
        assert!(whole.starts_with("config: cannot be read as JSON"), "{whole}");
    }
}
