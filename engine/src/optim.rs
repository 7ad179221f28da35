//! Optimizers on flat buffers; their formulas are PyTorch's.

pub mod schedule;
pub mod weights;

use tch::Tensor;

use crate::store::Gradient;
use weights::Decay;

/// Stochastic gradient descent with momentum.
#[derive(Debug)]
pub struct Sgd {
    /// Momentum.
    pub momentum: f64,
    /// Whether Nesterov's momentum is used.
    pub nesterov: bool,
    /// L2 decay.
    pub decay: Decay,
    /// The momentum buffer; absent before the first step.
    pub velocity: Option<Tensor>,
}

impl Sgd {
    /// One step; what the gradient does not use keeps its value and its momentum.
    pub fn step(&mut self, weights: &Tensor, gradient: Gradient, lr: f64) {
        tch::no_grad(|| {
            let mut weights = weights.shallow_clone();
            let Gradient { flat: mut step, used } = gradient;
            if let Some(decay) = self.decay.of(&weights) {
                step += decay;
            }
            if self.momentum != 0.0 {
                let held = self.velocity.take().unwrap_or_else(|| step.zeros_like());
                let mut velocity = &held * self.momentum + &step;
                if let Some(used) = &used {
                    velocity = velocity.where_self(used, &held);
                }
                if self.nesterov {
                    step += &velocity * self.momentum;
                } else {
                    step = velocity.shallow_clone();
                }
                self.velocity = Some(velocity);
            }
            // A tensor of its own: without Nesterov, the step is the momentum itself.
            let step = match &used {
                Some(used) => step * used,
                None => step,
            };
            weights -= step * lr;
        });
    }
}

/// Adam, with the decay added to the gradient or decoupled from it.
#[derive(Debug)]
pub struct Adam {
    /// Decay rates of the two means.
    pub betas: (f64, f64),
    /// L2 decay.
    pub decay: Decay,
    /// Whether the decay is taken off the weights instead of passing through the means (AdamW).
    pub decoupled: bool,
    /// Steps done.
    pub steps: u64,
    /// Means of the gradient and of its square; absent before the first step.
    pub means: Option<(Tensor, Tensor)>,
    /// Steps done of each number, once they differ because a gradient did not use all.
    pub counts: Option<Tensor>,
}

impl Adam {
    const EPS: f64 = 1e-8;

    /// One step; what the gradient does not use keeps its value and its state.
    pub fn step(&mut self, weights: &Tensor, gradient: Gradient, lr: f64) {
        tch::no_grad(|| {
            let mut weights = weights.shallow_clone();
            let Gradient { flat: mut gradient, used } = gradient;
            let decay = self.decay.of(&weights);
            let shrink = match decay {
                Some(decay) if self.decoupled => Some(decay * lr),
                Some(decay) => {
                    gradient += decay;
                    None
                }
                None => None,
            };
            self.count(&weights, used.as_ref());
            let (first, second) = self.average(&gradient, used.as_ref());
            let mut step = self.direction(&first, &second) * lr;
            self.means = Some((first, second));
            if let Some(shrink) = shrink {
                step += shrink;
            }
            weights -= match &used {
                Some(used) => step.where_self(used, &step.zeros_like()),
                None => step,
            };
        });
    }

    fn count(&mut self, weights: &Tensor, used: Option<&Tensor>) {
        if used.is_some() && self.counts.is_none() {
            #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
            let so_far = self.steps as f64;
            self.counts = Some(weights.full_like(so_far));
        }
        self.steps += 1;
        if let Some(counts) = &mut self.counts {
            match used {
                Some(used) => *counts += used,
                None => *counts += 1.0,
            }
        }
    }

    fn average(&mut self, gradient: &Tensor, used: Option<&Tensor>) -> (Tensor, Tensor) {
        let (beta1, beta2) = self.betas;
        let (mut first, mut second) =
            self.means.take().unwrap_or_else(|| (gradient.zeros_like(), gradient.zeros_like()));
        let held = used.map(|used| (used, first.copy(), second.copy()));
        first *= beta1;
        first += gradient * (1.0 - beta1);
        second *= beta2;
        second += gradient.square() * (1.0 - beta2);
        match held {
            Some((used, one, two)) => (first.where_self(used, &one), second.where_self(used, &two)),
            None => (first, second),
        }
    }

    /// The means without the bias of their zero start, the first over the root of the second.
    fn direction(&self, first: &Tensor, second: &Tensor) -> Tensor {
        let (beta1, beta2) = self.betas;
        match &self.counts {
            None => {
                #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
                let steps = self.steps as f64;
                let (bias1, bias2) = (1.0 - beta1.powf(steps), 1.0 - beta2.powf(steps));
                let denominator: Tensor = second.sqrt() / bias2.sqrt() + Self::EPS;
                first / denominator / bias1
            }
            Some(counts) => {
                let bias = |beta: f64| -> Tensor { 1.0 - (counts * beta.ln()).exp() };
                let denominator: Tensor = (second / bias(beta2)).sqrt() + Self::EPS;
                first / denominator / bias(beta1)
            }
        }
    }
}

/// Scales a gradient down to a norm of at most `limit`; returns the norm before, on the device.
pub fn clip(gradient: &mut Gradient, limit: f64) -> Tensor {
    tch::no_grad(|| {
        let norm = gradient.flat.norm();
        let scale: Tensor = (limit / (&norm + 1e-6)).clamp_max(1.0);
        gradient.flat *= scale;
        norm
    })
}
