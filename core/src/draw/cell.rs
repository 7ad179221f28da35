//! Cells: nodes from left to right, curved edges, the operation written on each edge.

use std::fmt::Write as _;

use super::{STYLE, Scene, escape};
use crate::choice::Site;

/// Width of one cell's panel, in user units.
const PANEL: f64 = 480.0;
const HEIGHT: f64 = 230.0;
const RADIUS: f64 = 17.0;

struct Edge<'a> {
    from: usize,
    to: usize,
    options: &'a [String],
    selected: Option<usize>,
    row: Option<&'a [f64]>,
}

pub(super) fn draw(scene: &Scene<'_>) -> String {
    let cells = cells(scene);
    let width = PANEL * f64::from(u32::try_from(cells.len()).unwrap_or(1));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" width=\"{width}\" \
         height=\"{HEIGHT}\" role=\"img\"><title>{}</title><style>{STYLE}</style>",
        escape(&title(&cells))
    );
    let mut left = 0.0;
    for (name, edges) in &cells {
        draw_cell(&mut svg, left, name, edges);
        left += PANEL;
    }
    svg.push_str("</svg>\n");
    svg
}

/// Cells in the order of their first choice.
fn cells<'a>(scene: &Scene<'a>) -> Vec<(&'a str, Vec<Edge<'a>>)> {
    let mut cells: Vec<(&str, Vec<Edge<'_>>)> = Vec::new();
    for (id, choice) in scene.graph.choices.iter().enumerate() {
        let Site::Edge { cell, from, to } = &choice.site else { continue };
        let edge = Edge {
            from: *from,
            to: *to,
            options: &choice.options,
            selected: scene.architecture.and_then(|architecture| architecture.0.get(id).copied()),
            row: scene.rows.and_then(|rows| rows.get(id)).map(Vec::as_slice),
        };
        match cells.iter_mut().find(|(name, _)| name == cell) {
            Some((_, edges)) => edges.push(edge),
            None => cells.push((cell, vec![edge])),
        }
    }
    cells
}

/// The picture in words, for those who cannot see it.
fn title(cells: &[(&str, Vec<Edge<'_>>)]) -> String {
    let words = cells.iter().map(|(name, edges)| {
        let edges: Vec<String> = edges
            .iter()
            .map(|edge| format!("{} to {}: {}", edge.from, edge.to, label(edge)))
            .collect();
        format!("{name} cell: {}", edges.join(", "))
    });
    words.collect::<Vec<_>>().join("; ")
}

fn label(edge: &Edge<'_>) -> String {
    match edge.selected {
        Some(option) => edge.options.get(option).cloned().unwrap_or_default(),
        None => format!("{} options", edge.options.len()),
    }
}

fn draw_cell(svg: &mut String, left: f64, name: &str, edges: &[Edge<'_>]) {
    let last = edges.iter().map(|edge| edge.to).max().unwrap_or(0);
    let step = (PANEL - 130.0) / f64::from(u32::try_from(last + 1).unwrap_or(1));
    let x = |node: usize| left + 45.0 + step * f64::from(u32::try_from(node).unwrap_or(0));
    let y = HEIGHT / 2.0 + 12.0;
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"24\" font-weight=\"600\">{} cell</text>",
        left + 28.0,
        escape(name)
    );
    for edge in edges {
        draw_edge(svg, x(edge.from), x(edge.to), y, edge);
    }
    // The output takes every node but the first.
    let out = x(last) + step * 0.8;
    for node in 1..=last {
        let lift = if node == last { 0.0 } else { 60.0 };
        let (from, middle) = (x(node), f64::midpoint(x(node), out));
        let _ = write!(
            svg,
            "<path class=\"edge open\" stroke-dasharray=\"3 3\" d=\"M{from:.1},{y} Q{middle:.1},{:.1} {out:.1},{y}\"/>",
            y + lift
        );
    }
    for node in 0..=last {
        let _ = write!(
            svg,
            "<circle class=\"node\" cx=\"{:.1}\" cy=\"{y}\" r=\"{RADIUS}\"/><text x=\"{:.1}\" y=\"{}\" \
             text-anchor=\"middle\">{node}</text>",
            x(node),
            x(node),
            y + 4.5
        );
    }
    let _ = write!(
        svg,
        "<rect class=\"node\" x=\"{:.1}\" y=\"{}\" width=\"40\" height=\"30\" rx=\"6\"/>\
         <text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">out</text>",
        out - 6.0,
        y - 15.0,
        out + 14.0,
        y + 4.5
    );
}

fn draw_edge(svg: &mut String, from: f64, to: f64, y: f64, edge: &Edge<'_>) {
    let span = f64::from(u32::try_from(edge.to - edge.from).unwrap_or(1));
    let lift = if edge.to - edge.from == 1 { 0.0 } else { -62.0 * span };
    let middle = f64::midpoint(from, to);
    let probability =
        edge.selected.zip(edge.row).and_then(|(option, row)| row.get(option)).copied();
    let weight = 1.6 + 5.0 * probability.unwrap_or(0.2).clamp(0.0, 1.0);
    let class = if edge.selected.is_some() { "edge" } else { "edge open" };
    let _ = write!(
        svg,
        "<path class=\"{class}\" stroke-width=\"{weight:.2}\" d=\"M{from:.1},{y} Q{middle:.1},{:.1} {to:.1},{y}\"/>",
        y + lift
    );
    let at = y + lift / 2.0 - 8.0;
    let _ = write!(
        svg,
        "<text class=\"halo\" x=\"{middle:.1}\" y=\"{at:.1}\" text-anchor=\"middle\">{}</text>",
        escape(&label(edge))
    );
    if let Some(probability) = probability {
        let _ = write!(
            svg,
            "<text class=\"dim halo\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{probability:.2}</text>",
            at + 26.0
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Architecture;
    use crate::spaces::{build, toy_cell::PRESET};
    use crate::spec::Sharing;

    #[test]
    fn a_drawing_says_what_was_chosen() {
        let graph = build(&(PRESET.defaults)(), PRESET.shape, Sharing::Entangled).unwrap();
        let architecture = Architecture(vec![0, 1, 2, 3, 0, 1]);
        let rows = vec![vec![0.7, 0.1, 0.1, 0.1]; 6];
        let scene = Scene { graph: &graph, architecture: Some(&architecture), rows: Some(&rows) };
        let svg = draw(&scene);
        let title = "<title>normal cell: 0 to 1: sep3, 0 to 2: sep5, 1 to 2: dil3; \
                     reduce cell: 0 to 1: dil5, 0 to 2: sep3, 1 to 2: sep5</title>";
        assert!(svg.contains(title), "{svg}");
        assert_eq!(svg.matches("class=\"edge\"").count(), 6);
        assert!(svg.contains(">0.70<"));
        let open = draw(&Scene { graph: &graph, architecture: None, rows: None });
        assert!(open.contains("0 to 1: 4 options"));
    }
}
