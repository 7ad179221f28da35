//! The optimizer of a network's weights, as a specification asks for it.

use std::collections::BTreeMap;

use skein_core::graph::Role;
use skein_core::spec::WeightOptimizerSpec;
use tch::{Kind, Tensor};

use super::pieces::Piece;
use super::{Adam, Sgd};
use crate::store::{Flat, Gradient};

/// Which numbers decay, and how fast.
#[derive(Debug)]
pub struct Decay {
    /// L2 decay.
    pub rate: f64,
    /// True for each number that decays; absent if all do.
    pub on: Option<Tensor>,
}

impl Decay {
    /// Everything decays.
    #[must_use]
    pub fn all(rate: f64) -> Self {
        Self { rate, on: None }
    }

    /// Everything decays but norms' scales and shifts and all biases.
    pub fn matrices(rate: f64, weights: &Flat) -> Self {
        let on = weights.marks(|param| matches!(param.role, Role::Weight { .. }));
        Self { rate, on: Some(on) }
    }

    /// What is added to the gradient of these weights, if anything.
    #[must_use]
    pub fn of(&self, weights: &Tensor) -> Option<Tensor> {
        self.of_piece(weights, Piece::whole(weights))
    }

    /// The same of a piece of the weights.
    pub(super) fn of_piece(&self, weights: &Tensor, piece: Piece) -> Option<Tensor> {
        (self.rate != 0.0).then(|| match &self.on {
            Some(on) => weights * piece.of(on) * self.rate,
            None => weights * self.rate,
        })
    }
}

/// The optimizer of a network's weights.
#[derive(Debug)]
pub enum WeightOptimizer {
    /// Gradient descent with momentum.
    Sgd(Sgd),
    /// Adam or AdamW.
    Adam(Adam),
}

impl WeightOptimizer {
    /// An optimizer before its first step.
    #[must_use]
    pub fn new(spec: &WeightOptimizerSpec, decay: Decay) -> Self {
        let adam = |betas, decay, decoupled| {
            Self::Adam(Adam { betas, decay, decoupled, steps: 0, means: None, counts: None })
        };
        match *spec {
            WeightOptimizerSpec::Sgd { momentum, nesterov } => {
                Self::Sgd(Sgd { momentum, nesterov, decay, velocity: None })
            }
            WeightOptimizerSpec::Adam { beta1, beta2 } => adam((beta1, beta2), decay, false),
            WeightOptimizerSpec::Adamw { beta1, beta2 } => adam((beta1, beta2), decay, true),
        }
    }

    /// One step; what the gradient does not use keeps its value and its state.
    pub fn step(&mut self, weights: &Tensor, gradient: Gradient, lr: f64) {
        match self {
            Self::Sgd(sgd) => sgd.step(weights, gradient, lr),
            Self::Adam(adam) => adam.step(weights, gradient, lr),
        }
    }

    /// How weights decay.
    #[must_use]
    pub fn decay(&self) -> &Decay {
        match self {
            Self::Sgd(sgd) => &sgd.decay,
            Self::Adam(adam) => &adam.decay,
        }
    }

    /// What momentum adds to the next gradient, if there is any.
    #[must_use]
    pub fn momentum(&self) -> Option<Tensor> {
        match self {
            Self::Sgd(sgd) => sgd.velocity.as_ref().map(|velocity| velocity * sgd.momentum),
            Self::Adam(_) => None,
        }
    }

    /// The state for a checkpoint, by name.
    #[must_use]
    pub fn save(&self) -> BTreeMap<&'static str, Tensor> {
        let mut state = BTreeMap::new();
        match self {
            Self::Sgd(sgd) => {
                state.extend(sgd.velocity.as_ref().map(|v| ("velocity", v.shallow_clone())));
            }
            Self::Adam(adam) => {
                state.insert("steps", Tensor::from(i64::try_from(adam.steps).unwrap_or(i64::MAX)));
                if let Some((first, second)) = &adam.means {
                    state.insert("first", first.shallow_clone());
                    state.insert("second", second.shallow_clone());
                }
                state.extend(adam.counts.as_ref().map(|c| ("counts", c.shallow_clone())));
            }
        }
        state
    }

    /// Back from a checkpoint; `kept` gives the state of a name.
    pub fn load(&mut self, kept: impl Fn(&str) -> Option<Tensor>) {
        match self {
            Self::Sgd(sgd) => sgd.velocity = kept("velocity"),
            Self::Adam(adam) => {
                let steps =
                    kept("steps").map_or(0, |steps| steps.to_kind(Kind::Int64).int64_value(&[]));
                adam.steps = u64::try_from(steps).unwrap_or(0);
                adam.means = kept("first").zip(kept("second"));
                adam.counts = kept("counts");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Three steps of `torch.optim` by hand, in double precision.
    fn by_hand(decoupled: bool, decay: f64, gradients: &[f64]) -> f64 {
        let (lr, b1, b2, eps) = (3e-4, 0.9, 0.995, 1e-8);
        let (mut w, mut m, mut v) = (0.5_f64, 0.0_f64, 0.0_f64);
        for (gradient, t) in gradients.iter().zip(1..) {
            let mut g = *gradient;
            if decoupled {
                w *= 1.0 - lr * decay;
            } else {
                g += decay * w;
            }
            m = b1 * m + (1.0 - b1) * g;
            v = b2 * v + (1.0 - b2) * g * g;
            let (m_hat, v_hat) = (m / (1.0 - b1.powi(t)), v / (1.0 - b2.powi(t)));
            w -= lr * m_hat / (v_hat.sqrt() + eps);
        }
        w
    }

    fn stepped(
        spec: &WeightOptimizerSpec,
        decay: Decay,
        steps: &[(&[f64], Option<&[bool]>)],
    ) -> Vec<f64> {
        let mut optimizer = WeightOptimizer::new(spec, decay);
        let weights = Tensor::from_slice(&[0.5_f64, 0.5]);
        for (gradient, used) in steps {
            let flat = Tensor::from_slice(gradient);
            let used = used.map(Tensor::from_slice);
            optimizer.step(&weights, Gradient { flat, used }, 3e-4);
            // A checkpoint between any two steps changes nothing.
            let state: BTreeMap<_, _> =
                optimizer.save().into_iter().map(|(name, t)| (name, t.copy())).collect();
            optimizer.load(|name| state.get(name).map(Tensor::copy));
        }
        Vec::try_from(&weights).unwrap()
    }

    const ADAM: WeightOptimizerSpec = WeightOptimizerSpec::Adam { beta1: 0.9, beta2: 0.995 };
    const ADAMW: WeightOptimizerSpec = WeightOptimizerSpec::Adamw { beta1: 0.9, beta2: 0.995 };

    #[track_caller]
    fn check(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-14, "{got} against {expected}");
    }

    #[test]
    fn adam_and_adamw_follow_pytorchs_formula() {
        let gradients = [0.3, -0.2, 0.05];
        for (spec, decoupled, decay) in [(&ADAM, false, 5e-4), (&ADAMW, true, 0.05)] {
            let steps = gradients.map(|g| [g, 2.0 * g]);
            let steps: Vec<(&[f64], Option<&[bool]>)> =
                steps.iter().map(|pair| (pair.as_slice(), None)).collect();
            let got = stepped(spec, Decay::all(decay), &steps);
            check(got[0], by_hand(decoupled, decay, &gradients));
            check(got[1], by_hand(decoupled, decay, &gradients.map(|g| 2.0 * g)));
        }
        // One step moves by about the rate, whatever the gradient: a number worked out on paper.
        let first = stepped(&ADAM, Decay::all(0.0), &[(&[0.3, 0.3], None)]);
        check(first[0], 0.5 - 3e-4 * 0.3 / (0.3 + 1e-8));
    }

    #[test]
    fn what_a_path_does_not_use_takes_no_step() {
        let (on, off): (&[bool], &[bool]) = (&[true, true], &[true, false]);
        for (spec, decoupled) in [(&ADAM, false), (&ADAMW, true)] {
            let steps: [(&[f64], Option<&[bool]>); 4] = [
                (&[0.3, 0.3], None),
                (&[-0.2, 0.0], Some(off)),
                (&[0.1, 0.1], Some(on)),
                (&[0.05, 0.05], None),
            ];
            let got = stepped(spec, Decay::all(0.01), &steps);
            check(got[0], by_hand(decoupled, 0.01, &[0.3, -0.2, 0.1, 0.05]));
            check(got[1], by_hand(decoupled, 0.01, &[0.3, 0.1, 0.05]));
        }
    }

    /// Momentum 0.9: what the second step does not use keeps its momentum for the third.
    #[rstest]
    #[case::plain(false, [0.3, 0.47, 0.9 * 0.3 + 0.1])]
    #[case::nesterov(true, [0.57, 0.2 + 0.9 * 0.47, 0.1 + 0.9 * (0.9 * 0.3 + 0.1)])]
    fn momentum_waits_for_the_next_use(#[case] nesterov: bool, #[case] moved: [f64; 3]) {
        let sgd = WeightOptimizerSpec::Sgd { momentum: 0.9, nesterov };
        let (on, off): (&[bool], &[bool]) = (&[true, true], &[true, false]);
        let got = stepped(
            &sgd,
            Decay::all(0.0),
            &[(&[0.3, 0.3], Some(on)), (&[0.2, 0.0], Some(off)), (&[0.1, 0.1], Some(on))],
        );
        check(got[1], 0.5 - 3e-4 * (moved[0] + moved[2]));
        let third = 0.9 * 0.47 + 0.1;
        let third = if nesterov { 0.1 + 0.9 * third } else { third };
        check(got[0], 0.5 - 3e-4 * (moved[0] + moved[1] + third));
    }

    #[test]
    fn a_masked_decay_leaves_the_rest_be() {
        let decay = || Decay { rate: 0.05, on: Some(Tensor::from_slice(&[true, false])) };
        let got = stepped(&ADAMW, decay(), &[(&[0.3, 0.3], None)]);
        check(got[0], by_hand(true, 0.05, &[0.3]));
        check(got[1], by_hand(true, 0.0, &[0.3]));
        let sgd = WeightOptimizerSpec::Sgd { momentum: 0.0, nesterov: false };
        let got = stepped(&sgd, decay(), &[(&[0.3, 0.3], None)]);
        check(got[0], 0.5 - 3e-4 * (0.3 + 0.05 * 0.5));
        check(got[1], 0.5 - 3e-4 * 0.3);
    }
}
