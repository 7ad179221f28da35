//! Convolutions and norms, with the tensors that a pass gives them.

use skein_core::choice::ChoiceId;
use skein_core::graph::{BatchNorm, Conv2d, Graph, LayerNorm, Linear, NodeId, Op, Size};
use skein_core::spec::Fidelity;
use tch::Tensor;

use super::walk::Walk;
use super::{Executor, Plan};
use crate::EngineError;
use crate::device::Compute;
use crate::entangle::mask::{gated_product, take};
use crate::nodes::conv::cpu::takes_relu;
use crate::nodes::{conv, norm};

impl Executor {
    pub(super) fn conv(
        &self,
        id: NodeId,
        spec: &Conv2d,
        x: &Tensor,
        walk: &mut Walk<'_>,
        picked: Option<(ChoiceId, usize)>,
    ) -> Result<Tensor, EngineError> {
        let bias = spec.bias.then(|| self.weights.get(id, "bias", walk, picked)).transpose()?;
        let pays = picked.is_none() && conv::gates_pay(spec);
        let gates = pays.then(|| self.weights.gates(id, "weight", walk.plan)).flatten();
        if let Some(gates) = gates {
            let weight = walk.store.get(&format!("{}.weight", self.graph.nodes[id].name))?;
            if let Some(product) = conv::gated(spec, x, (weight, bias.as_ref()), &gates) {
                return Ok(product);
            }
        }
        let weight = if spec.transforms && spec.chain().len() > 1 {
            self.transformed(id, spec, walk)?
        } else {
            self.weights.get(id, "weight", walk, picked)?
        };
        Ok(match self.passed_on[self.graph.nodes[id].inputs[0]] {
            true => conv::of_relu(spec, x, &weight, bias.as_ref()),
            false => conv::forward(spec, x, &weight, bias.as_ref()),
        })
    }

    pub(super) fn linear(
        &self,
        id: NodeId,
        spec: &Linear,
        x: &Tensor,
        walk: &mut Walk<'_>,
        picked: Option<(ChoiceId, usize)>,
    ) -> Result<Tensor, EngineError> {
        let bias = spec.bias.then(|| self.weights.get(id, "bias", walk, picked)).transpose()?;
        if let Some(gates) = self.weights.gates(id, "weight", walk.plan) {
            let weight = walk.store.get(&format!("{}.weight", self.graph.nodes[id].name))?;
            let product = gated_product(x, weight, &gates);
            return Ok(bias.map_or_else(|| product.shallow_clone(), |bias| &product + bias));
        }
        let weight = self.weights.get(id, "weight", walk, picked)?;
        Ok(x.linear(&weight, bias.as_ref()))
    }

    pub(super) fn batch_norm(
        &self,
        id: NodeId,
        spec: &BatchNorm,
        x: &Tensor,
        walk: &mut Walk<'_>,
        picked: Option<(ChoiceId, usize)>,
    ) -> Result<Tensor, EngineError> {
        let mut get = |name: &str| self.weights.get(id, name, walk, picked);
        let affine = if spec.affine { Some((get("weight")?, get("bias")?)) } else { None };
        let running = (get("running_mean")?, get("running_var")?);
        if let (Plan::Superposed(rows), Some((choice, options))) = (walk.plan, &self.scaled[id]) {
            // A tensor of its own: libtorch writes the gradient in the layout of the scale.
            let mass = walk.mass(*choice, options, &rows[*choice]);
            let weight = mass.expand(running.0.size(), false).contiguous();
            let running = (&running.0, &running.1);
            return Ok(norm::forward(x, Some(&weight), None, running, walk.pass.statistics));
        }
        let (scale, shift) = affine.as_ref().map_or((None, None), |(a, b)| (Some(a), Some(b)));
        Ok(norm::forward(x, scale, shift, (&running.0, &running.1), walk.pass.statistics))
    }

    /// The kernel of a convolution whose smaller kernels are transforms of the larger ones'
    /// centres: each is computed once, on all channels.
    fn transformed(
        &self,
        id: NodeId,
        spec: &Conv2d,
        walk: &mut Walk<'_>,
    ) -> Result<Tensor, EngineError> {
        let name = &self.graph.nodes[id].name;
        let Size::Elastic(sizes) = &spec.kernel else {
            return Err(EngineError::Bug(format!("{name}: a fixed kernel is not transformed")));
        };
        let largest = spec.kernel.largest();
        let mut kernels =
            vec![(largest, walk.store.get(&format!("{name}.weight"))?.shallow_clone())];
        for (matrix, side) in spec.transforms_to(name, 1) {
            let last = &kernels[kernels.len() - 1].1;
            let next = conv::shrink(last, walk.store.get(&matrix)?, side);
            kernels.push((side, next));
        }
        let of = |side: i64| kernels.iter().find(|(known, _)| *known == side).map(|(_, k)| k);
        match walk.plan {
            Plan::Path(architecture, rows) => {
                let side = spec.kernel.at(architecture).unwrap_or(largest);
                let kernel = of(side).ok_or_else(|| EngineError::Bug(format!("{name}: {side}")))?;
                let channels = spec.out_channels.at(architecture);
                let kernel = match channels {
                    Some(channels) => kernel.narrow(0, 0, channels),
                    None => kernel.shallow_clone(),
                };
                Ok(rows.map_or_else(
                    || kernel.shallow_clone(),
                    |rows| self.weights.scaled_by(id, "weight", &kernel, (architecture, rows)),
                ))
            }
            Plan::Superposed(rows) => {
                let mut mixed: Option<Tensor> = None;
                for (option, side) in &sizes.sizes {
                    let Some(kernel) = of(*side) else { continue };
                    let edge = (largest - side) / 2;
                    let padded = kernel.constant_pad_nd([edge, edge, edge, edge]);
                    let term = padded * take(&rows[sizes.choice], &[*option]);
                    mixed = Some(mixed.map_or_else(|| term.shallow_clone(), |sum| sum + &term));
                }
                let mut mixed =
                    mixed.ok_or_else(|| EngineError::Bug(format!("{name}: no kernel")))?;
                for (choice, mask) in self.weights.masks(id, "weight", walk, rows)? {
                    if choice != sizes.choice {
                        mixed = &mixed * mask;
                    }
                }
                Ok(mixed)
            }
        }
    }

    pub(super) fn layer_norm(
        &self,
        id: NodeId,
        spec: &LayerNorm,
        x: &Tensor,
        walk: &mut Walk<'_>,
    ) -> Result<Tensor, EngineError> {
        let bias = spec.bias.then(|| self.weights.get(id, "bias", walk, None)).transpose()?;
        if let (Plan::Superposed(rows), Fidelity::Corrected, Size::Elastic(sizes)) =
            (walk.plan, self.fidelity, &spec.features)
        {
            let own = walk.store.get(&format!("{}.weight", self.graph.nodes[id].name))?;
            let options: Vec<usize> = sizes.sizes.iter().map(|(option, _)| *option).collect();
            let widths: Vec<i64> = sizes.sizes.iter().map(|(_, width)| *width).collect();
            let weights = take(&rows[sizes.choice], &options);
            return Ok(norm::mixed_layer(x, own, bias.as_ref(), (&weights, &widths)));
        }
        let weight = self.weights.get(id, "weight", walk, None)?;
        Ok(norm::layer(x, &weight, bias.as_ref()))
    }

    pub(super) fn squeeze_excite(
        &self,
        id: NodeId,
        x: &Tensor,
        walk: &mut Walk<'_>,
    ) -> Result<Tensor, EngineError> {
        let mut get = |name: &str| self.weights.get(id, name, walk, None);
        let (reduce, reduce_bias) = (get("reduce.weight")?, get("reduce.bias")?);
        let (expand, expand_bias) = (get("expand.weight")?, get("expand.bias")?);
        let mean = x.mean_dim([2_i64, 3].as_slice(), true, x.kind());
        let small = conv::pointwise(&mean, &reduce, &reduce_bias).relu();
        let gate = conv::pointwise(&small, &expand, &expand_bias);
        // Not `hardsigmoid`, whose backward pass divides by six in single precision.
        Ok(x * ((gate + 3.0).relu6() / 6.0))
    }
}

/// ReLUs that all their readers compute themselves: such a node passes on what it reads.
pub(super) fn passed_on(graph: &Graph, compute: Compute) -> Vec<bool> {
    let mut passed: Vec<bool> = graph.nodes.iter().map(|node| node.op == Op::RELU).collect();
    passed[graph.output] = false;
    for node in &graph.nodes {
        let takes = matches!(&node.op, Op::Conv2d(conv) if takes_relu(conv, compute));
        if !takes {
            node.reads().iter().for_each(|input| passed[*input] = false);
        }
    }
    passed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::Arithmetic;
    use skein_core::spaces::{self, toy_cell};
    use skein_core::spec::Sharing;

    #[test]
    fn relus_are_passed_on_where_nobody_else_reads_them() {
        let space = (toy_cell::PRESET.defaults)();
        let graph = spaces::build(&space, toy_cell::PRESET.shape, Sharing::Entangled).unwrap();
        let passed = passed_on(&graph, Compute::PLAIN);
        for node in &graph.nodes {
            let Op::Conv2d(conv) = &node.op else { continue };
            let from = node.inputs[0];
            if graph.nodes[from].op == Op::RELU {
                assert_eq!(passed[from], conv.depthwise, "{}", node.name);
            }
        }
        assert!(passed.iter().any(|passed| *passed) && !passed[graph.output]);
        for other in [
            Compute::exact(),
            Compute { arithmetic: Arithmetic::Bfloat16, ..Compute::PLAIN },
            Compute { device: tch::Device::Cuda(0), ..Compute::PLAIN },
        ] {
            assert!(!passed_on(&graph, other).contains(&true), "{other:?}");
        }
    }
}
