//! Masks: several candidate sizes become one tensor.
//!
//! The padded sum `Σ_i a_i · pad(slice_i(W))` over all combinations of options equals `W ⊙ M`.
//! `M` is a product of factors, one per choice that decides sizes of `W`:
//!
//! - one dimension (channels, features): a *gate* `g(c) = Σ {a_i : s_i > c}`;
//! - a square kernel: a *ring mask* `S(p, q) = Σ {a_k : k reaches p and q}`;
//! - two dimensions of one choice, one of them perhaps scaled by a second choice (an MLP's hidden
//!   width): a mask of low rank, `M = Σ_e a_e · h_e ⊗ c_e`.

use skein_core::choice::ChoiceId;
use skein_core::graph::{Dim, Elastic, Param, Part, Scaled, Size};
use skein_core::spec::Fidelity;
use tch::{Device, Kind, Tensor};

use crate::EngineError;

/// One factor of a tensor's mask: everything that one choice decides about it.
#[derive(Debug)]
pub struct Factor {
    choice: ChoiceId,
    options: Vec<usize>,
    /// Whether other options of the choice do not use the tensor: the members of a group.
    partial: bool,
    parts: Vec<Steps>,
    /// Dimension of each part, and its sizes if it keeps the first entries.
    axes: Vec<(usize, Option<Vec<Reach>>)>,
    /// Shape of the mask, ones where the factor says nothing.
    shape: Vec<i64>,
}

/// A part of a dimension between two sizes, and who takes part in it.
#[derive(Debug)]
struct Reach {
    start: i64,
    length: i64,
    /// `[options]`, ones for those that reach beyond its start.
    options: Tensor,
}

/// What the options keep of one dimension.
#[derive(Debug)]
enum Steps {
    /// `[options, size]`, ones where kept.
    Own(Tensor),
    /// `[options, second options, size]`, and the second choice.
    Scaled(ChoiceId, Vec<usize>, Tensor),
}

impl Factor {
    /// The factors of a tensor's mask; none if all its sizes are fixed.
    ///
    /// `options` gives the number of options of a choice.
    ///
    /// # Errors
    /// - [`EngineError::Bug`] if more than two dimensions hang on one choice.
    pub fn all(
        param: &Param,
        options: impl Fn(ChoiceId) -> usize,
        compute: (Kind, Device),
    ) -> Result<Vec<Self>, EngineError> {
        let mut factors: Vec<Self> = Vec::new();
        for (at, dim) in param.dims.iter().enumerate() {
            let (elastic, scaled) = match &dim.size {
                Size::Fixed(_) => continue,
                Size::Elastic(elastic) => (elastic, None),
                Size::Scaled(scaled) => (&scaled.base, Some(scaled)),
            };
            let steps = scaled
                .map_or_else(|| own(elastic, dim, compute), |scaled| ratios(scaled, dim, compute));
            let length = dim.size.largest();
            let prefix = scaled.is_none() && dim.part == Part::First;
            let axis = (at, prefix.then(|| reaches(elastic, compute)));
            match factors.iter_mut().find(|factor| factor.choice == elastic.choice) {
                Some(factor) => {
                    factor.parts.push(steps);
                    factor.axes.push(axis);
                    factor.shape[at] = length;
                }
                None => {
                    let mut shape = vec![1; param.dims.len()];
                    shape[at] = length;
                    let used: Vec<usize> =
                        elastic.sizes.iter().map(|(option, _)| *option).collect();
                    factors.push(Self {
                        choice: elastic.choice,
                        partial: used.len() < options(elastic.choice),
                        options: used,
                        parts: vec![steps],
                        axes: vec![axis],
                        shape,
                    });
                }
            }
        }
        match factors.iter().find(|factor| factor.parts.len() > 2) {
            Some(_) => Err(EngineError::Bug(format!("{} hangs on a choice thrice", param.name))),
            None => Ok(factors),
        }
    }

    /// Which factor it is: equal texts give equal masks.
    #[must_use]
    pub fn key(param: &Param, choice: ChoiceId) -> String {
        let dims = param.dims.iter().map(|dim| {
            dim.size.choices().first().is_some_and(|first| *first == choice).then_some(dim)
        });
        format!("{:?}", dims.collect::<Vec<_>>())
    }

    /// The choice that decides.
    #[must_use]
    pub fn choice(&self) -> ChoiceId {
        self.choice
    }

    /// The mask under some rows; it broadcasts over the tensor.
    ///
    /// In fidelity `corrected` only the ratio of a group's rows matters to the tensor; the group's
    /// mass scales its output.
    pub fn mask(&self, rows: &[Tensor], fidelity: Fidelity) -> Tensor {
        let weights = self.weights(rows, fidelity);
        let tables: Vec<Tensor> = self.parts.iter().map(|steps| steps.table(rows)).collect();
        let mask = match &tables[..] {
            [only] => weights.unsqueeze(0).matmul(only),
            [first, second, ..] => (first * weights.unsqueeze(1)).tr().matmul(second),
            [] => weights,
        };
        mask.view(self.shape.as_slice())
    }
}

impl Factor {
    fn weights(&self, rows: &[Tensor], fidelity: Fidelity) -> Tensor {
        let weights = take(&rows[self.choice], &self.options);
        if self.partial && fidelity == Fidelity::Corrected {
            return &weights / held_above_zero(&weights.sum(weights.kind()));
        }
        weights
    }

    /// The factor of a matrix as gates on what it reads and writes; none if it has another form.
    ///
    /// A gate leaves the weight alone, so that a gradient of the rows needs none of the weight.
    #[must_use]
    pub fn gate(&self, rows: &[Tensor], fidelity: Fidelity) -> Option<Gate> {
        match (&self.axes[..], &self.parts[..]) {
            ([(axis, _)], [_]) => Some(Gate::Whole(*axis, self.mask(rows, fidelity).reshape([-1]))),
            ([(first, Some(reaches)), _], [_, other]) => {
                Some(self.bands((*first, reaches), other, rows, fidelity))
            }
            ([_, (second, Some(reaches))], [other, _]) => {
                Some(self.bands((*second, reaches), other, rows, fidelity))
            }
            _ => None,
        }
    }

    /// Between two sizes of one dimension, the same candidates take part: a gate each.
    fn bands(
        &self,
        (axis, reaches): (usize, &[Reach]),
        other: &Steps,
        rows: &[Tensor],
        fidelity: Fidelity,
    ) -> Gate {
        let weights = self.weights(rows, fidelity);
        let table = other.table(rows);
        let bands = reaches.iter().map(|reach| {
            let gate = (&weights * &reach.options).unsqueeze(0).matmul(&table).reshape([-1]);
            Band { start: reach.start, length: reach.length, gate }
        });
        Gate::Bands(axis, bands.collect())
    }
}

/// A factor of a matrix `[written, read]` as gates on its input or output.
#[derive(Debug)]
pub enum Gate {
    /// One entry per number along this dimension.
    Whole(usize, Tensor),
    /// Parts of this dimension, each with a gate along the other one.
    Bands(usize, Vec<Band>),
}

/// Numbers that a band should have at least on average: its gate passes over the whole product, and
/// the gradient of the weight that it saves costs as much for each number of the band.
const WORTH: i64 = 128;

impl Gate {
    /// Whether the gate takes less time than the gradient of the weight that it saves.
    #[must_use]
    pub fn pays(&self) -> bool {
        match self {
            Self::Whole(..) => true,
            Self::Bands(_, bands) => {
                let total: i64 = bands.iter().map(|band| band.length).sum();
                i64::try_from(bands.len()).is_ok_and(|count| total >= WORTH * count)
            }
        }
    }

    /// The same for a matrix whose dimension `axis` is put into another order; bands stay, since
    /// they are parts of the old order.
    #[must_use]
    pub fn rearranged(self, axis: usize, order: impl Fn(&Tensor) -> Tensor) -> Self {
        match self {
            Self::Whole(own, gate) if own == axis => Self::Whole(own, order(&gate)),
            other => other,
        }
    }
}

/// A part of a dimension.
#[derive(Debug)]
pub struct Band {
    start: i64,
    length: i64,
    gate: Tensor,
}

/// `x` times a masked matrix, by gates on `x` and on the product.
///
/// # Shapes
/// - `x`: `[…, read]`; `weight`: `[written, read]`; returned: `[…, written]`.
pub fn gated_product(x: &Tensor, weight: &Tensor, gates: &[Gate]) -> Tensor {
    let whole = |dim: usize| {
        gates.iter().filter_map(move |gate| match gate {
            Gate::Whole(axis, gate) if *axis == dim => Some(gate),
            _ => None,
        })
    };
    let x = whole(1).fold(x.shallow_clone(), |x, gate| x * gate);
    let none = None::<&Tensor>;
    let banded = gates.iter().find_map(|gate| match gate {
        Gate::Bands(axis, bands) => Some((*axis, bands)),
        Gate::Whole(..) => None,
    });
    let product = match banded {
        None => x.linear(weight, none),
        Some((0, bands)) => {
            let parts = bands.iter().map(|band| {
                (&x * &band.gate).linear(&weight.narrow(0, band.start, band.length), none)
            });
            Tensor::cat(&parts.collect::<Vec<_>>(), -1)
        }
        Some((_, bands)) => {
            let parts = bands.iter().map(|band| {
                let part = x.narrow(-1, band.start, band.length);
                part.linear(&weight.narrow(1, band.start, band.length), none) * &band.gate
            });
            parts.reduce(|sum, part| sum + part).unwrap_or_else(|| x.linear(weight, none))
        }
    };
    whole(0).fold(product, |product, gate| product * gate)
}

impl Steps {
    /// `[options, size]`.
    fn table(&self, rows: &[Tensor]) -> Tensor {
        match self {
            Self::Own(table) => table.shallow_clone(),
            Self::Scaled(choice, options, table) => {
                let weights = take(&rows[*choice], options).view([1, 1, -1]);
                weights.matmul(table).squeeze_dim(1)
            }
        }
    }
}

fn own(elastic: &Elastic, dim: &Dim, compute: (Kind, Device)) -> Steps {
    let largest = dim.size.largest();
    let kept = elastic.sizes.iter().map(|(_, size)| kept(*size, largest, dim.part));
    Steps::Own(table(&kept.collect::<Vec<_>>(), compute))
}

fn ratios(scaled: &Scaled, dim: &Dim, compute: (Kind, Device)) -> Steps {
    let largest = dim.size.largest();
    let tables = scaled.base.sizes.iter().map(|(_, base)| {
        let sizes = scaled.ratios.iter().map(|(_, ratio)| Scaled::product(*base, *ratio));
        table(&sizes.map(|size| kept(size, largest, dim.part)).collect::<Vec<_>>(), compute)
    });
    let tables = Tensor::stack(&tables.collect::<Vec<_>>(), 0);
    Steps::Scaled(scaled.choice, scaled.ratios.iter().map(|(option, _)| *option).collect(), tables)
}

fn kept(size: i64, largest: i64, part: Part) -> Vec<f64> {
    let ranges = part.of(size, largest);
    let within = |at: i64| ranges.iter().any(|(first, n)| (*first..first + n).contains(&at));
    (0..largest).map(|at| f64::from(u8::from(within(at)))).collect()
}

/// The parts of a dimension between its sizes.
fn reaches(elastic: &Elastic, (kind, device): (Kind, Device)) -> Vec<Reach> {
    let mut ends: Vec<i64> = elastic.sizes.iter().map(|(_, size)| *size).collect();
    ends.sort_unstable();
    ends.dedup();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let reach = |(start, end): (i64, &i64)| {
        let beyond = elastic.sizes.iter().map(|(_, size)| f64::from(u8::from(*size > start)));
        let options = Tensor::from_slice(&beyond.collect::<Vec<_>>());
        Reach { start, length: end - start, options: options.to_kind(kind).to_device(device) }
    };
    starts.zip(&ends).map(reach).collect()
}

fn table(rows: &[Vec<f64>], (kind, device): (Kind, Device)) -> Tensor {
    let rows: Vec<Tensor> = rows.iter().map(|row| Tensor::from_slice(row)).collect();
    Tensor::stack(&rows, 0).to_kind(kind).to_device(device)
}

/// The entries of a row at `options`.
pub fn take(row: &Tensor, options: &[usize]) -> Tensor {
    let all = row.size().first().is_some_and(|size| usize::try_from(*size) == Ok(options.len()));
    if all && options.iter().enumerate().all(|(at, option)| at == *option) {
        return row.shallow_clone();
    }
    let follows = |pair: &[usize]| pair[1] == pair[0] + 1;
    if let Some(first) = options.first().filter(|_| options.windows(2).all(follows)) {
        let [first, count] = [*first, options.len()].map(|at| i64::try_from(at).unwrap_or(0));
        return row.narrow(0, first, count);
    }
    let entries = options.iter().map(|option| row.get(i64::try_from(*option).unwrap_or(0)));
    Tensor::stack(&entries.collect::<Vec<_>>(), 0)
}

/// The sum of a row's entries at `options`.
pub fn mass(row: &Tensor, options: &[usize]) -> Tensor {
    match options {
        [only] => row.get(i64::try_from(*only).unwrap_or(0)),
        _ => take(row, options).sum(Kind::Double).to_kind(row.kind()),
    }
}

/// A group that is switched off has no ratio; its tensor is then zero, as its output.
pub fn held_above_zero(mass: &Tensor) -> Tensor {
    mass.clamp_min(1e-12)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::seed::seeded;
    use rstest::rstest;
    use skein_core::choice::Architecture;
    use skein_core::graph::Role;

    const COMPUTE: (Kind, Device) = (Kind::Double, Device::Cpu);

    fn channels(choice: ChoiceId) -> Dim {
        Dim::first(&Size::elastic(choice, &[2, 3, 5]))
    }

    fn hidden(base: ChoiceId, choice: ChoiceId) -> Dim {
        let base = Elastic::all(base, &[2, 3, 5]);
        Dim::first(&Size::Scaled(Scaled {
            base,
            choice,
            ratios: vec![(0, 1.5), (1, 2.0), (2, 2.7)],
        }))
    }

    fn kernel(choice: ChoiceId) -> Dim {
        Dim::centre(&Size::elastic(choice, &[3, 5, 7]))
    }

    /// Slices of every combination, padded, weighted and summed, as the paper writes it.
    fn padded(param: &Param, weight: &Tensor, rows: &[Tensor]) -> Tensor {
        let mut sum = weight.zeros_like();
        for id in 0..27_usize {
            let architecture = Architecture(vec![id / 9, id / 3 % 3, id % 3]);
            let mut share = 1.0;
            for (row, option) in rows.iter().zip(&architecture.0) {
                share *= row.double_value(&[i64::try_from(*option).unwrap()]);
            }
            let mut part = weight.shallow_clone();
            let mut pads = Vec::new();
            for (dim, ranges) in param.kept(&architecture).into_iter().enumerate() {
                let (first, length) = ranges[0];
                let rest = param.shape[dim] - first - length;
                pads.splice(0..0, [first, rest]);
                part = part.narrow(i64::try_from(dim).unwrap(), first, length);
            }
            sum += part.constant_pad_nd(pads) * share;
        }
        sum
    }

    #[rstest]
    #[case::gate(vec![channels(0)])]
    #[case::in_and_out(vec![channels(1), channels(0)])]
    #[case::in_out_and_kernel(vec![channels(0), channels(2), kernel(1), kernel(1)])]
    #[case::one_choice_on_both_sides(vec![channels(1), channels(1)])]
    #[case::hidden(vec![hidden(0, 1)])]
    #[case::hidden_and_width(vec![hidden(0, 1), channels(0)])]
    #[case::width_and_hidden(vec![channels(2), hidden(2, 0)])]
    fn a_mask_equals_the_padded_sum(#[case] dims: Vec<Dim>) {
        let param = Param::new("weight", dims, Role::Weight { fan_in: 1 });
        let weight = seeded(3, COMPUTE.1, || Tensor::randn(param.shape.as_slice(), COMPUTE));
        let rows: Vec<Tensor> = [[0.2, 0.5, 0.3], [0.6, 0.1, 0.3], [0.05, 0.05, 0.9]]
            .iter()
            .map(|row| Tensor::from_slice(row))
            .collect();
        let factors = Factor::all(&param, |_| 3, COMPUTE).unwrap();
        let mut masked = weight.shallow_clone();
        for factor in &factors {
            masked = &masked * factor.mask(&rows, Fidelity::Reference);
        }
        let error = (masked - padded(&param, &weight, &rows)).abs().max().double_value(&[]);
        assert!(error < 1e-14, "{error:e}");
    }

    #[rstest]
    #[case::in_and_out(vec![channels(1), channels(0)])]
    #[case::one_choice_on_both_sides(vec![channels(1), channels(1)])]
    #[case::hidden_and_width(vec![hidden(0, 1), channels(0)])]
    #[case::width_and_hidden(vec![channels(2), hidden(2, 0)])]
    #[case::written(vec![channels(2), Dim::first(&Size::Fixed(4))])]
    fn gates_equal_the_mask(#[case] dims: Vec<Dim>) {
        let param = Param::new("weight", dims, Role::Weight { fan_in: 1 });
        let random = |size: &[i64], seed| seeded(seed, COMPUTE.1, || Tensor::randn(size, COMPUTE));
        let (weight, x) = (random(&param.shape, 3), random(&[2, 7, param.shape[1]], 4));
        let rows: Vec<Tensor> = [[0.2, 0.5, 0.3], [0.6, 0.1, 0.3], [0.05, 0.05, 0.9]]
            .iter()
            .map(|row| Tensor::from_slice(row))
            .collect();
        let factors = Factor::all(&param, |_| 3, COMPUTE).unwrap();
        let gates: Option<Vec<Gate>> =
            factors.iter().map(|factor| factor.gate(&rows, Fidelity::Reference)).collect();
        let product = gated_product(&x, &weight, &gates.unwrap());
        let expected = x.linear(&padded(&param, &weight, &rows), None::<Tensor>);
        assert!((product - expected).abs().max().double_value(&[]) < 1e-13);
    }

    #[test]
    fn a_group_is_masked_by_its_ratio_only() {
        let size = Size::Elastic(Elastic { choice: 0, sizes: vec![(1, 1), (2, 2)] });
        let param = Param::new("weight", vec![Dim::first(&size)], Role::Weight { fan_in: 1 });
        let factors = Factor::all(&param, |_| 3, COMPUTE).unwrap();
        let rows = [Tensor::from_slice(&[0.6, 0.1, 0.3])];
        let mask = |fidelity| Vec::<f64>::try_from(factors[0].mask(&rows, fidelity)).unwrap();
        assert_eq!(mask(Fidelity::Reference), [0.4, 0.3]);
        assert!((mask(Fidelity::Corrected)[1] - 0.75).abs() < 1e-15);
    }
}
