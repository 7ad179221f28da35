//! The parts of a drawing, and how they are arranged.

use std::fmt::Write as _;

use super::{Panels, escape, float};

/// Colours for both themes; a page may override the variables.
const STYLE: &str = "svg{color-scheme:light dark;font:13px system-ui,sans-serif;\
--ink:light-dark(#1a1d21,#e6e8eb);--dim:light-dark(#5b6470,#9aa4b0);--rule:light-dark(#868e99,#6b7480);\
--mark:light-dark(#0b62c4,#6cb2ff);--paper:light-dark(#ffffff,#16191d);--alter:light-dark(#a84300,#ff9d5c)}\
text{fill:var(--ink)}.dim{fill:var(--dim);font-size:12px}.edge{fill:none;stroke:var(--mark)}\
.likely{fill:var(--mark);opacity:.22}.open{stroke:var(--rule)}.node{fill:var(--paper);stroke:var(--ink);stroke-width:1.2}\
.chosen{fill:var(--mark);fill-opacity:.16;stroke:var(--mark);stroke-width:1.8}\
.changed{stroke:var(--alter)}.node.changed{stroke-width:2.6}.gone{fill:none;stroke:var(--alter);stroke-width:1.6;stroke-dasharray:5 4}\
.strong{font-weight:700}.note{fill:var(--alter);font-size:12px;font-weight:600}\
.halo{paint-order:stroke;stroke:var(--paper);stroke-width:5px;stroke-linejoin:round}";

/// A drawing in parts.
pub(super) struct Sheet {
    /// What the parts are.
    pub(super) kind: &'static str,
    pub(super) panels: Vec<Panel>,
    /// Parts side by side.
    pub(super) columns: usize,
    /// Room between parts, and around them.
    pub(super) gap: f64,
    pub(super) margin: f64,
}

/// A part of a drawing with its origin at its upper left corner.
pub(super) struct Panel {
    pub(super) width: f64,
    pub(super) height: f64,
    /// The picture in words, for those who cannot see it.
    pub(super) title: String,
    pub(super) body: String,
}

impl Sheet {
    /// One document, the parts in rows.
    pub(super) fn document(&self) -> String {
        let rows: Vec<&[Panel]> = self.panels.chunks(self.columns.max(1)).collect();
        let across =
            |row: &[Panel]| row.iter().map(|panel| panel.width + self.gap).sum::<f64>() - self.gap;
        let tall = |row: &[Panel]| row.iter().map(|panel| panel.height).fold(0.0, f64::max);
        let width = 2.0 * self.margin + rows.iter().map(|row| across(row)).fold(0.0, f64::max);
        let between = self.gap * float(rows.len().saturating_sub(1));
        let height = 2.0 * self.margin + rows.iter().map(|row| tall(row)).sum::<f64>() + between;
        let title: Vec<&str> = self.panels.iter().map(|panel| panel.title.as_str()).collect();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\" data-kind=\"{}\"><title>{}</title><style>{STYLE}</style>",
            self.kind,
            escape(&title.join("; "))
        );
        let mut y = self.margin;
        for row in rows {
            let mut x = self.margin;
            for panel in row {
                let Panel { width, height, body, .. } = panel;
                let _ = write!(
                    svg,
                    "<g transform=\"translate({x} {y})\" data-size=\"{width} {height}\">{body}</g>"
                );
                x += width + self.gap;
            }
            y += tall(row) + self.gap;
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// Every part by itself.
    pub(super) fn panels(&self) -> Panels {
        let part = |Panel { width, height, title, body }: &Panel| {
            format!(
                "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\
                 <title>{}</title>{body}</svg>",
                escape(title)
            )
        };
        Panels { kind: self.kind, parts: self.panels.iter().map(part).collect() }
    }
}
