//! Ring masks: several kernel sizes become one kernel.
//!
//! The padded sum `Σ_i a_i · pad(centre(W, k_i))` equals `W ⊙ S` with
//! `S(p) = Σ {a_i : k_i reaches p}`, because every size is a centred crop of the largest.

use skein_core::graph::Elastic;
use tch::{Kind, Tensor};

/// For each size a square of ones, centred in zeros: `[sizes, largest, largest]`.
pub fn masks(elastic: &Elastic, options: (Kind, tch::Device)) -> Tensor {
    let largest = elastic.sizes.iter().map(|(_, size)| *size).max().unwrap_or(1);
    let squares = elastic.sizes.iter().map(|(_, size)| {
        let edge = (largest - size) / 2;
        Tensor::ones([*size, *size], options).constant_pad_nd([edge, edge, edge, edge])
    });
    Tensor::stack(&squares.collect::<Vec<_>>(), 0)
}

/// The mask of a mixture.
///
/// # Shapes
/// - `masks`: `[sizes, k, k]`; `weights`: `[sizes]`; returned: `[1, 1, k, k]`.
pub fn mixture(masks: &Tensor, weights: &Tensor) -> Tensor {
    let size = masks.size();
    weights.unsqueeze(0).matmul(&masks.view([size[0], -1])).view([1, 1, size[1], size[2]])
}

/// The centred crop of side `size`.
pub fn crop(weight: &Tensor, size: i64) -> Tensor {
    let largest = weight.size()[2];
    if size == largest {
        return weight.shallow_clone();
    }
    let edge = (largest - size) / 2;
    weight.narrow(2, edge, size).narrow(3, edge, size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::seed::seeded;

    #[test]
    fn a_mask_equals_the_padded_sum() {
        let options = (Kind::Double, tch::Device::Cpu);
        let weight = seeded(3, options.1, || Tensor::randn([4, 2, 7, 7], options));
        let a = Tensor::from_slice(&[0.2, 0.5, 0.3]);
        let elastic = Elastic { choice: 0, sizes: vec![(0, 3), (1, 5), (2, 7)] };
        let masked = &weight * mixture(&masks(&elastic, options), &a);
        let mut padded = weight.zeros_like();
        for (index, (_, size)) in elastic.sizes.iter().enumerate() {
            let edge = (7 - size) / 2;
            let part = crop(&weight, *size).constant_pad_nd([edge, edge, edge, edge]);
            padded += part * a.double_value(&[i64::try_from(index).unwrap()]);
        }
        assert!((masked - padded).abs().max().double_value(&[]) < 1e-15);
    }
}
