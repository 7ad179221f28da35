//! Macro spaces: a box per layer, and in it a line per property with all its options.

use std::fmt::Write as _;

use super::sheet::{Panel, Sheet};
use super::{Against, Scene, escape, float};
use crate::choice::{Choice, ChoiceId, Site};

const BOX: f64 = 172.0;
const GAP: f64 = 14.0;
const LINE: f64 = 40.0;
const HEAD: f64 = 30.0;
const MARGIN: f64 = 14.0;
/// Boxes side by side.
const COLUMNS: usize = 5;
/// Room for the stroke of a box.
const EDGE: f64 = 2.0;

/// A layer's name and its choices.
struct Layer<'a> {
    name: &'a str,
    choices: Vec<(ChoiceId, &'a str, &'a Choice)>,
}

pub(super) fn draw(scene: &Scene<'_>) -> Sheet {
    let layers = layers(scene);
    let lines = layers.iter().map(|layer| layer.choices.len()).max().unwrap_or(0);
    let height = HEAD + LINE * float(lines) + 8.0;
    let changes = scene.changes();
    let panel = |layer: &Layer<'_>| Panel {
        width: BOX,
        height,
        title: title(scene, layer, &changes),
        body: draw_layer(scene, layer, &changes, height),
    };
    let panels = layers.iter().map(panel).collect();
    Sheet { kind: "layers", panels, columns: COLUMNS, gap: GAP, margin: MARGIN }
}

/// Layers in the order of their first choice; those of a stage follow it.
fn layers<'a>(scene: &Scene<'a>) -> Vec<Layer<'a>> {
    let mut layers: Vec<Layer<'_>> = Vec::new();
    for (id, choice) in scene.graph.choices.iter().enumerate() {
        let Site::Layer { layer, property } = &choice.site else { continue };
        match layers.iter_mut().find(|known| known.name == layer) {
            Some(known) => known.choices.push((id, property, choice)),
            None => layers.push(Layer { name: layer, choices: vec![(id, property, choice)] }),
        }
    }
    let stage = |layer: &Layer<'_>| layer.name.split('.').next().unwrap_or_default().to_owned();
    let stages: Vec<String> = layers.iter().map(stage).collect();
    layers.sort_by_key(|layer| stages.iter().position(|known| *known == stage(layer)));
    layers
}

fn title(scene: &Scene<'_>, layer: &Layer<'_>, changes: &[(ChoiceId, &str)]) -> String {
    let said = layer.choices.iter().map(|(id, property, choice)| {
        let options = match selected(scene, *id) {
            Some(option) => choice.options[option].clone(),
            None => choice.options.join(" or "),
        };
        let note = find(changes, *id).map(|other| format!(" ({})", scene.note(other)));
        format!("{property} {options}{}", note.unwrap_or_default())
    });
    let fate = fate(scene, layer).map(|word| format!(" ({word})")).unwrap_or_default();
    format!("{}{fate}: {}", layer.name, said.collect::<Vec<_>>().join(", "))
}

fn find<'a>(changes: &[(ChoiceId, &'a str)], id: ChoiceId) -> Option<&'a str> {
    changes.iter().find(|(changed, _)| *changed == id).map(|(_, other)| *other)
}

/// The selected option.
fn selected(scene: &Scene<'_>, id: ChoiceId) -> Option<usize> {
    let architecture = scene.architecture?;
    let option = *architecture.0.get(id)?;
    (option < scene.graph.choices[id].options.len()).then_some(option)
}

/// Whether a choice matters.
fn is_open(scene: &Scene<'_>, id: ChoiceId) -> bool {
    scene.architecture.is_none_or(|here| scene.graph.is_open(here, id))
}

/// What becomes of a layer that only one of two architectures has.
fn fate(scene: &Scene<'_>, layer: &Layer<'_>) -> Option<&'static str> {
    let other = scene.other()?;
    let here = layer.choices.iter().any(|(id, ..)| is_open(scene, *id));
    let there = layer.choices.iter().any(|(id, ..)| scene.graph.is_open(other, *id));
    match (here, there, scene.against?) {
        (true, false, Against::Before(_)) => Some("added"),
        (false, true, Against::Before(_)) => Some("removed"),
        (true, false, Against::After(_)) => Some("→ removed"),
        (false, true, Against::After(_)) => Some("→ added"),
        _ => None,
    }
}

fn draw_layer(
    scene: &Scene<'_>,
    layer: &Layer<'_>,
    changes: &[(ChoiceId, &str)],
    height: f64,
) -> String {
    let is_used = layer.choices.iter().any(|(id, ..)| is_open(scene, *id));
    let fate = fate(scene, layer);
    let altered = layer.choices.iter().any(|(id, ..)| find(changes, *id).is_some());
    let class = match fate {
        Some(_) if !is_used => "node gone",
        Some(_) => "node changed",
        None if altered => "node changed",
        None => "node",
    };
    let mut body = format!(
        "<rect class=\"{class}\" x=\"{EDGE}\" y=\"{EDGE}\" width=\"{}\" height=\"{}\" rx=\"8\"/>",
        BOX - 2.0 * EDGE,
        height - 2.0 * EDGE
    );
    // Beside the first property: the name may fill its line.
    if let Some(word) = fate {
        write_note(&mut body, HEAD + 12.0, word);
    }
    body.push_str(if is_used { "<g>" } else { "<g opacity=\"0.45\">" });
    let name = escape(layer.name);
    let _ = write!(body, "<text x=\"12\" y=\"20\" font-weight=\"600\">{name}</text>");
    for (line, (id, property, choice)) in layer.choices.iter().enumerate() {
        let y = HEAD + LINE * float(line) + 12.0;
        let _ = write!(body, "<text class=\"dim\" x=\"12\" y=\"{y}\">{}</text>", escape(property));
        let other = find(changes, *id);
        if let Some(other) = other {
            write_note(&mut body, y, &scene.note(other));
        }
        draw_options(&mut body, scene, (*id, choice, other), y + 6.0);
    }
    body.push_str("</g>");
    body
}

/// A few words at the right end of a line.
fn write_note(body: &mut String, y: f64, words: &str) {
    let _ = write!(
        body,
        "<text class=\"note\" x=\"{}\" y=\"{y}\" text-anchor=\"end\">{}</text>",
        BOX - 12.0,
        escape(words)
    );
}

/// A cell per option: outlined, filled as far as it is likely, and marked if it is selected; the
/// other architecture's is dashed.
fn draw_options(
    body: &mut String,
    scene: &Scene<'_>,
    (id, choice, other): (ChoiceId, &Choice, Option<&str>),
    top: f64,
) {
    let width = (BOX - 24.0) / float(choice.options.len());
    let row = scene.rows.and_then(|rows| rows.get(id));
    let marked = selected(scene, id).filter(|_| is_open(scene, id));
    let cell = |body: &mut String, class: &str, option: usize, share: f64, inset: f64| {
        let _ = write!(
            body,
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\"/>",
            12.0 + width * float(option) + inset,
            top + inset,
            width * share - 2.0 * inset,
            19.0 - 2.0 * inset
        );
    };
    for option in 0..choice.options.len() {
        let likely = row.and_then(|row| row.get(option)).copied().unwrap_or(0.0).clamp(0.0, 1.0);
        if likely > 0.0 {
            cell(body, "likely", option, likely, 0.0);
        }
        cell(body, "edge open", option, 1.0, 0.0);
    }
    // Marks go on top of all outlines.
    if let Some(option) = choice.options.iter().position(|name| other == Some(name.as_str())) {
        cell(body, "gone", option, 1.0, 2.5);
    }
    if let Some(option) = marked {
        cell(body, "chosen", option, 1.0, 0.0);
    }
    for (option, text) in choice.options.iter().enumerate() {
        let weight = if marked == Some(option) { "600" } else { "400" };
        let _ = write!(
            body,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" font-weight=\"{weight}\">{}</text>",
            12.0 + width * (float(option) + 0.5),
            top + 14.0,
            escape(text)
        );
    }
}
