//! The any-time curves of a study as SVG, in two sizes: one for phones, whose text stays legible.

use std::fmt::Write as _;

use skein_core::study::report::{Baselines, CellReport, CurvePoint};
use skein_core::study::statistics::extent;

use super::super::format::{short, thousands};

/// Colours before they repeat with dashes.
const COLOURS: usize = 6;
/// About so many marks on an axis.
const MARKS: f64 = 5.0;
/// Sizes for wide windows, of one chart alone and of one among others, and for narrow ones.
const SIZES: [[f64; 2]; 3] = [[960.0, 320.0], [600.0, 260.0], [340.0, 240.0]];
/// Room around the plot: left, right, top, bottom.
const EDGE: [f64; 4] = [52.0, 12.0, 10.0, 42.0];

/// How a method's line is drawn, as classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    place: usize,
}

impl Style {
    /// That of the method at a place.
    pub(super) fn of(place: usize) -> Self {
        Self { place }
    }
}

impl std::fmt::Display for Style {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s{} d{}", self.place % COLOURS, (self.place / COLOURS).min(3))
    }
}

/// The curves of one budget.
pub(super) struct Chart {
    /// Name of the budget, if the study has any.
    pub(super) budget: Option<String>,
    pub(super) legend: Vec<Entry>,
    /// For wide windows and for narrow ones.
    pub(super) wide: String,
    pub(super) narrow: String,
}

/// A line of the legend.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) style: Style,
    /// `mean of 3 runs`.
    pub(super) runs: String,
}

/// The ranges that are shown.
struct Scale {
    size: [f64; 2],
    steps: (f64, f64),
    accuracies: (f64, f64),
}

impl Chart {
    /// The chart, once there is a point; `alone` if there is no other one.
    pub(super) fn new(
        budget: Option<String>,
        alone: bool,
        cells: &[&CellReport],
        baselines: &Baselines,
    ) -> Option<Self> {
        let drawn = cells.iter().enumerate().filter(|(_, cell)| !cell.curve.is_empty());
        let drawn: Vec<(Style, &CellReport)> =
            drawn.map(|(place, cell)| (Style::of(place), *cell)).collect();
        let entry = |(style, cell): &(Style, &CellReport)| Entry {
            name: cell.method.clone(),
            style: *style,
            runs: match cell.curve_runs {
                1 => "1 run".to_owned(),
                runs => format!("mean of {runs} runs"),
            },
        };
        Some(Self {
            legend: drawn.iter().map(entry).collect(),
            wide: svg(SIZES[usize::from(!alone)], &drawn, baselines)?,
            narrow: svg(SIZES[2], &drawn, baselines)?,
            budget,
        })
    }
}

/// Lines of chance that are shown beside the methods.
fn chance(baselines: &Baselines) -> Vec<(f64, String)> {
    let of = |drawn: usize, name: &str| {
        let found = baselines.random.iter().find(|best| best.drawn == drawn)?;
        Some((found.accuracy, name.to_owned()))
    };
    [of(1, "one random"), of(16, "best of 16 random")].into_iter().flatten().collect()
}

fn svg(size: [f64; 2], drawn: &[(Style, &CellReport)], baselines: &Baselines) -> Option<String> {
    let points = || drawn.iter().flat_map(|(_, cell)| &cell.curve);
    let steps: Vec<f64> = points().map(|point| number(point.step)).collect();
    let chance = chance(baselines);
    let lines = chance.iter().map(|(accuracy, _)| *accuracy);
    let ends = points().flat_map(|point| [point.lowest, point.highest]);
    let (low, high) = extent(&lines.chain(ends).collect::<Vec<f64>>())?;
    let room = ((high - low) * 0.06).max(0.001);
    let (first, last) = extent(&steps)?;
    let steps = (first, if last > first { last } else { first + 1.0 });
    let scale = Scale { size, steps, accuracies: (low - room, high + room) };
    let mut svg = format!(
        "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"True accuracy of what would be \
         derived, over steps; the table above has the figures\">",
        size[0], size[1]
    );
    scale.axes(&mut svg);
    for (accuracy, name) in &chance {
        scale.level(&mut svg, *accuracy, name);
    }
    for (style, cell) in drawn {
        scale.band(&mut svg, *style, &cell.curve);
    }
    for (style, cell) in drawn {
        scale.line(&mut svg, *style, &cell.curve);
    }
    svg.push_str("</svg>");
    Some(svg)
}

impl Scale {
    fn x(&self, step: f64) -> f64 {
        let width = self.size[0] - EDGE[0] - EDGE[1];
        EDGE[0] + width * (step - self.steps.0) / (self.steps.1 - self.steps.0)
    }

    fn y(&self, accuracy: f64) -> f64 {
        let height = self.bottom() - EDGE[2];
        let (low, high) = self.accuracies;
        self.bottom() - height * (accuracy - low) / (high - low)
    }

    fn bottom(&self) -> f64 {
        self.size[1] - EDGE[3]
    }

    fn right(&self) -> f64 {
        self.size[0] - EDGE[1]
    }

    fn axes(&self, svg: &mut String) {
        let (left, right, bottom) = (EDGE[0], self.right(), self.bottom());
        let (low, high) = self.accuracies;
        let (marks, apart) = marks(100.0 * low, 100.0 * high);
        let digits = if apart >= 1.0 {
            0
        } else if apart >= 0.1 {
            1
        } else {
            2
        };
        for mark in marks {
            let y = self.y(mark / 100.0);
            let _ = write!(svg, "<path class=\"grid\" d=\"M{left} {y:.1}H{right}\"/>");
            let text = left - 6.0;
            let _ = write!(
                svg,
                "<text x=\"{text}\" y=\"{:.1}\" text-anchor=\"end\">{mark:.digits$} %</text>",
                y + 4.0
            );
        }
        let _ = write!(svg, "<path class=\"axis\" d=\"M{left} {bottom}H{right}\"/>");
        for mark in marks_of_steps(self.steps) {
            let x = self.x(mark);
            let anchor = if x > right - 20.0 { "end" } else { "middle" };
            let _ = write!(
                svg,
                "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
                bottom + 16.0,
                step_text(mark)
            );
        }
        let (middle, foot) = (f64::midpoint(left, right), self.size[1] - 6.0);
        let _ =
            write!(svg, "<text x=\"{middle}\" y=\"{foot}\" text-anchor=\"middle\">steps</text>");
    }

    /// A level line with its name, above it unless there is no room.
    fn level(&self, svg: &mut String, accuracy: f64, name: &str) {
        let (left, right, y) = (EDGE[0], self.right(), self.y(accuracy));
        let _ = write!(svg, "<path class=\"chance\" d=\"M{left} {y:.1}H{right}\"/>");
        let at = if y < EDGE[2] + 16.0 { y + 14.0 } else { y - 5.0 };
        let _ = write!(svg, "<text x=\"{right}\" y=\"{at:.1}\" text-anchor=\"end\">{name}</text>");
    }

    fn band(&self, svg: &mut String, style: Style, curve: &[CurvePoint]) {
        if curve.len() < 2 || curve.iter().all(|point| same(point.lowest, point.highest)) {
            return;
        }
        let there = curve.iter().map(|point| self.at(point.step, point.highest));
        let back = curve.iter().rev().map(|point| self.at(point.step, point.lowest));
        let points = there.chain(back).collect::<Vec<_>>().join(" ");
        let _ = write!(svg, "<polygon class=\"band {style}\" points=\"{points}\"/>");
    }

    fn line(&self, svg: &mut String, style: Style, curve: &[CurvePoint]) {
        let points = curve.iter().map(|point| self.at(point.step, point.mean));
        let points = points.collect::<Vec<_>>().join(" ");
        let _ = write!(svg, "<polyline class=\"line {style}\" points=\"{points}\"/>");
        if let [only] = curve {
            let (x, y) = (self.x(number(only.step)), self.y(only.mean));
            let _ = write!(svg, "<circle class=\"{style}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>");
        }
    }

    fn at(&self, step: u64, accuracy: f64) -> String {
        format!("{:.1},{:.1}", self.x(number(step)), self.y(accuracy))
    }
}

/// Round numbers within a range, and how far they are apart.
fn marks(low: f64, high: f64) -> (Vec<f64>, f64) {
    let rough = (high - low) / MARKS;
    let unit = 10.0_f64.powf(rough.log10().floor());
    let apart = [1.0, 2.0, 5.0, 10.0].map(|times| times * unit);
    let apart = apart.into_iter().find(|apart| *apart >= rough).unwrap_or(rough);
    let first = (low / apart).ceil();
    let marks = (0..20).map(|i| (first + f64::from(i)) * apart);
    (marks.take_while(|mark| *mark <= high).collect(), apart)
}

fn marks_of_steps((first, last): (f64, f64)) -> Vec<f64> {
    let (found, _) = marks(first, last);
    found.into_iter().filter(|mark| same(mark.fract(), 0.0)).collect()
}

/// `500`, `1,500`, `20 k`.
fn step_text(step: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a step")]
    let step = step.max(0.0) as u64;
    if step < 10_000 { thousands(&step.to_string()) } else { short(step) }
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-12
}

#[expect(clippy::cast_precision_loss, reason = "a place on an axis")]
fn number(step: u64) -> f64 {
    step as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(curve: &[(u64, f64, f64)]) -> CellReport {
        let point = |(step, lowest, highest): &(u64, f64, f64)| CurvePoint {
            step: *step,
            mean: f64::midpoint(*lowest, *highest),
            lowest: *lowest,
            highest: *highest,
        };
        CellReport {
            method: "a <b>".to_owned(),
            budget: None,
            result: None,
            curve: curve.iter().map(point).collect(),
            curve_runs: 2,
            runs: Vec::new(),
        }
    }

    fn baselines() -> Baselines {
        let random = [(1, 0.5), (16, 0.7)];
        Baselines {
            architectures: 20,
            mean: 0.5,
            deviation: 0.1,
            median: 0.5,
            percentile_95: 0.7,
            percentile_99: 0.75,
            best: 0.8,
            random: random
                .map(|(drawn, accuracy)| skein_core::study::report::BestOf { drawn, accuracy })
                .into(),
        }
    }

    #[test]
    fn marks_are_round_and_within() {
        let (found, apart) = marks(12.3, 91.0);
        assert_eq!((found, apart), (vec![20.0, 40.0, 60.0, 80.0], 20.0));
        assert_eq!(marks_of_steps((1.0, 4.0)), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(["500", "1,500", "20 k"], [500.0, 1500.0, 20_000.0].map(step_text)[..]);
    }

    #[test]
    fn methods_and_chance_are_drawn_within_the_picture() {
        let (one, none) = (cell(&[(0, 0.4, 0.6), (10, 0.7, 0.8)]), cell(&[]));
        let chart = Chart::new(None, true, &[&none, &one], &baselines()).unwrap();
        assert_eq!((chart.legend.len(), chart.legend[0].style), (1, Style::of(1)));
        assert_eq!(chart.legend[0].runs, "mean of 2 runs");
        for part in ["class=\"band s1 d0\"", "class=\"line s1 d0\"", ">best of 16 random<"] {
            assert!(chart.wide.contains(part) && chart.narrow.contains(part), "{part}");
        }
        assert!(!chart.wide.contains("NaN") && !chart.wide.contains("style="), "{}", chart.wide);
        assert!(Chart::new(None, true, &[&none], &baselines()).is_none());
        let point = Chart::new(None, true, &[&cell(&[(5, 0.5, 0.5)])], &baselines()).unwrap();
        assert!(point.wide.contains("<circle") && !point.wide.contains("NaN"), "{}", point.wide);
    }

    #[test]
    fn more_methods_than_colours_have_dashes() {
        assert_eq!(
            [0, 5, 6, 63].map(|place| Style::of(place).to_string()),
            ["s0 d0", "s5 d0", "s0 d1", "s3 d3"]
        );
    }
}
