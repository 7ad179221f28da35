//! Batch norm and layer norm.

use super::{Kind, Misfit};
use crate::graph::channels::{At, Axis, Flow};
use crate::graph::{Dim, Param, Role, Shape, Size};

/// Batch norm over channels with running statistics.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNorm {
    /// Channels.
    pub channels: Size,
    /// Whether a learned scale and shift follow.
    pub affine: bool,
}

impl BatchNorm {
    /// Without scale and shift.
    #[must_use]
    pub fn plain(channels: impl Into<Size>) -> Self {
        Self { channels: channels.into(), affine: false }
    }

    /// With a learned scale and shift.
    #[must_use]
    pub fn affine(channels: impl Into<Size>) -> Self {
        Self { channels: channels.into(), affine: true }
    }
}

impl Kind for BatchNorm {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        let channels = self.channels.largest();
        match inputs[0].first() == Some(&channels) {
            true => Ok(inputs[0].clone()),
            false => Misfit::of(inputs[0], format!("{channels} channels expected")),
        }
    }

    fn params(&self) -> Vec<Param> {
        let param = |name, role| Param::new(name, vec![Dim::first(&self.channels)], role);
        let mut params = Vec::new();
        if self.affine {
            params.extend([param("weight", Role::Scale), param("bias", Role::Shift)]);
        }
        params.push(param("running_mean", Role::RunningMean));
        params.push(param("running_var", Role::RunningVar));
        params
    }

    fn sizes(&self) -> Vec<&Size> {
        vec![&self.channels]
    }

    fn sizes_mut(&mut self) -> Vec<&mut Size> {
        vec![&mut self.channels]
    }

    fn flow(&self) -> Flow {
        Flow::Kept
    }

    fn axes(&self) -> Vec<At> {
        ["weight", "bias", "running_mean", "running_var"]
            .map(|name| (name, 0, Axis::Written))
            .into()
    }
}

/// Layer norm over the last dimension, with a learned scale.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNorm {
    /// Features.
    pub features: Size,
    /// Whether a learned shift is added.
    pub bias: bool,
}

impl Kind for LayerNorm {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        let features = self.features.largest();
        match inputs[0].last() == Some(&features) {
            true => Ok(inputs[0].clone()),
            false => Misfit::of(inputs[0], format!("{features} features expected")),
        }
    }

    fn params(&self) -> Vec<Param> {
        let param = |name, role| Param::new(name, vec![Dim::first(&self.features)], role);
        let mut params = vec![param("weight", Role::Scale)];
        if self.bias {
            params.push(param("bias", Role::Shift));
        }
        params
    }

    fn sizes(&self) -> Vec<&Size> {
        vec![&self.features]
    }

    fn sizes_mut(&mut self) -> Vec<&mut Size> {
        vec![&mut self.features]
    }

    fn flow(&self) -> Flow {
        Flow::Kept
    }

    fn axes(&self) -> Vec<At> {
        ["weight", "bias"].map(|name| (name, 0, Axis::Written)).into()
    }
}
