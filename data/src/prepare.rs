//! From what somebody brought to a prepared version, in one go.

use std::path::Path;

use serde::{Deserialize, Serialize};
use skein_core::dataset::facts::Facts;
use skein_core::dataset::report::Report;

use crate::arrays::Folder;
use crate::gather::gather;
use crate::images;
use crate::layout::{self, Set};
use crate::limits::Limits;
use crate::refusal::Refusal;
use crate::source::Source;
use crate::texts;

/// Smallest side that is prepared.
const LEAST_SIDE: u32 = 8;
/// Largest one.
const MOST_SIDE: u32 = 512;

/// How a set is prepared.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Side of the images, in pixels; `None` for what the doctor suggests.
    pub size: Option<u32>,
    /// Share of each class that is held out, `0..1`, if there is no test split.
    pub test_share: f64,
    /// Seed of that draw, and of the order of images.
    pub seed: u64,
    /// How much is read at most.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self { size: None, test_share: 0.2, seed: 0, limits: Limits::default() }
    }
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Files are read out of the source.
    Reading,
    /// Images are looked at.
    Checking,
    /// Images are decoded and scaled.
    Decoding,
    /// Arrays are written.
    Writing,
}

impl Stage {
    /// Its name for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Checking => "checking",
            Self::Decoding => "decoding",
            Self::Writing => "writing",
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// How much of it is done: bytes while reading, else images.
    pub done: u64,
    /// How much of it there is.
    pub total: u64,
}

/// What was prepared.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// As they lie in [`skein_core::dataset::facts::FACTS`].
    pub facts: Facts,
    /// As it lies in [`skein_core::dataset::facts::REPORT`].
    pub report: Report,
}

/// Prepares a source, which is one file or a folder, into a new folder.
///
/// `file_name` is what people call the source. Files that are needed meanwhile lie in the folder
/// `scratch` and have no names there, so that nothing is left of them whatever happens. The folder
/// `out` must not be there; it is made in whole, under its name only once it is complete. (If this
/// process is killed, a folder `.preparing-…` is left beside it.)
///
/// `progress` is called from this thread, often.
///
/// # Errors
/// - [`Refusal`]: what is wrong with the source, or with the disk.
pub fn prepare(
    source: &Path,
    file_name: &str,
    options: &Options,
    scratch: &Path,
    out: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Prepared, Refusal> {
    check(options)?;
    let folder = Folder::new(out)?;
    let source = Source::open(source, file_name)?;
    let mut gathered = gather(&source, &options.limits, scratch, progress)?;
    let prepared = match layout::find(&mut gathered)? {
        Set::Images(set) => images::prepare(set, gathered, options, scratch, &folder, progress)?,
        Set::Text(text) => texts::prepare(&text, &gathered, &folder, progress)?,
    };
    folder.json(skein_core::dataset::facts::REPORT, &prepared.report)?;
    folder.json(skein_core::dataset::facts::FACTS, &prepared.facts)?;
    folder.finish()?;
    Ok(prepared)
}

fn check(options: &Options) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::Options(message));
    if let Some(size) = options.size.filter(|size| !(LEAST_SIDE..=MOST_SIDE).contains(size)) {
        return refuse(format!(
            "a side of {size} pixels is not within {LEAST_SIDE} to {MOST_SIDE}"
        ));
    }
    let share = options.test_share;
    if !(share > 0.0 && share < 1.0) {
        return refuse(format!("a test share of {share} is not between 0 and 1"));
    }
    Ok(())
}
