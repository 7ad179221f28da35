//! What happens to the network that was found: measured, trained, packed.

use std::time::{Duration, Instant};

use skein_core::choice::{Architecture, Choice};
use skein_core::event::{EventBody, PhaseName, Rung, Summary};
use skein_core::graph::Cost;
use skein_core::number::Num;
use skein_core::package::LeftOut;
use skein_core::package::card::Facts;
use skein_core::spec::{OptimizerSpec, milliseconds};

use super::selecting::Selected;
use super::snapshot::Derived;
use super::{Context, Ended};
use crate::EngineError;
use crate::data::Examples;
use crate::device;
use crate::latency;
use crate::search::candidates;
use crate::search::run::{EVALUATION_BATCH, Search};
use crate::train::evaluate::Score;
use crate::train::fit::{Course, Fit};
use crate::train::network::Network;
use crate::train::stage::Stage;
use crate::train::trainee::Trainee;
use crate::worker::events::Events;
use crate::worker::package::{self, Contents};
use crate::worker::session::packaged;

/// Examples on which the packed network must equal the trained one.
const PROBE: usize = 64;
/// How long a measurement says nothing.
const SILENCE: Duration = Duration::from_secs(10);

impl Context<'_> {
    /// Everything after the search.
    pub(super) fn after(
        &mut self,
        search: &Search,
        derived: Option<Derived>,
    ) -> Result<Ended, EngineError> {
        let derived = match derived {
            Some(derived) => derived,
            None => match self.choose(search)? {
                Some(architecture) => self.inherit(search, architecture)?,
                None => return Ok(Ended::Stopped),
            },
        };
        let architecture = Architecture(derived.choices.clone());
        let mut ladder = derived.ladder.clone();
        let mut fits: Vec<Fit> = Vec::new();
        for stage in Stage::OF_DERIVED {
            if stage.spec(&self.spec.after).epochs == 0 {
                continue;
            }
            let mut fit = self.fit(search, stage, &architecture)?;
            if let Some(kept) = &self.kept {
                kept.load_fit(&mut fit)?;
            }
            fits.push(fit);
            if !self.train(search, &derived, &mut fits)? {
                return Ok(Ended::Stopped);
            }
            if let Some(fit) = fits.last() {
                ladder.push(self.rung(stage.rung(false), &fit.trainee.network, search)?);
                if let Some(averaged) = fit.averaged()? {
                    ladder.push(self.rung(stage.rung(true), &averaged, search)?);
                }
            }
        }
        let chosen = packaged::choose(self.spec.after.packaged, &ladder, self.data.text.is_some())?;
        let network = self.network(search, &architecture, &fits, &chosen.weights)?;
        self.pack(search, &architecture, &network, (ladder.clone(), chosen))
    }

    /// The architecture that goes on; none if a stop was asked for.
    fn choose(&mut self, search: &Search) -> Result<Option<Architecture>, EngineError> {
        let best = match self.select(search)? {
            Selected::Best(architecture) => Some(architecture),
            Selected::None => None,
            Selected::Stopped => return Ok(None),
        };
        if self.spec.after.finalists.count > 0 {
            return self.hold_finals(search);
        }
        let given = best.map_or_else(|| self.given(search.net.graph()), |best| Ok(Some(best)))?;
        match given {
            Some(given) => Ok(Some(given)),
            None => search.derive(&self.data, search.last_epoch()).map(Some),
        }
    }

    /// The network whose measurement a rung is.
    fn network(
        &self,
        search: &Search,
        architecture: &Architecture,
        fits: &[Fit],
        rung: &str,
    ) -> Result<Network, EngineError> {
        match rung {
            "inherited" => return self.inherited(search, architecture),
            "recalibrated" => return self.recalibrated(search, architecture),
            _ => {}
        }
        for fit in fits {
            if fit.stage.rung(false) == rung {
                return fit.trainee.result();
            }
            if fit.stage.rung(true) == rung
                && let Some(averaged) = fit.averaged()?
            {
                return Ok(averaged);
            }
        }
        Err(EngineError::Bug(format!("there are no weights `{rung}`")))
    }

    /// Measures the architecture with the supernet's weights, if it can have them.
    fn inherit(
        &mut self,
        search: &Search,
        architecture: Architecture,
    ) -> Result<Derived, EngineError> {
        self.phase(PhaseName::Inherit, 0)?;
        let text = architecture.to_text(self.spec.space.preset(), &search.net.graph().choices);
        let origin = match self.spec.search.optimizer {
            OptimizerSpec::Fixed { .. } => "given",
            OptimizerSpec::Random => "the best of random ones:",
            _ => "derived",
        };
        self.events.log(format!("{origin} {text}"))?;
        let mut ladder = vec![];
        if self.start.is_some() || self.spec.search.optimizer.lends_weights() {
            let network = self.inherited(search, &architecture)?;
            let inherited = self.rung("inherited", &network, search)?;
            let recalibrated = if network.has_statistics() {
                let network = self.recalibrated(search, &architecture)?;
                self.rung("recalibrated", &network, search)?
            } else {
                // The same network; a vision transformer takes minutes for the images on a CPU.
                self.events.log("no batch norm: recalibrated weights are the inherited ones")?;
                Rung { weights: "recalibrated".to_owned(), ..inherited.clone() }
            };
            ladder.extend([inherited, recalibrated]);
        }
        let derived = Derived { choices: architecture.0, ladder };
        self.keep(search, Some(&derived), &[])?;
        Ok(derived)
    }

    /// The derived network with inherited weights and statistics.
    fn inherited(
        &self,
        search: &Search,
        architecture: &Architecture,
    ) -> Result<Network, EngineError> {
        if let Some(start) = &self.start {
            return start.within(start.graph().clone(), None, &[]);
        }
        let fixed = search.net.graph().specialise(architecture)?;
        Network::inherited(fixed, &search.net.store, self.compute)
    }

    /// The derived network with inherited weights and statistics of its own.
    fn recalibrated(
        &self,
        search: &Search,
        architecture: &Architecture,
    ) -> Result<Network, EngineError> {
        let network = self.inherited(search, architecture)?;
        candidates::recalibrate(network, search, &self.data, self.spec.after.recalibrate_images)
    }

    /// A training at its beginning.
    fn fit(
        &mut self,
        search: &Search,
        stage: Stage,
        architecture: &Architecture,
    ) -> Result<Fit, EngineError> {
        let fixed = search.net.graph().specialise(architecture)?;
        let mut trainee = match stage {
            Stage::FineTune => {
                Trainee::tuned(fixed, &self.recalibrated(search, architecture)?, &self.spec)?
            }
            Stage::FromScratch | Stage::Finalist => {
                Trainee::fresh(fixed, &self.spec, self.spec.seed, self.compute)?
            }
        };
        trainee.network.recompute(self.spec.resources.keep_activations)?;
        if self.spec.after.auxiliary.is_some_and(|weight| weight > 0.0) && !trainee.has_head() {
            let text = "the network does not use the cell that the auxiliary head would read, so it is trained without one";
            self.events.warn("auxiliary_left_out", text)?;
        }
        let asked = stage.spec(&self.spec.after).clone();
        let (seed, positions) = (self.spec.seed, search.split().training.clone());
        let course = Course { stage, asked, seed, positions };
        Ok(Fit::new(&self.spec, course, trainee, &self.data.train))
    }

    fn rung(
        &mut self,
        weights: &str,
        network: &Network,
        search: &Search,
    ) -> Result<Rung, EngineError> {
        let test: Vec<i64> = (0..i64::try_from(self.data.test.count()).unwrap_or(0)).collect();
        let valid = (&self.data.train, search.valid_positions(), "validation");
        let valid = scored(self.events, network, valid)?;
        let test = scored(self.events, network, (&self.data.test, &test, "test"))?;
        self.events.log(format!(
            "weights {weights}: validation accuracy {:.2} %, test accuracy {:.2} %",
            100.0 * valid.accuracy,
            100.0 * test.accuracy
        ))?;
        let measures = self.data.text.as_ref().map(|text| text.measures(test.loss, true));
        if let Some((perplexity, bits)) = measures {
            self.events.log(format!(
                "weights {weights}: test loss {:.4} nats a token, perplexity {perplexity:.3}, {bits:.4} bits a character",
                test.loss
            ))?;
        }
        Ok(Rung {
            weights: weights.to_owned(),
            valid_loss: Num(valid.loss),
            valid_accuracy: Num(valid.accuracy),
            test_loss: Num(test.loss),
            test_accuracy: Num(test.accuracy),
            test_perplexity: measures.map(|(perplexity, _)| Num(perplexity)),
            test_bits_per_character: measures.map(|(_, bits)| Num(bits)),
        })
    }

    /// How likely each option was at the end; what is given is certain.
    fn rows(
        &self,
        search: &Search,
        architecture: &Architecture,
    ) -> Result<Vec<Vec<f64>>, EngineError> {
        if search.searches() {
            return search.probabilities(search.last_epoch());
        }
        let choices = search.net.graph().choices.iter().zip(&architecture.0);
        let certain = |(choice, given): (&Choice, &usize)| {
            let options = 0..choice.options.len();
            options.map(|option| if option == *given { 1.0 } else { 0.0 }).collect()
        };
        Ok(choices.map(certain).collect())
    }

    fn pack(
        &mut self,
        search: &Search,
        architecture: &Architecture,
        network: &Network,
        (ladder, chosen): (Vec<Rung>, Rung),
    ) -> Result<Ended, EngineError> {
        self.phase(PhaseName::Package, 0)?;
        let space = search.net.graph();
        let cost = space.cost(architecture)?;
        let latency_ms = self.latency(cost, network)?;
        let counts =
            [search.weight_images(), search.valid_positions().len(), self.data.test.count()];
        let facts = Facts {
            spec: &self.spec,
            dataset: &self.dataset,
            space,
            architecture,
            rows: &self.rows(search, architecture)?,
            ladder: &ladder,
            packaged: &chosen.weights,
            cost,
            latency_ms,
            device: &device::name(self.compute.device),
            examples: counts.map(|count| count as u64),
            cleaned: self.data.text.as_ref().and_then(|text| text.cleaned.as_deref()),
            version: env!("CARGO_PKG_VERSION"),
        };
        let contents = Contents {
            facts,
            network,
            tried: &self.tried,
            finals: &self.finals,
            vocabulary: self.data.text.as_ref().map(|text| &text.vocabulary),
        };
        let count = self.data.test.count().min(self.data.test.at_once()).min(PROBE);
        let count = i64::try_from(count).unwrap_or(0);
        let probe = self.data.test.batch(&(0..count).collect::<Vec<_>>())?;
        for LeftOut { file, fault } in package::write(self.session.attempt, &contents, &probe.x)? {
            let text = format!("{file} is left out of the result package: {fault}");
            self.events.warn("export_left_out", text)?;
        }
        self.events.log(format!(
            "the result package is complete and verified; its weights are `{}`",
            chosen.weights
        ))?;
        let summary = Summary {
            architecture: architecture.to_text(self.spec.space.preset(), &space.choices),
            choices: architecture.0.clone(),
            cost,
            latency_ms,
            valid_accuracy: chosen.valid_accuracy,
            test_accuracy: chosen.test_accuracy,
            packaged: chosen.weights,
            ladder,
            duration_s: Num(self.meter.worked_s()),
        };
        self.events.say(EventBody::Finished(summary.clone()))?;
        Ok(Ended::Finished(Box::new(summary)))
    }

    /// What the whole network takes, if latency was asked for: its layers one by one are the
    /// estimate that the search went by.
    fn latency(&mut self, cost: Cost, network: &Network) -> Result<Option<Num>, EngineError> {
        let Some(estimate) = cost.latency_ns.map(milliseconds) else { return Ok(None) };
        let whole = milliseconds(latency::of_network(network.graph(), self.compute)?);
        self.events.log(format!(
            "one example takes {whole:.3} ms, its layers one by one {estimate:.3} ms"
        ))?;
        Ok(Some(Num(whole)))
    }
}

/// Scores a network, and says from time to time how far it is: large images take minutes on a CPU.
fn scored(
    events: &mut Events,
    network: &Network,
    (examples, positions, what): (&Examples, &[i64], &str),
) -> Result<Score, EngineError> {
    let (mut said, count) = (Instant::now(), positions.len());
    network.score_telling(examples, positions, EVALUATION_BATCH, |done| {
        if said.elapsed() < SILENCE || done == count {
            return Ok(());
        }
        said = Instant::now();
        events.log(format!("measured on {done} of {count} {what} examples"))
    })
}
