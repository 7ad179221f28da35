//! Cells: nodes from left to right, curved edges, the operation written on each edge.

use std::fmt::Write as _;

use super::sheet::{Panel, Sheet};
use super::{Against, Scene, escape, float};
use crate::choice::Site;
use crate::graph::Op;

/// Room between two nodes of a small cell, and of one with many nodes, in user units.
const STEPS: (f64, f64) = (116.0, 104.0);
const RADIUS: f64 = 17.0;
/// How far the middle of an arc rises for each node that it passes: with a line of words above it,
/// and with another below it.
const RISES: (f64, f64) = (31.0, 45.0);
/// The option that stands for no operation.
const NONE: &str = "none";

struct Edge<'a> {
    from: usize,
    to: usize,
    options: &'a [String],
    selected: Option<usize>,
    row: Option<&'a [f64]>,
    /// What the other architecture has instead, and what the mark says.
    change: Option<(&'a str, String)>,
}

/// A cell's name and its edges.
type Cell<'a> = (&'a str, Vec<Edge<'a>>);

pub(super) fn draw(scene: &Scene<'_>) -> Sheet {
    let cells = cells(scene);
    let layout = Layout::of(scene, &cells);
    let tallest = cells.iter().map(|(_, edges)| layout.line(edges)).fold(0.0, f64::max);
    let panel = |(name, edges): &Cell<'_>| {
        // Cells side by side have their nodes at one height.
        let line = if layout.wide { layout.line(edges) } else { tallest };
        Panel {
            width: layout.width,
            height: line + layout.below,
            title: title(name, edges),
            body: draw_cell(&layout, line, name, edges),
        }
    };
    let panels = cells.iter().map(panel).collect();
    // Cells of many nodes stand below each other.
    let columns = if layout.wide { 1 } else { cells.len() };
    let kind = if layout.wide { "cells wide" } else { "cells" };
    Sheet { kind, panels, columns, gap: 16.0, margin: 0.0 }
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
    rise: f64,
    width: f64,
    /// Room below the nodes' centres.
    below: f64,
}

impl Layout {
    fn of(scene: &Scene<'_>, cells: &[Cell<'_>]) -> Self {
        let edges = || cells.iter().flat_map(|(_, edges)| edges);
        let last = edges().map(|edge| edge.to).max().unwrap_or(0);
        let inputs = edges().map(|edge| edge.to).min().unwrap_or(0);
        let ends = |op: &Op| matches!(op, Op::Concat(_));
        let concatenates =
            scene.graph.nodes.iter().any(|node| node.name.ends_with(".out") && ends(&node.op));
        let wide = last > 3;
        let step = if wide { STEPS.1 } else { STEPS.0 };
        let two_lines = edges().any(|edge| edge.change.is_some() || probability(edge).is_some());
        let rise = if two_lines { RISES.1 } else { RISES.0 };
        let width = (100.0 + step * (float(last) + 0.8)).ceil();
        let below = if concatenates { 50.0 } else { 34.0 };
        Self { inputs, last, concatenates, wide, step, rise, width, below }
    }

    /// Height of the nodes' centres, below the highest arc.
    fn line(&self, edges: &[Edge<'_>]) -> f64 {
        let span = edges.iter().filter(|edge| is_shown(edge)).map(|edge| edge.to - edge.from).max();
        62.0 + self.rise * float(span.unwrap_or(0).max(2))
    }

    fn x(&self, node: usize) -> f64 {
        45.0 + self.step * float(node)
    }

    /// How far the middle of an edge's arc rises or, for neighbours, does not.
    fn lift(&self, edge: &Edge<'_>) -> f64 {
        let span = edge.to - edge.from;
        if span == 1 { 0.0 } else { self.rise * float(span) }
    }
}

/// Cells in the order of their first choice.
fn cells<'a>(scene: &Scene<'a>) -> Vec<Cell<'a>> {
    let changes = scene.changes();
    let mut cells: Vec<Cell<'_>> = Vec::new();
    for (id, choice) in scene.graph.choices.iter().enumerate() {
        let Site::Edge { cell, from, to } = &choice.site else { continue };
        let selected = scene.architecture.and_then(|here| here.0.get(id).copied());
        let is_none =
            selected.and_then(|option| choice.options.get(option)).is_some_and(|it| it == NONE);
        let change = changes.iter().find(|(changed, _)| *changed == id).map(|(_, other)| {
            let before = matches!(scene.against, Some(Against::Before(_)));
            let words = match (before, is_none) {
                (true, true) => "removed".to_owned(),
                (true, false) if *other == NONE => "added".to_owned(),
                _ => scene.note(other),
            };
            (*other, words)
        });
        let edge = Edge {
            from: *from,
            to: *to,
            options: &choice.options,
            selected,
            row: scene.rows.and_then(|rows| rows.get(id)).map(Vec::as_slice),
            // An edge that comes later is no part of this picture.
            change: change.filter(|(_, words)| !is_none || words == "removed"),
        };
        match cells.iter_mut().find(|(name, _)| name == cell) {
            Some((_, edges)) => edges.push(edge),
            None => cells.push((cell, vec![edge])),
        }
    }
    cells
}

/// The picture in words, for those who cannot see it.
fn title(name: &str, edges: &[Edge<'_>]) -> String {
    let said = |edge: &Edge<'_>| {
        let note = edge.change.as_ref().map(|(_, words)| format!(" ({words})"));
        format!("{} to {}: {}{}", edge.from, edge.to, label(edge), note.unwrap_or_default())
    };
    format!("{name} cell: {}", edges.iter().map(said).collect::<Vec<_>>().join(", "))
}

fn label(edge: &Edge<'_>) -> String {
    match edge.selected {
        Some(option) => edge.options.get(option).cloned().unwrap_or_default(),
        None => format!("{} options", edge.options.len()),
    }
}

/// Whether an edge has an operation.
fn is_kept(edge: &Edge<'_>) -> bool {
    edge.selected.is_none() || label(edge) != NONE
}

/// Whether an edge is drawn: it is kept, or was before.
fn is_shown(edge: &Edge<'_>) -> bool {
    is_kept(edge) || edge.change.is_some()
}

fn draw_cell(layout: &Layout, y: f64, name: &str, edges: &[Edge<'_>]) -> String {
    let head = if name == "cell" { "cell".to_owned() } else { format!("{name} cell") };
    let mut body = format!("<text x=\"28\" y=\"24\" font-weight=\"600\">{}</text>", escape(&head));
    let out = layout.x(layout.last) + layout.step * 0.8;
    let first = if layout.concatenates { layout.inputs } else { layout.last };
    for node in first..=layout.last {
        let lift = if node == layout.last { 0.0 } else { 60.0 };
        let (from, middle) = (layout.x(node), f64::midpoint(layout.x(node), out));
        let _ = write!(
            body,
            "<path class=\"edge open\" stroke-dasharray=\"3 3\" d=\"M{from:.1},{y} Q{middle:.1},{:.1} {out:.1},{y}\"/>",
            y + lift
        );
    }
    // What changed lies above what did not, and words on top, so that no arc crosses them.
    for changed in [false, true] {
        let these = |edge: &&Edge<'_>| is_shown(edge) && edge.change.is_some() == changed;
        edges.iter().filter(these).for_each(|edge| draw_edge(&mut body, layout, y, edge));
    }
    for edge in edges.iter().filter(|edge| is_shown(edge)) {
        draw_label(&mut body, layout, y, edge);
    }
    draw_nodes(&mut body, layout, y, out);
    body
}

fn draw_nodes(body: &mut String, layout: &Layout, y: f64, out: f64) {
    for node in 0..=layout.last {
        let label = match node {
            node if layout.inputs < 2 => node.to_string(),
            node if node < layout.inputs => format!("in{node}"),
            node => (node - layout.inputs).to_string(),
        };
        let _ = write!(
            body,
            "<circle class=\"node\" cx=\"{0:.1}\" cy=\"{y}\" r=\"{RADIUS}\"/><text x=\"{0:.1}\" y=\"{1}\" \
             text-anchor=\"middle\">{label}</text>",
            layout.x(node),
            y + 4.5
        );
    }
    let _ = write!(
        body,
        "<rect class=\"node\" x=\"{:.1}\" y=\"{}\" width=\"40\" height=\"30\" rx=\"6\"/>\
         <text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">out</text>",
        out - 6.0,
        y - 15.0,
        out + 14.0,
        y + 4.5
    );
}

fn probability(edge: &Edge<'_>) -> Option<f64> {
    edge.selected.zip(edge.row).and_then(|(option, row)| row.get(option)).copied()
}

fn draw_edge(body: &mut String, layout: &Layout, y: f64, edge: &Edge<'_>) {
    let (from, to) = (layout.x(edge.from), layout.x(edge.to));
    let middle = f64::midpoint(from, to);
    let weight = 1.6 + 5.0 * probability(edge).unwrap_or(0.2).clamp(0.0, 1.0);
    let (class, weight) = match &edge.change {
        Some(_) if !is_kept(edge) => ("gone", 1.6),
        Some(_) => ("edge changed", weight + 2.4),
        None if edge.selected.is_some() => ("edge", weight),
        None => ("edge open", weight),
    };
    // A curve rises half as high as its control point.
    let _ = write!(
        body,
        "<path class=\"{class}\" stroke-width=\"{weight:.2}\" d=\"M{from:.1},{y} Q{middle:.1},{:.1} {to:.1},{y}\"/>",
        y - 2.0 * layout.lift(edge)
    );
}

/// Above the line the operation; below it what changed, and how likely it is.
fn draw_label(body: &mut String, layout: &Layout, y: f64, edge: &Edge<'_>) {
    let middle = f64::midpoint(layout.x(edge.from), layout.x(edge.to));
    let at = y - layout.lift(edge) - 8.0;
    let (class, words) = match &edge.change {
        Some((other, _)) if !is_kept(edge) => ("dim halo", (*other).to_owned()),
        Some(_) => ("halo strong", label(edge)),
        None => ("halo", label(edge)),
    };
    let _ = write!(
        body,
        "<text class=\"{class}\" x=\"{middle:.1}\" y=\"{at:.1}\" text-anchor=\"middle\">{}</text>",
        escape(&words)
    );
    let likely = probability(edge).filter(|_| is_kept(edge)).map(|p| format!("{p:.2}"));
    let note = edge.change.as_ref().map(|(_, words)| words.clone());
    let class = if note.is_some() { "note halo" } else { "dim halo" };
    let below: Vec<String> = likely.into_iter().chain(note).collect();
    // Nodes would cover the ends of what is said below a straight line.
    let down = if edge.change.is_some() && edge.to == edge.from + 1 { 38.0 } else { 24.0 };
    if !below.is_empty() {
        let _ = write!(
            body,
            "<text class=\"{class}\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            at + down,
            escape(&below.join(" · "))
        );
    }
}
