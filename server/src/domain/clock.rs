//! Times as they are stored and sent: UTC, RFC 3339, milliseconds.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// The present time as text.
#[must_use]
pub fn now() -> String {
    text(OffsetDateTime::now_utc())
}

/// A time as text; the same length for every time, so that texts sort like times.
#[must_use]
pub fn text(at: OffsetDateTime) -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    at.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_default()
}

/// Reads an RFC 3339 time.
#[must_use]
pub fn parse(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_survives_its_text() {
        let at = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        assert_eq!(text(at), "2023-11-14T22:13:20.000Z");
        assert_eq!(parse(&text(at)), Some(at));
    }
}
