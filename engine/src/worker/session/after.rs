//! What happens to the network that was found: measured, trained, packed.

use skein_core::choice::Architecture;
use skein_core::event::{EventBody, PhaseName, Rung, Summary};
use skein_core::number::Num;

use super::searching::REPORT_EVERY;
use super::snapshot::{self, Derived};
use super::{Context, Ended, Resumed};
use crate::EngineError;
use crate::search::run::{EVALUATION_BATCH, Search};
use crate::train::evaluate::Score;
use crate::train::fit::Fit;
use crate::train::network::Network;
use crate::worker::meter::Place;
use crate::worker::package::{self, Contents};

/// Images on which the packed network must equal the trained one.
const PROBE: i64 = 64;

impl Context<'_> {
    /// Everything after the search.
    pub(super) fn after(
        &mut self,
        search: &Search,
        resumed: Option<Resumed>,
    ) -> Result<Ended, EngineError> {
        let (derived, recalibrated, fit_from) = match resumed {
            Some(resumed) => (resumed.derived, None, Some((resumed.fit_step, resumed.tensors))),
            None => {
                let (derived, network) = self.inherit(search)?;
                (derived, Some(network), None)
            }
        };
        let architecture = Architecture(derived.choices.clone());
        let mut ladder = derived.ladder.clone();
        let network = if self.spec.after.fit_epochs > 0 {
            let fixed = search.net.graph().specialise(&architecture)?;
            let mut fit = Fit::new(&self.spec, fixed.graph, self.fit_images(search), self.compute)?;
            if let Some((step, tensors)) = &fit_from {
                snapshot::load_fit(&mut fit, *step, tensors)?;
            }
            if !self.fit(search, &derived, &mut fit)? {
                return Ok(Ended::Stopped);
            }
            ladder.push(self.rung("from_scratch", &fit.network, search)?);
            fit.network
        } else {
            // Estimated already, unless another attempt did it.
            recalibrated.map_or_else(|| self.recalibrated(search, &architecture), Ok)?
        };
        self.pack(search, &architecture, &network, ladder)
    }

    /// Derives the architecture and measures it with the supernet's weights; gives the
    /// recalibrated network too.
    fn inherit(&mut self, search: &Search) -> Result<(Derived, Network), EngineError> {
        self.phase(PhaseName::Inherit, 0)?;
        let architecture = search.derive(&self.data, self.spec.search.epochs - 1)?;
        let text = architecture.to_text(self.spec.space.preset(), &search.net.graph().choices);
        self.events.log(format!("derived {text}"))?;
        let fixed = search.net.graph().specialise(&architecture)?;
        let network = Network::inherited(fixed, &search.net.store, self.compute)?;
        let inherited = self.rung("inherited", &network, search)?;
        let network = self.recalibrated(search, &architecture)?;
        let recalibrated = self.rung("recalibrated", &network, search)?;
        let derived = Derived { choices: architecture.0, ladder: vec![inherited, recalibrated] };
        let snapshot = snapshot::take(search, Some(&derived), None, self.meter.worked_s())?;
        self.checkpoint(&snapshot)?;
        Ok((derived, network))
    }

    /// The derived network with inherited weights and statistics of its own.
    fn recalibrated(
        &self,
        search: &Search,
        architecture: &Architecture,
    ) -> Result<Network, EngineError> {
        let fixed = search.net.graph().specialise(architecture)?;
        let mut network = Network::inherited(fixed, &search.net.store, self.compute)?;
        let positions = search.weight_positions(self.spec.after.recalibrate_images);
        network.recalibrate(&self.data.train, &positions, EVALUATION_BATCH)?;
        Ok(network)
    }

    /// All training images but those that validate.
    fn fit_images(&self, search: &Search) -> Vec<i64> {
        let valid = search.valid_positions();
        let kept = valid.first().zip(valid.last());
        let all = 0..i64::try_from(self.data.train.count()).unwrap_or(0);
        all.filter(|at| kept.is_none_or(|(first, last)| at < first || at > last)).collect()
    }

    /// Trains from scratch; false if a stop was asked for.
    fn fit(
        &mut self,
        search: &Search,
        derived: &Derived,
        fit: &mut Fit,
    ) -> Result<bool, EngineError> {
        let (total, per_epoch) = (fit.total_steps(), fit.steps_per_epoch());
        self.phase(PhaseName::Fit, total)?;
        while fit.step < total {
            let epoch = fit.step / per_epoch;
            fit.iterate(&self.data.train)?;
            let ends = fit.step.is_multiple_of(per_epoch);
            if ends || fit.step.is_multiple_of(REPORT_EVERY) {
                let mut values = fit.pending.take()?;
                values.insert("input_wait".to_owned(), Num(fit.input_wait.take()));
                values.insert("lr".to_owned(), Num(fit.lr(fit.step - 1)));
                self.metrics(PhaseName::Fit, fit.step, epoch, values)?;
            }
            if ends {
                let score = fit.network.score(
                    &self.data.train,
                    search.valid_positions(),
                    EVALUATION_BATCH,
                )?;
                let values = [("valid_loss", score.loss), ("valid_accuracy", score.accuracy)];
                let values = values.map(|(name, value)| (name.to_owned(), Num(value))).into();
                self.metrics(PhaseName::Fit, fit.step, epoch, values)?;
            }
            let stop = self.session.stop.asked();
            if stop
                || fit.step == total
                || fit.step.is_multiple_of(self.spec.resources.checkpoint_every)
            {
                let snapshot =
                    snapshot::take(search, Some(derived), Some(fit), self.meter.worked_s())?;
                self.checkpoint(&snapshot)?;
            }
            if stop {
                self.events.log("asked to stop; a checkpoint is on disk")?;
                return Ok(false);
            }
            let images = self.spec.after.fit_batch_size;
            let place = Place { phase: PhaseName::Fit, step: fit.step, total, per_epoch, images };
            self.progress(place, fit.step == total)?;
        }
        Ok(true)
    }

    fn rung(
        &mut self,
        weights: &str,
        network: &Network,
        search: &Search,
    ) -> Result<Rung, EngineError> {
        let test: Vec<i64> = (0..i64::try_from(self.data.test.count()).unwrap_or(0)).collect();
        let valid: Score =
            network.score(&self.data.train, search.valid_positions(), EVALUATION_BATCH)?;
        let test = network.score(&self.data.test, &test, EVALUATION_BATCH)?;
        self.events.log(format!(
            "weights {weights}: validation accuracy {:.2} %, test accuracy {:.2} %",
            100.0 * valid.accuracy,
            100.0 * test.accuracy
        ))?;
        Ok(Rung {
            weights: weights.to_owned(),
            valid_loss: Num(valid.loss),
            valid_accuracy: Num(valid.accuracy),
            test_loss: Num(test.loss),
            test_accuracy: Num(test.accuracy),
        })
    }

    fn pack(
        &mut self,
        search: &Search,
        architecture: &Architecture,
        network: &Network,
        ladder: Vec<Rung>,
    ) -> Result<Ended, EngineError> {
        self.phase(PhaseName::Package, 0)?;
        let last = ladder
            .last()
            .cloned()
            .ok_or_else(|| EngineError::Bug("nothing was measured".to_owned()))?;
        let space = search.net.graph();
        let contents = Contents {
            spec: &self.spec,
            space,
            architecture,
            rows: &search.probabilities(self.spec.search.epochs - 1)?,
            network,
            ladder: &ladder,
            packaged: &last.weights,
        };
        let count = i64::try_from(self.data.test.count()).unwrap_or(0).min(PROBE);
        let probe = self.data.test.batch(&(0..count).collect::<Vec<_>>())?;
        package::write(self.session.attempt, &contents, &probe.x, self.compute)?;
        self.events.log("the result package is complete and verified")?;
        let summary = Summary {
            architecture: architecture.to_text(self.spec.space.preset(), &space.choices),
            choices: architecture.0.clone(),
            cost: space.cost(architecture)?,
            valid_accuracy: last.valid_accuracy,
            test_accuracy: last.test_accuracy,
            packaged: last.weights,
            ladder,
            duration_s: Num(self.meter.worked_s()),
        };
        self.events.say(EventBody::Finished(summary.clone()))?;
        Ok(Ended::Finished(Box::new(summary)))
    }
}
