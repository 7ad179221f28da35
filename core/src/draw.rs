//! Pictures as SVG: text stays text, colours follow the page's theme.

mod cell;

use crate::choice::Architecture;
use crate::graph::Graph;

/// What a drawing shows.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The space.
    pub graph: &'a Graph,
    /// The selected options; without them, the open space is drawn.
    pub architecture: Option<&'a Architecture>,
    /// Probabilities per choice; with them, lines are as heavy as the selected option is likely.
    pub rows: Option<&'a [Vec<f64>]>,
}

/// Draws a space, the state of its rows, or an architecture as a complete SVG document.
#[must_use]
pub fn svg(scene: &Scene<'_>) -> String {
    cell::draw(scene)
}

/// Escapes text for use within SVG.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
