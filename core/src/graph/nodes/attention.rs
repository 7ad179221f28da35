//! Attention: queries, keys and values, and what is done with them.

use super::{Kind, Misfit, count};
use crate::graph::channels::{At, Axis, Flow};
use crate::graph::{Dim, Param, Part, Role, Shape, Size};

/// Queries, keys and values of tokens: `[tokens, width]` to `[tokens, 3·inner]`, the queries
/// first, then the keys, then the values.
#[derive(Debug, Clone, PartialEq)]
pub struct Qkv {
    /// Width of a token.
    pub width: Size,
    /// Width of queries, of keys, and of values.
    pub inner: Size,
    /// Whether a bias is added.
    pub bias: bool,
    /// Whether the stored rows take turns (query, key, value, query, …) instead of lying in three
    /// blocks. Then a prefix of the rows holds whole triples.
    pub interleaved: bool,
}

impl Qkv {
    fn rows(&self) -> Dim {
        let size = self.inner.times(3).unwrap_or_else(|| Size::Fixed(3 * self.inner.largest()));
        Dim { size, part: if self.interleaved { Part::First } else { Part::Thirds } }
    }
}

impl Kind for Qkv {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        match inputs[0][..] {
            [tokens, width] if width == self.width.largest() => {
                Ok(vec![tokens, 3 * self.inner.largest()])
            }
            _ => Misfit::of(inputs[0], format!("tokens of {} expected", self.width.largest())),
        }
    }

    fn params(&self) -> Vec<Param> {
        let fan_in = self.width.largest();
        let dims = vec![self.rows(), Dim::first(&self.width)];
        let mut params = vec![Param::new("weight", dims, Role::Weight { fan_in })];
        if self.bias {
            let bias = Param::new("bias", vec![self.rows()], Role::Bias { fan_in });
            params.push(bias.weighed_by(self.width.choices()));
        }
        params
    }

    fn macs(&self, inputs: &[&Shape], _output: &Shape) -> u64 {
        count(inputs[0]) * 3 * self.inner.largest().unsigned_abs()
    }

    fn sizes(&self) -> Vec<&Size> {
        vec![&self.width, &self.inner]
    }

    fn sizes_mut(&mut self) -> Vec<&mut Size> {
        vec![&mut self.width, &mut self.inner]
    }

    fn fault(&self) -> Option<String> {
        matches!(self.inner, Size::Scaled(_)).then(|| "an inner width that is scaled".to_owned())
    }

    fn flow(&self) -> Flow {
        Flow::Ordered
    }

    fn axes(&self) -> Vec<At> {
        vec![("weight", 1, Axis::Read)]
    }
}

/// Attention among a class token and the patches of a grid, with learned relative positions for
/// keys and values (AutoFormer, arXiv:2107.00651): `[tokens, 3·heads·head_width]` to
/// `[tokens, heads·head_width]`.
#[derive(Debug, Clone, PartialEq)]
pub struct RelativeAttention {
    /// Number of heads.
    pub heads: Size,
    /// Width of a head.
    pub head_width: i64,
    /// Rows and columns of patches.
    pub grid: (i64, i64),
    /// Largest distance that is told apart.
    pub reach: i64,
}

impl Kind for RelativeAttention {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        let inner = self.heads.largest() * self.head_width;
        let tokens = 1 + self.grid.0 * self.grid.1;
        match inputs[0][..] == [tokens, 3 * inner] {
            true => Ok(vec![tokens, inner]),
            false => Misfit::of(inputs[0], format!("{tokens} tokens of {} expected", 3 * inner)),
        }
    }

    fn params(&self) -> Vec<Param> {
        let names = ["rel_k.vertical", "rel_k.horizontal", "rel_v.vertical", "rel_v.horizontal"];
        let sizes = [2 * self.reach + 2, self.head_width].map(Size::Fixed);
        let dims: Vec<Dim> = sizes.iter().map(Dim::first).collect();
        names.map(|name| Param::new(name, dims.clone(), Role::Table { std: 0.02 })).into()
    }

    fn macs(&self, inputs: &[&Shape], output: &Shape) -> u64 {
        2 * count(output) * inputs[0][0].unsigned_abs()
    }

    fn sizes(&self) -> Vec<&Size> {
        vec![&self.heads]
    }

    fn sizes_mut(&mut self) -> Vec<&mut Size> {
        vec![&mut self.heads]
    }
}

/// Attention of each token over itself and those before (nanoGPT): `[tokens, 3·width]` to
/// `[tokens, width]`. The heads share the width.
#[derive(Debug, Clone, PartialEq)]
pub struct CausalAttention {
    /// Number of heads.
    pub heads: Size,
    /// Width of a token; every number of heads divides it.
    pub width: Size,
    /// Probability with which a weight of attention is zeroed while training.
    pub dropout: f64,
}

impl Kind for CausalAttention {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        let width = self.width.largest();
        match inputs[0][..] {
            [tokens, read] if read == 3 * width => Ok(vec![tokens, width]),
            _ => Misfit::of(inputs[0], format!("tokens of {} expected", 3 * width)),
        }
    }

    fn macs(&self, inputs: &[&Shape], output: &Shape) -> u64 {
        2 * count(output) * inputs[0][0].unsigned_abs()
    }

    fn sizes(&self) -> Vec<&Size> {
        vec![&self.heads, &self.width]
    }

    fn sizes_mut(&mut self) -> Vec<&mut Size> {
        vec![&mut self.heads, &mut self.width]
    }

    fn fault(&self) -> Option<String> {
        let (heads, widths) = (self.heads.values(), self.width.values());
        let mut pairs = heads.iter().flat_map(|h| widths.iter().map(move |w| (h.1, w.1)));
        let bad = pairs.find(|(heads, width)| *heads < 1 || width % heads != 0);
        bad.map(|(heads, width)| format!("{heads} heads do not divide a width of {width}"))
    }
}
