//! Attention under a plan: which heads take part, and where their weights come from.

use skein_core::graph::{CausalAttention, NodeId, Qkv, RelativeAttention, Size};
use skein_core::spec::{Fidelity, Sharing};
use tch::Tensor;

use super::walk::Walk;
use super::{Executor, Plan};
use crate::EngineError;
use crate::entangle::mask::{gated_product, take};
use crate::nodes::attention::{self, Mixture, Split};

impl Executor {
    /// Queries, keys and values in three blocks.
    pub(super) fn qkv(
        &self,
        id: NodeId,
        spec: &Qkv,
        x: &Tensor,
        walk: &mut Walk<'_>,
    ) -> Result<Tensor, EngineError> {
        let bias = spec.bias.then(|| self.weights.get(id, "bias", walk, None)).transpose()?;
        if let (Plan::Superposed(rows), Fidelity::Reference, true, Size::Elastic(inner)) =
            (walk.plan, self.fidelity, spec.interleaved, &spec.inner)
        {
            // The published code pads behind the whole stack, which shifts the blocks of smaller
            // numbers of heads.
            let name = &self.graph.nodes[id].name;
            let whole = walk.store.get(&format!("{name}.weight"))?;
            let sizes: Vec<i64> = inner.sizes.iter().map(|(_, size)| 3 * size).collect();
            let options: Vec<usize> = inner.sizes.iter().map(|(option, _)| *option).collect();
            let mut weight =
                attention::shifted_stack(whole, &sizes, &take(&rows[inner.choice], &options));
            for (choice, mask) in self.weights.masks(id, "weight", walk, rows)? {
                if choice != inner.choice {
                    weight = &weight * mask;
                }
            }
            return Ok(x.linear(&weight, bias.as_ref()));
        }
        if let Some(gates) = self.weights.gates(id, "weight", walk.plan) {
            let whole = walk.store.get(&format!("{}.weight", self.graph.nodes[id].name))?;
            let (weight, gates, bias) = match spec.interleaved {
                false => (whole.shallow_clone(), gates, bias),
                true => {
                    let sorted =
                        gates.into_iter().map(|gate| gate.rearranged(0, attention::blocks));
                    (
                        attention::blocks(whole),
                        sorted.collect(),
                        bias.as_ref().map(attention::blocks),
                    )
                }
            };
            let product = gated_product(x, &weight, &gates);
            return Ok(bias.map_or_else(|| product.shallow_clone(), |bias| &product + bias));
        }
        let weight = self.weights.get(id, "weight", walk, None)?;
        if !spec.interleaved {
            return Ok(x.linear(&weight, bias.as_ref()));
        }
        let bias = bias.map(|bias| match self.fidelity {
            // Not sorted there, unlike the weight.
            Fidelity::Reference => bias,
            Fidelity::Corrected => attention::blocks(&bias),
        });
        Ok(x.linear(&attention::blocks(&weight), bias.as_ref()))
    }

    pub(super) fn relative_attention(
        &self,
        id: NodeId,
        spec: &RelativeAttention,
        x: &Tensor,
        walk: &mut Walk<'_>,
    ) -> Result<Tensor, EngineError> {
        let mut get = |name: &str| self.weights.get(id, name, walk, None);
        let keys = (get("rel_k.vertical")?, get("rel_k.horizontal")?);
        let values = (get("rel_v.vertical")?, get("rel_v.horizontal")?);
        let heads = self.weights.size(id, 0, walk.plan)?;
        // [batch, tokens, 3, heads, width]; the gate of the heads stands on each of the three.
        let split = x.unflatten(2, [3, heads, spec.head_width]);
        let gated = self.weights.gated(id, 0, split.transpose(3, 4), walk)?.transpose(3, 4);
        Ok(attention::relative(spec, &gated, &keys, &values))
    }

    pub(super) fn causal_attention(
        &self,
        id: NodeId,
        spec: &CausalAttention,
        x: &Tensor,
        walk: &mut Walk<'_>,
    ) -> Result<Tensor, EngineError> {
        let seed = walk.pass.dropout.map(|seed| seed.wrapping_add(id as u64));
        match walk.plan {
            Plan::Path(architecture, rows) => {
                let width = self.weights.size(id, 1, walk.plan)?;
                let heads = self.weights.size(id, 0, walk.plan)?;
                let rows = rows.filter(|_| self.sharing == Sharing::Entangled);
                let x = match rows {
                    Some(_) => {
                        let x = self.weights.gated(id, 0, x.shallow_clone(), walk)?;
                        self.weights.gated(id, 1, x, walk)?
                    }
                    None => x.shallow_clone(),
                };
                debug_assert!(spec.heads.at(architecture).is_some());
                Ok(attention::causal(&x, Split { heads, width }, (spec.dropout, seed)))
            }
            Plan::Superposed(rows) => {
                let mixture = Mixture {
                    widths: options(&spec.width, rows, x),
                    heads: options(&spec.heads, rows, x),
                };
                Ok(match self.fidelity {
                    Fidelity::Reference => attention::padded(x, &mixture, (spec.dropout, seed)),
                    Fidelity::Corrected => attention::mixed(x, &mixture, (spec.dropout, seed)),
                })
            }
        }
    }
}

/// Every value of a size with its weight.
fn options(size: &Size, rows: &[Tensor], x: &Tensor) -> Vec<(i64, Tensor)> {
    let values = size.values().into_iter().map(|(options, value)| {
        let weight = match options[..] {
            [(choice, option)] => rows[choice].get(i64::try_from(option).unwrap_or(0)),
            _ => Tensor::ones([0_i64; 0].as_slice(), (x.kind(), x.device())),
        };
        (value, weight)
    });
    values.collect()
}
