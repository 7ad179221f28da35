//! One draw of the rows per pass, for every optimizer.

use skein_core::choice::Architecture;
use skein_core::spec::{OptimizerSpec, Projection};
use tch::{Kind, Tensor};

use crate::EngineError;
use crate::exec::Plan;
use crate::rows::{Alphas, Draw, darts, drnas, gdas, uniform};
use crate::search::supernet::Supernet;
use crate::state::seed::{Stream, derive, generator, seeded};

/// How rows become weights in an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampler {
    /// See [`darts`].
    Darts(Projection),
    /// See [`drnas`].
    Drnas,
    /// See [`gdas`]; with the epoch's temperature.
    Gdas {
        /// Temperature.
        tau: f64,
    },
    /// See [`uniform`].
    Uniform,
}

/// Which draw: run seed, stream and step.
#[derive(Debug, Clone, Copy)]
pub struct At {
    /// Seed of the run.
    pub seed: u64,
    /// What the draw is for.
    pub stream: Stream,
    /// When.
    pub step: u64,
}

impl Sampler {
    /// The sampler of an epoch.
    #[must_use]
    pub fn of(optimizer: &OptimizerSpec, epoch: u64, epochs: u64) -> Self {
        match optimizer {
            OptimizerSpec::Darts { projection, .. } => Self::Darts(*projection),
            OptimizerSpec::Drnas { .. } | OptimizerSpec::DrnasProgressive { .. } => Self::Drnas,
            OptimizerSpec::Gdas { tau_start, tau_end, .. } => {
                Self::Gdas { tau: gdas::temperature(*tau_start, *tau_end, epoch, epochs) }
            }
            // Progressive shrinking draws among the admitted options itself.
            OptimizerSpec::Spos
            | OptimizerSpec::Ofa { .. }
            | OptimizerSpec::Random
            | OptimizerSpec::Fixed { .. } => Self::Uniform,
        }
    }

    /// Draws the rows of one pass. With `hold`, no gradient flows to the parameters.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn draw(self, net: &Supernet, at: At, hold: bool) -> Result<Draw, EngineError> {
        let alphas = &net.alphas;
        let drawn = || match self {
            Self::Darts(projection) => alphas.map(|alpha| darts::weights(alpha, projection)),
            Self::Drnas => alphas.map(drnas::draw),
            Self::Gdas { tau } => alphas.map(|alpha| gdas::draw(alpha, tau)),
            Self::Uniform => vec![],
        };
        let drawn = || alphas.masked(drawn());
        let seed = derive(at.seed, at.stream, at.step);
        let tensors =
            seeded(seed, net.compute.device, || if hold { tch::no_grad(drawn) } else { drawn() });
        self.finish(net, tensors, at)
    }

    fn finish(self, net: &Supernet, tensors: Vec<Tensor>, at: At) -> Result<Draw, EngineError> {
        let path = match self {
            Self::Darts(_) | Self::Drnas => None,
            Self::Gdas { .. } => Some(Architecture::argmax(&net.alphas.to_host(&tensors)?)),
            Self::Uniform => {
                let mut generator = generator(at.seed, at.stream, at.step);
                Some(uniform::draw(&net.graph().choices, &mut generator))
            }
        };
        let rows =
            if tensors.is_empty() { vec![] } else { net.alphas.split(&tensors, net.compute.kind) };
        Ok(Draw { rows, path })
    }

    /// The rows as probabilities, one tensor per parameter tensor.
    #[must_use]
    pub fn probabilities(self, alphas: &Alphas) -> Vec<Tensor> {
        tch::no_grad(|| self.means(alphas))
    }

    /// The same with gradients to the parameters.
    #[must_use]
    pub fn means(self, alphas: &Alphas) -> Vec<Tensor> {
        alphas.masked(match self {
            Self::Darts(projection) => alphas.map(|alpha| darts::weights(alpha, projection)),
            Self::Drnas => alphas.map(drnas::expected),
            Self::Gdas { .. } => alphas.map(|alpha| alpha.softmax(-1, Kind::Double)),
            Self::Uniform => alphas.map(|alpha| alpha.zeros_like().softmax(-1, Kind::Double)),
        })
    }
}

impl Draw {
    /// The plan that these rows ask for.
    #[must_use]
    pub fn plan(&self) -> Plan<'_> {
        match &self.path {
            Some(path) => Plan::Path(path, (!self.rows.is_empty()).then_some(self.rows.as_slice())),
            None => Plan::Superposed(&self.rows),
        }
    }
}
