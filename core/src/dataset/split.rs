//! Which training examples train weights, which train rows, and which validate: how it is asked
//! for, how many they are, and the record that an attempt keeps (`split.json`).
//!
//! The engine chooses the positions (`engine/src/data/split.rs`); here is what can be said without
//! knowing the labels. Test examples are in none of this.

use serde::{Deserialize, Serialize};

use super::positions::Positions;
use crate::spec::{DatasetSpec, Violation};

/// How training examples are divided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitMethod {
    /// The first ones train weights, the rest rows.
    #[default]
    Ordered,
    /// Drawn at random.
    Random,
    /// Drawn at random, so that each class has the same share everywhere.
    Stratified,
    /// The validation images that the data set came with train rows; all others train weights.
    Given,
}

impl SplitMethod {
    /// Whether anything is drawn.
    #[must_use]
    pub fn draws(self) -> bool {
        matches!(self, Self::Random | Self::Stratified)
    }
}

/// What is known of the training examples before they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// How many there are.
    pub images: u64,
    /// The last so many of them came as a validation split.
    pub valid: u64,
    /// Classes that they have.
    pub classes: u64,
}

/// Sizes of the parts of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Examples that train weights.
    pub weights: u64,
    /// Examples that train rows.
    pub architecture: u64,
}

/// The first `portion` of `count` examples trains weights, the rest rows; gives the first's size.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are small"
)]
pub fn portion(count: u64, portion: f64) -> u64 {
    (count as f64 * portion).floor() as u64
}

/// Examples that `class_share` leaves of a class.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are small"
)]
pub fn share(count: u64, share: f64) -> u64 {
    ((count as f64 * share).round() as u64).clamp(1.min(count), count)
}

/// How many examples each part of a search has. Exact unless classes are cut: then as if all
/// classes were of one size.
#[must_use]
pub fn counts(spec: &DatasetSpec, train_portion: f64, known: Known) -> Counts {
    let given = spec.split == SplitMethod::Given;
    let own = if given { known.images.saturating_sub(known.valid) } else { known.images };
    let subset = spec.subset.as_deref().and_then(|text| Positions::parse(text).ok());
    let mut left = subset.map_or(own, |subset| subset.count_below(own));
    left = share(left, spec.class_share);
    if let Some(limit) = spec.class_limit {
        left = left.min(limit.saturating_mul(known.classes));
    }
    left = spec.limit.map_or(left, |limit| left.min(limit));
    match given {
        true => Counts { weights: left, architecture: known.images - own },
        false => {
            let weights = portion(left, train_portion);
            Counts { weights, architecture: left - weights }
        }
    }
}

/// What is asked of a split that a data set cannot give.
#[must_use]
pub fn fault(spec: &DatasetSpec, known: Known) -> Option<Violation> {
    let violation = |field: &str, detail: String| Violation { field: field.to_owned(), detail };
    let given = spec.split == SplitMethod::Given;
    if given && known.valid == 0 {
        let detail = "must be another one: the data set came without validation images";
        return Some(violation("dataset.split", detail.to_owned()));
    }
    let own = if given { known.images.saturating_sub(known.valid) } else { known.images };
    let last = Positions::parse(spec.subset.as_deref()?).ok()?.last()?;
    (last >= own).then(|| {
        let which = if given { "training images that do not validate" } else { "training images" };
        let detail = format!("holds {last}, but the {own} {which} are counted from 0");
        violation("dataset.subset", detail)
    })
}

/// Version of `split.json`.
pub const FORMAT: u32 = 1;

/// `split.json`: which examples an attempt uses for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitRecord {
    /// Version of this schema.
    pub format: u32,
    /// How they were divided.
    pub method: SplitMethod,
    /// Seed of the draws, if anything was drawn.
    pub seed: Option<u64>,
    /// Training examples of the data set, from which all lists are.
    pub examples: u64,
    /// Those that train the weights of a search.
    pub weights: PartRecord,
    /// Those that train its rows.
    pub architecture: PartRecord,
    /// Those of them that validate, in the search and after it.
    pub validation: PartRecord,
    /// Those that the trainings after the search use.
    pub training: PartRecord,
}

/// One list of examples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartRecord {
    /// How many there are.
    pub count: u64,
    /// How many of each class, in the order of the labels; empty for a text.
    pub classes: Vec<u64>,
    /// SHA-256 of the positions as decimal numbers, rising, each followed by a line feed.
    pub sha256: String,
    /// The positions, as [`Positions`] are written.
    pub positions: String,
}

/// How a specification has training examples divided, as a sentence.
#[must_use]
pub fn sentence(spec: &DatasetSpec, unit: &str) -> String {
    let divided = format!("The training {unit} were divided");
    let mut text = match spec.split {
        SplitMethod::Ordered => divided + " in their order",
        SplitMethod::Random => divided + " at random",
        SplitMethod::Stratified => divided + " at random, class by class",
        SplitMethod::Given => format!("The {unit} that validate are the data set's own"),
    };
    if let Some(seed) = spec.split_seed {
        text += &format!(" (seed {seed})");
    }
    let mut kept = vec![];
    if spec.subset.is_some() {
        kept.push("a given list of them".to_owned());
    }
    if spec.class_share < 1.0 {
        kept.push(format!("{} % of each class", 100.0 * spec.class_share));
    }
    if let Some(limit) = spec.class_limit {
        kept.push(format!("at most {limit} of each class"));
    }
    if !kept.is_empty() {
        text += &format!("; only {} were used", kept.join(", of it "));
    }
    text + "; `split.json` lists all positions."
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn spec(patch: &Value) -> DatasetSpec {
        let mut spec = json!({"id": "mine", "limit": null, "crop": 0, "flip": false});
        for (name, value) in patch.as_object().unwrap() {
            spec[name] = value.clone();
        }
        serde_json::from_value(spec).unwrap()
    }

    #[rstest]
    #[case::all(json!({}), [500, 501])]
    #[case::limit(json!({"limit": 100}), [50, 50])]
    #[case::larger_limit(json!({"limit": 5000}), [500, 501])]
    #[case::given(json!({"split": "given"}), [801, 200])]
    #[case::given_few(json!({"split": "given", "limit": 50}), [50, 200])]
    #[case::share(json!({"class_share": 0.1}), [50, 50])]
    #[case::each(json!({"class_limit": 20}), [40, 40])]
    #[case::subset(json!({"subset": "0-9,20-29,1000-2000"}), [10, 11])]
    #[case::all_of_them(json!({"subset": "0-499", "class_share": 0.5, "class_limit": 50, "limit": 100}), [50, 50])]
    fn parts_are_counted_without_labels(#[case] patch: Value, #[case] expected: [u64; 2]) {
        let known = Known { images: 1001, valid: 200, classes: 4 };
        let found = counts(&spec(&patch), 0.5001, known);
        assert_eq!([found.weights, found.architecture], expected);
    }

    #[test]
    fn a_split_is_said_in_a_sentence() {
        let said = |patch| sentence(&spec(&patch), "images");
        assert_eq!(
            said(json!({})),
            "The training images were divided in their order; `split.json` lists all positions."
        );
        let all =
            json!({"split": "stratified", "split_seed": 3, "class_share": 0.25, "class_limit": 9});
        assert_eq!(
            said(all),
            "The training images were divided at random, class by class (seed 3); only 25 % of each class, of it at most 9 of each class were used; `split.json` lists all positions."
        );
    }
}
