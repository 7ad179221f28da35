//! What a run on weights that another one trained may change.

use serde_json::Value;

use super::check::get;
use super::fields::FIELDS;
use super::{Inherit, RunSpec, Violation};
use crate::dataset::DataKind;
use crate::spaces::transfer;

/// Fields, or beginnings of their paths, that nothing in the training of a supernet hangs on.
const FREE: [&str; 15] = [
    "name",
    // It follows from the version, and older specifications do not tell it.
    "dataset.valid",
    "constraints.max_",
    "constraints.parsimony",
    "search.valid_limit",
    "search.from_run",
    "search.second_stage.",
    "after.",
    "benchmark.",
    "resources.executor",
    "resources.slurm.",
    "resources.device",
    "resources.threads",
    "resources.keep_activations",
    "resources.checkpoint_every",
];

/// Fields, or beginnings of their paths, that decide which weights a network of the space has.
const OF_WEIGHTS: [&str; 5] =
    ["space.", "search.weights", "dataset.tokens", "dataset.vocabulary", "dataset.line_ends"];
/// Fields that decide which images nothing was trained on.
const OF_SPLITS: [&str; 8] = [
    "dataset.limit",
    "dataset.split",
    "dataset.split_seed",
    "dataset.class_share",
    "dataset.class_limit",
    "dataset.subset",
    "search.train_portion",
    "search.valid_limit",
];

/// What runs did that are older than a field.
fn before(path: &str) -> Option<Value> {
    (path == "dataset.line_ends").then(|| Value::from("kept"))
}

/// Whether a run on another one's weights must have a field as it is there.
#[must_use]
pub fn is_bound(path: &str, optimizer: &str) -> bool {
    let among = |paths: &[&str]| paths.iter().any(|bound| path.starts_with(bound));
    if optimizer == "fixed" { among(&OF_WEIGHTS) } else { !among(&FREE) }
}

impl RunSpec {
    /// Everything that keeps a run from using what another one trained.
    #[must_use]
    pub fn unlike(&self, trained: &Self) -> Vec<Violation> {
        let optimizer = &trained.search.optimizer;
        let Some(inherit) = self.search.inherit else {
            if optimizer.searches() {
                return self.differing(trained, |path| is_bound(path, ""), "the supernet was");
            }
            let detail = "must be a run that searched: that one trained no supernet";
            return vec![violation("search.from_run", detail)];
        };
        match inherit {
            Inherit::None => return vec![],
            Inherit::Supernet if !optimizer.lends_weights() => {
                let detail = "must be `result` or `none`: that run has no supernet that lends weights to a network";
                return vec![violation("search.inherit", detail)];
            }
            _ => {}
        }
        let same = self.dataset.id == trained.dataset.id;
        let text = self.space.data() == DataKind::Text;
        let bound = |path: &str| {
            is_bound(path, "fixed")
                || text && path == "dataset.id"
                || same && OF_SPLITS.contains(&path)
        };
        let unlike = self.differing(trained, bound, "the weights were");
        if unlike.is_empty() { self.unfit(trained) } else { unlike }
    }

    /// Every bound field that is not as it was where `what` trained.
    fn differing(
        &self,
        trained: &Self,
        bound: impl Fn(&str) -> bool,
        what: &str,
    ) -> Vec<Violation> {
        let (own, theirs) = (self.to_value(), trained.to_value());
        // Parsimony decides after the training; what a price was on counts where there was one.
        let free =
            |path: &str| path == "constraints.penalty_on" && trained.constraints.penalty == 0.0;
        let bound = |path: &str| bound(path) && !free(path);
        let unlike = FIELDS.iter().filter(|field| bound(field.path)).filter_map(|field| {
            let [own, theirs] = [&own, &theirs].map(|spec| get(spec, field.path).cloned());
            let theirs = theirs.or_else(|| own.as_ref().and_then(|_| before(field.path)));
            let [own, theirs] = [own, theirs].map(Option::unwrap_or_default);
            (own != theirs).then(|| {
                violation(
                    field.path,
                    &format!("must be {theirs}, as where {what} trained, not {own}"),
                )
            })
        });
        unlike.collect()
    }

    /// What keeps the network from having weights that were trained on other data.
    fn unfit(&self, trained: &Self) -> Vec<Violation> {
        let (own, theirs) = (self.shape(), trained.shape());
        let foreign = transfer::foreign(&self.space, own, theirs, self.search.weights);
        // A space that cannot be built is refused elsewhere, with the reason.
        if let Some(first) = foreign.unwrap_or_default().first() {
            let detail = format!(
                "must be data like `{}`, on which the weights were trained: `{first}` would have another shape",
                trained.dataset.id
            );
            return vec![violation("dataset.id", &detail)];
        }
        if own.classes == theirs.classes || self.search.reset_head == Some(true) {
            return vec![];
        }
        let detail = format!(
            "must be true: `{}` has {} classes, and the weights were trained for {}, so that the last layer cannot be inherited",
            self.dataset.id, own.classes, theirs.classes
        );
        vec![violation("search.reset_head", &detail)]
    }
}

fn violation(field: &str, detail: &str) -> Violation {
    Violation { field: field.to_owned(), detail: detail.to_owned() }
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
            "constraints.parsimony": 0.3,
            "constraints.penalty_on": "macs",
            "search.from_run": "00000000-0000-4000-8000-000000000000",
            "search.second_stage.kind": "pareto",
            "search.second_stage.cost": "macs",
            "search.valid_limit": 64,
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
            ("dataset.flip_vertical", json!(true)),
            ("dataset.class_share", json!(0.5)),
            ("search.color_jitter", json!(0.5)),
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

    #[test]
    fn a_text_that_is_older_than_its_line_ends_was_kept_as_it_was() {
        let text = |ends: &str| {
            spec(&json!({
                "dataset": {"id": "text", "line_ends": ends},
                "space": {"preset": "language-char"},
            }))
        };
        let mut old = text("kept");
        old.dataset.line_ends = None;
        assert_eq!(text("kept").unlike(&old), []);
        assert_eq!(text("normalised").unlike(&old)[0].field, "dataset.line_ends");
    }

    const CELL: &str = "toy-cell|normal=sep3,sep5,dil3|reduce=dil5,sep3,sep5";

    fn given(changed: &Value) -> RunSpec {
        let mut spec = json!({
            "dataset": {"id": "cifar-10"},
            "space": {"preset": "toy-cell"},
            "search": {"optimizer": {"kind": "fixed", "architecture": CELL}, "from_run": "x"},
        });
        for (path, value) in changed.as_object().unwrap() {
            super::super::check::set(&mut spec, path, value.clone());
        }
        RunSpec::parse(&spec).unwrap()
    }

    fn refused(own: &RunSpec, trained: &RunSpec) -> Vec<String> {
        let said = |one: Violation| format!("{}: {}", one.field, one.detail);
        own.unlike(trained).into_iter().map(said).collect()
    }

    #[test]
    fn a_given_architecture_needs_only_what_its_weights_hang_on() {
        let trained = spec(&json!({"dataset.id": "cifar-10"}));
        let free = json!({
            "seed": 2, "search.weight_lr": 0.5, "search.fidelity": "reference",
            "resources.precision": "float64", "after.fine_tune.epochs": 3,
        });
        assert_eq!(given(&free).unlike(&trained), []);
        for (path, value) in [
            ("space.channels", json!(8)),
            ("search.weights", json!("shared")),
            ("dataset.limit", json!(4096)),
            ("dataset.split", json!("stratified")),
            ("dataset.class_limit", json!(100)),
            ("dataset.subset", json!("0-9999")),
            ("search.valid_limit", json!(64)),
        ] {
            let found = refused(&given(&json!({path: value})), &trained);
            let named = found.iter().all(|one| one.starts_with(path));
            assert!(named && !found.is_empty(), "{found:?}");
            let none =
                json!({path: value, "search.inherit": "none", "after.from_scratch.epochs": 1});
            assert_eq!(refused(&given(&none), &trained), [""; 0]);
        }
    }

    #[test]
    fn other_data_must_fit_and_other_classes_start_afresh() {
        let trained = spec(&json!({"dataset.id": "cifar-10"}));
        // Other images: how many were seen in the search does not matter.
        let hundred = json!({"dataset.id": "cifar-100", "dataset.limit": 4096});
        assert_eq!(
            refused(&given(&hundred), &trained),
            [
                "search.reset_head: must be true: `cifar-100` has 100 classes, and the weights were trained for 10, so that the last layer cannot be inherited"
            ]
        );
        assert_eq!(
            refused(&given(&json!({"dataset.id": "fashion-mnist"})), &trained),
            [
                "dataset.id: must be data like `cifar-10`, on which the weights were trained: `cell0.pre.conv.weight` would have another shape"
            ]
        );
        let mut hundred = hundred;
        hundred["search.reset_head"] = json!(true);
        assert_eq!(refused(&given(&hundred), &trained), [""; 0]);
    }

    #[test]
    fn who_trained_no_supernet_lends_none() {
        let one = given(&json!({}));
        let message = "search.inherit: must be `result` or `none`: that run has no supernet that lends weights to a network";
        assert_eq!(refused(&one, &one), [message]);
        assert_eq!(refused(&given(&json!({"search.inherit": "result"})), &one), [""; 0]);
        let again = spec(&json!({"dataset.id": "cifar-10", "search.from_run": "x"}));
        assert!(
            refused(&again, &one)[0].starts_with("search.from_run: must be a run that searched")
        );
        let partial = json!({
            "dataset": {"id": "cifar-10"}, "space": {"preset": "darts"},
            "search": {"optimizer": {"kind": "drnas-progressive"}},
        });
        let partial = RunSpec::parse(&partial).unwrap();
        assert_eq!(refused(&one, &partial), [message]);
    }
}
