//! What the options of choices add to the scores of candidates: main effects by least squares.

use skein_core::choice::Architecture;
use skein_core::dataset::DataKind;
use skein_core::graph::{Effects, Graph};
use skein_core::spec::RunSpec;
use tch::{Device, Kind, Tensor};

use super::evolve::Tried;
use crate::EngineError;

/// Weight of the effects' squares, as a share of the number of candidates: an option that few have
/// is not believed much, and effects that cannot be told apart are equal.
const RIDGE: f64 = 1e-3;

/// Effects on the accuracy of candidates, of a text on the loss with its sign changed.
///
/// # Errors
/// - [`EngineError::Tensor`] if libtorch refuses.
pub fn of(spec: &RunSpec, graph: &Graph, tried: &[Tried]) -> Result<Effects, EngineError> {
    let text = spec.space.data() == DataKind::Text;
    let score = |tried: &Tried| if text { -tried.loss.0 } else { tried.accuracy.0 };
    let scored = tried.iter().map(|tried| (&tried.architecture, score(tried)));
    fit(graph, &scored.filter(|(_, score)| score.is_finite()).collect::<Vec<_>>())
}

/// Fits one effect for each option of each choice to the scores of candidates.
///
/// A choice that does not matter in a candidate adds nothing to its score.
fn fit(graph: &Graph, scored: &[(&Architecture, f64)]) -> Result<Effects, EngineError> {
    let sizes: Vec<usize> = graph.choices.iter().map(|choice| choice.options.len()).collect();
    let starts: Vec<usize> = sizes
        .iter()
        .scan(0, |next, size| {
            let start = *next;
            *next += size;
            Some(start)
        })
        .collect();
    let width: usize = sizes.iter().sum();
    let mut counts: Vec<Vec<usize>> = sizes.iter().map(|size| vec![0; *size]).collect();
    let mut table = vec![0.0; scored.len() * width];
    for (line, (architecture, _)) in scored.iter().enumerate() {
        for (choice, option) in architecture.0.iter().enumerate() {
            if graph.is_open(architecture, choice) {
                table[line * width + starts[choice] + option] = 1.0;
                counts[choice][*option] += 1;
            }
        }
    }
    let scores: Vec<f64> = scored.iter().map(|(_, score)| *score).collect();
    let (found, residual) = match scored {
        [] => (vec![0.0; width], 0.0),
        _ => solve(&table, &scores, width)?,
    };
    let mut of: Vec<Vec<f64>> = sizes
        .iter()
        .zip(&starts)
        .map(|(size, start)| found[*start..start + size].to_vec())
        .collect();
    // Only differences within a choice are told; the mean of each is set to zero.
    for effects in &mut of {
        #[expect(clippy::cast_precision_loss, reason = "options are few")]
        let mean = effects.iter().sum::<f64>() / effects.len().max(1) as f64;
        effects.iter_mut().for_each(|effect| *effect -= mean);
    }
    #[expect(clippy::cast_precision_loss, reason = "candidates are few")]
    let free = scored.len() as f64 - 1.0 - sizes.iter().map(|size| size - 1).sum::<usize>() as f64;
    Ok(Effects { of, counts, residual: (residual / free.max(1.0)).sqrt() })
}

/// Ridge regression on lines of `width` numbers: the coefficients, and the sum of squares that they
/// leave. The columns are taken without their means, so that no constant is fitted.
fn solve(table: &[f64], scores: &[f64], width: usize) -> Result<(Vec<f64>, f64), EngineError> {
    let size = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
    let lines = Tensor::f_from_slice(table)?.f_view([size(scores.len()), size(width)])?;
    let scores = Tensor::f_from_slice(scores)?;
    let lines = lines.f_subtract(&lines.f_mean_dim(&[0_i64][..], true, Kind::Double)?)?;
    let centred = scores.f_subtract(&scores.f_mean(Kind::Double)?)?;
    let transposed = lines.f_tr()?;
    #[expect(clippy::cast_precision_loss, reason = "candidates are few")]
    let ridge = RIDGE * lines.size()[0] as f64;
    let damped = Tensor::f_eye(size(width), (Kind::Double, Device::Cpu))?.f_mul_scalar(ridge)?;
    let normal = transposed.f_matmul(&lines)?.f_add(&damped)?;
    let found = Tensor::f_linalg_solve(&normal, &transposed.f_mv(&centred)?, true)?;
    let left = centred.f_subtract(&lines.f_mv(&found)?)?.f_square()?.f_sum(Kind::Double)?;
    Ok((Vec::<f64>::try_from(&found)?, left.f_double_value(&[])?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_core::spaces::{self, toy_cell};
    use skein_core::spec::Sharing;

    use crate::state::seed::{Stream, below, generator};

    /// Scores that are sums of effects and noise: the effects come back, and the noise's deviation.
    #[test]
    fn effects_and_noise_are_told_from_scores() {
        let space = (toy_cell::PRESET.defaults)();
        let graph = spaces::build(&space, toy_cell::PRESET.shape, Sharing::Entangled).unwrap();
        let truth: [[f64; 4]; 6] = [
            [0.3, -0.1, -0.2, 0.0],
            [0.0, 0.0, 0.0, 0.0],
            [0.1, 0.1, -0.1, -0.1],
            [1.1, 1.0, -1.3, -0.8],
            [0.4, 0.6, -0.5, -0.5],
            [0.0, -0.1, 0.1, 0.0],
        ];
        let mut random = generator(3, Stream::Candidates, 0);
        let mut drawn = |noise: f64| -> Vec<(Architecture, f64)> {
            (0..400)
                .map(|_| {
                    let genome: Vec<usize> = (0..6).map(|_| below(&mut random, 4)).collect();
                    let sum: f64 = genome.iter().zip(&truth).map(|(at, row)| row[*at]).sum();
                    // A sum of twelve uniform numbers has a variance of one.
                    let uniform = (0..12).map(|_| below(&mut random, 10_001) as f64 / 10_000.0);
                    let normal = uniform.sum::<f64>() - 6.0;
                    (Architecture(genome), 86.0 + sum + noise * normal)
                })
                .collect()
        };
        for (noise, error) in [(0.0, 0.01), (0.5, 0.2)] {
            let scored = drawn(noise);
            let borrowed: Vec<_> = scored.iter().map(|(genome, score)| (genome, *score)).collect();
            let effects = fit(&graph, &borrowed).unwrap();
            for (found, truth) in effects.of.iter().zip(&truth) {
                for (found, truth) in found.iter().zip(truth) {
                    assert!((found - truth).abs() < error, "{found} {truth}");
                }
            }
            assert!((effects.residual - noise).abs() < 0.05, "{}", effects.residual);
            assert!(effects.counts.iter().all(|counts| counts.iter().sum::<usize>() == 400));
        }
    }

    /// An option that no candidate has adds nothing, and few candidates are no error.
    #[test]
    fn what_was_not_seen_is_not_guessed() {
        let space = (toy_cell::PRESET.defaults)();
        let graph = spaces::build(&space, toy_cell::PRESET.shape, Sharing::Entangled).unwrap();
        let two = [Architecture(vec![0; 6]), Architecture(vec![0, 1, 0, 0, 0, 0])];
        let effects = fit(&graph, &[(&two[0], 0.5), (&two[1], 0.7)]).unwrap();
        assert!(effects.of[1][1] > effects.of[1][0] && effects.residual.is_finite());
        assert!(effects.of[0].iter().all(|effect| effect.abs() < 1e-9));
        assert_eq!(effects.counts[0], [2, 0, 0, 0]);
        // All losses may be no numbers.
        let none = fit(&graph, &[]).unwrap();
        assert_eq!((none.of, none.residual), (vec![vec![0.0; 4]; 6], 0.0));
    }
}
