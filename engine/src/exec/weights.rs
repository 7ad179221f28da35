//! The tensors that a node uses in a pass: masked, sliced, or as they are.

use std::collections::HashMap;

use skein_core::choice::{Architecture, ChoiceId};
use skein_core::graph::{Dim, Graph, NodeId, Param, Part, Role};
use skein_core::spec::{Fidelity, Sharing};
use tch::Tensor;

use super::Plan;
use super::walk::Walk;
use crate::EngineError;
use crate::device::Compute;
use crate::entangle::mask::{Factor, Gate, held_above_zero, mass};
use crate::store::narrow;

/// How the stored tensors of every node become what a pass uses.
#[derive(Debug)]
pub(super) struct Weights {
    sharing: Sharing,
    fidelity: Fidelity,
    nodes: Vec<Vec<Stored>>,
    factors: Vec<Factor>,
    /// For every choice the options that use a group's tensors, where those are not all.
    count: usize,
}

#[derive(Debug)]
struct Stored {
    param: Param,
    /// Which factors make its mask.
    factors: Vec<usize>,
    /// Choices whose straight-through weights it is multiplied with, and the group's options.
    scales: Vec<(ChoiceId, Vec<usize>)>,
}

impl Weights {
    pub(super) fn new(
        graph: &Graph,
        (sharing, fidelity): (Sharing, Fidelity),
        compute: Compute,
    ) -> Result<Self, EngineError> {
        let options = |choice: ChoiceId| graph.choices[choice].options.len();
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut factors = Vec::new();
        let mut nodes = Vec::with_capacity(graph.nodes.len());
        for node in &graph.nodes {
            let mut stored = Vec::new();
            // A size of a node without tensors is a gate on its input.
            let sizes = node.op.sizes().into_iter().enumerate();
            let gates = sizes.map(|(at, size)| {
                let gate = Param::new(&format!("size{at}"), vec![Dim::first(size)], Role::Scale);
                Param { name: format!("{}.{}", node.name, gate.name), ..gate }
            });
            for mut param in node.params().into_iter().chain(gates) {
                if fidelity == Fidelity::Reference {
                    whole_stacks(&mut param);
                }
                let mut own = Vec::new();
                for factor in Factor::all(&param, options, (compute.kind, compute.device))? {
                    let key = Factor::key(&param, factor.choice());
                    own.push(*known.entry(key).or_insert_with(|| {
                        factors.push(factor);
                        factors.len() - 1
                    }));
                }
                let scales = scales(&param, options);
                stored.push(Stored { param, factors: own, scales });
            }
            nodes.push(stored);
        }
        Ok(Self { sharing, fidelity, nodes, factors, count: graph.choices.len() })
    }

    /// Number of different factors.
    pub(super) fn factors(&self) -> usize {
        self.factors.len()
    }

    /// A node's tensor as this pass uses it.
    pub(super) fn get(
        &self,
        id: NodeId,
        name: &str,
        walk: &mut Walk<'_>,
        picked: Option<(ChoiceId, usize)>,
    ) -> Result<Tensor, EngineError> {
        let stored = self.stored(id, name)?;
        let whole = walk.store.get(&stored.param.name)?;
        if stored.scales.is_empty() {
            return Ok(whole.shallow_clone());
        }
        if let Some((choice, option)) = picked {
            let mut architecture = Architecture(vec![0; self.count]);
            architecture.0[choice] = option;
            return narrow(whole, &stored.param.kept(&architecture));
        }
        match walk.plan {
            Plan::Superposed(rows) if stored.param.role.is_trained() => {
                Ok(self.masked(stored, whole, rows, walk))
            }
            Plan::Superposed(_) => Ok(whole.shallow_clone()),
            Plan::Path(architecture, rows) => {
                let part = narrow(whole, &stored.param.kept(architecture))?;
                match rows.filter(|_| stored.param.role.is_trained()) {
                    Some(rows) => Ok(self.scaled(stored, part, architecture, rows)),
                    None => Ok(part),
                }
            }
        }
    }

    fn stored(&self, id: NodeId, name: &str) -> Result<&Stored, EngineError> {
        let found = self.nodes[id].iter().find(|stored| {
            stored.param.name.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
        });
        found.ok_or_else(|| EngineError::Bug(format!("node {id} stores no {name}")))
    }

    /// The masks of a node's tensor in a superposed pass, each with its choice.
    pub(super) fn masks(
        &self,
        id: NodeId,
        name: &str,
        walk: &mut Walk<'_>,
        rows: &[Tensor],
    ) -> Result<Vec<(ChoiceId, Tensor)>, EngineError> {
        let mut masks = Vec::new();
        for at in &self.stored(id, name)?.factors {
            let factor = &self.factors[*at];
            let mask = walk.masks[*at].get_or_insert_with(|| factor.mask(rows, self.fidelity));
            masks.push((factor.choice(), mask.shallow_clone()));
        }
        Ok(masks)
    }

    /// The factors of a weight as gates on its input and output, where that saves the gradient of
    /// the weight: in a superposed pass whose rows are learned.
    pub(super) fn gates(&self, id: NodeId, name: &str, plan: Plan<'_>) -> Option<Vec<Gate>> {
        let Plan::Superposed(rows) = plan else { return None };
        let stored = self.stored(id, name).ok()?;
        let factors = stored.factors.iter().map(|at| &self.factors[*at]);
        // The sums that `masked` knows of are no gates.
        let summed = self.fidelity == Fidelity::Reference && !stored.param.also.is_empty();
        if stored.factors.is_empty() || summed || !rows.iter().any(Tensor::requires_grad) {
            return None;
        }
        let gates: Option<Vec<Gate>> =
            factors.map(|factor| factor.gate(rows, self.fidelity)).collect();
        gates.filter(|gates| gates.iter().all(Gate::pays))
    }

    /// A node's value cut and weighed by one of its sizes along the last dimension.
    pub(super) fn gated(
        &self,
        id: NodeId,
        size: usize,
        x: Tensor,
        walk: &mut Walk<'_>,
    ) -> Result<Tensor, EngineError> {
        let name = format!("size{size}");
        match walk.plan {
            Plan::Superposed(rows) => {
                let masks = self.masks(id, &name, walk, rows)?;
                Ok(masks.into_iter().fold(x, |x, (_, mask)| x * mask))
            }
            Plan::Path(architecture, rows) => {
                let stored = self.stored(id, &name)?;
                Ok(match rows {
                    Some(rows) => self.scaled(stored, x, architecture, rows),
                    None => x,
                })
            }
        }
    }

    /// A size of a node under a path; the largest in a superposed pass.
    pub(super) fn size(&self, id: NodeId, size: usize, plan: Plan<'_>) -> Result<i64, EngineError> {
        let stored = self.stored(id, &format!("size{size}"))?;
        let largest = stored.param.shape[0];
        Ok(match plan {
            Plan::Superposed(_) => largest,
            Plan::Path(architecture, _) => {
                stored.param.dims[0].size.at(architecture).unwrap_or(largest)
            }
        })
    }

    fn masked(
        &self,
        stored: &Stored,
        whole: &Tensor,
        rows: &[Tensor],
        walk: &mut Walk<'_>,
    ) -> Tensor {
        let mut value = whole.shallow_clone();
        for at in &stored.factors {
            let mask =
                walk.masks[*at].get_or_insert_with(|| self.factors[*at].mask(rows, self.fidelity));
            value = &value * &*mask;
        }
        // Rows sum to one; the published code multiplies by that sum nevertheless, and its
        // gradients know of it.
        if self.fidelity == Fidelity::Reference {
            for choice in &stored.param.also {
                value = &value * rows[*choice].sum(rows[*choice].kind());
            }
        }
        value
    }

    /// Another tensor, weighed as one of a node's own by a straight-through row.
    pub(super) fn scaled_by(
        &self,
        id: NodeId,
        name: &str,
        part: &Tensor,
        (architecture, rows): (&Architecture, &[Tensor]),
    ) -> Tensor {
        let part = part.shallow_clone();
        match self.stored(id, name) {
            Ok(stored) => self.scaled(stored, part, architecture, rows),
            Err(_) => part,
        }
    }

    /// A straight-through row multiplies what is picked by its entry, which is one.
    fn scaled(
        &self,
        stored: &Stored,
        part: Tensor,
        architecture: &Architecture,
        rows: &[Tensor],
    ) -> Tensor {
        if self.sharing != Sharing::Entangled {
            return part;
        }
        let mut value = part;
        for (choice, group) in &stored.scales {
            let row = &rows[*choice];
            let own = row.get(i64::try_from(architecture.0[*choice]).unwrap_or(0));
            value = &value
                * match self.fidelity {
                    Fidelity::Corrected if !group.is_empty() => {
                        own / held_above_zero(&mass(row, group))
                    }
                    _ => own,
                };
        }
        value
    }
}

/// The published code cuts a stack of queries, keys and values as a whole.
fn whole_stacks(param: &mut Param) {
    for dim in param.dims.iter_mut().filter(|dim| dim.part == Part::Thirds) {
        dim.part = Part::First;
    }
}

/// Choices that weigh a tensor; of a group, the options that use it.
fn scales(param: &Param, options: impl Fn(ChoiceId) -> usize) -> Vec<(ChoiceId, Vec<usize>)> {
    let mut scales: Vec<(ChoiceId, Vec<usize>)> = Vec::new();
    for (uses, _) in param.dims.iter().flat_map(|dim| dim.size.values()) {
        for (choice, option) in uses {
            match scales.iter_mut().find(|(known, _)| *known == choice) {
                Some((_, used)) if used.contains(&option) => {}
                Some((_, used)) => used.push(option),
                None => scales.push((choice, vec![option])),
            }
        }
    }
    for (choice, used) in &mut scales {
        if used.len() == options(*choice) {
            used.clear();
        }
    }
    scales.extend(param.also.iter().map(|choice| (*choice, vec![])));
    scales
}
