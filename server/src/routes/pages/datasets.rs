//! `/datasets`: what there is to learn from, and the place where more is dropped.

use askama::Template;
use skein_core::dataset::DataKind;
use skein_core::dataset::facts::HeldOut;
use time::OffsetDateTime;

use super::format::{self, thousands};
use super::frame::Frame;
use crate::service::datasets::fetch;
use crate::views::DatasetView;

/// Images on a card.
const THUMBNAILS: u64 = 8;

/// All data sets.
#[derive(Template)]
#[template(path = "datasets/list.html")]
pub(super) struct DatasetsPage {
    frame: Frame,
    own: Vec<Card>,
    known: Vec<Card>,
}

/// A data set as a card shows it.
pub(super) struct Card {
    pub(super) set: DatasetView,
    /// `60,000 training and 10,000 test images, 10 classes`; empty before it is known.
    pub(super) holds: String,
    /// `3 × 32 × 32`.
    pub(super) shape: String,
    /// `1.2 MB`.
    pub(super) size: String,
    /// `used by 3 runs`.
    pub(super) used: String,
    /// When it was added, in words.
    pub(super) ago: String,
    /// Addresses of a few of its images.
    pub(super) thumbnails: Vec<String>,
    /// Whether its files can be fetched.
    pub(super) fetchable: bool,
    /// The class of the state's dot.
    pub(super) dot: &'static str,
}

impl DatasetsPage {
    pub(super) fn new(frame: Frame, list: Vec<DatasetView>, now: OffsetDateTime) -> Self {
        let prefix = frame.prefix.clone();
        let cards = list.into_iter().map(|set| Card::new(&prefix, set, now));
        let (mut own, known): (Vec<Card>, Vec<Card>) = cards.partition(|card| card.set.own);
        // The newest first.
        own.sort_by(|one, other| other.set.created_at.cmp(&one.set.created_at));
        Self { frame, own, known }
    }
}

impl Card {
    pub(super) fn new(prefix: &str, set: DatasetView, now: OffsetDateTime) -> Self {
        let images = set.present && set.kind == Some(DataKind::Images);
        let shown = if images { THUMBNAILS.min(set.train_images) } else { 0 };
        let set = DatasetView { problem: set.problem.map(|text| text.replace('`', "")), ..set };
        let thumbnail = |index| image(prefix, &set, "train", index);
        Self {
            holds: holds(&set),
            shape: set.shape.map_or_else(String::new, |shape| {
                format!("{} × {} × {}", shape.channels, shape.height, shape.width)
            }),
            size: bytes(set.bytes),
            used: match set.runs {
                0 => "used by no run".to_owned(),
                1 => "used by 1 run".to_owned(),
                runs => format!("used by {} runs", thousands(&runs.to_string())),
            },
            ago: set.created_at.as_deref().map_or_else(String::new, |at| format::ago(at, now)),
            thumbnails: (0..shown).map(thumbnail).collect(),
            fetchable: !set.own && !set.present && fetch::find(&set.id).is_some(),
            dot: match set.state.as_str() {
                "ready" => "succeeded",
                "failed" => "failed",
                "absent" => "queued",
                _ => "running",
            },
            set,
        }
    }
}

/// Address of one image, of the newest version if there are any.
pub(super) fn image(prefix: &str, set: &DatasetView, split: &str, index: u64) -> String {
    let address = format!("{prefix}/api/v1/datasets/{}/samples/{split}/{index}", set.id);
    if set.version.is_empty() { address } else { format!("{address}?version={}", set.version) }
}

/// What it holds, in words.
pub(super) fn holds(set: &DatasetView) -> String {
    let number = |count: u64| thousands(&count.to_string());
    match set.kind {
        None => String::new(),
        Some(DataKind::Text) if set.train_images == 0 => "a text".to_owned(),
        Some(DataKind::Text) => format!("a text of {}", bytes(set.train_images + set.test_images)),
        Some(DataKind::Images) => format!(
            "{} training and {} test images, {} classes",
            number(set.train_images),
            number(set.test_images),
            number(set.classes.len() as u64)
        ),
    }
}

/// `850 B`, `1.2 MB`.
pub(super) fn bytes(count: u64) -> String {
    if count < 1000 { format!("{count} B") } else { format!("{}B", format::short(count)) }
}

/// Where the test images come from, in words.
pub(super) fn held_out(set: &DatasetView) -> String {
    match set.held_out {
        Some(HeldOut::Given) => "came as a split of their own".to_owned(),
        Some(HeldOut::Drawn { share, seed }) => format!(
            "{:.0} % of each class, drawn with seed {seed} before anybody saw them",
            100.0 * share
        ),
        None => String::new(),
    }
}
