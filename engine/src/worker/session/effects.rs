//! What a second stage by effects decides.

use skein_core::choice::{Architecture, argmax};
use skein_core::graph::Effects;
use skein_core::spec::SecondStageSpec;

use super::Context;
use crate::EngineError;
use crate::search::effects;
use crate::search::run::Search;

impl Context<'_> {
    /// Rows that prefer what the effects of the options speak for, of all candidates scored so far;
    /// none if the second stage takes the best candidate.
    pub(super) fn rows_of_effects(
        &self,
        search: &Search,
    ) -> Result<Option<Vec<Vec<f64>>>, EngineError> {
        let graph = search.net.graph();
        let SecondStageSpec::Effects { tolerance, .. } = self.spec.search.second_stage else {
            return Ok(None);
        };
        let effects = effects::of(&self.spec, graph, &self.tried)?;
        Ok(Some(graph.rows_of_effects(&effects, tolerance, self.spec.constraints.penalty_on)?))
    }

    /// Says where another option is taken than the one that adds most.
    pub(super) fn explain(
        &mut self,
        search: &Search,
        picked: &Architecture,
    ) -> Result<(), EngineError> {
        let graph = search.net.graph();
        let Effects { of, residual, .. } = effects::of(&self.spec, graph, &self.tried)?;
        let text = self.data.text.is_some();
        let say = |value: f64| match text {
            true => format!("{value:.4} nats"),
            false => format!("{:.2} points", 100.0 * value),
        };
        self.events.log(format!(
            "the effects of the options are estimated from {} candidates; what they leave unexplained has a \
             standard deviation of {}",
            self.tried.len(),
            say(residual)
        ))?;
        for (choice, effects) in of.iter().enumerate() {
            let option = picked.0[choice];
            let best = argmax(effects);
            let less = effects[best] - effects[option];
            if less > 0.0 && graph.is_open(picked, choice) {
                let names = &graph.choices[choice].options;
                self.events.log(format!(
                    "{}: {} is taken, which adds {} less than {}",
                    graph.choices[choice].name(),
                    names[option],
                    say(less),
                    names[best]
                ))?;
            }
        }
        Ok(())
    }
}
