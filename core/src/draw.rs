//! Pictures as SVG: text stays text, colours follow the page's theme.

mod cell;
mod layers;

use crate::choice::{Architecture, Site};
use crate::graph::Graph;

/// Colours for both themes; a page may override the variables.
const STYLE: &str = "svg{color-scheme:light dark;font:13px system-ui,sans-serif;\
--ink:light-dark(#1a1d21,#e6e8eb);--dim:light-dark(#5b6470,#9aa4b0);--rule:light-dark(#c9ced6,#3b424c);\
--mark:light-dark(#0b62c4,#6cb2ff);--paper:light-dark(#ffffff,#16191d)}\
text{fill:var(--ink)}.dim{fill:var(--dim);font-size:12px}.edge{fill:none;stroke:var(--mark)}\
.likely{fill:var(--mark);opacity:.22}.open{stroke:var(--rule)}.node{fill:var(--paper);stroke:var(--ink);stroke-width:1.2}\
.halo{paint-order:stroke;stroke:var(--paper);stroke-width:5px;stroke-linejoin:round}";

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
    let layered = scene.graph.choices.iter().any(|at| matches!(at.site, Site::Layer { .. }));
    if layered { layers::draw(scene) } else { cell::draw(scene) }
}

/// Escapes text for use within SVG.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
