//! Batch norm.

use super::{Kind, Misfit};
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
}
