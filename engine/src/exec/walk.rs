//! One forward pass under way: the values so far and what they share.

use std::collections::HashMap;

use skein_core::choice::ChoiceId;
use skein_core::graph::{NodeId, Op};
use tch::{Device, Kind, Tensor};

use super::{Pass, Plan};
use crate::EngineError;
use crate::entangle::mask::mass;
use crate::kernels;
use crate::nodes::pool;
use crate::store::Store;

/// One forward pass under way.
pub(super) struct Walk<'a> {
    pub(super) store: &'a Store,
    pub(super) plan: Plan<'a>,
    pub(super) pass: Pass,
    pub(super) values: Vec<Option<Tensor>>,
    /// ReLUs of a value are the same value: the input, and its ReLU.
    pub(super) relus: HashMap<NodeId, Tensor>,
    /// Pooled values are shared likewise: the input, the pooling, and its result.
    pub(super) pools: Vec<(NodeId, Op, Tensor)>,
    /// Masks by factor: all tensors of a group share them.
    pub(super) masks: Vec<Option<Tensor>>,
    /// What groups of options weigh: edges of several cells follow the same row.
    masses: Vec<((ChoiceId, Vec<usize>), Tensor)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        store: &'a Store,
        plan: Plan<'a>,
        pass: Pass,
        known: &[(NodeId, Tensor)],
        (nodes, factors): (usize, usize),
    ) -> Self {
        let empty = |count| std::iter::repeat_with(|| None).take(count).collect();
        let relus = HashMap::new();
        let (values, masks) = (empty(nodes), empty(factors));
        let (pools, masses) = (vec![], vec![]);
        let mut walk = Self { store, plan, pass, values, relus, pools, masks, masses };
        known.iter().for_each(|(id, value)| walk.values[*id] = Some(value.shallow_clone()));
        walk
    }

    /// Lets go of values that nobody reads any more.
    pub(super) fn forget(&mut self, ids: &[NodeId]) {
        for id in ids {
            self.values[*id] = None;
            self.relus.remove(id);
            self.pools.retain(|(from, ..)| from != id);
        }
    }

    pub(super) fn get(&self, id: NodeId) -> Result<Tensor, EngineError> {
        let value = self.values[id].as_ref().map(Tensor::shallow_clone);
        value.ok_or_else(|| EngineError::Bug(format!("node {id} is read before it is computed")))
    }

    pub(super) fn all(&self, ids: &[NodeId]) -> Result<Vec<Tensor>, EngineError> {
        ids.iter().map(|id| self.get(*id)).collect()
    }

    /// A pooled value, computed once however many nodes ask for it.
    pub(super) fn pooled(&mut self, input: NodeId, op: &Op) -> Result<Tensor, EngineError> {
        let known = self.pools.iter().find(|(from, by, _)| *from == input && by == op);
        if let Some((.., value)) = known {
            return Ok(value.shallow_clone());
        }
        let x = self.get(input)?;
        let value = match op {
            Op::MaxPool(spec) => pool::max(spec, &x),
            Op::AvgPool(spec) => pool::average(spec, &x),
            _ => return Err(EngineError::Bug("not a pooling".to_owned())),
        };
        self.pools.push((input, op.clone(), value.shallow_clone()));
        Ok(value)
    }

    /// The sum of some entries of the row of a choice, computed once.
    pub(super) fn mass(&mut self, choice: ChoiceId, options: &[usize], row: &Tensor) -> Tensor {
        let known = self.masses.iter().find(|((of, by), _)| *of == choice && by == options);
        if let Some((_, value)) = known {
            return value.shallow_clone();
        }
        let value = mass(row, options);
        self.masses.push(((choice, options.to_vec()), value.shallow_clone()));
        value
    }

    pub(super) fn relu(&mut self, input: NodeId) -> Result<Tensor, EngineError> {
        if let Some(known) = self.relus.get(&input) {
            return Ok(known.shallow_clone());
        }
        let value = self.get(input)?.relu();
        self.relus.insert(input, value.shallow_clone());
        Ok(value)
    }
}

/// A term of a weighted sum.
pub(super) enum Term {
    /// As it is.
    Whole(Tensor),
    /// Times a number.
    Weighted(Tensor, Tensor),
}

impl Term {
    fn value(&self) -> &Tensor {
        match self {
            Self::Whole(value) | Self::Weighted(value, _) => value,
        }
    }
}

/// The sum of weighted terms; products are not stored by themselves.
pub(super) fn weighted_sum(mut terms: Vec<Term>) -> Result<Tensor, EngineError> {
    if terms.is_empty() {
        return Err(EngineError::Bug("nothing to add".to_owned()));
    }
    if own_sum(&terms) {
        return Ok(mixture(terms));
    }
    let first = terms.iter().position(|term| matches!(term, Term::Whole(_))).unwrap_or(0);
    let first = match terms.swap_remove(first) {
        Term::Whole(value) => value,
        Term::Weighted(value, weight) => value * weight,
    };
    Ok(terms.into_iter().fold(first, |sum, term| match term {
        Term::Whole(value) => sum + value,
        Term::Weighted(value, weight) => sum.addcmul(&value, &weight),
    }))
}

pub(super) fn sum(terms: Vec<Tensor>) -> Result<Tensor, EngineError> {
    weighted_sum(terms.into_iter().map(Term::Whole).collect())
}

/// Whether our own loops add the terms, and save something: what is added to another map as it is,
/// libtorch adds in one pass too.
fn own_sum(terms: &[Term]) -> bool {
    let values = || terms.iter().map(Term::value);
    let plain = terms.len() <= 2 && terms.iter().all(|term| matches!(term, Term::Whole(_)));
    let size = terms.first().map(|term| term.value().size());
    !plain && values().all(|value| kernels::take(value) && Some(value.size()) == size)
}

fn mixture(terms: Vec<Term>) -> Tensor {
    let (mut values, mut weights, mut whole) = (vec![], vec![], vec![]);
    for term in terms {
        match term {
            Term::Weighted(value, weight) => {
                values.push(value);
                weights.push(weight.to_kind(Kind::Float).view([]));
            }
            Term::Whole(value) => whole.push(value),
        }
    }
    values.append(&mut whole);
    let weights = match weights[..] {
        [] => Tensor::zeros([0], (Kind::Float, Device::Cpu)),
        _ => Tensor::stack(&weights, 0),
    };
    kernels::mixture(&values, &weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::seed::seeded;
    use rstest::rstest;

    /// Maps that lie channels-last, channels-first and as a part of another.
    fn maps(kind: Kind) -> Vec<Tensor> {
        let normal = |seed, size: [i64; 4]| {
            seeded(seed, Device::Cpu, || Tensor::randn(size, (Kind::Float, Device::Cpu)))
        };
        let first = normal(1, [3, 9, 7, 8]).permute([0, 3, 1, 2]);
        let maps = [first, normal(2, [3, 8, 9, 7]), normal(3, [3, 12, 9, 7]).narrow(1, 3, 8)];
        maps.map(|map| map.to_kind(kind).set_requires_grad(true)).into()
    }

    #[rstest]
    fn sums_and_their_gradients_are_those_of_double_precision(
        #[values([true, true, true], [false, true, false], [false, false, false], [true, false, true])]
        weighted: [bool; 3],
        #[values(1, 2, 3)] count: usize,
        #[values(false, true)] learned: bool,
    ) {
        let run = |kind: Kind, threads: i32| {
            let before = tch::get_num_threads();
            tch::set_num_threads(threads);
            let weights =
                Tensor::from_slice(&[0.3, -1.2, 0.0]).to_kind(kind).set_requires_grad(learned);
            let maps = maps(kind);
            let terms =
                maps.iter().zip(weighted).zip(0..).take(count).map(|((map, by), at)| match by {
                    true => Term::Weighted(map.shallow_clone(), weights.get(at)),
                    false => Term::Whole(map.shallow_clone()),
                });
            let terms: Vec<Term> = terms.collect();
            assert!(
                kind == Kind::Double
                    || own_sum(&terms) == (count > 2 || weighted[..count].contains(&true))
            );
            let out = weighted_sum(terms).unwrap();
            let mut leaves: Vec<&Tensor> = maps.iter().take(count).collect();
            if learned && weighted[..count].contains(&true) {
                leaves.push(&weights);
            }
            let mut found = Tensor::run_backward(&[out.square().sum(kind)], &leaves, false, false);
            found.push(out.detach());
            tch::set_num_threads(before);
            found
        };
        let (single, more, double) =
            (run(Kind::Float, 1), run(Kind::Float, 3), run(Kind::Double, 1));
        for ((single, more), double) in single.iter().zip(&more).zip(&double) {
            assert!(single.equal(more), "threads change what is computed");
            let largest = double.abs().max().double_value(&[]).max(1.0);
            let error = (single.to_kind(Kind::Double) - double).abs().max().double_value(&[]);
            assert_eq!(single.size(), double.size());
            assert!(error < 1e-5 * largest, "{error}");
        }
    }

    /// Also where the weighted map is copied to be read.
    #[rstest]
    fn a_mixture_can_be_differentiated_twice(#[values(0, 2)] weighted: usize) {
        let twice = |kind: Kind| {
            let weight = Tensor::from(0.7).to_kind(kind).set_requires_grad(true);
            let maps = maps(kind);
            let terms = vec![
                Term::Weighted(maps[weighted].shallow_clone(), weight.shallow_clone()),
                Term::Whole(maps[1].shallow_clone()),
            ];
            let out = weighted_sum(terms).unwrap().pow_tensor_scalar(3).sum(kind);
            let first = Tensor::run_backward(&[&out], &[&maps[weighted], &weight], true, true);
            let second = first[0].square().sum(kind) + first[1].square();
            let leaves = [&weight, &maps[1], &maps[weighted]];
            Tensor::run_backward(&[second], &leaves, false, false)
        };
        for (single, double) in twice(Kind::Float).iter().zip(twice(Kind::Double)) {
            let largest = double.abs().max().double_value(&[]);
            let error = (single.to_kind(Kind::Double) - double).abs().max().double_value(&[]);
            assert!(largest > 1.0 && error < 1e-4 * largest, "{error}");
        }
    }

    #[test]
    fn nothing_cannot_be_added() {
        assert!(weighted_sum(vec![]).is_err() && sum(vec![]).is_err());
    }
}
