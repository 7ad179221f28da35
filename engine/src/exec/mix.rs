//! Mix nodes: what becomes of the candidates' outputs.

use skein_core::choice::ChoiceId;
use skein_core::graph::{BatchNorm, Graph, Mix, NodeId, Op};
use skein_core::spec::{Fidelity, Sharing};
use tch::Tensor;

use super::walk::{Term, Walk, weighted_sum};
use super::{Executor, Plan};
use crate::EngineError;
use crate::entangle::mask::mass;

impl Executor {
    pub(super) fn mix(
        &self,
        mix: &Mix,
        inputs: &[NodeId],
        walk: &mut Walk<'_>,
    ) -> Result<Tensor, EngineError> {
        match walk.plan {
            Plan::Path(architecture, rows) => {
                let option = architecture.0[mix.choice];
                let branch = mix
                    .branch_of(option)
                    .ok_or_else(|| EngineError::Bug(format!("option {option} has no branch")))?;
                let value = walk.get(inputs[branch])?;
                Ok(rows.map_or(value.shallow_clone(), |rows| {
                    self.picked(mix, branch, option, &value, &rows[mix.choice])
                }))
            }
            Plan::Superposed(rows) => {
                let row = &rows[mix.choice];
                let mut terms = Vec::new();
                for (options, input) in mix.branches.iter().zip(inputs) {
                    // Zeros add nothing, and their weight's gradient is zero.
                    let is_zero = matches!(self.graph.nodes[*input].op, Op::Zero(_));
                    if !is_zero || inputs.len() == 1 {
                        terms.extend(self.branch(mix.choice, options, *input, row, walk)?);
                    }
                }
                weighted_sum(terms)
            }
        }
    }

    /// The weighted outputs of one branch.
    fn branch(
        &self,
        choice: ChoiceId,
        options: &[usize],
        input: NodeId,
        row: &Tensor,
        walk: &mut Walk<'_>,
    ) -> Result<Vec<Term>, EngineError> {
        if self.scaled[input].is_some() {
            return Ok(vec![Term::Whole(walk.get(input)?)]);
        }
        if options.len() == 1 {
            return Ok(vec![Term::Weighted(walk.get(input)?, walk.mass(choice, options, row))]);
        }
        if self.sharing != Sharing::EntangledOutputs {
            let value = walk.get(input)?;
            return Ok(vec![match self.fidelity {
                Fidelity::Reference => Term::Whole(value),
                Fidelity::Corrected => Term::Weighted(value, walk.mass(choice, options, row)),
            }]);
        }
        let nodes = self.branch_nodes(choice, input);
        let mut terms = Vec::new();
        for option in options {
            // Values of the option before are computed anew, and so are their ReLUs.
            walk.relus.retain(|from, _| !nodes.contains(from));
            for id in &nodes {
                walk.values[*id] = Some(self.compute(*id, walk, Some((choice, *option)))?);
            }
            terms.push(Term::Weighted(walk.get(input)?, walk.mass(choice, &[*option], row)));
        }
        Ok(terms)
    }

    /// The nodes before `input` that depend on the choice's option, in order.
    fn branch_nodes(&self, choice: ChoiceId, input: NodeId) -> Vec<NodeId> {
        let mut found = vec![false; input + 1];
        found[input] = true;
        for id in (0..=input).rev() {
            if found[id] {
                let inner = self.graph.nodes[id]
                    .inputs
                    .iter()
                    .filter(|from| self.bound[**from] == Some(choice));
                inner.for_each(|from| found[*from] = true);
            }
        }
        (0..=input).filter(|id| found[*id]).collect()
    }

    /// The picked branch's output, through which gradients flow to a straight-through row.
    fn picked(
        &self,
        mix: &Mix,
        branch: usize,
        option: usize,
        value: &Tensor,
        row: &Tensor,
    ) -> Tensor {
        let own = row.get(i64::try_from(option).unwrap_or(0));
        if self.sharing != Sharing::Entangled {
            // The others are scalars of value zero, added to every element.
            let others = row.sum(row.kind()) - &own;
            return value * own + others;
        }
        let options = &mix.branches[branch];
        match self.fidelity {
            _ if options.len() == 1 => value * own,
            Fidelity::Reference => value.shallow_clone(),
            Fidelity::Corrected => value * mass(row, options),
        }
    }
}

/// Norms without a scale of their own that only a mix reads: the branch's weight becomes their
/// scale, so that no product is computed or kept.
pub(super) fn scaled_norms(
    graph: &Graph,
    sharing: Sharing,
    fidelity: Fidelity,
) -> Vec<Option<(ChoiceId, Vec<usize>)>> {
    let mut readers = vec![0; graph.nodes.len()];
    graph.nodes.iter().flat_map(|node| &node.inputs).for_each(|input| readers[*input] += 1);
    let mut scaled = vec![None; graph.nodes.len()];
    for node in &graph.nodes {
        let Op::Mix(mix) = &node.op else { continue };
        for (options, input) in mix.branches.iter().zip(&node.inputs) {
            let plain =
                matches!(graph.nodes[*input].op, Op::BatchNorm(BatchNorm { affine: false, .. }));
            // A group's mass counts in fidelity `corrected` only, and not where outputs are mixed.
            let weighed = options.len() == 1
                || (fidelity == Fidelity::Corrected && sharing == Sharing::Entangled);
            if plain && weighed && readers[*input] == 1 {
                scaled[*input] = Some((mix.choice, options.clone()));
            }
        }
    }
    scaled
}
