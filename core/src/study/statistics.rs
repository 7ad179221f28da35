//! Means, correlations of ranks, and what chance would reach.

use std::cmp::Ordering;

/// Arithmetic mean; `None` of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / count(values.len()))
}

/// Sample standard deviation; `None` of fewer than two values.
#[must_use]
pub fn deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / count(values.len() - 1)).sqrt())
}

/// Standard deviation of one value that is taken at random; `None` of nothing.
#[must_use]
pub fn deviation_of_one(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / count(values.len())).sqrt())
}

/// The smallest and the largest value; `None` of nothing.
#[must_use]
pub fn extent(values: &[f64]) -> Option<(f64, f64)> {
    let low = values.iter().copied().min_by(f64::total_cmp)?;
    let high = values.iter().copied().max_by(f64::total_cmp)?;
    Some((low, high))
}

/// The middle of values in any one order; of an even number the mean of both in the middle.
#[must_use]
pub fn median(sorted: &[f64]) -> Option<f64> {
    let (low, high) =
        (sorted.get(sorted.len().wrapping_sub(1) / 2)?, sorted.get(sorted.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}

/// The smallest value that at least `share` of all values do not exceed; the best comes first.
#[must_use]
pub fn quantile(best_first: &[f64], share: f64) -> Option<f64> {
    let most = share.clamp(0.0, 1.0) * count(best_first.len());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the list")]
    let place = best_first.len().saturating_sub(most.ceil() as usize);
    best_first.get(place.min(best_first.len().checked_sub(1)?)).copied()
}

/// The expected best of `drawn` different values taken at random; the best comes first.
#[must_use]
pub fn expected_best(best_first: &[f64], drawn: usize) -> Option<f64> {
    let all = best_first.len();
    let drawn = drawn.min(all);
    if drawn == 0 {
        return None;
    }
    // The chance that a value is drawn and no better one is; after the first, each follows from
    // the one before: C(n-2-i, k-1) / C(n-1-i, k-1).
    let mut chance = count(drawn) / count(all);
    let mut expected = 0.0;
    for (place, value) in best_first.iter().enumerate().take(all - drawn + 1) {
        expected += chance * value;
        let left = all - 1 - place;
        if left > 0 {
            chance *= count(left + 1 - drawn) / count(left);
        }
    }
    Some(expected)
}

/// How two orders of the same things agree, from -1 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Kendall's tau-b: the share of pairs in the same order less that of pairs in opposite order,
    /// ties allowed for.
    pub kendall: f64,
    /// Spearman's rho: the correlation of ranks, equal values sharing the mean of theirs.
    pub spearman: f64,
}

/// Compares orders; `None` if there are fewer than two pairs, or one side has only one value.
/// Infinities have a place in an order; a pair with a value that is no number is left out.
#[must_use]
pub fn agreement(pairs: impl IntoIterator<Item = (f64, f64)>) -> Option<Agreement> {
    let pairs = pairs.into_iter().filter(|(x, y)| !x.is_nan() && !y.is_nan());
    // Adding zero makes a negative zero positive, for an order in which both are equal.
    let (xs, ys): (Vec<f64>, Vec<f64>) = pairs.map(|(x, y)| (x + 0.0, y + 0.0)).unzip();
    Some(Agreement { kendall: kendall(&xs, &ys)?, spearman: spearman(&xs, &ys)? })
}

fn spearman(xs: &[f64], ys: &[f64]) -> Option<f64> {
    let (xs, ys) = (ranks(xs), ranks(ys));
    let middle = mean(&xs)?;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - middle) * (b - middle)).sum()
    };
    let spread = (product(&xs, &xs) * product(&ys, &ys)).sqrt();
    (spread > 0.0).then(|| product(&xs, &ys) / spread)
}

/// Ranks from 1, the smallest first; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    for group in order.chunk_by(|a, b| same(values[*a], values[*b])) {
        let shared = count(from) + f64::midpoint(1.0, count(group.len()));
        for place in group {
            ranks[*place] = shared;
        }
        from += group.len();
    }
    ranks
}

/// Kendall's tau-b by Knight's algorithm: pairs in opposite order are the exchanges by which a
/// merge sort by `y` brings into order what was sorted by `x`.
fn kendall(xs: &[f64], ys: &[f64]) -> Option<f64> {
    let mut pairs: Vec<(f64, f64)> = xs.iter().copied().zip(ys.iter().copied()).collect();
    let compare = |a: &(f64, f64), b: &(f64, f64)| -> Ordering {
        a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
    };
    pairs.sort_by(compare);
    let tied = |same: fn(&(f64, f64), &(f64, f64)) -> bool, pairs: &[(f64, f64)]| -> u64 {
        pairs.chunk_by(same).map(|group| pairs_of(group.len())).sum()
    };
    let all = pairs_of(pairs.len());
    let in_x = tied(|a, b| same(a.0, b.0), &pairs);
    let in_both = tied(|a, b| same(a.0, b.0) && same(a.1, b.1), &pairs);
    let mut ys: Vec<f64> = pairs.iter().map(|pair| pair.1).collect();
    let exchanges = exchanges(&mut ys);
    let in_y: u64 = ys.chunk_by(|a, b| same(*a, *b)).map(|group| pairs_of(group.len())).sum();
    let concordant = all + in_both - in_x - in_y - exchanges;
    let spread = (number(all - in_x) * number(all - in_y)).sqrt();
    (spread > 0.0).then(|| (number(concordant) - number(exchanges)) / spread)
}

/// Sorts, and counts the pairs that stood in the wrong order.
fn exchanges(values: &mut [f64]) -> u64 {
    let middle = values.len() / 2;
    if middle == 0 {
        return 0;
    }
    let (left, right) = values.split_at_mut(middle);
    let mut found = exchanges(left) + exchanges(right);
    let (left, right) = (left.to_vec(), right.to_vec());
    let (mut one, mut other) = (left.iter().peekable(), right.iter().peekable());
    for place in values {
        let from_right = match (one.peek(), other.peek()) {
            (Some(a), Some(b)) => b.total_cmp(a) == Ordering::Less,
            (first, _) => first.is_none(),
        };
        let next = if from_right {
            found += one.len() as u64;
            other.next()
        } else {
            one.next()
        };
        *place = next.copied().unwrap_or_default();
    }
    found
}

fn pairs_of(count: usize) -> u64 {
    let count = count as u64;
    count * count.saturating_sub(1) / 2
}

fn same(a: f64, b: f64) -> bool {
    a.total_cmp(&b) == Ordering::Equal
}

#[expect(clippy::cast_precision_loss, reason = "tables have far fewer than 2^52 rows")]
fn count(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "pairs of tables' rows stay exact")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn close(a: Option<f64>, b: f64) {
        assert!((a.unwrap() - b).abs() < 1e-12, "{a:?} is not {b}");
    }

    #[test]
    fn means_and_deviations() {
        close(mean(&[1.0, 2.0, 6.0]), 3.0);
        close(deviation(&[1.0, 2.0, 6.0]), 7.0_f64.sqrt());
        close(deviation_of_one(&[1.0, 2.0, 6.0]), (14.0_f64 / 3.0).sqrt());
        assert_eq!((mean(&[]), deviation(&[1.0]), extent(&[])), (None, None, None));
        assert_eq!(extent(&[2.0, 1.0, 3.0]), Some((1.0, 3.0)));
        assert_eq!(median(&[]), None);
        close(median(&[1.0, 2.0, 5.0]), 2.0);
        close(median(&[1.0, 2.0, 5.0, 6.0]), 3.5);
    }

    #[test]
    fn quantiles_are_values_of_the_list() {
        let list: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&list, 0.95), Some(95.0));
        assert_eq!(quantile(&list, 0.99), Some(99.0));
        assert_eq!(quantile(&list, 1.0), Some(100.0));
        assert_eq!(quantile(&list, 0.0), Some(1.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn the_best_of_some_is_expected_exactly() {
        // Of 4, 3, 2, 1 the six pairs have the best 4, 4, 4, 3, 3, 2.
        let list = [4.0, 3.0, 2.0, 1.0];
        close(expected_best(&list, 1), 2.5);
        close(expected_best(&list, 2), 20.0 / 6.0);
        close(expected_best(&list, 3), 15.0 / 4.0);
        close(expected_best(&list, 4), 4.0);
        close(expected_best(&list, 16), 4.0);
        assert_eq!((expected_best(&list, 0), expected_best(&[], 2)), (None, None));
    }

    // By hand: of the six pairs of (1,2), (2,1), (3,4), (4,3) four agree and two do not, and each
    // rank is off by one. With ties in x (1,1,2,3) and y (1,2,2,3): of six pairs one is tied in x,
    // one in y, four agree; ranks 1.5,1.5,3,4 and 1,2.5,2.5,4 have spreads of 4.5 and a product
    // of 3.75.
    #[rstest]
    #[case::equal(&[1.0, 2.0, 3.0], &[5.0, 6.0, 9.0], 1.0, 1.0)]
    #[case::opposite(&[1.0, 2.0, 3.0], &[9.0, 6.0, 5.0], -1.0, -1.0)]
    #[case::mixed(&[1.0, 2.0, 3.0, 4.0], &[2.0, 1.0, 4.0, 3.0], 2.0 / 6.0, 0.6)]
    #[case::tied(&[1.0, 1.0, 2.0, 3.0], &[1.0, 2.0, 2.0, 3.0], 0.8, 3.75 / 4.5)]
    #[case::infinite(&[f64::NEG_INFINITY, f64::NEG_INFINITY, 0.0, 1.0], &[1.0, 2.0, 2.0, 3.0], 0.8, 3.75 / 4.5)]
    fn orders_are_compared(
        #[case] xs: &[f64],
        #[case] ys: &[f64],
        #[case] kendall: f64,
        #[case] spearman: f64,
    ) {
        let found = agreement(xs.iter().copied().zip(ys.iter().copied())).unwrap();
        close(Some(found.kendall), kendall);
        close(Some(found.spearman), spearman);
    }

    #[test]
    fn what_has_no_order_is_not_compared() {
        assert_eq!(agreement([(1.0, 2.0)]), None);
        assert_eq!(agreement([(1.0, 2.0), (1.0, 3.0), (1.0, 4.0)]), None);
        assert_eq!(agreement([(0.0, 2.0), (-0.0, 3.0)]), None);
        assert_eq!(agreement([(1.0, 2.0), (f64::NAN, 3.0)]), None);
    }

    proptest! {
        /// Against the definition, pair by pair.
        #[test]
        fn the_fast_count_is_the_slow_one(
            pairs in proptest::collection::vec((0_u8..6, 0_u8..6), 2..60)
        ) {
            let pairs: Vec<(f64, f64)> =
                pairs.into_iter().map(|(x, y)| (f64::from(x), f64::from(y))).collect();
            let (mut balance, mut in_x, mut in_y, mut all) = (0.0, 0.0, 0.0, 0.0);
            for (place, a) in pairs.iter().enumerate() {
                for b in &pairs[..place] {
                    let (x, y) = (a.0 - b.0, a.1 - b.1);
                    all += 1.0;
                    in_x += f64::from(u8::from(x == 0.0));
                    in_y += f64::from(u8::from(y == 0.0));
                    balance += if x * y == 0.0 { 0.0 } else { (x * y).signum() };
                }
            }
            let spread: f64 = (all - in_x) * (all - in_y);
            let expected = (spread > 0.0).then(|| balance / spread.sqrt());
            let found = agreement(pairs).map(|found| found.kendall);
            prop_assert_eq!(found.is_some(), expected.is_some());
            if let (Some(found), Some(expected)) = (found, expected) {
                prop_assert!((found - expected).abs() < 1e-12, "{} {}", found, expected);
            }
        }
    }
}
