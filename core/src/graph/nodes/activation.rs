//! Nodes that keep the shape: activations, dropout.

use super::{Kind, Misfit};
use crate::graph::Shape;

/// An elementwise function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
}

impl Kind for Activation {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        Ok(inputs[0].clone())
    }
}

/// Zeroes parts of its input while training and scales the rest up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Probability of a zero.
    pub p: f64,
    /// Whole channels of a map at a time, instead of single elements.
    pub channels: bool,
}

impl Dropout {
    /// Dropout of single elements.
    #[must_use]
    pub fn elements(p: f64) -> Self {
        Self { p, channels: false }
    }

    /// Dropout of whole channels (`Dropout2d`).
    #[must_use]
    pub fn channels(p: f64) -> Self {
        Self { p, channels: true }
    }
}

impl Kind for Dropout {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        Ok(inputs[0].clone())
    }

    fn fault(&self) -> Option<String> {
        (!(0.0..1.0).contains(&self.p)).then(|| format!("a probability of {} to drop", self.p))
    }
}
