//! One search iteration: a step of the rows on one batch, a step of the weights on another.

use skein_core::spec::{OptimizerSpec, SearchSpec};
use tch::{Kind, Reduction, Tensor};

use crate::EngineError;
use crate::exec::{Pass, Tape};
use crate::optim::weights::{Decay, WeightOptimizer};
use crate::optim::{Adam, clip};
use crate::rows::{Draw, drnas};
use crate::search::penalty::Penalty;
use crate::search::supernet::Supernet;
use crate::store::{Flat, Gradient};

/// Images `[batch, channels, height, width]` with their labels `[batch]`, or tokens with the next
/// ones, both `[batch, tokens]`.
#[derive(Debug)]
pub struct Batch {
    /// Images or tokens.
    pub x: Tensor,
    /// Labels.
    pub y: Tensor,
}

/// Loss and accuracy of one step, on the device.
#[derive(Debug)]
pub struct Outcome {
    /// Mean cross-entropy in nats.
    pub loss: Tensor,
    /// Share of right answers, `0..=1`.
    pub accuracy: Tensor,
}

/// The optimizers of both levels.
#[derive(Debug)]
pub struct Bilevel {
    /// Of the weights.
    pub weight: WeightOptimizer,
    /// Of the rows.
    pub arch: Adam,
    /// Learning rate of the rows.
    pub arch_lr: f64,
    /// Largest norm of the weights' gradient.
    pub clip: f64,
    /// Weight of the rows' distance to the uniform distribution in their loss (DrNAS).
    pub kl_scale: f64,
    /// What expected cost adds to the loss of the rows.
    pub penalty: Option<Penalty>,
}

impl Bilevel {
    /// Optimizers as a search starts with them.
    #[must_use]
    pub fn new(search: &SearchSpec, weights: &Flat) -> Self {
        let kl_scale = match search.optimizer {
            OptimizerSpec::Drnas { kl_scale, .. } => kl_scale,
            _ => 0.0,
        };
        Self {
            weight: Self::of_weights(search, weights),
            arch: Adam {
                betas: (search.arch_beta1, search.arch_beta2),
                decay: Decay::all(if kl_scale > 0.0 { 0.0 } else { search.arch_weight_decay }),
                decoupled: false,
                steps: 0,
                means: None,
                counts: None,
            },
            arch_lr: search.arch_lr,
            clip: search.clip,
            kl_scale,
            penalty: None,
        }
    }

    /// The weights' optimizer before its first step.
    #[must_use]
    pub fn of_weights(search: &SearchSpec, weights: &Flat) -> WeightOptimizer {
        let decay = if search.decay_all {
            Decay::all(search.weight_decay)
        } else {
            Decay::matrices(search.weight_decay, weights)
        };
        WeightOptimizer::new(&search.weight_optimizer, decay)
    }

    /// A step of the rows; only their gradient is computed.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn arch_step(
        &mut self,
        net: &Supernet,
        batch: &Batch,
        draw: &Draw,
        pass: Pass,
    ) -> Result<Outcome, EngineError> {
        let (loss, outcome, tape) = forward(net, batch, draw, pass)?;
        let loss = tape.rows(&loss)?;
        let loss = if self.kl_scale > 0.0 {
            let distance: Tensor = net.alphas.map(drnas::divergence).into_iter().sum();
            loss + distance * self.kl_scale
        } else {
            loss
        };
        let loss = match &self.penalty {
            Some(penalty) => loss + penalty.loss(&net.alphas),
            None => loss,
        };
        let gradient = net.alphas.gradient(&loss)?;
        self.arch_follow(net, gradient);
        Ok(outcome)
    }

    fn arch_follow(&mut self, net: &Supernet, flat: Tensor) {
        self.arch.step(net.alphas.buffer(), Gradient { flat, used: None }, self.arch_lr);
    }

    /// A step of the weights; `draw` should hold the rows.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn weight_step(
        &mut self,
        net: &Supernet,
        batch: &Batch,
        draw: &Draw,
        pass: Pass,
        lr: f64,
    ) -> Result<(Outcome, Tensor), EngineError> {
        let (loss, outcome, tape) = forward(net, batch, draw, pass)?;
        let gradient = tape.weights(&loss)?;
        Ok((outcome, self.weight_follow(net, gradient, lr)))
    }

    /// A step of the weights along a gradient, clipped; gives its norm before that.
    pub fn weight_follow(&mut self, net: &Supernet, mut gradient: Gradient, lr: f64) -> Tensor {
        let norm = clip(&mut gradient, self.clip);
        self.weight.step(net.store.weights.buffer(), gradient, lr);
        norm
    }

    /// A step of the rows through one virtual step of the weights (second-order DARTS,
    /// arXiv:1806.09055, equations 6 to 8): the mixed derivative is a finite difference. Each of
    /// the four passes calls `draw`.
    ///
    /// # Errors
    /// - [`EngineError`] if libtorch refuses.
    pub fn unrolled_step(
        &mut self,
        net: &mut Supernet,
        (train, valid): (&Batch, &Batch),
        draw: impl Fn(&Supernet) -> Result<Draw, EngineError>,
        pass: Pass,
        lr: f64,
    ) -> Result<Outcome, EngineError> {
        let start = net.store.weights.buffer().copy();
        let mut direction = {
            let drawn = draw(net)?;
            let (loss, _, tape) = forward(net, train, &drawn, pass)?;
            tape.weights(&loss)?.flat
        };
        let decay = self.weight.decay().of(&start);
        for more in [decay, self.weight.momentum()].into_iter().flatten() {
            direction += more;
        }
        // The virtual network keeps running statistics of its own.
        let statistics = net.store.stats.buffer().copy();
        net.store.weights.load(&(&start - direction * lr))?;
        let (toward, direct, outcome) = {
            let drawn = draw(net)?;
            let (loss, outcome, tape) = forward(net, valid, &drawn, pass)?;
            let (toward, rows) = tape.both(&loss)?;
            (toward.flat, net.alphas.gradient(&rows)?, outcome)
        };
        net.store.stats.load(&statistics)?;
        let step = 0.01 / toward.norm();
        let mut side = |sign: f64| {
            net.store.weights.load(&(&start + &toward * (&step * sign)))?;
            let drawn = draw(net)?;
            let (loss, _, tape) = forward(net, train, &drawn, pass)?;
            net.alphas.gradient(&tape.rows(&loss)?)
        };
        let mixed = (side(1.0)? - side(-1.0)?) / (&step * 2.0);
        net.store.weights.load(&start)?;
        let mut gradient = direct - mixed * lr;
        if let Some(penalty) = &self.penalty {
            gradient += net.alphas.gradient(&penalty.loss(&net.alphas))?;
        }
        self.arch_follow(net, gradient);
        Ok(outcome)
    }
}

/// Whether a specification asks for the unrolled step.
#[must_use]
pub fn is_unrolled(optimizer: &OptimizerSpec) -> bool {
    matches!(optimizer, OptimizerSpec::Darts { order: 2, .. })
}

fn forward<'a>(
    net: &'a Supernet,
    batch: &Batch,
    draw: &'a Draw,
    pass: Pass,
) -> Result<(Tensor, Outcome, Tape<'a>), EngineError> {
    let ends = [net.exec.graph().output];
    let (logits, tape) = net.exec.record(&net.store, &batch.x, (draw.plan(), pass), &ends)?;
    let loss = cross_entropy(&logits[0], &batch.y);
    let outcome = outcome(&logits[0], &loss, &batch.y);
    Ok((loss, outcome, tape))
}

/// Mean cross-entropy in nats, in the kind of the logits.
///
/// # Shapes
/// - `logits`: `[…, classes]`; `y`: `[…]`.
pub fn cross_entropy(logits: &Tensor, y: &Tensor) -> Tensor {
    let (logits, y) = (logits.flatten(0, -2), y.reshape([-1]));
    logits.cross_entropy_loss::<Tensor>(&y, None, Reduction::Mean, -100, 0.0)
}

/// Loss and accuracy without their graphs.
#[must_use]
pub fn outcome(logits: &Tensor, loss: &Tensor, y: &Tensor) -> Outcome {
    let right = tch::no_grad(|| {
        logits.argmax(-1, false).eq_tensor(y).to_kind(Kind::Double).mean(Kind::Double)
    });
    Outcome { loss: loss.detach().to_kind(Kind::Double), accuracy: right }
}
