//! How much of a source is read at most.

/// Most of everything that a source may make us read and keep.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Files, ignored ones among them.
    pub files: u64,
    /// Bytes of all files, unpacked.
    pub bytes: u64,
    /// Unpacked bytes for each packed one, once there are more than [`Limits::unsuspicious`].
    pub ratio: u64,
    /// Unpacked bytes below which no ratio is looked at.
    pub unsuspicious: u64,
    /// Classes.
    pub classes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            files: 1_000_000,
            bytes: 64 << 30,
            ratio: 200,
            unsuspicious: 100 << 20,
            classes: 10_000,
        }
    }
}

/// Bytes as people say them: `1.5 GiB`.
#[must_use]
pub fn said(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let Some((unit, name)) = UNITS.into_iter().find(|(unit, _)| bytes >= *unit) else {
        return format!("{bytes} bytes");
    };
    let tenths = bytes / unit * 10 + bytes % unit * 10 / unit;
    if tenths.is_multiple_of(10) {
        format!("{} {name}", tenths / 10)
    } else {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_said_in_the_largest_unit() {
        assert_eq!(said(0), "0 bytes");
        assert_eq!(said(1023), "1023 bytes");
        assert_eq!(said(1536), "1.5 KiB");
        assert_eq!(said(64 << 30), "64 GiB");
        assert_eq!(said(u64::MAX), "17179869183.9 GiB");
    }
}
