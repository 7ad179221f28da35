//! What a study has found so far. Accuracies are shares, `0..=1`.

use serde::{Deserialize, Serialize};

use super::statistics::{
    deviation, deviation_of_one, expected_best, extent, mean, median, quantile,
};
use crate::benchmark::Table;

/// Numbers of random architectures whose best is a baseline.
pub const DRAWN: [usize; 5] = [1, 2, 4, 8, 16];
/// Most points of a curve.
const POINTS: usize = 200;

/// What a study has found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The column of the table that accuracies are taken from.
    pub column: String,
    /// Other columns that may be asked for.
    pub columns: Vec<String>,
    /// What chance would reach.
    pub baselines: Baselines,
    /// Every method with every budget, budget by budget.
    pub cells: Vec<CellReport>,
}

/// What chance would reach, and what there is to reach, by the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baselines {
    /// Architectures in the table.
    pub architectures: usize,
    /// Mean accuracy of all, which is also what one random architecture is expected to have.
    pub mean: f64,
    /// Standard deviation of one random architecture.
    pub deviation: f64,
    /// Half of all are better.
    pub median: f64,
    /// At least 95 of 100 are not better.
    pub percentile_95: f64,
    /// At least 99 of 100 are not better.
    pub percentile_99: f64,
    /// The best.
    pub best: f64,
    /// The expected accuracy of the best of some random architectures, all different.
    pub random: Vec<BestOf>,
}

/// The best of some random architectures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BestOf {
    /// How many are drawn.
    pub drawn: usize,
    /// Expected accuracy of the best.
    pub accuracy: f64,
}

impl Baselines {
    /// Those of a table; `None` of an empty one, which none is.
    #[must_use]
    pub fn of(table: &Table) -> Option<Self> {
        let sorted = table.sorted();
        let best_of = |drawn| Some(BestOf { drawn, accuracy: expected_best(sorted, drawn)? });
        let there = DRAWN.into_iter().filter(|drawn| *drawn <= sorted.len());
        Some(Self {
            architectures: sorted.len(),
            mean: mean(sorted)?,
            deviation: deviation_of_one(sorted)?,
            median: median(sorted)?,
            percentile_95: quantile(sorted, 0.95)?,
            percentile_99: quantile(sorted, 0.99)?,
            best: *sorted.first()?,
            random: there.filter_map(best_of).collect(),
        })
    }
}

/// A method with a budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellReport {
    /// Name of the method.
    pub method: String,
    /// Name of the budget, if the study has any.
    pub budget: Option<String>,
    /// Over the seeds that have finished; absent before the first.
    pub result: Option<CellResult>,
    /// What would be derived, over search steps.
    pub curve: Vec<CurvePoint>,
    /// How many runs the curve is the mean of.
    pub curve_runs: usize,
    /// One a seed.
    pub runs: Vec<RunReport>,
}

/// Figures over the seeds that have finished.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// How many have finished.
    pub finished: usize,
    /// Mean true accuracy.
    pub mean: f64,
    /// Sample standard deviation; absent for one seed.
    pub deviation: Option<f64>,
    /// Of the worst seed.
    pub lowest: f64,
    /// Of the best seed.
    pub highest: f64,
    /// Rank of the best seed, from 1.
    pub best_rank: u64,
    /// Mean of what lacks to the table's best.
    pub regret: f64,
    /// Mean share of all architectures that are worse.
    pub percentile: f64,
    /// Mean number of steps in which weights followed a gradient, of the search and of finalists.
    pub steps: Option<f64>,
    /// Mean time that was worked.
    pub seconds: Option<f64>,
}

/// A point of a curve, over the seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The search step; architectures that a second stage compares, and steps that train finalists,
    /// come after those of the search.
    pub step: u64,
    /// Mean true accuracy.
    pub mean: f64,
    /// Of the worst seed.
    pub lowest: f64,
    /// Of the best seed.
    pub highest: f64,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Its id.
    pub run: String,
    /// Its seed.
    pub seed: u64,
    /// Its state; `planned` before it is created, `gone` if it is there no more.
    pub status: String,
    /// What it found, if it has succeeded and the table knows it.
    pub found: Option<Found>,
    /// Steps in which weights followed a gradient, of the search and of finalists.
    pub steps: Option<u64>,
    /// Seconds that all attempts worked.
    pub seconds: Option<f64>,
    /// How its scores agree with the truth.
    pub scores: Vec<Score>,
}

/// What a run found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// One-line text form.
    pub architecture: String,
    /// Its true accuracy.
    pub accuracy: f64,
    /// One more than the number of better architectures.
    pub rank: u64,
    /// What lacks to the table's best.
    pub regret: f64,
    /// Share of all architectures that are worse.
    pub percentile: f64,
}

/// By what a run tells good architectures from bad ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreKind {
    /// The logarithms of the rows' probabilities, summed over an architecture's options.
    Rows,
    /// Validation accuracy of the second stage's candidates.
    Candidates,
    /// Validation accuracy of finalists, each in its last round.
    Finalists,
}

impl ScoreKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Rows, Self::Candidates, Self::Finalists];

    /// The name as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Candidates => "candidates",
            Self::Finalists => "finalists",
        }
    }
}

/// How some scores agree with the truth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Whose.
    pub kind: ScoreKind,
    /// Architectures that were compared.
    pub architectures: usize,
    /// Kendall's tau-b.
    pub kendall: f64,
    /// Spearman's rho.
    pub spearman: f64,
}

impl CellResult {
    /// Over the runs that found something; `None` if there are none.
    #[must_use]
    pub fn of(runs: &[RunReport]) -> Option<Self> {
        let found: Vec<&Found> = runs.iter().filter_map(|run| run.found.as_ref()).collect();
        let all = |of: fn(&Found) -> f64| -> Vec<f64> { found.iter().map(|one| of(one)).collect() };
        let accuracies = all(|found| found.accuracy);
        let (lowest, highest) = extent(&accuracies)?;
        let ended = || runs.iter().filter(|run| run.found.is_some());
        #[expect(clippy::cast_precision_loss, reason = "steps are few")]
        let steps: Vec<f64> = ended().filter_map(|run| Some(run.steps? as f64)).collect();
        let seconds: Vec<f64> = ended().filter_map(|run| run.seconds).collect();
        Some(Self {
            finished: found.len(),
            mean: mean(&accuracies)?,
            deviation: deviation(&accuracies),
            lowest,
            highest,
            best_rank: found.iter().map(|found| found.rank).min()?,
            regret: mean(&all(|found| found.regret))?,
            percentile: mean(&all(|found| found.percentile))?,
            steps: mean(&steps),
            seconds: mean(&seconds),
        })
    }
}

/// The mean of curves at each step that all of them have, with the lowest and the highest.
#[must_use]
pub fn mean_curve(curves: &[&[(u64, f64)]]) -> Vec<CurvePoint> {
    let Some((first, others)) = curves.split_first() else { return Vec::new() };
    let at = |curve: &[(u64, f64)], step: u64| {
        curve.binary_search_by_key(&step, |point| point.0).ok().map(|place| curve[place].1)
    };
    let point = |(step, value): &(u64, f64)| {
        let others = others.iter().map(|curve| at(curve, *step));
        let values: Vec<f64> =
            std::iter::once(Some(*value)).chain(others).collect::<Option<_>>()?;
        let ((lowest, highest), mean) = (extent(&values)?, mean(&values)?);
        Some(CurvePoint { step: *step, mean, lowest, highest })
    };
    let mut points: Vec<CurvePoint> = first.iter().filter_map(point).collect();
    let count = points.len();
    if count > POINTS {
        // Evenly spread, the first and the last among them.
        points = (0..POINTS).map(|i| points[i * (count - 1) / (POINTS - 1)]).collect();
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::{Choice, Site};
    use crate::spec::BenchmarkSpec;

    fn table() -> Table {
        let choice = Choice {
            tensor: "normal".to_owned(),
            label: "0→1".to_owned(),
            options: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
            site: Site::Edge { cell: "normal".to_owned(), from: 0, to: 1 },
            when: None,
        };
        let spec = BenchmarkSpec { table: None, columns: Some("x".to_owned()), accuracy: None };
        Table::read("x,acc\na,0.4\nb,0.2\nc,0.1\nd,0.3\n", &[choice], &spec).unwrap()
    }

    #[test]
    fn a_table_tells_what_chance_reaches() {
        let baselines = Baselines::of(&table()).unwrap();
        assert_eq!((baselines.architectures, baselines.best), (4, 0.4));
        assert!((baselines.mean - 0.25).abs() < 1e-12 && (baselines.median - 0.25).abs() < 1e-12);
        let drawn: Vec<usize> = baselines.random.iter().map(|best| best.drawn).collect();
        assert_eq!(drawn, [1, 2, 4], "no more can be drawn than there are");
        assert!((baselines.random[1].accuracy - 20.0 / 60.0).abs() < 1e-12);
        assert!((baselines.random[2].accuracy - 0.4).abs() < 1e-12);
    }

    #[test]
    fn a_curve_has_the_steps_that_all_seeds_have() {
        let one = [(1, 0.1), (2, 0.2), (3, 0.3)];
        let other = [(2, 0.4), (3, 0.5), (4, 0.6)];
        let curve = mean_curve(&[&one, &other]);
        let steps: Vec<u64> = curve.iter().map(|point| point.step).collect();
        assert_eq!(steps, [2, 3]);
        assert!((curve[0].mean - 0.3).abs() < 1e-12);
        assert_eq!((curve[0].lowest, curve[0].highest), (0.2, 0.4));
        assert_eq!(mean_curve(&[]), []);
        let long: Vec<(u64, f64)> = (0..1000).map(|step| (step, 0.5)).collect();
        let thinned = mean_curve(&[&long]);
        assert_eq!((thinned.len(), thinned[0].step, thinned[199].step), (200, 0, 999));
    }

    #[test]
    fn a_cell_counts_the_seeds_that_finished() {
        let run = |found: Option<(f64, u64)>| RunReport {
            run: "r".to_owned(),
            seed: 1,
            status: "succeeded".to_owned(),
            found: found.map(|(accuracy, rank)| Found {
                architecture: "a".to_owned(),
                accuracy,
                rank,
                regret: 0.9 - accuracy,
                percentile: 0.5,
            }),
            steps: Some(10),
            seconds: None,
            scores: Vec::new(),
        };
        assert_eq!(CellResult::of(&[run(None)]), None);
        let result =
            CellResult::of(&[run(Some((0.8, 5))), run(None), run(Some((0.6, 9)))]).unwrap();
        assert_eq!((result.finished, result.best_rank, result.steps), (2, 5, Some(10.0)));
        assert!((result.mean - 0.7).abs() < 1e-12 && (result.regret - 0.2).abs() < 1e-12);
        assert!((result.deviation.unwrap() - 0.02_f64.sqrt()).abs() < 1e-12);
        assert_eq!((result.lowest, result.highest, result.seconds), (0.6, 0.8, None));
    }
}
