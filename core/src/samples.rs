//! Images of a data set beside what a search would make of them: the words between
//! `skein-worker samples` and the server.
//!
//! The worker gets a specification as JSON on standard input, of which it reads the section
//! `dataset` and the changes of images in `search`; it writes a PNG file and answers with one
//! [`Answer`].

use serde::{Deserialize, Serialize};

use crate::event::Failure;

/// Most images on a sheet, and most views of one.
pub const MOST_SAMPLES: usize = 64;
/// Most changed views of an image.
pub const MOST_VIEWS: u32 = 16;
/// Most pixels of a sheet.
pub const MOST_PIXELS: u64 = 16_000_000;
/// Most bytes of a specification.
pub const SPEC_BYTES: usize = 1 << 20;

/// What the worker says: one line of JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The file is written.
    Sheet(Sheet),
    /// It could not be.
    Failure(Failure),
}

/// Where what is on a sheet: a row for each image, which stands first, and its views after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sheet {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// Rows.
    pub samples: u32,
    /// Views in each row, the image itself not counted.
    pub views: u32,
    /// Width and height of one image or view on the sheet.
    pub cell: [u32; 2],
    /// Pixels between cells.
    pub gap: u32,
    /// Pixels between an image and the first of its views.
    pub apart: u32,
    /// By how much images were enlarged.
    pub scale: u32,
}

/// Longest side that small images are enlarged to at most.
const LARGE: u32 = 128;
const GAP: u32 = 4;
const APART: u32 = 12;

impl Sheet {
    /// The sheet for images of this width and height: small ones are enlarged by a whole factor.
    #[must_use]
    pub fn of([width, height]: [u32; 2], samples: u32, views: u32) -> Self {
        let scale = (LARGE / width.max(height).max(1)).max(1);
        let cell = [width, height].map(|side| side.saturating_mul(scale));
        let along = |cells: u32, side: u32| {
            cells.saturating_mul(side.saturating_add(GAP)).saturating_sub(GAP)
        };
        let wide = along(views + 1, cell[0]) + if views > 0 { APART - GAP } else { 0 };
        Self {
            width: wide,
            height: along(samples, cell[1]),
            samples,
            views,
            cell,
            gap: GAP,
            apart: APART,
            scale,
        }
    }

    /// Left upper corner of an image (view 0) or of one of its views.
    #[must_use]
    pub fn corner(&self, sample: u32, view: u32) -> [u32; 2] {
        let more = if view > 0 { self.apart - self.gap } else { 0 };
        [view * (self.cell[0] + self.gap) + more, sample * (self.cell[1] + self.gap)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_fill_the_sheet() {
        for (size, scale) in [([28, 28], 4), ([32, 48], 2), ([224, 224], 1), ([1, 1], 128)] {
            for (samples, views) in [(1, 0), (3, 5)] {
                let sheet = Sheet::of(size, samples, views);
                assert_eq!((sheet.scale, sheet.corner(0, 0)), (scale, [0, 0]));
                let last = sheet.corner(samples - 1, views);
                assert_eq!(last[0] + sheet.cell[0], sheet.width);
                assert_eq!(last[1] + sheet.cell[1], sheet.height);
            }
        }
    }
}
