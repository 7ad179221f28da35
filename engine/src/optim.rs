//! Optimizers on flat buffers; their formulas are PyTorch's.

use tch::Tensor;

use crate::store::Gradient;

/// Stochastic gradient descent with momentum.
#[derive(Debug)]
pub struct Sgd {
    /// Momentum.
    pub momentum: f64,
    /// Whether Nesterov's momentum is used.
    pub nesterov: bool,
    /// L2 decay.
    pub weight_decay: f64,
    /// The momentum buffer; absent before the first step.
    pub velocity: Option<Tensor>,
}

impl Sgd {
    /// One step; what the gradient does not use keeps its value and its momentum.
    pub fn step(&mut self, weights: &Tensor, gradient: Gradient, lr: f64) {
        tch::no_grad(|| {
            let mut weights = weights.shallow_clone();
            let Gradient { flat: mut step, used } = gradient;
            if self.weight_decay != 0.0 {
                step += &weights * self.weight_decay;
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
            if let Some(used) = &used {
                step *= used;
            }
            weights -= step * lr;
        });
    }
}

/// Adam with L2 decay added to the gradient.
#[derive(Debug)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// Decay rates of the two means.
    pub betas: (f64, f64),
    /// L2 decay.
    pub weight_decay: f64,
    /// Steps done.
    pub steps: u64,
    /// Means of the gradient and of its square; absent before the first step.
    pub means: Option<(Tensor, Tensor)>,
}

impl Adam {
    const EPS: f64 = 1e-8;

    /// One step.
    pub fn step(&mut self, weights: &Tensor, gradient: &Tensor) {
        tch::no_grad(|| {
            let mut weights = weights.shallow_clone();
            let gradient = gradient + &weights * self.weight_decay;
            let (mut first, mut second) =
                self.means.take().unwrap_or_else(|| (gradient.zeros_like(), gradient.zeros_like()));
            let (beta1, beta2) = self.betas;
            self.steps += 1;
            first *= beta1;
            first += &gradient * (1.0 - beta1);
            second *= beta2;
            second += gradient.square() * (1.0 - beta2);
            #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
            let steps = self.steps as f64;
            let (bias1, bias2) = (1.0 - beta1.powf(steps), 1.0 - beta2.powf(steps));
            let denominator: Tensor = second.sqrt() / bias2.sqrt() + Self::EPS;
            weights -= &first / denominator * (self.lr / bias1);
            self.means = Some((first, second));
        });
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

/// Cosine schedule from `start` to `end` over `total`, at `position`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "epochs and steps are far below 2^52")]
pub fn cosine(start: f64, end: f64, position: u64, total: u64) -> f64 {
    let share = position as f64 / total.max(1) as f64;
    end + (start - end) * (1.0 + (std::f64::consts::PI * share).cos()) / 2.0
}
