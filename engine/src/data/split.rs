//! Which training examples train weights, which train rows, and which validate.
//!
//! A pure function of labels and specification, so that every attempt, and every run on another
//! one's weights, finds the same. Test examples are none of its business: nothing here, and nothing
//! that is made of it, knows them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use skein_core::dataset::positions::Positions;
use skein_core::dataset::split::{
    self, FORMAT, Known, PartRecord, SplitMethod, SplitRecord, portion, share,
};
use skein_core::folder;
use skein_core::spec::{DatasetSpec, RunSpec};

use crate::EngineError;
use crate::error::IoContext;
use crate::state::seed::{Stream, below, derive, generator, permutation};

/// Positions of training examples, each list rising.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Those that train the weights of a search.
    pub weights: Vec<i64>,
    /// Those that train its rows.
    pub architecture: Vec<i64>,
    /// Those of them that validate, in the search and after it.
    pub valid: Vec<i64>,
    /// Those that the trainings after the search use: none of the above.
    pub training: Vec<i64>,
}

/// The training examples that are divided.
#[derive(Debug, Clone, Copy)]
pub struct Pool<'a> {
    /// How many there are.
    pub count: usize,
    /// Their labels; none of a text.
    pub labels: &'a [i64],
    /// The last so many of them came as a validation split.
    pub given: usize,
}

/// What a draw is for: each has random numbers of its own.
#[derive(Debug, Clone, Copy)]
enum Draw {
    Classes,
    Searched,
    Weights,
    Valid,
    Training,
}

impl Split {
    /// Divides examples as a specification asks.
    ///
    /// # Errors
    /// - [`EngineError::Spec`] if the examples cannot be divided like that, [`EngineError::Data`]
    ///   if a part would be empty.
    pub fn of(spec: &RunSpec, pool: Pool<'_>) -> Result<Self, EngineError> {
        let asked = &spec.dataset;
        let (images, valid) = (pool.count as u64, pool.given as u64);
        if let Some(fault) = split::fault(asked, Known { images, valid, classes: 1 }) {
            return Err(EngineError::Spec(vec![fault]));
        }
        let given = if asked.split == SplitMethod::Given { pool.given } else { 0 };
        let own = pool.count.saturating_sub(given);
        let cut = Cut { method: asked.split, seed: asked.split_seed.unwrap_or(0), pool };
        let kept = cut.classes(listed(asked, own), asked);
        let searched = cut.first(Draw::Searched, &kept, asked.limit);
        let (weights, architecture) = match asked.split {
            SplitMethod::Given => (searched, positions(own..pool.count)),
            _ => {
                let first = portion(searched.len() as u64, spec.search.train_portion);
                let weights = cut.first(Draw::Weights, &searched, Some(first));
                let rest = without(&searched, &weights);
                (weights, rest)
            }
        };
        if weights.is_empty() || architecture.is_empty() {
            let sum = weights.len() + architecture.len();
            let reason = format!("{sum} images cannot be split at {}", spec.search.train_portion);
            let hint = "take more images, or a longer text".to_owned();
            return Err(EngineError::Data { dataset: asked.id.clone(), reason, hint });
        }
        let valid = cut.first(Draw::Valid, &architecture, Some(spec.search.valid_limit));
        let free = without(&kept, &valid);
        let training = cut.first(Draw::Training, &free, spec.after.limit);
        Ok(Self { weights, architecture, valid, training })
    }

    /// Divides so many examples in their order, all of which take part.
    ///
    /// # Errors
    /// - [`EngineError::Data`] if a part would be empty.
    pub fn ordered(spec: &RunSpec, count: usize) -> Result<Self, EngineError> {
        let mut plain = spec.clone();
        let (split, limit, class_share) = (SplitMethod::Ordered, None, 1.0);
        let (class_limit, subset) = (None, None);
        plain.dataset =
            DatasetSpec { split, limit, class_share, class_limit, subset, ..plain.dataset };
        Self::of(&plain, Pool { count, labels: &[], given: 0 })
    }

    /// Positions of so many examples on which candidates of a second stage are compared, all of the
    /// architecture split if there are fewer: those that validate come first; which of them, and
    /// which others, is drawn.
    #[must_use]
    pub fn compared(&self, images: u64, seed: u64) -> Vec<i64> {
        let drawn = |from: &[i64], count: usize, step| {
            let order = permutation(from.len(), seed, Stream::Compared, step);
            let first = order.into_iter().take(count).filter_map(|at| usize::try_from(at).ok());
            first.map(|at| from[at]).collect::<Vec<_>>()
        };
        let images = usize::try_from(images).unwrap_or(usize::MAX);
        let more = images.saturating_sub(self.valid.len());
        let others = without(&self.architecture, &self.valid);
        sorted([drawn(&self.valid, images, 0), drawn(&others, more, 1)].concat())
    }

    /// Writes `split.json` into an attempt's folder.
    ///
    /// # Errors
    /// - [`EngineError::Io`] if the disk refuses.
    pub fn keep(
        &self,
        spec: &DatasetSpec,
        pool: Pool<'_>,
        attempt: &Path,
    ) -> Result<(), EngineError> {
        let classes = pool.labels.iter().max().map_or(0, |most| most + 1);
        let part = |list: &[i64]| {
            let mut counts = vec![0; usize::try_from(classes).unwrap_or(0)];
            for label in list.iter().filter_map(|at| pool.label(*at)) {
                counts[label] += 1;
            }
            PartRecord {
                count: list.len() as u64,
                classes: counts,
                sha256: digest(list),
                positions: Positions::of(list).to_string(),
            }
        };
        let record = SplitRecord {
            format: FORMAT,
            method: spec.split,
            seed: spec.split_seed,
            examples: pool.count as u64,
            weights: part(&self.weights),
            architecture: part(&self.architecture),
            validation: part(&self.valid),
            training: part(&self.training),
        };
        let path = attempt.join(folder::SPLIT);
        let text = serde_json::to_string_pretty(&record)
            .map_err(|error| EngineError::Bug(error.to_string()))?;
        fs::write(&path, text + "\n").at(&path)
    }
}

impl Pool<'_> {
    fn label(&self, position: i64) -> Option<usize> {
        let label = self.labels.get(usize::try_from(position).ok()?)?;
        usize::try_from(*label).ok()
    }
}

/// How a part of some examples is chosen.
struct Cut<'a> {
    method: SplitMethod,
    seed: u64,
    pool: Pool<'a>,
}

impl Cut<'_> {
    /// So many of the examples, all if that is not said: the first ones, or drawn.
    fn first(&self, draw: Draw, from: &[i64], count: Option<u64>) -> Vec<i64> {
        let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
        let count = count.min(from.len());
        match self.method {
            SplitMethod::Ordered | SplitMethod::Given => from[..count].to_vec(),
            SplitMethod::Random => self.drawn(draw, 0, from, count),
            SplitMethod::Stratified => {
                let groups = self.groups(from);
                let sizes: Vec<usize> = groups.values().map(Vec::len).collect();
                let shares = apportioned(count, &sizes);
                let parts = groups
                    .iter()
                    .zip(shares)
                    .flat_map(|((class, group), share)| self.drawn(draw, *class, group, share));
                sorted(parts.collect())
            }
        }
    }

    /// What is left of each class.
    fn classes(&self, from: Vec<i64>, asked: &DatasetSpec) -> Vec<i64> {
        if asked.class_share >= 1.0 && asked.class_limit.is_none() {
            return from;
        }
        let parts = self.groups(&from).into_iter().flat_map(|(class, group)| {
            let most = asked.class_limit.unwrap_or(u64::MAX);
            let left = share(group.len() as u64, asked.class_share).min(most);
            let left = usize::try_from(left).unwrap_or(usize::MAX);
            match self.method.draws() {
                true => self.drawn(Draw::Classes, class, &group, left),
                false => group[..left].to_vec(),
            }
        });
        sorted(parts.collect())
    }

    /// Examples by their class.
    fn groups(&self, from: &[i64]) -> BTreeMap<usize, Vec<i64>> {
        let mut groups: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
        for position in from {
            groups.entry(self.pool.label(*position).unwrap_or(0)).or_default().push(*position);
        }
        groups
    }

    /// So many of a class, drawn at random.
    fn drawn(&self, draw: Draw, class: usize, from: &[i64], count: usize) -> Vec<i64> {
        let seed = derive(self.seed, Stream::Split, draw as u64);
        let mut generator = generator(seed, Stream::Split, class as u64);
        let mut all = from.to_vec();
        for at in 0..count.min(all.len().saturating_sub(1)) {
            let other = at + below(&mut generator, all.len() - at);
            all.swap(at, other);
        }
        all.truncate(count);
        sorted(all)
    }
}

/// The examples of the list, or all.
fn listed(asked: &DatasetSpec, count: usize) -> Vec<i64> {
    let listed = asked.subset.as_deref().and_then(|text| Positions::parse(text).ok());
    match listed {
        Some(listed) => listed.iter().map(u64::cast_signed).collect(),
        None => positions(0..count),
    }
}

fn positions(range: std::ops::Range<usize>) -> Vec<i64> {
    range.map(|at| i64::try_from(at).unwrap_or(0)).collect()
}

fn sorted(mut list: Vec<i64>) -> Vec<i64> {
    list.sort_unstable();
    list
}

/// What of a rising list is not in another.
fn without(list: &[i64], other: &[i64]) -> Vec<i64> {
    list.iter().copied().filter(|at| other.binary_search(at).is_err()).collect()
}

/// So many, divided by the sizes of groups; what does not come out even goes to the largest
/// remainders.
fn apportioned(count: usize, sizes: &[usize]) -> Vec<usize> {
    let all = sizes.iter().sum::<usize>().max(1) as u128;
    let quota = |size: &usize| count as u128 * *size as u128;
    let whole = |quota: u128| usize::try_from(quota / all).unwrap_or(0);
    let mut shares: Vec<usize> = sizes.iter().map(|size| whole(quota(size))).collect();
    let left = count.saturating_sub(shares.iter().sum());
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(quota(&sizes[*at]) % all));
    for at in order.into_iter().take(left) {
        shares[at] += 1;
    }
    shares
}

/// SHA-256 of the positions, each with a line feed.
fn digest(list: &[i64]) -> String {
    let mut hash = Sha256::new();
    let mut line = String::new();
    for position in list {
        line.clear();
        let _ = writeln!(line, "{position}");
        hash.update(line.as_bytes());
    }
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn spec(dataset: Value, portion: f64, valid: u64, limit: Option<u64>) -> RunSpec {
        let mut spec = json!({
            "dataset": {"id": "mine", "version": "1", "kind": "images", "shape": [1, 8, 8], "classes": 9},
            "space": {"preset": "toy-cell"},
            "search": {"optimizer": {"kind": "drnas"}, "batch_size": 2, "train_portion": portion, "valid_limit": valid},
            "after": {"limit": limit},
        });
        for (name, value) in dataset.as_object().unwrap() {
            spec["dataset"][name] = value.clone();
        }
        RunSpec::parse(&spec).unwrap()
    }

    /// Labels of classes whose sizes differ much.
    fn labels(count: i64) -> Vec<i64> {
        (0..count).map(|at| (at * 7919 % 45).isqrt()).collect()
    }

    fn split(dataset: Value, portion: f64, given: usize) -> Split {
        let labels = labels(500);
        let pool = Pool { count: 500, labels: &labels, given };
        Split::of(&spec(dataset, portion, 40, None), pool).unwrap()
    }

    fn counts(list: &[i64]) -> Vec<usize> {
        let labels = labels(500);
        let of = |class| list.iter().filter(|at| labels[**at as usize] == class).count();
        (0..7).map(of).collect()
    }

    #[test]
    fn in_order_the_first_train_weights_and_the_rest_rows() {
        let split = split(json!({"limit": 301}), 0.5, 0);
        assert_eq!(split.weights, positions(0..150));
        assert_eq!(split.architecture, positions(150..301));
        assert_eq!(split.valid, positions(150..190));
        // The trainings use what the search was not shown, too.
        assert_eq!(split.training, [positions(0..150), positions(190..500)].concat());
        let ordered = Split::ordered(&spec(json!({"limit": 30}), 0.5, 40, None), 301).unwrap();
        assert_eq!((&ordered.weights, &ordered.valid), (&split.weights, &split.valid));
    }

    #[test]
    fn candidates_answer_a_drawn_part_and_more_images_only_add_to_it() {
        let split = split(json!({}), 0.5, 0);
        let mut before = Vec::new();
        for images in [0, 1, 20, 39, 40, 41, 120, 250] {
            let now = split.compared(images, 7);
            assert!(now.is_sorted() && now.len() as u64 == images);
            assert!(before.iter().all(|at| now.contains(at)), "{images}");
            assert!(now.iter().all(|at| split.architecture.contains(at)));
            assert_eq!(now.iter().all(|at| split.valid.contains(at)), images <= 40);
            before = now;
        }
        assert_eq!(split.compared(1000, 7), split.architecture);
        let drawn = split.compared(120, 7);
        assert_eq!(drawn, split.compared(120, 7));
        assert_ne!(drawn, split.compared(120, 8));
        assert_ne!(drawn, split.architecture[..120]);
    }

    #[test]
    fn the_validation_images_of_a_data_set_train_nothing_but_rows() {
        let split = split(json!({"split": "given", "limit": 100}), 0.5, 120);
        assert_eq!(split.weights, positions(0..100));
        assert_eq!(split.architecture, positions(380..500));
        assert_eq!(split.valid, positions(380..420));
        assert_eq!(split.training, positions(0..380));
    }

    #[test]
    fn a_stratified_part_has_each_class_by_its_share() {
        let split = split(json!({"split": "stratified", "limit": 400}), 0.25, 0);
        let (whole, weights) = (counts(&positions(0..500)), counts(&split.weights));
        assert_eq!((split.weights.len(), split.architecture.len()), (100, 300));
        for (class, (all, some)) in whole.iter().zip(&weights).enumerate() {
            let exact = *all as f64 * 0.2;
            assert!((*some as f64 - exact).abs() < 1.5, "class {class}: {some} of {exact}");
        }
        // In order, the same data would differ more than that.
        assert!(whole.iter().any(|count| *count > 100) && whole.iter().any(|count| *count < 30));
        let valid: usize = counts(&split.valid).iter().filter(|count| **count > 0).count();
        assert_eq!((split.valid.len(), valid), (40, 7));
    }

    #[rstest]
    #[case::share(json!({"class_share": 0.1}), |all: usize| ((all as f64 * 0.1).round() as usize).max(1))]
    #[case::limit(json!({"class_limit": 12}), |all: usize| all.min(12))]
    #[case::both(json!({"class_share": 0.5, "class_limit": 12, "split": "random"}), |all: usize| (all as f64 * 0.5).round().min(12.0) as usize)]
    fn of_each_class_so_many_are_used_at_all(
        #[case] dataset: Value,
        #[case] expected: fn(usize) -> usize,
    ) {
        let split = split(dataset, 0.5, 0);
        let all = sorted([&split.training[..], &split.valid].concat());
        let expected: Vec<usize> = counts(&positions(0..500)).into_iter().map(expected).collect();
        assert_eq!(counts(&all), expected);
        assert_eq!(all, sorted([&split.weights[..], &split.architecture].concat()));
    }

    #[test]
    fn a_subset_is_all_that_is_seen() {
        for method in ["ordered", "random", "stratified"] {
            let split = split(json!({"split": method, "subset": "100-299,7"}), 0.5, 0);
            let all = sorted([&split.weights[..], &split.architecture].concat());
            assert_eq!(all, [vec![7], positions(100..300)].concat());
            assert_eq!(split.training, without(&all, &split.valid));
        }
    }

    #[test]
    fn draws_hang_on_the_seed_of_the_split_alone() {
        for method in ["random", "stratified"] {
            let of = |seed| split(json!({"split": method, "split_seed": seed}), 0.5, 0);
            assert_eq!(of(1), of(1));
            assert_ne!(of(1).weights, of(2).weights);
            assert_ne!(of(1).valid, of(1).architecture[..40], "the first would be fewer classes");
            let mut other = spec(json!({"split": method, "split_seed": 1}), 0.5, 40, None);
            other.seed += 1;
            let labels = labels(500);
            let pool = Pool { count: 500, labels: &labels, given: 0 };
            assert_eq!(Split::of(&other, pool).unwrap(), of(1));
        }
    }

    #[rstest]
    #[case::no_given(json!({"split": "given"}), 0, "dataset.split must be another one")]
    #[case::beyond(json!({"subset": "0-500"}), 0, "dataset.subset holds 500")]
    #[case::one(json!({"subset": "3"}), 0, "1 images cannot be split at 0.5")]
    fn what_cannot_be_divided_is_refused(
        #[case] dataset: Value,
        #[case] given: usize,
        #[case] message: &str,
    ) {
        let labels = labels(500);
        let pool = Pool { count: 500, labels: &labels, given };
        let error = Split::of(&spec(dataset, 0.5, 40, None), pool).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }

    #[test]
    fn the_record_tells_every_list_and_its_digest() {
        let home = tempfile::tempdir().unwrap();
        let labels = labels(500);
        let pool = Pool { count: 500, labels: &labels, given: 0 };
        let spec = spec(json!({"split": "stratified", "split_seed": 4}), 0.5, 40, Some(100));
        let split = Split::of(&spec, pool).unwrap();
        split.keep(&spec.dataset, pool, home.path()).unwrap();
        let text = fs::read_to_string(home.path().join("split.json")).unwrap();
        let record: SplitRecord = serde_json::from_str(&text).unwrap();
        assert_eq!((record.method, record.seed), (SplitMethod::Stratified, Some(4)));
        let parts = [
            (&record.weights, &split.weights),
            (&record.architecture, &split.architecture),
            (&record.validation, &split.valid),
            (&record.training, &split.training),
        ];
        for (part, list) in parts {
            let positions = Positions::parse(&part.positions).unwrap();
            assert_eq!(positions.iter().map(u64::cast_signed).collect::<Vec<_>>(), *list);
            assert_eq!(part.count, list.len() as u64);
            let classes: Vec<u64> = counts(list).into_iter().map(|count| count as u64).collect();
            assert_eq!(part.classes, classes);
            let lines: String = list.iter().map(|at| format!("{at}\n")).collect();
            let hex: String =
                Sha256::digest(lines).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(part.sha256, hex);
        }
        assert_eq!(record.training.count, 100);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Whatever is asked for: nothing validates that trains weights, in the search or after it.
        #[test]
        fn parts_are_apart(
            method in prop::sample::select(vec!["ordered", "random", "stratified", "given"]),
            share in 0.05..1.0_f64,
            limit in 16_u64..600,
            portion in 0.05..0.95_f64,
            valid in 1_u64..600,
        ) {
            let labels = labels(500);
            let pool = Pool { count: 500, labels: &labels, given: 60 };
            let dataset = json!({"split": method, "class_share": share, "limit": limit});
            let spec = spec(dataset, portion, valid, None);
            if let Ok(split) = Split::of(&spec, pool) {
                let apart = |a: &[i64], b: &[i64]| a.iter().all(|at| b.binary_search(at).is_err());
                prop_assert!(apart(&split.weights, &split.architecture));
                prop_assert!(apart(&split.training, &split.valid));
                prop_assert!(split.valid.iter().all(|at| split.architecture.contains(at)));
                prop_assert_eq!(split.valid.len() as u64, valid.min(split.architecture.len() as u64));
                for list in [&split.weights, &split.architecture, &split.valid, &split.training] {
                    prop_assert!(list.is_sorted_by(|a, b| a < b));
                }
                if method != "given" {
                    let images = (split.weights.len() + split.architecture.len()) as u64;
                    prop_assert_eq!(split.weights.len() as u64, super::portion(images, portion));
                }
            }
        }
    }
}
