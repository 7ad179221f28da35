//! The trade-offs of accuracy against cost, as events and the package tell them.

use skein_core::event::{Front, FrontPoint};
use skein_core::graph::Graph;
use skein_core::spec::{Measure, RunSpec, SecondStageSpec};

use crate::EngineError;
use crate::search::evolve::Tried;
use crate::search::pareto::{self, Point};

/// The front of all candidates so far; none if a run trades no accuracy for cost.
///
/// # Errors
/// - [`EngineError`] if a candidate does not belong to the space.
pub fn of(spec: &RunSpec, graph: &Graph, tried: &[Tried]) -> Result<Option<Front>, EngineError> {
    let SecondStageSpec::Pareto { cost: measure, population, .. } = spec.search.second_stage else {
        return Ok(None);
    };
    let points: Result<Vec<Point>, EngineError> =
        tried.iter().map(|tried| point(graph, measure, tried)).collect();
    let on_front = pareto::front(&points?).into_iter().map(|at| {
        let Tried { architecture, accuracy, loss } = &tried[at];
        Ok(FrontPoint {
            choices: architecture.0.clone(),
            text: architecture.to_text(spec.space.preset(), &graph.choices),
            accuracy: *accuracy,
            loss: *loss,
            cost: graph.cost(architecture)?,
        })
    });
    let points: Result<Vec<FrontPoint>, EngineError> = on_front.collect();
    let step = tried.len() as u64;
    let generation = step.div_ceil(population.max(1)).saturating_sub(1);
    Ok(Some(Front { step, generation, cost: measure, points: points? }))
}

fn point(graph: &Graph, measure: Measure, tried: &Tried) -> Result<Point, EngineError> {
    let cost = graph.cost(&tried.architecture)?.of(measure);
    Ok(Point { accuracy: tried.accuracy.0, cost })
}
