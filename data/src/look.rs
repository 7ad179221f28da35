//! All examples looked at before any is decoded: sizes, modes, and those that are no images.

use std::collections::{BTreeMap, BTreeSet};

use skein_core::dataset::report::{Mode, Sizes};

use crate::gather::Gathered;
use crate::layout::{Form, Images, Raw};
use crate::pixels::{self, Fault, Seen};
use crate::prepare::{Progress, Stage};
use crate::refusal::Refusal;
use crate::spool::{Place, Spool};
use crate::workers;

/// Most bytes of an image's file.
const MOST_FILE: u64 = 256 << 20;

/// Bytes of a file from which on only one is read at a time.
pub(crate) const LARGE_FILE: u64 = 8 << 20;
/// Pixels from which on only one image is decoded at a time.
const LARGE: u64 = 8 << 20;

/// What the headers tell.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Sides, and how many images have them.
    pub(crate) sides: BTreeMap<(u32, u32), u64>,
    pub(crate) modes: BTreeMap<String, u64>,
    /// Images without colours.
    pub(crate) grey: u64,
    /// Images that were looked at.
    pub(crate) images: u64,
    /// Examples that cannot be decoded.
    pub(crate) faults: BTreeMap<usize, Fault>,
    /// Examples that take much memory once they are decoded.
    pub(crate) large: BTreeSet<usize>,
}

/// Looks at all examples.
///
/// # Errors
/// - the disk fails.
pub(crate) fn look(
    set: &Images,
    gathered: &Gathered,
    progress: &mut dyn FnMut(Progress),
) -> Result<Look, Refusal> {
    let mut look = Look::default();
    let (count, total) = (set.examples.len(), set.examples.len() as u64);
    if let Form::Raw(raw) = set.form {
        look.images = total;
        look.sides.insert((raw.width, raw.height), total);
        look.modes.insert(mode(raw), total);
        look.grey = if raw.channels == 1 { total } else { 0 };
        return Ok(look);
    }
    let place = |at: usize| set.examples.get(at).map_or(NOWHERE, |example| example.place);
    let mut done = 0;
    let work = |at| {
        let file = read(&gathered.spool, place(at))?;
        Ok(file.and_then(|file| pixels::guarded(|| pixels::look(&file))))
    };
    workers::each(
        count,
        |at| place(at).length > LARGE_FILE,
        work,
        |at, seen| {
            done += 1;
            progress(Progress { stage: Stage::Checking, done, total });
            match seen {
                Ok(seen) => {
                    if u64::from(seen.width) * u64::from(seen.height) > LARGE {
                        look.large.insert(at);
                    }
                    look.add(seen);
                }
                Err(fault) => drop(look.faults.insert(at, fault)),
            }
            Ok(())
        },
    )?;
    Ok(look)
}

/// No place at all.
const NOWHERE: Place = Place { offset: 0, length: 0 };

/// The bytes of an image's file, unless there are too many.
pub(crate) fn read(spool: &Spool, place: Place) -> Result<Result<Vec<u8>, Fault>, Refusal> {
    if place.length > MOST_FILE {
        return Ok(Err(Fault::File(place.length)));
    }
    spool.read(place).map(Ok).map_err(Refusal::io("reading the scratch file"))
}

fn mode(raw: Raw) -> String {
    let name = match raw.channels {
        1 => "grey",
        3 => "RGB",
        _ => "4 channels",
    };
    format!("{name}, 8 bit")
}

impl Look {
    fn add(&mut self, seen: Seen) {
        self.images += 1;
        self.grey += u64::from(seen.grey);
        *self.sides.entry((seen.width, seen.height)).or_default() += 1;
        *self.modes.entry(seen.mode).or_default() += 1;
    }

    /// Sides for the report.
    pub(crate) fn sizes(&self) -> Option<Sizes> {
        let widths = sorted(self.sides.iter().map(|((width, _), count)| (*width, *count)));
        let heights = sorted(self.sides.iter().map(|((_, height), count)| (*height, *count)));
        let at = |share| Some([nth(&widths, share)?, nth(&heights, share)?]);
        Some(Sizes {
            smallest: at(0.0)?,
            median: at(0.5)?,
            largest: at(1.0)?,
            different: self.sides.len() as u64,
        })
    }

    /// The median of the shorter sides.
    pub(crate) fn short_side(&self) -> u32 {
        let sides = self.sides.iter().map(|((width, height), count)| (*width.min(height), *count));
        nth(&sorted(sides), 0.5).unwrap_or(0)
    }

    /// Modes for the report, most frequent first.
    pub(crate) fn modes(&self) -> Vec<Mode> {
        let mut modes: Vec<Mode> = self
            .modes
            .iter()
            .map(|(name, images)| Mode { name: name.clone(), images: *images })
            .collect();
        modes.sort_by_key(|mode| std::cmp::Reverse(mode.images));
        modes
    }
}

fn sorted(sides: impl Iterator<Item = (u32, u64)>) -> Vec<(u32, u64)> {
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    sides.for_each(|(side, count)| *counts.entry(side).or_default() += count);
    counts.into_iter().collect()
}

/// The side below which such a share of all lies.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn nth(sides: &[(u32, u64)], share: f64) -> Option<u32> {
    let all: u64 = sides.iter().map(|(_, count)| count).sum();
    let mut below = 0;
    let found = sides.iter().find(|(_, count)| {
        below += count;
        below as f64 > share * all as f64
    });
    found.or(sides.last()).map(|(side, _)| *side)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_count_every_image() {
        let sides = [((10, 40), 1), ((20, 30), 3), ((100, 5), 1)].into_iter().collect();
        let look = Look { sides, ..Look::default() };
        let sizes = look.sizes().unwrap();
        assert_eq!(sizes.smallest, [10, 5]);
        assert_eq!(sizes.median, [20, 30]);
        assert_eq!(sizes.largest, [100, 40]);
        assert_eq!((sizes.different, look.short_side()), (3, 20));
        assert_eq!(Look::default().sizes(), None);
    }
}
