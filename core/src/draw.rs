//! Pictures as SVG: text stays text, colours follow the page's theme.

mod cell;
mod layers;
mod sheet;

use crate::choice::{Architecture, ChoiceId, Site};
use crate::graph::Graph;
use sheet::Sheet;

/// What a drawing shows.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The space.
    pub graph: &'a Graph,
    /// The selected options; without them, the open space is drawn.
    pub architecture: Option<&'a Architecture>,
    /// Probabilities per choice; with them, lines are as heavy as the selected option is likely.
    pub rows: Option<&'a [Vec<f64>]>,
    /// Another architecture; what differs from it is marked.
    pub against: Option<Against<'a>>,
}

/// An architecture to compare with.
#[derive(Debug, Clone, Copy)]
pub enum Against<'a> {
    /// What was before: marks say what it was, and what was removed is drawn dashed.
    Before(&'a Architecture),
    /// What comes later: marks say what it becomes.
    After(&'a Architecture),
}

impl<'a> Scene<'a> {
    /// The space with every decision open.
    #[must_use]
    pub fn of(graph: &'a Graph) -> Self {
        Self { graph, architecture: None, rows: None, against: None }
    }

    /// The architecture that it is compared with.
    fn other(&self) -> Option<&'a Architecture> {
        match self.against? {
            Against::Before(other) | Against::After(other) => Some(other),
        }
    }

    /// The choices that differ from the other architecture, with its options.
    fn changes(&self) -> Vec<(ChoiceId, &'a str)> {
        let Some((here, other)) = self.architecture.zip(self.other()) else { return Vec::new() };
        let named = |id: ChoiceId| (id, self.graph.choices[id].options[other.0[id]].as_str());
        self.graph.differences(here, other).into_iter().map(named).collect()
    }

    /// What a mark says of an option that the other architecture has instead.
    fn note(&self, other: &str) -> String {
        match self.against {
            Some(Against::After(_)) => format!("→ {other}"),
            _ => format!("was {other}"),
        }
    }
}

/// A drawing part by part, for a page that arranges and colours the parts itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panels {
    /// `cells`, `cells wide` (of many nodes) or `layers`.
    pub kind: &'static str,
    /// One SVG element a part, without styles.
    pub parts: Vec<String>,
}

/// Draws a space, the state of its rows, or an architecture as a complete SVG document.
///
/// The architectures must belong to the space (see [`Architecture::check`]).
#[must_use]
pub fn svg(scene: &Scene<'_>) -> String {
    sheet(scene).document()
}

/// The same drawing, each cell or layer by itself.
#[must_use]
pub fn panels(scene: &Scene<'_>) -> Panels {
    sheet(scene).panels()
}

fn sheet(scene: &Scene<'_>) -> Sheet {
    let layered = scene.graph.choices.iter().any(|at| matches!(at.site, Site::Layer { .. }));
    if layered { layers::draw(scene) } else { cell::draw(scene) }
}

fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Escapes text for use within SVG.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
