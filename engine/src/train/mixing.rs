//! Mixup and cutmix: images of two classes in one, and a loss that knows both.

use rand_xoshiro::Xoshiro256PlusPlus;
use tch::{Reduction, Tensor};

use crate::EngineError;
use crate::search::bilevel::Batch;
use crate::search::sampler::At;
use crate::state::seed::{below, generator};

/// How images are mixed; with both, every batch takes one or the other.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Mixing {
    /// Both parameters of the Beta distribution of a blend (arXiv:1710.09412); 0 for none.
    pub mixup: f64,
    /// Those of the share of a pasted rectangle (arXiv:1905.04899); 0 for none.
    pub cutmix: f64,
}

/// A batch whose images may hold a second one.
#[derive(Debug)]
pub struct Mixed {
    /// Images with the labels of the first.
    pub batch: Batch,
    /// Labels of the second, and the first's share, `0..=1`.
    second: Option<(Tensor, f64)>,
}

impl Mixing {
    /// Mixes each image with the one as far from the batch's end as it is from its beginning.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if memory runs out.
    pub fn apply(&self, batch: Batch, at: At) -> Result<Mixed, EngineError> {
        if self.mixup == 0.0 && self.cutmix == 0.0 {
            return Ok(Mixed { batch, second: None });
        }
        let mut generator = generator(at.seed, at.stream, at.step);
        let paste = self.mixup == 0.0 || (self.cutmix > 0.0 && below(&mut generator, 2) == 1);
        let Batch { x, y } = batch;
        let (other, labels) = (x.f_flip([0])?, y.f_flip([0])?);
        let share = beta(if paste { self.cutmix } else { self.mixup }, &mut generator);
        let (x, share) = if paste {
            pasted(&x, &other, share, &mut generator)?
        } else {
            (&x * share + other * (1.0 - share), share)
        };
        Ok(Mixed { batch: Batch { x, y }, second: Some((labels, share)) })
    }
}

impl Mixed {
    /// Mean cross-entropy of the logits with the mixed labels, of which `smoothing` is spread
    /// evenly over all classes; in nats.
    pub fn loss(&self, logits: &Tensor, smoothing: f64) -> Tensor {
        let logits = logits.flatten(0, -2);
        let of = |y: &Tensor| {
            let y = y.reshape([-1]);
            logits.cross_entropy_loss::<Tensor>(&y, None, Reduction::Mean, -100, smoothing)
        };
        // Cross-entropy is linear in the label's distribution.
        match &self.second {
            Some((labels, share)) => of(&self.batch.y) * *share + of(labels) * (1.0 - share),
            None => of(&self.batch.y),
        }
    }
}

/// Puts a rectangle of `other` into `x`; gives the share of `x` that remains.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "sides of images are small"
)]
fn pasted(
    x: &Tensor,
    other: &Tensor,
    share: f64,
    generator: &mut Xoshiro256PlusPlus,
) -> Result<(Tensor, f64), EngineError> {
    let [_, _, height, width] = <[i64; 4]>::try_from(x.size())
        .map_err(|size| EngineError::Bug(format!("{size:?} are no images")))?;
    let ratio = (1.0 - share).sqrt();
    let mut span = |length: i64| {
        let half = (length as f64 * ratio) as i64 / 2;
        let centre = below(generator, usize::try_from(length).unwrap_or(1).max(1));
        let centre = i64::try_from(centre).unwrap_or(0);
        let (first, end) = ((centre - half).max(0), (centre + half).min(length));
        (first, end - first)
    };
    let (rows, columns) = (span(height), span(width));
    let part =
        |image: &Tensor| image.f_narrow(2, rows.0, rows.1)?.f_narrow(3, columns.0, columns.1);
    let mixed = x.copy();
    part(&mixed)?.f_copy_(&part(other)?)?;
    Ok((mixed, 1.0 - (rows.1 * columns.1) as f64 / (height * width) as f64))
}

/// A draw of the Beta distribution with both parameters equal (Jöhnk 1964), `0..=1`.
fn beta(parameter: f64, generator: &mut Xoshiro256PlusPlus) -> f64 {
    use rand::Rng as _;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let mut power =
        || ((generator.next_u64() >> 11) as f64 / (1_u64 << 53) as f64).powf(1.0 / parameter);
    loop {
        let (one, two) = (power(), power());
        if one + two == 0.0 {
            // Both vanish in double precision: the distribution is next to a coin's.
            return 1.0;
        }
        if one + two <= 1.0 {
            return one / (one + two);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::seed::Stream;
    use tch::{Device, Kind};

    fn at(step: u64) -> At {
        At { seed: 3, stream: Stream::FitMix, step }
    }

    /// Image `i` holds the number `i` everywhere and is of class `i`.
    fn batch() -> Batch {
        let y = Tensor::arange(4, (Kind::Int64, Device::Cpu));
        let x = y.to_kind(Kind::Double).view([4, 1, 1, 1]).expand([4, 2, 6, 8], false).copy();
        Batch { x, y }
    }

    #[test]
    fn mixup_blends_images_as_their_labels() {
        let mixed = Mixing { mixup: 0.4, cutmix: 0.0 }.apply(batch(), at(1)).unwrap();
        let (labels, share) = mixed.second.as_ref().unwrap();
        for index in 0..4 {
            let value = mixed.batch.x.double_value(&[index, 1, 2, 3]);
            let (first, second) =
                (mixed.batch.y.int64_value(&[index]), labels.int64_value(&[index]));
            assert_eq!((first, second), (index, 3 - index));
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let expected = first as f64 * share + second as f64 * (1.0 - share);
            assert!((value - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn cutmix_counts_the_pixels_that_remain() {
        let mut shares = Vec::new();
        for step in 0..20 {
            let mixed = Mixing { mixup: 0.0, cutmix: 1.0 }.apply(batch(), at(step)).unwrap();
            let (_, share) = mixed.second.as_ref().unwrap();
            let own = mixed.batch.x.get(0).get(0).eq(0.0).to_kind(Kind::Double).mean(Kind::Double);
            assert!((own.double_value(&[]) - share).abs() < 1e-12, "step {step}");
            shares.push(*share);
        }
        assert!(shares.iter().any(|share| (0.1..0.9).contains(share)), "{shares:?}");
    }

    #[test]
    fn the_loss_is_the_cross_entropy_of_the_soft_labels() {
        let mixed = Mixing { mixup: 1.0, cutmix: 0.0 }.apply(batch(), at(2)).unwrap();
        let (labels, share) = mixed.second.as_ref().unwrap();
        let logits = Tensor::arange(20, (Kind::Double, Device::Cpu)).view([4, 5]).sin();
        let smoothing = 0.1;
        let soft = mixed.batch.y.one_hot(5).to_kind(Kind::Double) * *share
            + labels.one_hot(5).to_kind(Kind::Double) * (1.0 - share);
        let soft = soft * (1.0 - smoothing) + smoothing / 5.0;
        let expected = -(soft * logits.log_softmax(-1, Kind::Double)).sum(Kind::Double) / 4.0;
        let difference = (mixed.loss(&logits, smoothing) - expected).double_value(&[]);
        assert!(difference.abs() < 1e-12, "{difference}");
    }

    #[test]
    fn shares_follow_the_beta_distribution() {
        let mut generator = generator(1, Stream::FitMix, 0);
        for parameter in [0.2, 1.0, 2.0] {
            let draws: Vec<f64> = (0..20_000).map(|_| beta(parameter, &mut generator)).collect();
            let mean = draws.iter().sum::<f64>() / 20_000.0;
            let spread = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
            let expected = 1.0 / (4.0 * (2.0 * parameter + 1.0));
            assert!((mean - 0.5).abs() < 0.02, "{parameter}: {mean}");
            assert!((spread / expected - 1.0).abs() < 0.05, "{parameter}: {spread}");
        }
    }

    #[test]
    fn both_kinds_take_turns_and_none_leaves_the_batch_be() {
        let kinds: Vec<bool> = (0..30)
            .map(|step| {
                let mixed = Mixing { mixup: 1.0, cutmix: 1.0 }.apply(batch(), at(step)).unwrap();
                let first = mixed.batch.x.get(0).reshape([-1]);
                first.min() == first.max()
            })
            .collect();
        assert!(kinds.contains(&true) && kinds.contains(&false));
        let plain = Mixing::default().apply(batch(), at(1)).unwrap();
        assert!(plain.second.is_none() && plain.batch.x == batch().x);
    }
}
