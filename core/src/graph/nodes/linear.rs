//! Fully connected layers.

use super::{Kind, Misfit, count};
use crate::graph::channels::{At, Axis, Flow};
use crate::graph::{Dim, Param, Role, Shape, Size};

/// A fully connected layer over the last dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// Features read.
    pub in_features: Size,
    /// Features written.
    pub out_features: Size,
    /// Whether a bias is added.
    pub bias: bool,
}

impl Linear {
    /// With a bias.
    #[must_use]
    pub fn new(in_features: impl Into<Size>, out_features: impl Into<Size>) -> Self {
        Self { in_features: in_features.into(), out_features: out_features.into(), bias: true }
    }
}

impl Kind for Linear {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        let features = self.in_features.largest();
        let mut shape = inputs[0].clone();
        match shape.last_mut() {
            Some(last) if *last == features => *last = self.out_features.largest(),
            _ => return Misfit::of(inputs[0], format!("{features} features expected")),
        }
        Ok(shape)
    }

    fn params(&self) -> Vec<Param> {
        let (read, written) = (Dim::first(&self.in_features), Dim::first(&self.out_features));
        let fan_in = self.in_features.largest();
        let mut params =
            vec![Param::new("weight", vec![written.clone(), read], Role::Weight { fan_in })];
        if self.bias {
            let bias = Param::new("bias", vec![written], Role::Bias { fan_in });
            params.push(match self.out_features {
                Size::Fixed(_) => bias,
                // An entangled candidate brings its bias along, whatever made it a candidate.
                _ => bias.weighed_by(self.in_features.choices()),
            });
        }
        params
    }

    fn macs(&self, inputs: &[&Shape], _output: &Shape) -> u64 {
        count(inputs[0]) * self.out_features.largest().unsigned_abs()
    }

    fn sizes(&self) -> Vec<&Size> {
        vec![&self.in_features, &self.out_features]
    }

    fn sizes_mut(&mut self) -> Vec<&mut Size> {
        vec![&mut self.in_features, &mut self.out_features]
    }

    fn flow(&self) -> Flow {
        Flow::Made
    }

    fn axes(&self) -> Vec<At> {
        vec![("weight", 0, Axis::Written), ("weight", 1, Axis::Read), ("bias", 0, Axis::Written)]
    }
}
