//! Cells: nodes from left to right, curved edges, the operation written on each edge.

use std::fmt::Write as _;

use super::{STYLE, Scene, escape};
use crate::choice::Site;
use crate::graph::Op;

/// Room between two nodes of a small cell, and of one with many nodes, in user units.
const STEPS: (f64, f64) = (116.0, 104.0);
const RADIUS: f64 = 17.0;
/// How far an arc rises for each node that it passes.
const RISE: f64 = 62.0;

struct Edge<'a> {
    from: usize,
    to: usize,
    options: &'a [String],
    selected: Option<usize>,
    row: Option<&'a [f64]>,
}

pub(super) fn draw(scene: &Scene<'_>) -> String {
    let cells = cells(scene);
    let layout = Layout::of(scene, &cells);
    let count = float(cells.len());
    // Cells of many nodes stand below each other.
    let (width, height) = match layout.wide {
        true => (layout.width, layout.height * count),
        false => (layout.width * count, layout.height),
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" data-panels=\"{}\"><title>{}</title><style>{STYLE}</style>",
        if layout.wide { 1 } else { cells.len() },
        escape(&title(&cells))
    );
    for (at, (name, edges)) in cells.iter().enumerate() {
        let (left, top) = match layout.wide {
            true => (0.0, layout.height * float(at)),
            false => (layout.width * float(at), 0.0),
        };
        draw_cell(&mut svg, &layout, (left, top), (name, edges));
    }
    svg.push_str("</svg>\n");
    svg
}

/// Where things stand within a cell.
struct Layout {
    /// Nodes that no edge enters.
    inputs: usize,
    last: usize,
    /// Whether the output takes all nodes but the inputs, or the last one alone.
    concatenates: bool,
    wide: bool,
    step: f64,
    width: f64,
    height: f64,
    /// Height of the nodes' centres.
    line: f64,
}

impl Layout {
    fn of(scene: &Scene<'_>, cells: &[(&str, Vec<Edge<'_>>)]) -> Self {
        let edges = || cells.iter().flat_map(|(_, edges)| edges);
        let last = edges().map(|edge| edge.to).max().unwrap_or(0);
        let inputs = edges().map(|edge| edge.to).min().unwrap_or(0);
        let span = edges().map(|edge| edge.to - edge.from).max().unwrap_or(1);
        let ends = |op: &Op| matches!(op, Op::Concat(_));
        let concatenates =
            scene.graph.nodes.iter().any(|node| node.name.ends_with(".out") && ends(&node.op));
        let wide = last > 3;
        let step = if wide { STEPS.1 } else { STEPS.0 };
        let line = 62.0 + RISE / 2.0 * float(span.max(2));
        let below = if concatenates { 66.0 } else { 40.0 };
        let (width, height) = (150.0 + step * float(last + 1), line + below);
        Self { inputs, last, concatenates, wide, step, width, height, line }
    }
}

fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
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

fn draw_cell(
    svg: &mut String,
    layout: &Layout,
    (left, top): (f64, f64),
    (name, edges): (&str, &[Edge<'_>]),
) {
    let x = |node: usize| left + 45.0 + layout.step * float(node);
    let y = top + layout.line;
    let head = if name == "cell" { "cell".to_owned() } else { format!("{name} cell") };
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"{}\" font-weight=\"600\">{}</text>",
        left + 28.0,
        top + 24.0,
        escape(&head)
    );
    let shown = || edges.iter().filter(|edge| edge.selected.is_none() || label(edge) != "none");
    for edge in shown() {
        draw_edge(svg, x(edge.from), x(edge.to), y, edge);
    }
    // Words go on top, so that no arc crosses them.
    for edge in shown() {
        draw_label(svg, x(edge.from), x(edge.to), y, edge);
    }
    let out = x(layout.last) + layout.step * 0.8;
    let first = if layout.concatenates { layout.inputs } else { layout.last };
    for node in first..=layout.last {
        let lift = if node == layout.last { 0.0 } else { 60.0 };
        let (from, middle) = (x(node), f64::midpoint(x(node), out));
        let _ = write!(
            svg,
            "<path class=\"edge open\" stroke-dasharray=\"3 3\" d=\"M{from:.1},{y} Q{middle:.1},{:.1} {out:.1},{y}\"/>",
            y + lift
        );
    }
    for node in 0..=layout.last {
        let label = match node {
            node if layout.inputs < 2 => node.to_string(),
            node if node < layout.inputs => format!("in{node}"),
            node => (node - layout.inputs).to_string(),
        };
        let _ = write!(
            svg,
            "<circle class=\"node\" cx=\"{:.1}\" cy=\"{y}\" r=\"{RADIUS}\"/><text x=\"{:.1}\" y=\"{}\" \
             text-anchor=\"middle\">{label}</text>",
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

/// How far an edge's arc rises or, for neighbours, does not.
fn lift(edge: &Edge<'_>) -> f64 {
    let span = edge.to - edge.from;
    if span == 1 { 0.0 } else { -RISE * float(span) }
}

fn probability(edge: &Edge<'_>) -> Option<f64> {
    edge.selected.zip(edge.row).and_then(|(option, row)| row.get(option)).copied()
}

fn draw_edge(svg: &mut String, from: f64, to: f64, y: f64, edge: &Edge<'_>) {
    let middle = f64::midpoint(from, to);
    let weight = 1.6 + 5.0 * probability(edge).unwrap_or(0.2).clamp(0.0, 1.0);
    let class = if edge.selected.is_some() { "edge" } else { "edge open" };
    let _ = write!(
        svg,
        "<path class=\"{class}\" stroke-width=\"{weight:.2}\" d=\"M{from:.1},{y} Q{middle:.1},{:.1} {to:.1},{y}\"/>",
        y + lift(edge)
    );
}

fn draw_label(svg: &mut String, from: f64, to: f64, y: f64, edge: &Edge<'_>) {
    let middle = f64::midpoint(from, to);
    let at = y + lift(edge) / 2.0 - 8.0;
    let _ = write!(
        svg,
        "<text class=\"halo\" x=\"{middle:.1}\" y=\"{at:.1}\" text-anchor=\"middle\">{}</text>",
        escape(&label(edge))
    );
    if let Some(probability) = probability(edge) {
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
        // Every arc and label lies within the picture.
        let drawn = |svg: &str, key: &str| -> Vec<f64> {
            svg.split(key).skip(1).filter_map(|rest| rest.split('"').next()?.parse().ok()).collect()
        };
        for preset in
            [&PRESET, &crate::spaces::darts::PRESET, &crate::spaces::nas_bench_201::PRESET]
        {
            let graph = build(&(preset.defaults)(), preset.shape, Sharing::Entangled).unwrap();
            let svg = draw(&Scene { graph: &graph, architecture: None, rows: None });
            let (width, height) = (drawn(&svg, " width=\"")[0], drawn(&svg, " height=\"")[0]);
            assert!(drawn(&svg, " y=\"").iter().all(|y| (8.0..height).contains(y)), "{svg}");
            assert!(drawn(&svg, " x=\"").iter().all(|x| (8.0..width).contains(x)), "{svg}");
        }
        let open = draw(&Scene { graph: &graph, architecture: None, rows: None });
        assert!(open.contains("0 to 1: 4 options"));
    }
}
