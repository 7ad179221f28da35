//! Tokens: where they come from and where they end.

use super::{Kind, Misfit, count};
use crate::graph::channels::{At, Axis, Flow};
use crate::graph::{Dim, Param, Role, Shape, Size};

/// Standard deviation of tables at the start.
const TABLE: Role = Role::Table { std: 0.02 };

/// Cuts an image into square patches, maps each to a token, puts a class token first and adds a
/// learned position: `[channels, height, width]` to `[1 + patches, width]`.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchEmbed {
    /// Channels of the image.
    pub channels: i64,
    /// Rows and columns of patches.
    pub grid: (i64, i64),
    /// Side of a patch in pixels.
    pub patch: i64,
    /// Width of a token.
    pub width: Size,
}

impl PatchEmbed {
    /// Tokens, the class token among them.
    #[must_use]
    pub fn tokens(&self) -> i64 {
        1 + self.grid.0 * self.grid.1
    }
}

impl Kind for PatchEmbed {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        let expected = [self.channels, self.grid.0 * self.patch, self.grid.1 * self.patch];
        match inputs[0][..] == expected {
            true => Ok(vec![self.tokens(), self.width.largest()]),
            false => Misfit::of(inputs[0], format!("an image of shape {expected:?} expected")),
        }
    }

    fn params(&self) -> Vec<Param> {
        let (width, one) = (Dim::first(&self.width), Dim::first(&Size::Fixed(1)));
        let fixed = |size: i64| Dim::first(&Size::Fixed(size));
        let fan_in = self.channels * self.patch * self.patch;
        let patch = fixed(self.patch);
        let kernel = vec![width.clone(), fixed(self.channels), patch.clone(), patch];
        let positions = vec![one.clone(), fixed(self.tokens()), width.clone()];
        vec![
            Param::new("proj.weight", kernel, Role::Weight { fan_in }),
            Param::new("proj.bias", vec![width.clone()], Role::Bias { fan_in }),
            Param::new("cls_token", vec![one.clone(), one, width], TABLE),
            Param::new("pos_embed", positions, TABLE),
        ]
    }

    fn macs(&self, inputs: &[&Shape], _output: &Shape) -> u64 {
        count(inputs[0]) * self.width.largest().unsigned_abs()
    }

    fn sizes(&self) -> Vec<&Size> {
        vec![&self.width]
    }

    fn sizes_mut(&mut self) -> Vec<&mut Size> {
        vec![&mut self.width]
    }

    fn flow(&self) -> Flow {
        Flow::Made
    }

    fn axes(&self) -> Vec<At> {
        [("proj.weight", 0), ("proj.bias", 0), ("cls_token", 2), ("pos_embed", 2)]
            .map(|(name, dim)| (name, dim, Axis::Written))
            .into()
    }
}

/// Token ids to vectors: `[tokens]` to `[tokens, width]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// Number of different tokens.
    pub vocabulary: i64,
    /// Width of a token.
    pub width: Size,
}

impl Kind for Embedding {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        match inputs[0][..] {
            [tokens] => Ok(vec![tokens, self.width.largest()]),
            _ => Misfit::of(inputs[0], "token ids expected"),
        }
    }

    fn params(&self) -> Vec<Param> {
        let dims = vec![Dim::first(&Size::Fixed(self.vocabulary)), Dim::first(&self.width)];
        vec![Param::new("weight", dims, TABLE)]
    }

    fn sizes(&self) -> Vec<&Size> {
        vec![&self.width]
    }

    fn sizes_mut(&mut self) -> Vec<&mut Size> {
        vec![&mut self.width]
    }

    fn flow(&self) -> Flow {
        Flow::Made
    }

    fn axes(&self) -> Vec<At> {
        vec![("weight", 1, Axis::Written)]
    }
}

/// Adds a learned vector per position.
#[derive(Debug, Clone, PartialEq)]
pub struct Positions {
    /// Most tokens.
    pub tokens: i64,
    /// Width of a token.
    pub width: Size,
}

impl Kind for Positions {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        match inputs[0][..] {
            [tokens, width] if tokens <= self.tokens && width == self.width.largest() => {
                Ok(inputs[0].clone())
            }
            _ => Misfit::of(inputs[0], format!("at most {} tokens expected", self.tokens)),
        }
    }

    fn params(&self) -> Vec<Param> {
        let dims = vec![Dim::first(&Size::Fixed(self.tokens)), Dim::first(&self.width)];
        vec![Param::new("weight", dims, TABLE)]
    }

    fn sizes(&self) -> Vec<&Size> {
        vec![&self.width]
    }

    fn sizes_mut(&mut self) -> Vec<&mut Size> {
        vec![&mut self.width]
    }

    fn flow(&self) -> Flow {
        Flow::Kept
    }

    fn axes(&self) -> Vec<At> {
        vec![("weight", 1, Axis::Written)]
    }
}

/// The mean over all tokens but the class token.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenMean {
    /// Width of a token.
    pub width: Size,
}

impl Kind for TokenMean {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        match inputs[0][..] {
            [tokens, width] if tokens > 1 => Ok(vec![width]),
            _ => Misfit::of(inputs[0], "at least two tokens expected"),
        }
    }

    fn sizes(&self) -> Vec<&Size> {
        vec![&self.width]
    }

    fn sizes_mut(&mut self) -> Vec<&mut Size> {
        vec![&mut self.width]
    }

    fn flow(&self) -> Flow {
        Flow::Kept
    }
}

/// Scores for every token of the vocabulary with the embedding's own table, no bias. The second
/// input is the embedding; its table is shared, its value is not read.
#[derive(Debug, Clone, PartialEq)]
pub struct TiedLinear {
    /// Number of different tokens.
    pub vocabulary: i64,
    /// Width of a token.
    pub width: Size,
}

impl Kind for TiedLinear {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        match inputs[0][..] {
            [tokens, width] if width == self.width.largest() && inputs.len() == 2 => {
                Ok(vec![tokens, self.vocabulary])
            }
            _ => Misfit::of(inputs[0], format!("tokens of {} expected", self.width.largest())),
        }
    }

    fn macs(&self, inputs: &[&Shape], _output: &Shape) -> u64 {
        count(inputs[0]) * self.vocabulary.unsigned_abs()
    }

    fn sizes(&self) -> Vec<&Size> {
        vec![&self.width]
    }

    fn sizes_mut(&mut self) -> Vec<&mut Size> {
        vec![&mut self.width]
    }

    fn flow(&self) -> Flow {
        Flow::Tied
    }
}
