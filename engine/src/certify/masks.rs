//! The mask of every elastic tensor equals the padded sum over all combinations of its options.

use std::collections::BTreeSet;

use skein_core::choice::Architecture;
use skein_core::graph::{Graph, Param};
use skein_core::spaces::build;
use skein_core::spec::{Fidelity, Sharing};
use tch::Tensor;

use super::small;
use crate::EngineError;
use crate::device::Compute;
use crate::entangle::mask::Factor;
use crate::state::seed::seeded;

/// The largest difference over all tensors of a space; none if no size is elastic.
///
/// # Errors
/// - [`EngineError`] if the space is unknown, or libtorch refuses.
pub fn largest_error(preset: &str, compute: Compute) -> Result<Option<f64>, EngineError> {
    let (space, shape) = small::space(preset)?;
    let graph = build(&space, shape, Sharing::Entangled)?;
    let rows: Vec<Tensor> = seeded(11, compute.device, || {
        let options = (compute.kind, compute.device);
        let row = |count: usize| Tensor::randn([i64::try_from(count).unwrap_or(0)], options);
        let rows = graph.choices.iter().map(|choice| row(choice.options.len()));
        rows.map(|row| row.softmax(0, compute.kind)).collect()
    });
    let mut known = BTreeSet::new();
    let mut worst: Option<f64> = None;
    for param in graph.params() {
        // Tensors of equal dimensions have equal masks.
        if param.choices().is_empty() || !known.insert(format!("{:?}", param.dims)) {
            continue;
        }
        let error = error(&graph, &param, &rows, compute)?;
        if error.is_nan() {
            return Ok(Some(error));
        }
        worst = Some(worst.map_or(error, |worst| worst.max(error)));
    }
    Ok(worst)
}

fn error(
    graph: &Graph,
    param: &Param,
    rows: &[Tensor],
    compute: Compute,
) -> Result<f64, EngineError> {
    let weight = seeded(3, compute.device, || {
        Tensor::f_randn(param.shape.as_slice(), (compute.kind, compute.device))
    })?;
    let options = |choice: usize| graph.choices[choice].options.len();
    let mut masked = weight.shallow_clone();
    for factor in Factor::all(param, options, (compute.kind, compute.device))? {
        masked = &masked * factor.mask(rows, Fidelity::Reference);
    }
    let sum = padded_sum(param, &weight, rows)?;
    Ok((masked - sum).abs().max().f_double_value(&[])?)
}

/// Slices of every combination of options, padded, weighed and summed, as the paper writes it.
fn padded_sum(param: &Param, weight: &Tensor, rows: &[Tensor]) -> Result<Tensor, EngineError> {
    let choices = param.choices();
    let counts: Vec<i64> = choices.iter().map(|choice| rows[*choice].size()[0]).collect();
    let mut sum = weight.zeros_like();
    let mut architecture = Architecture(vec![0; rows.len()]);
    for number in 0..counts.iter().product() {
        let (mut rest, mut share) = (number, 1.0);
        for (choice, count) in choices.iter().zip(&counts) {
            architecture.0[*choice] = usize::try_from(rest % count).unwrap_or(0);
            share *= rows[*choice].f_double_value(&[rest % count])?;
            rest /= count;
        }
        // Options that do not use the tensor add nothing.
        if param.dims.iter().all(|dim| dim.size.at(&architecture).is_some()) {
            sum += padded(weight, &param.kept(&architecture)) * share;
        }
    }
    Ok(sum)
}

/// What is kept, at its place among zeros.
fn padded(weight: &Tensor, kept: &[Vec<(i64, i64)>]) -> Tensor {
    let mut value = weight.shallow_clone();
    for (dim, ranges) in (0..).zip(kept) {
        let place = value.zeros_like();
        for (first, length) in ranges {
            place.narrow(dim, *first, *length).copy_(&value.narrow(dim, *first, *length));
        }
        value = place;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_keeps_the_parts_at_their_places() {
        let weight = Tensor::arange_start(1.0, 7.0, (tch::Kind::Double, tch::Device::Cpu));
        let kept = padded(&weight.view([2, 3]), &[vec![(1, 1)], vec![(0, 1), (2, 1)]]);
        assert_eq!(Vec::<f64>::try_from(kept.view([-1])).unwrap(), [0.0, 0.0, 0.0, 4.0, 0.0, 6.0]);
    }
}
