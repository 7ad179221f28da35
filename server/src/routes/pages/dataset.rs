//! `/datasets/{id}`: what was found in a data set, and what can be done with it.

use askama::Template;
use skein_core::dataset::DataKind;
use skein_core::dataset::report::{Finding, Level, Report};
use time::OffsetDateTime;

use super::datasets::{Card, bytes, held_out};
use super::format::{self, thousands};
use super::frame::Frame;
use crate::views::{DatasetView, RunView, SampleList, SampleView};

/// Classes that a page counts one by one.
const MOST_CLASSES: usize = 200;
/// Runs that a page lists.
const MOST_RUNS: usize = 20;

/// One data set.
#[derive(Template)]
#[template(path = "datasets/show.html")]
pub(super) struct DatasetPage {
    frame: Frame,
    card: Card,
    /// Mean and deviation per channel, in words.
    normalisation: String,
    held_out: String,
    doctor: Option<Doctor>,
    sheet: Vec<Tile>,
    /// The last training image that is shown with views of it.
    last_shown: u64,
    /// Which images the sheet shows.
    split: String,
    class: Option<i64>,
    /// Every class with its number.
    classes: Vec<(i64, String)>,
    versions: Vec<Version>,
    runs: Vec<RunView>,
    more_runs: usize,
}

/// The doctor's report.
pub(super) struct Doctor {
    pub(super) source: String,
    pub(super) files: String,
    pub(super) bytes: String,
    pub(super) findings: Vec<Shown>,
    /// Names of the splits, and what they hold in all.
    pub(super) splits: Vec<(String, String)>,
    pub(super) rows: Vec<Row>,
    pub(super) more_classes: usize,
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) settings: Vec<(String, String, String)>,
}

/// A finding.
pub(super) struct Shown {
    pub(super) level: &'static str,
    pub(super) class: &'static str,
    pub(super) finding: Finding,
}

/// A class with its images in each split.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) counts: Vec<String>,
    /// Its training images, per cent of those of the largest class.
    pub(super) width: u64,
}

/// One image of the sheet.
pub(super) struct Tile {
    pub(super) address: String,
    pub(super) sample: SampleView,
}

/// One content.
pub(super) struct Version {
    pub(super) name: String,
    pub(super) at: String,
    pub(super) ago: String,
    pub(super) from: String,
    pub(super) size: String,
}

/// Everything that the page shows.
pub(super) struct Shows {
    pub(super) set: DatasetView,
    pub(super) report: Option<Report>,
    pub(super) samples: Option<SampleList>,
    pub(super) class: Option<i64>,
    pub(super) runs: Vec<RunView>,
}

impl DatasetPage {
    pub(super) fn new(frame: Frame, shows: Shows, now: OffsetDateTime) -> Self {
        let Shows { set, report, samples, class, mut runs } = shows;
        let more_runs = runs.len().saturating_sub(MOST_RUNS);
        runs.reverse();
        runs.truncate(MOST_RUNS);
        let split = samples.as_ref().map_or("train", |list| &list.split).to_owned();
        let tile = |sample: SampleView| Tile {
            address: super::datasets::image(&frame.prefix, &set, &split, sample.index),
            sample,
        };
        let sheet = samples.map(|list| list.samples).unwrap_or_default();
        let number = |value: &f64| format!("{value:.3}");
        let list = |values: &[f64]| values.iter().map(number).collect::<Vec<_>>().join(", ");
        let versions = set.versions.iter().rev().map(|version| Version {
            name: version.version.clone(),
            ago: format::ago(&version.created_at, now),
            at: version.created_at.clone(),
            from: version.folder.clone().unwrap_or_else(|| version.file_name.clone()),
            size: bytes(version.file_bytes),
        });
        let last_shown = set.train_images.clamp(1, 6) - 1;
        Self {
            normalisation: match set.mean.is_empty() {
                true => String::new(),
                false => format!("mean {}, deviation {}", list(&set.mean), list(&set.std)),
            },
            held_out: held_out(&set),
            doctor: report.map(|report| Doctor::new(report, &set)),
            sheet: sheet.into_iter().map(tile).collect(),
            classes: (0..).zip(set.classes.iter().cloned()).collect(),
            versions: versions.collect(),
            card: Card::new(&frame.prefix, set, now),
            last_shown,
            split,
            class,
            runs,
            more_runs,
            frame,
        }
    }
}

impl Doctor {
    fn new(report: Report, set: &DatasetView) -> Self {
        let number = |count: u64| thousands(&count.to_string());
        let text = set.kind == Some(DataKind::Text);
        let unit = if text { "characters" } else { "images" };
        let largest = report.splits.first().and_then(|train| train.per_class.iter().max().copied());
        let largest = largest.unwrap_or(0).max(1);
        let rows = set.classes.iter().enumerate().map(|(at, name)| {
            let of = |split: &skein_core::dataset::report::Split| split.per_class.get(at).copied();
            let counts: Vec<u64> =
                report.splits.iter().map(|split| of(split).unwrap_or(0)).collect();
            Row {
                name: name.clone(),
                width: counts.first().copied().unwrap_or(0) * 100 / largest,
                counts: counts.into_iter().map(number).collect(),
            }
        });
        let mut facts = Vec::new();
        if let Some(sizes) = &report.sizes {
            let sides = |[width, height]: [u32; 2]| format!("{width} × {height}");
            facts.push((
                "Sizes",
                match sizes.different {
                    1 => format!("all {}", sides(sizes.smallest)),
                    _ => format!(
                        "{} to {}, median {}",
                        sides(sizes.smallest),
                        sides(sizes.largest),
                        sides(sizes.median)
                    ),
                },
            ));
        }
        if !report.modes.is_empty() {
            let modes =
                report.modes.iter().map(|mode| format!("{} ({})", mode.name, number(mode.images)));
            facts.push(("Modes", modes.collect::<Vec<_>>().join(", ")));
        }
        if let Some(suggestion) = &report.suggestion {
            facts.push(("Stem", suggestion.stem.clone()));
        }
        let settings = report.suggestion.iter().flat_map(|suggestion| &suggestion.augmentation);
        let settings = settings.map(|setting| {
            let label = skein_core::spec::fields::find(&setting.field).map(|field| field.label);
            let value = super::form::text(Some(&setting.value));
            (label.unwrap_or(&setting.field).to_owned(), value, setting.why.clone())
        });
        Self {
            settings: settings.collect(),
            facts,
            more_classes: set.classes.len().saturating_sub(MOST_CLASSES),
            rows: rows.take(MOST_CLASSES).collect(),
            files: number(report.files),
            bytes: bytes(report.bytes),
            splits: report
                .splits
                .iter()
                .map(|split| (split.name.clone(), format!("{} {unit}", number(split.images))))
                .collect(),
            findings: report.findings.into_iter().map(Shown::new).collect(),
            source: report.source,
        }
    }
}

impl Shown {
    fn new(finding: Finding) -> Self {
        let (level, class) = match finding.level {
            Level::Problem => ("Problem", "bad"),
            Level::Warning => ("Warning", "warn"),
            Level::Note => ("Note", ""),
        };
        Self { level, class, finding }
    }
}
