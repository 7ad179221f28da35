//! What a person should know of a set of images, worst first.

use skein_core::dataset::report::{self, Finding, Level, Report};

use crate::decode::Decoded;
use crate::divide::Divided;
use crate::gather::{Gathered, Kind};
use crate::layout::{Example, Images, Split};
use crate::look::Look;
use crate::pixels::Fault;
use crate::report::{Named, finding, several};

/// Images of the largest class for each of the smallest, from which on it is worth a word.
const IMBALANCE: u64 = 10;
/// Training images of a class, below which it is worth a word.
const FEW: u64 = 10;

/// All that was found out of a set.
pub(crate) struct Found<'a> {
    pub(crate) set: &'a Images,
    pub(crate) gathered: &'a Gathered,
    pub(crate) look: &'a Look,
    pub(crate) decoded: &'a Decoded,
    pub(crate) divided: &'a Divided,
    /// What was asked for: the share that is drawn.
    pub(crate) share: f64,
}

impl Found<'_> {
    /// The report, but for its suggestion.
    pub(crate) fn report(&self, source: &str) -> Report {
        let splits: Vec<report::Split> = self.splits();
        let mut findings = self.set.findings.clone();
        findings.extend(self.of_files());
        findings.extend(self.of_copies());
        findings.extend(self.of_classes(&splits));
        findings.extend(self.of_pixels());
        findings.sort_by_key(|finding| finding.level);
        Report {
            format: report::FORMAT,
            source: source.to_owned(),
            files: self.gathered.files,
            bytes: self.gathered.spool.len(),
            splits,
            sizes: self.look.sizes(),
            modes: self.look.modes(),
            findings,
            suggestion: None,
        }
    }

    fn splits(&self) -> Vec<report::Split> {
        let mut splits = Vec::new();
        for (split, numbers) in self.divided.splits() {
            if split == Split::Valid && numbers.is_empty() {
                continue;
            }
            let mut per_class = vec![0; self.set.classes.len()];
            for example in numbers.iter().filter_map(|at| self.set.examples.get(*at)) {
                if let Some(count) = per_class.get_mut(example.label as usize) {
                    *count += 1;
                }
            }
            let (name, images) = (split.name().to_owned(), numbers.len() as u64);
            splits.push(report::Split { name, images, per_class });
        }
        splits
    }

    fn named(&self, numbers: &[usize]) -> Named {
        let mut named = Named::default();
        for example in numbers.iter().filter_map(|at| self.set.examples.get(*at)) {
            named.add(|| name(example, self.gathered));
        }
        named
    }

    /// What is no image, or none that can be read.
    fn of_files(&self) -> Vec<Finding> {
        let (mut damaged, mut large) = (Named::default(), Named::default());
        for (at, fault) in &self.look.faults {
            let Some(example) = self.set.examples.get(*at) else { continue };
            let said = || format!("{}: {fault}", name(example, self.gathered));
            match fault {
                Fault::Size { .. } | Fault::File(_) => large.add(said),
                _ => damaged.add(said),
            }
        }
        let mut others = Named::default();
        if self.set.form == crate::layout::Form::Files {
            let used: std::collections::HashSet<u32> =
                self.set.examples.iter().map(|example| example.item).collect();
            for (at, item) in self.gathered.items.iter().enumerate() {
                let used = u32::try_from(at).is_ok_and(|at| used.contains(&at));
                if item.kind != Kind::Image && !used {
                    others.add(|| item.name.shown());
                }
            }
        }
        let gathered = self.gathered;
        [
            damaged.finding(Level::Warning, "unreadable_images", |count| {
                format!("{} cannot be read and left out.", several(count, "image", "images"))
            }),
            large.finding(Level::Warning, "too_large_images", |count| {
                format!("{} too large and left out.", several(count, "image is", "images are"))
            }),
            others.finding(Level::Note, "other_files", |count| {
                format!("{} no images and not used.", several(count, "file is", "files are"))
            }),
            gathered.foreign_names.clone().finding(Level::Note, "names_not_utf8", |count| {
                let names = several(count, "name is", "names are");
                format!("{names} not UTF-8; the files are used all the same.")
            }),
            gathered.ignored.clone().finding(Level::Note, "ignored_files", |count| {
                let files = several(count, "hidden file", "hidden files");
                format!("{files} that programs leave behind, like `.DS_Store`, passed over.")
            }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Images that are there more than once.
    fn of_copies(&self) -> Vec<Finding> {
        let Divided { leaked, copies, conflicts, drawn, .. } = self.divided;
        // Where the test split was drawn, nobody mixed anything up.
        let level = if *drawn { Level::Warning } else { Level::Problem };
        [
            self.named(leaked).finding(level, "duplicates_across_splits", |count| {
                let images = several(count, "image is a copy", "images are copies");
                format!(
                    "{images} of one that is held out (test or validation). A network that has \
                     learned it would be measured too well, so the copies are left out of training."
                )
            }),
            self.named(conflicts).finding(Level::Problem, "conflicting_labels", |count| {
                let images = several(count, "image is", "images are");
                format!("{images} there under another class too; one of the labels is wrong.")
            }),
            self.named(copies).finding(Level::Warning, "duplicates_within_split", |count| {
                let images = several(count, "image is a copy", "images are copies");
                format!("{images} of another of the same split and class; they count twice.")
            }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Classes that are too small, too unequal, or lack a split.
    fn of_classes(&self, splits: &[report::Split]) -> Vec<Finding> {
        let of = |split: Split| splits.iter().find(|found| found.name == split.name());
        let none = vec![0; self.set.classes.len()];
        let train = of(Split::Train).map_or(&none, |split| &split.per_class);
        let test = of(Split::Test).map_or(&none, |split| &split.per_class);
        let (mut unlearned, mut untested, mut few) =
            (Named::default(), Named::default(), Named::default());
        for ((class, train), test) in self.set.classes.iter().zip(train).zip(test) {
            match (train, test) {
                (0, _) => unlearned.add(|| class.clone()),
                (_, 0) => untested.add(|| class.clone()),
                _ => {}
            }
            if (1..FEW).contains(train) {
                few.add(|| format!("{class}: {train}"));
            }
        }
        let largest = train.iter().max().copied().unwrap_or(0);
        let smallest = train.iter().filter(|count| **count > 0).min().copied().unwrap_or(0);
        let unequal = (smallest > 0 && largest > IMBALANCE * smallest).then(|| {
            finding(
                Level::Warning,
                "imbalance",
                format!(
                    "The largest class has {largest} training images, the smallest {smallest}; a \
                     network learns to prefer large classes, and its accuracy hides it."
                ),
            )
        });
        [
            unlearned.finding(Level::Problem, "classes_without_training", |count| {
                let classes = several(count, "class has", "classes have");
                format!("{classes} no training images; no network can learn it.")
            }),
            untested.finding(Level::Warning, "classes_without_test", |count| {
                let classes = several(count, "class has", "classes have");
                format!("{classes} no test images; nothing is measured of it.")
            }),
            few.finding(Level::Warning, "few_images", |count| {
                let classes = several(count, "class has", "classes have");
                format!("{classes} fewer than {FEW} training images.")
            }),
            unequal,
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What happened to the pixels.
    fn of_pixels(&self) -> Vec<Finding> {
        let Look { sides, modes, images, .. } = self.look;
        let target = self.decoded.target;
        let mixed = (modes.len() > 1).then(|| {
            let to = if target.channels == 1 { "grey" } else { "RGB" };
            let message = format!("Images come in several modes; all are made {to}, 8 bit.");
            finding(Level::Note, "mixed_modes", message)
        });
        let small = |side: &&(u32, u32)| side.0 < target.width || side.1 < target.height;
        let enlarged: u64 = sides.iter().filter(|(side, _)| small(side)).map(|(_, n)| n).sum();
        let blurred = (2 * enlarged > *images).then(|| {
            let size = target.width;
            let message = format!(
                "{enlarged} of {images} images are smaller than {size}×{size} pixels and made larger; \
                 that adds work and no detail."
            );
            Finding { count: enlarged, ..finding(Level::Warning, "enlarged", message) }
        });
        let transparent = self.decoded.transparent;
        let clear = (transparent > 0).then(|| {
            let images = several(transparent, "image has", "images have");
            let message = format!(
                "{images} transparent parts; what stands behind them is made black, or white where \
                 the picture could not be seen on black."
            );
            Finding { count: transparent, ..finding(Level::Note, "transparent", message) }
        });
        let plain = self.named(&self.decoded.one_colour);
        let plain = plain.finding(Level::Warning, "one_colour", |count| {
            let images = several(count, "image is", "images are");
            format!("{images} of one colour: there is nothing on them to tell.")
        });
        let drawn = self.divided.drawn.then(|| {
            let percent = 100.0 * self.share;
            let message = format!(
                "There is no test split, so {percent:.0} % of each class are drawn once and held out."
            );
            finding(Level::Note, "test_drawn", message)
        });
        [mixed, blurred, clear, plain, drawn].into_iter().flatten().collect()
    }
}

/// The name of an example, as it is shown.
pub(crate) fn name(example: &Example, gathered: &Gathered) -> String {
    let file = gathered.items.get(example.item as usize).map(|item| item.name.shown());
    let file = file.unwrap_or_default();
    match example.number {
        Some(number) => format!("{file}[{number}]"),
        None => file,
    }
}
