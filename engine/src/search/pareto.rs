//! Trade-offs of accuracy against cost: what NSGA-II (Deb et al., 2002) selects by.
//!
//! Pure functions over points. [`super::evolve::Evolution`] breeds with them; the front of all
//! candidates that were tried is what a person chooses from.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What a candidate reaches, and for how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Validation accuracy, `0..=1`; more is better.
    pub accuracy: f64,
    /// Parameters or multiply-accumulates; less is better.
    pub cost: u64,
}

impl Point {
    /// Whether this one is nowhere worse and somewhere better.
    #[must_use]
    pub fn dominates(&self, other: &Self) -> bool {
        self.accuracy >= other.accuracy
            && self.cost <= other.cost
            && (self.accuracy > other.accuracy || self.cost < other.cost)
    }
}

/// Fast non-dominated sorting: the points that nothing dominates, then those that only these do,
/// and so on. Indices of a front stand in their order.
#[must_use]
pub fn fronts(points: &[Point]) -> Vec<Vec<usize>> {
    let mut beats: Vec<Vec<usize>> = vec![vec![]; points.len()];
    let mut beaten_by = vec![0_usize; points.len()];
    for (at, point) in points.iter().enumerate() {
        for (other, rival) in points.iter().enumerate() {
            if point.dominates(rival) {
                beats[at].push(other);
                beaten_by[other] += 1;
            }
        }
    }
    let mut fronts = Vec::new();
    let mut front: Vec<usize> = (0..points.len()).filter(|at| beaten_by[*at] == 0).collect();
    while !front.is_empty() {
        let mut next = Vec::new();
        for other in front.iter().flat_map(|at| &beats[*at]) {
            beaten_by[*other] -= 1;
            if beaten_by[*other] == 0 {
                next.push(*other);
            }
        }
        next.sort_unstable();
        fronts.push(std::mem::replace(&mut front, next));
    }
    fronts
}

/// How far the neighbours of each point of a front are apart, as a share of the front's extent,
/// summed over accuracy and cost; infinite at the ends.
#[must_use]
pub fn crowding(points: &[Point], front: &[usize]) -> Vec<f64> {
    #[expect(clippy::cast_precision_loss, reason = "costs are far below 2^53")]
    let axes: [fn(&Point) -> f64; 2] = [|point| point.accuracy, |point| point.cost as f64];
    let mut distances = vec![0.0; front.len()];
    for axis in axes {
        let value = |place: usize| axis(&points[front[place]]);
        let mut order: Vec<usize> = (0..front.len()).collect();
        order.sort_by(|a, b| value(*a).total_cmp(&value(*b)));
        let (Some(first), Some(last)) = (order.first(), order.last()) else { break };
        let extent = value(*last) - value(*first);
        (distances[*first], distances[*last]) = (f64::INFINITY, f64::INFINITY);
        for three in order.windows(3).filter(|_| extent > 0.0) {
            distances[three[1]] += (value(three[2]) - value(three[0])) / extent;
        }
    }
    distances
}

/// Every point's front, from 0, and crowding distance.
#[must_use]
pub fn standings(points: &[Point]) -> Vec<(usize, f64)> {
    let mut standings = BTreeMap::new();
    for (rank, front) in fronts(points).into_iter().enumerate() {
        let distances = crowding(points, &front);
        standings.extend(front.into_iter().zip(distances.into_iter().map(|far| (rank, far))));
    }
    standings.into_values().collect()
}

/// The crowded comparison: an earlier front first, then the less crowded point.
#[must_use]
pub fn crowded(one: (usize, f64), other: (usize, f64)) -> Ordering {
    one.0.cmp(&other.0).then(other.1.total_cmp(&one.1))
}

/// The points that survive a generation, the best first by the crowded comparison; equals stay in
/// their order.
#[must_use]
pub fn survivors(points: &[Point], count: usize) -> Vec<usize> {
    let standings = standings(points);
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|a, b| crowded(standings[*a], standings[*b]));
    order.truncate(count);
    order
}

/// The first front by rising cost; of equal points the first.
#[must_use]
pub fn front(points: &[Point]) -> Vec<usize> {
    let mut front = fronts(points).into_iter().next().unwrap_or_default();
    front.sort_by_key(|at| points[*at].cost);
    front.dedup_by(|later, first| points[*later] == points[*first]);
    front
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(of: &[(u32, u64)]) -> Vec<Point> {
        let point = |(accuracy, cost): &(u32, u64)| Point {
            accuracy: f64::from(*accuracy) / 20.0,
            cost: *cost,
        };
        of.iter().map(point).collect()
    }

    proptest! {
        #[test]
        fn fronts_are_what_their_definition_says(of in proptest::collection::vec((0_u32..20, 0_u64..20), 0..40)) {
            let points = points(&of);
            let fronts = fronts(&points);
            let mut all: Vec<usize> = fronts.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..points.len()).collect::<Vec<_>>());
            for (rank, front) in fronts.iter().enumerate() {
                for at in front {
                    let beaten = |by: &usize| points[*by].dominates(&points[*at]);
                    prop_assert!(!front.iter().any(beaten), "within a front nothing dominates");
                    prop_assert!(rank == 0 || fronts[rank - 1].iter().any(beaten));
                }
            }
        }

        #[test]
        fn dominance_is_a_strict_order(a in (0_u32..5, 0_u64..5), b in (0_u32..5, 0_u64..5), c in (0_u32..5, 0_u64..5)) {
            let all = points(&[a, b, c]);
            prop_assert!(!all[0].dominates(&all[0]));
            prop_assert!(!(all[0].dominates(&all[1]) && all[1].dominates(&all[0])));
            if all[0].dominates(&all[1]) && all[1].dominates(&all[2]) {
                prop_assert!(all[0].dominates(&all[2]));
            }
        }

        #[test]
        fn survivors_come_front_by_front_and_keep_the_ends(of in proptest::collection::vec((0_u32..20, 0_u64..20), 1..40), count in 1_usize..40) {
            let points = points(&of);
            let kept = survivors(&points, count);
            prop_assert_eq!(kept.len(), count.min(points.len()));
            let standings = standings(&points);
            let worst = kept.iter().map(|at| standings[*at].0).max().unwrap();
            for (at, standing) in standings.iter().enumerate() {
                prop_assert!(standing.0 >= worst || kept.contains(&at), "an earlier front survives");
            }
            if count >= 4 {
                let cheapest = points.iter().map(|point| point.cost).min();
                prop_assert_eq!(kept.iter().map(|at| points[*at].cost).min(), cheapest);
            }
        }

        #[test]
        fn the_front_rises_in_cost_and_accuracy(of in proptest::collection::vec((0_u32..20, 0_u64..20), 1..40)) {
            let points = points(&of);
            let front = front(&points);
            for pair in front.windows(2) {
                let (one, other) = (points[pair[0]], points[pair[1]]);
                prop_assert!(one.cost < other.cost && one.accuracy < other.accuracy);
            }
            for point in &points {
                let known = |at: &usize| points[*at] == *point || points[*at].dominates(point);
                prop_assert!(front.iter().any(known));
            }
        }
    }

    #[test]
    fn crowding_is_the_extent_of_the_neighbours() {
        let points = points(&[(0, 0), (4, 1), (10, 5), (20, 10)]);
        let distances = crowding(&points, &[0, 1, 2, 3]);
        assert_eq!((distances[0], distances[3]), (f64::INFINITY, f64::INFINITY));
        assert!((distances[1] - (0.5 + 0.5)).abs() < 1e-12, "{distances:?}");
        assert!((distances[2] - (0.8 + 0.9)).abs() < 1e-12, "{distances:?}");
        assert_eq!(crowded((0, 1.0), (0, 2.0)), Ordering::Greater);
        assert_eq!(crowded((0, 1.0), (1, 2.0)), Ordering::Less);
    }
}
