//! Macro spaces: a box per layer, and in it a line per property with all its options.

use std::fmt::Write as _;

use super::{STYLE, Scene, escape};
use crate::choice::{Choice, ChoiceId, Site};

const BOX: f64 = 172.0;
const GAP: f64 = 14.0;
const LINE: f64 = 40.0;
const HEAD: f64 = 30.0;
const MARGIN: f64 = 14.0;
/// Boxes side by side.
const COLUMNS: usize = 5;

/// A layer's name and its choices.
type Layer<'a> = (&'a str, Vec<(ChoiceId, &'a str, &'a Choice)>);

pub(super) fn draw(scene: &Scene<'_>) -> String {
    let layers = layers(scene);
    let (count, columns) = (layers.len().max(1), layers.len().clamp(1, COLUMNS));
    let lines = layers.iter().map(|(_, choices)| choices.len()).max().unwrap_or(0);
    let tall = HEAD + LINE * float(lines) + 8.0;
    let width = 2.0 * MARGIN + float(columns) * (BOX + GAP) - GAP;
    let height = 2.0 * MARGIN + float(count.div_ceil(columns)) * (tall + GAP) - GAP;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\"><title>{}</title><style>{STYLE}</style>",
        escape(&title(scene, &layers))
    );
    for (at, layer) in layers.iter().enumerate() {
        let left = MARGIN + float(at % columns) * (BOX + GAP);
        let top = MARGIN + float(at / columns) * (tall + GAP);
        draw_layer(&mut svg, scene, layer, (left, top, tall));
    }
    svg.push_str("</svg>\n");
    svg
}

/// Layers in the order of their first choice.
fn layers<'a>(scene: &Scene<'a>) -> Vec<Layer<'a>> {
    let mut layers: Vec<Layer<'_>> = Vec::new();
    for (id, choice) in scene.graph.choices.iter().enumerate() {
        let Site::Layer { layer, property } = &choice.site else { continue };
        match layers.iter_mut().find(|(name, _)| name == layer) {
            Some((_, choices)) => choices.push((id, property, choice)),
            None => layers.push((layer, vec![(id, property, choice)])),
        }
    }
    layers
}

/// The picture in words, for those who cannot see it.
fn title(scene: &Scene<'_>, layers: &[Layer<'_>]) -> String {
    let words = layers.iter().map(|(name, choices)| {
        let said: Vec<String> = choices
            .iter()
            .map(|(id, property, choice)| match selected(scene, *id) {
                Some(option) => format!("{property} {}", choice.options[option]),
                None => format!("{property} {}", choice.options.join(" or ")),
            })
            .collect();
        format!("{name}: {}", said.join(", "))
    });
    words.collect::<Vec<_>>().join("; ")
}

/// The selected option; none where the choice does not matter.
fn selected(scene: &Scene<'_>, id: ChoiceId) -> Option<usize> {
    let architecture = scene.architecture?;
    let option = *architecture.0.get(id)?;
    (option < scene.graph.choices[id].options.len()).then_some(option)
}

fn draw_layer(svg: &mut String, scene: &Scene<'_>, layer: &Layer<'_>, at: (f64, f64, f64)) {
    let (name, choices) = layer;
    let (left, top, tall) = at;
    let open = |id| scene.architecture.is_none_or(|it| scene.graph.is_open(it, id));
    let idle = if choices.iter().any(|(id, ..)| open(*id)) { "" } else { " opacity=\"0.4\"" };
    let _ = write!(
        svg,
        "<g{idle}><rect class=\"node\" x=\"{left}\" y=\"{top}\" width=\"{BOX}\" height=\"{tall}\" rx=\"8\"/>\
         <text x=\"{}\" y=\"{}\" font-weight=\"600\">{}</text>",
        left + 12.0,
        top + 20.0,
        escape(name)
    );
    for (line, (id, property, choice)) in choices.iter().enumerate() {
        let y = top + HEAD + LINE * float(line) + 12.0;
        let _ = write!(
            svg,
            "<text class=\"dim\" x=\"{}\" y=\"{y}\">{}</text>",
            left + 12.0,
            escape(property)
        );
        draw_options(svg, scene, *id, choice, (left + 12.0, y + 6.0));
    }
    svg.push_str("</g>");
}

/// A cell per option: outlined, filled as far as it is likely, and marked if it is selected.
fn draw_options(
    svg: &mut String,
    scene: &Scene<'_>,
    id: ChoiceId,
    choice: &Choice,
    at: (f64, f64),
) {
    let (left, top) = at;
    let width = (BOX - 24.0) / float(choice.options.len());
    let row = scene.rows.and_then(|rows| rows.get(id));
    let open = scene.architecture.is_none_or(|it| scene.graph.is_open(it, id));
    let marked = selected(scene, id).filter(|_| open);
    for (option, text) in choice.options.iter().enumerate() {
        let x = left + width * float(option);
        let likely = row.and_then(|row| row.get(option)).copied().unwrap_or(0.0).clamp(0.0, 1.0);
        if likely > 0.0 {
            let _ = write!(
                svg,
                "<rect class=\"likely\" x=\"{x:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"19\"/>",
                width * likely
            );
        }
        let (class, weight) =
            if marked == Some(option) { ("edge", "600") } else { ("edge open", "400") };
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"19\"/>\
             <text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" font-weight=\"{weight}\">{}</text>",
            x + width / 2.0,
            top + 14.0,
            escape(text)
        );
    }
}

fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
