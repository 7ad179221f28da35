//! Points over steps, to which several attempts of a run contribute.
//!
//! An attempt may also go back by itself, to a checkpoint of its own.

/// One curve: a later attempt, or one that went back, supersedes the points before from its next
/// step on.
#[derive(Debug, Clone)]
pub struct Curve<T> {
    /// The points that count, in order of their steps.
    pub points: Vec<T>,
    /// Points of earlier attempts that a later one repeated.
    pub superseded: Vec<T>,
    attempt: u32,
}

impl<T> Default for Curve<T> {
    fn default() -> Self {
        Self { points: Vec::new(), superseded: Vec::new(), attempt: 0 }
    }
}

impl<T> Curve<T> {
    /// Adds a point of an attempt; `step` tells a point's step.
    ///
    /// Attempts must come in order.
    pub fn add(&mut self, attempt: u32, point: T, step: impl Fn(&T) -> u64) {
        let back = self.points.last().is_some_and(|last| step(last) > step(&point));
        if self.attempt != attempt || back {
            self.attempt = attempt;
            let from = self.points.partition_point(|old| step(old) < step(&point));
            self.superseded.extend(self.points.drain(from..));
        }
        self.points.push(point);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_attempt_supersedes_from_its_first_step_on() {
        let mut curve = Curve::default();
        for point in [(1, 1), (2, 1), (3, 1), (4, 1), (3, 2), (4, 2), (4, 3), (5, 3)] {
            curve.add(point.1, point, |point| point.0);
        }
        assert_eq!(curve.points, [(1, 1), (2, 1), (3, 2), (4, 3), (5, 3)]);
        assert_eq!(curve.superseded, [(3, 1), (4, 1), (4, 2)]);
        for point in [(6, 3), (4, 3), (5, 3)] {
            curve.add(point.1, point, |point| point.0);
        }
        assert_eq!(curve.points, [(1, 1), (2, 1), (3, 2), (4, 3), (5, 3)]);
    }
}
