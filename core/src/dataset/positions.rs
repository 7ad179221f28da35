//! Positions of examples as text: numbers and ranges that include both ends, `0-999,2000-2499`.

use std::fmt;

/// Different positions in rising order, as ranges that do not touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions(Vec<[u64; 2]>);

impl Positions {
    /// Reads the text form; ranges may come in any order.
    ///
    /// # Errors
    /// - in words: what is neither a number nor a range, or what comes twice.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut ranges = text
            .split(|sign: char| sign == ',' || sign.is_whitespace())
            .filter(|part| !part.is_empty())
            .map(range)
            .collect::<Result<Vec<[u64; 2]>, String>>()?;
        ranges.sort_unstable();
        if let Some(pair) = ranges.windows(2).find(|pair| pair[0][1] >= pair[1][0]) {
            return Err(format!("holds {} twice", pair[1][0]));
        }
        if ranges.is_empty() {
            return Err("holds no positions".to_owned());
        }
        Ok(Self(joined(ranges)))
    }

    /// Those of a list, which must rise.
    #[must_use]
    pub fn of(list: &[i64]) -> Self {
        let single = |position: &i64| [position.unsigned_abs(); 2];
        Self(joined(list.iter().map(single)))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|[first, last]| last - first + 1).sum()
    }

    /// How many there are below an end.
    #[must_use]
    pub fn count_below(&self, end: u64) -> u64 {
        let of = |[first, last]: &[u64; 2]| (last + 1).min(end).saturating_sub(*first);
        self.0.iter().map(of).sum()
    }

    /// The largest, if there is one.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.0.last().map(|[_, last]| *last)
    }

    /// All of them, in rising order.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.0.iter().flat_map(|[first, last]| *first..=*last)
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, [first, last]) in self.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            match first == last {
                true => write!(to, "{comma}{first}")?,
                false => write!(to, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

/// Most that a position may be: no range is then too long to be counted.
const MOST: u64 = 1 << 40;

fn range(part: &str) -> Result<[u64; 2], String> {
    let wrong = || format!("holds `{part}`; numbers and ranges such as `0-999` are expected");
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>().ok().filter(|number| digits && *number < MOST).ok_or_else(wrong)
    };
    match part.split_once('-') {
        None => number(part).map(|position| [position; 2]),
        Some((first, last)) => {
            let range = [number(first)?, number(last)?];
            if range[0] > range[1] {
                return Err(format!("holds `{part}`, which ends before it begins"));
            }
            Ok(range)
        }
    }
}

/// Rising ranges, those that touch made one.
fn joined(ranges: impl IntoIterator<Item = [u64; 2]>) -> Vec<[u64; 2]> {
    let mut all: Vec<[u64; 2]> = Vec::new();
    for [first, last] in ranges {
        match all.last_mut() {
            Some(before) if before[1] + 1 == first => before[1] = last,
            _ => all.push([first, last]),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::ranges("0-999,2000-2499", "0-999,2000-2499", 1500)]
    #[case::any_order("7, 3-5 1", "1,3-5,7", 5)]
    #[case::touching("0-4,5,6-9", "0-9", 10)]
    fn positions_are_read_and_written(
        #[case] text: &str,
        #[case] normal: &str,
        #[case] count: u64,
    ) {
        let positions = Positions::parse(text).unwrap();
        assert_eq!((positions.to_string().as_str(), positions.count()), (normal, count));
        assert_eq!(Positions::parse(normal).unwrap(), positions);
        let list: Vec<i64> = positions.iter().map(u64::cast_signed).collect();
        assert!(list.is_sorted() && list.len() as u64 == count);
        assert_eq!(Positions::of(&list), positions);
        assert_eq!(positions.last(), list.last().copied().map(i64::cast_unsigned));
        let below = list.iter().filter(|position| **position < 4).count();
        assert_eq!(positions.count_below(4), below as u64);
    }

    #[rstest]
    #[case("", "holds no positions")]
    #[case("1-", "holds `1-`; numbers and ranges such as `0-999` are expected")]
    #[case("-1", "holds `-1`")]
    #[case("+1", "holds `+1`")]
    #[case("a", "holds `a`")]
    #[case("1-2-3", "holds `1-2-3`")]
    #[case("5-3", "holds `5-3`, which ends before it begins")]
    #[case("1-5,3", "holds 3 twice")]
    #[case("18446744073709551615", "holds `18446744073709551615`")]
    fn what_is_no_list_of_positions_is_refused(#[case] text: &str, #[case] message: &str) {
        let error = Positions::parse(text).unwrap_err();
        assert!(error.starts_with(message), "{error}");
    }
}
