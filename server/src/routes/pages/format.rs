//! Numbers and times for people; `static/format.ts` says the same things the same way.

use skein_core::number::Num;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(super) use crate::figures::thousands;

/// `0.912`, `1.24`, `1,204`.
#[must_use]
pub(super) fn value(number: Num) -> String {
    let x = number.0;
    match x.abs() {
        size if size.is_nan() => "not a number".to_owned(),
        size if size.is_infinite() => if x > 0.0 { "∞" } else { "−∞" }.to_owned(),
        0.0 => "0".to_owned(),
        size if size >= 1000.0 => thousands(&format!("{x:.0}")),
        size if size >= 100.0 => format!("{x:.1}"),
        size if size >= 10.0 => format!("{x:.2}"),
        size if size >= 0.01 => format!("{x:.3}"),
        size if size >= 0.0001 => format!("{x:.5}"),
        _ => format!("{x:.1e}"),
    }
}

/// `1.2 M`, `38.6 k`.
#[must_use]
pub(super) fn short(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let x = count as f64;
    let units = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    match units.into_iter().find(|(size, _)| x >= *size) {
        Some((size, unit)) if x / size >= 100.0 => format!("{:.0} {unit}", x / size),
        Some((size, unit)) if (x / size).fract() == 0.0 => format!("{:.0} {unit}", x / size),
        Some((size, unit)) => format!("{:.1} {unit}", x / size),
        None => count.to_string(),
    }
}

/// What stands for a figure that is not there.
pub(super) fn dash() -> String {
    "–".to_owned()
}

/// `just now`, `5 min ago`, `3 d ago`.
#[must_use]
pub(super) fn ago(at: &str, now: OffsetDateTime) -> String {
    let Some(seconds) = parse(at).map(|at| (now - at).as_seconds_f64().max(0.0)) else {
        return at.to_owned();
    };
    match seconds {
        s if s < 45.0 => "just now".to_owned(),
        s if s < 3600.0 => format!("{:.0} min ago", (s / 60.0).round().max(1.0)),
        s if s < 86_400.0 => format!("{:.0} h ago", (s / 3600.0).round()),
        s => format!("{:.0} d ago", (s / 86_400.0).round()),
    }
}

/// Seconds between two moments, if both can be read.
#[must_use]
pub(super) fn seconds_between(from: &str, to: &str) -> Option<f64> {
    Some((parse(to)? - parse(from)?).as_seconds_f64())
}

/// `61` for 0.612; 0 if it cannot be told.
#[must_use]
pub(super) fn whole_percent(fraction: Num) -> u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    let percent = (fraction.0.clamp(0.0, 1.0) * 100.0).round() as u8;
    percent
}

/// `91.20 %`.
#[must_use]
pub(super) fn percent(fraction: Num) -> String {
    if fraction.0.is_finite() { format!("{:.2} %", fraction.0 * 100.0) } else { "–".to_owned() }
}

/// Puts what the API writes between backticks between quotation marks.
#[must_use]
pub(super) fn quoted(text: &str) -> String {
    let mut parts = text.split('`');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for (index, part) in parts.enumerate() {
        out.push(if index % 2 == 0 { '“' } else { '”' });
        out.push_str(part);
    }
    out
}

/// Points of a polyline in a box of 100 × 24; empty for fewer than two finite numbers.
#[must_use]
pub(super) fn spark(numbers: &[Num]) -> String {
    let finite: Vec<f64> =
        numbers.iter().map(|number| number.0).filter(|x| x.is_finite()).collect();
    if finite.len() < 2 {
        return String::new();
    }
    let stride = finite.len().div_ceil(60);
    let few: Vec<f64> = finite.iter().copied().step_by(stride).collect();
    let low = few.iter().copied().fold(f64::INFINITY, f64::min);
    let high = few.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let span = if high > low { high - low } else { 1.0 };
    #[expect(clippy::cast_precision_loss, reason = "at most 60 points")]
    let points = few.iter().enumerate().map(|(index, x)| {
        let across = 100.0 * index as f64 / (few.len() - 1).max(1) as f64;
        format!("{across:.1},{:.1}", 22.0 - 20.0 * (x - low) / span)
    });
    points.collect::<Vec<_>>().join(" ")
}

fn parse(at: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(at, &Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::fraction(0.91234, "0.912")]
    #[case::small(0.000_31, "0.00031")]
    #[case::tiny(1.2e-5, "1.2e-5")]
    #[case::large(-12_345.6, "-12,346")]
    #[case::nan(f64::NAN, "not a number")]
    fn a_number_is_short(#[case] x: f64, #[case] words: &str) {
        assert_eq!(value(Num(x)), words);
    }

    #[test]
    fn counts_have_three_digits() {
        let words = [950, 1000, 38_640, 155_050, 1_234_567].map(short);
        assert_eq!(words, ["950", "1 k", "38.6 k", "155 k", "1.2 M"]);
        assert_eq!(thousands("60000"), "60,000");
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted("busy with `A`; `B` next"), "busy with “A”; “B” next");
    }

    #[test]
    fn a_sparkline_leaves_out_what_is_not_finite() {
        assert_eq!(spark(&[Num(0.0), Num(f64::NAN), Num(1.0)]), "0.0,22.0 100.0,2.0");
        assert_eq!(spark(&[Num(0.5)]), "");
    }
}
