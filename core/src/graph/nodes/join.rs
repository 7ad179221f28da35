//! Nodes that begin a graph or bring several values together.

use super::{Kind, Misfit};
use crate::choice::ChoiceId;
use crate::graph::Shape;
use crate::graph::channels::Flow;

/// The images, `[channels, height, width]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input(pub Shape);

impl Kind for Input {
    fn shape(&self, _inputs: &[&Shape]) -> Result<Shape, Misfit> {
        Ok(self.0.clone())
    }
}

/// Concatenation along channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concat;

impl Kind for Concat {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        let first = inputs[0];
        if let Some(other) = inputs.iter().find(|other| other[1..] != first[1..]) {
            return Misfit::of(other, format!("the first input is {first:?}"));
        }
        let mut shape = first.clone();
        shape[0] = inputs.iter().map(|input| input[0]).sum();
        Ok(shape)
    }
}

/// Sum of the inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Add;

impl Kind for Add {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        equal(inputs)
    }

    fn flow(&self) -> Flow {
        Flow::Kept
    }
}

/// Weighted sum of the inputs (superposed), or the selected one (in a discrete network).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    /// The choice that weighs the inputs.
    pub choice: ChoiceId,
    /// For every input the options it serves; more than one where the input's own elastic sizes
    /// tell them apart (an entangled group).
    pub branches: Vec<Vec<usize>>,
}

impl Mix {
    /// One input per option, in their order.
    #[must_use]
    pub fn each(choice: ChoiceId, options: usize) -> Self {
        Self { choice, branches: (0..options).map(|option| vec![option]).collect() }
    }

    /// Position of the input that serves `option`.
    #[must_use]
    pub fn branch_of(&self, option: usize) -> Option<usize> {
        self.branches.iter().position(|options| options.contains(&option))
    }
}

impl Kind for Mix {
    fn shape(&self, inputs: &[&Shape]) -> Result<Shape, Misfit> {
        equal(inputs)
    }

    fn flow(&self) -> Flow {
        Flow::Kept
    }
}

fn equal(inputs: &[&Shape]) -> Result<Shape, Misfit> {
    let first = inputs[0];
    match inputs.iter().find(|other| **other != first) {
        Some(other) => Misfit::of(other, format!("the first input is {first:?}")),
        None => Ok(first.clone()),
    }
}
