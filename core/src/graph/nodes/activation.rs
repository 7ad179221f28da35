//! Nodes that keep the shape: activations, dropout.

use super::{Kind, Misfit};
use crate::graph::Shape;
use crate::graph::channels::Flow;

/// An elementwise function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x · min(max(x + 3, 0), 6) / 6`.
    Hswish,
    /// `x · Φ(x)` with the normal distribution's Φ.
    Gelu,
    /// The same with a hyperbolic tangent in place of the error function.
    GeluTanh,
}

impl Kind for Activation {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        Ok(inputs[0].clone())
    }

    fn flow(&self) -> Flow {
        Flow::Kept
    }
}

/// Zeroes parts of its input while training and scales the rest up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Probability of a zero.
    pub p: f64,
    /// What is zeroed together.
    pub unit: Unit,
    /// Whether the probability rises from 0 while a network is trained, to reach `p` at the end.
    pub rises: bool,
}

/// What a dropout zeroes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Each element by itself.
    Element,
    /// Whole channels of a map (`Dropout2d`).
    Channel,
    /// Whole examples: drop path (stochastic depth).
    Example,
}

impl Dropout {
    /// Dropout of single elements.
    #[must_use]
    pub fn elements(p: f64) -> Self {
        Self { p, unit: Unit::Element, rises: false }
    }

    /// Dropout of whole channels.
    #[must_use]
    pub fn channels(p: f64) -> Self {
        Self { p, unit: Unit::Channel, rises: false }
    }

    /// Drop path: a residual branch is left out for some examples.
    #[must_use]
    pub fn path(p: f64) -> Self {
        Self { p, unit: Unit::Example, rises: false }
    }

    /// Drop path whose probability rises to `p` while training.
    #[must_use]
    pub fn rising_path(p: f64) -> Self {
        Self { p, unit: Unit::Example, rises: true }
    }

    /// The same once what rises has come to this share of its end, `0..=1`.
    #[must_use]
    pub fn at(self, risen: f64) -> Self {
        Self { p: if self.rises { self.p * risen } else { self.p }, ..self }
    }
}

impl Kind for Dropout {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        Ok(inputs[0].clone())
    }

    fn fault(&self) -> Option<String> {
        (!(0.0..1.0).contains(&self.p)).then(|| format!("a probability of {} to drop", self.p))
    }

    fn flow(&self) -> Flow {
        Flow::Kept
    }
}
