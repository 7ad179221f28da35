//! Nodes that shrink or move maps without weights.

use super::{Kind, Misfit};
use crate::graph::Shape;
use crate::graph::channels::Flow;

/// Square pooling; an average counts no padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Side of the window.
    pub kernel: i64,
    /// Stride in both directions.
    pub stride: i64,
    /// Padding on each side.
    pub padding: i64,
}

impl Pool {
    /// Windows side by side, without padding.
    #[must_use]
    pub fn window(side: i64) -> Self {
        Self { kernel: side, stride: side, padding: 0 }
    }

    /// A 3×3 window with padding 1, which keeps the map's size at stride 1.
    #[must_use]
    pub fn three(stride: i64) -> Self {
        Self { kernel: 3, stride, padding: 1 }
    }
}

impl Kind for Pool {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        let least = self.kernel - 2 * self.padding;
        match inputs[0][..] {
            [channels, height, width] if height >= least && width >= least => {
                let side = |side: i64| (side + 2 * self.padding - self.kernel) / self.stride + 1;
                Ok(vec![channels, side(height), side(width)])
            }
            _ => Misfit::of(inputs[0], format!("a map of at least {least}×{least} expected")),
        }
    }

    fn fault(&self) -> Option<String> {
        (self.kernel < 1 || self.stride < 1 || !(0..=self.kernel / 2).contains(&self.padding))
            .then(|| format!("a pooling of {self:?}"))
    }

    fn flow(&self) -> Flow {
        Flow::Kept
    }
}

/// The mean of each channel: `[channels, height, width]` to `[channels]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlobalAvgPool;

impl Kind for GlobalAvgPool {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        match inputs[0][..] {
            [channels, _, _] => Ok(vec![channels]),
            _ => Misfit::of(inputs[0], "a map expected"),
        }
    }

    fn flow(&self) -> Flow {
        Flow::Kept
    }
}

/// All dimensions into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flatten;

impl Kind for Flatten {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        Ok(vec![inputs[0].iter().product()])
    }
}

/// The map without its first row and column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift;

impl Kind for Shift {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        match inputs[0][..] {
            [channels, height, width] if height > 1 && width > 1 => {
                Ok(vec![channels, height - 1, width - 1])
            }
            _ => Misfit::of(inputs[0], "a map of at least 2×2 expected"),
        }
    }

    fn flow(&self) -> Flow {
        Flow::Kept
    }
}

/// Some channels of a map, side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Narrow {
    /// The first of them.
    pub first: i64,
    /// How many.
    pub channels: i64,
}

impl Kind for Narrow {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        let end = self.first + self.channels;
        match inputs[0][..] {
            [channels, height, width] if end <= channels => Ok(vec![self.channels, height, width]),
            _ => Misfit::of(inputs[0], format!("a map of at least {end} channels expected")),
        }
    }

    fn fault(&self) -> Option<String> {
        (self.first < 0 || self.channels < 1).then(|| format!("channels of {self:?}"))
    }
}

/// The channels of a map in another order: the first of each group, then the second of each, and so
/// on (ShuffleNet, arXiv:1707.01083).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shuffle {
    /// Groups of equal size.
    pub groups: i64,
}

impl Kind for Shuffle {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        match inputs[0][..] {
            [channels, _, _] if channels % self.groups.max(1) == 0 => Ok(inputs[0].clone()),
            _ => Misfit::of(inputs[0], format!("a map of {} equal groups expected", self.groups)),
        }
    }

    fn fault(&self) -> Option<String> {
        (self.groups < 1).then(|| format!("{} groups", self.groups))
    }
}

/// Zeros in the shape of the input, its sides divided by the stride and rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zero {
    /// Stride in both directions.
    pub stride: i64,
}

impl Kind for Zero {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        match inputs[0][..] {
            [channels, height, width] => {
                let side = |side: i64| (side - 1) / self.stride + 1;
                Ok(vec![channels, side(height), side(width)])
            }
            _ => Misfit::of(inputs[0], "a map expected"),
        }
    }

    fn flow(&self) -> Flow {
        Flow::Kept
    }
}

/// Resizes a map to a square (bicubic).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resize {
    /// The new side.
    pub side: i64,
}

impl Kind for Resize {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        match inputs[0][..] {
            [channels, _, _] => Ok(vec![channels, self.side, self.side]),
            _ => Misfit::of(inputs[0], "a map expected"),
        }
    }

    fn flow(&self) -> Flow {
        Flow::Kept
    }
}
