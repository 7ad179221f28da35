//! Nodes that shrink or move maps without weights.

use skein_core::graph::{Narrow, Pool, Resize, Shuffle, Zero};
use tch::Tensor;

use crate::kernels;

/// The largest value of each window.
pub fn max(pool: &Pool, x: &Tensor) -> Tensor {
    x.max_pool2d(pool.kernel, pool.stride, pool.padding, 1, false)
}

/// The mean of each window; padding does not count.
pub fn average(pool: &Pool, x: &Tensor) -> Tensor {
    x.avg_pool2d(pool.kernel, pool.stride, pool.padding, false, false, None)
}

/// The mean of each channel: `[batch, channels, height, width]` to `[batch, channels]`.
pub fn global_average(x: &Tensor) -> Tensor {
    x.mean_dim([2_i64, 3].as_slice(), false, x.kind())
}

/// The map without its first row and column.
pub fn shift(x: &Tensor) -> Tensor {
    x.slice(2, 1, None, 1).slice(3, 1, None, 1)
}

/// Some of the channels.
pub fn narrow(narrow: &Narrow, x: &Tensor) -> Tensor {
    x.narrow(1, narrow.first, narrow.channels)
}

/// Maps side by side, in channels.
pub fn concat(maps: &[Tensor]) -> Tensor {
    // Each one's gradient is a part of a map, with gaps. It is copied here, once, and not by every
    // norm that the map is a sum of.
    maps.iter().filter(|map| map.requires_grad() && !map.device().is_cuda()).for_each(|map| {
        kernels::order_gradient(map, map);
    });
    Tensor::cat(maps, 1)
}

/// The channels in the order of [`Shuffle`]: channel `j` of group `g` comes to `j·groups + g`.
pub fn shuffle(shuffle: &Shuffle, x: &Tensor) -> Tensor {
    let size = x.size();
    // Channels lie last in memory, and do so afterwards.
    let split = x.permute([0, 2, 3, 1]).unflatten(3, [shuffle.groups, size[1] / shuffle.groups]);
    split.transpose(3, 4).flatten(3, 4).permute([0, 3, 1, 2])
}

/// The map resized to a square, bicubic.
pub fn resize(resize: &Resize, x: &Tensor) -> Tensor {
    x.upsample_bicubic2d([resize.side, resize.side], false, None, None)
}

/// Zeros in the shape of the map at the stride.
pub fn zero(zero: &Zero, x: &Tensor) -> Tensor {
    x.slice(2, 0, None, zero.stride).slice(3, 0, None, zero.stride).zeros_like()
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;

    fn values(tensor: &Tensor) -> Vec<f64> {
        Vec::try_from(&tensor.contiguous().view([-1])).unwrap()
    }

    /// As PC-DARTS writes it: groups and their channels change places.
    #[test]
    fn a_shuffle_takes_one_channel_of_each_group_in_turn() {
        let x = Tensor::arange(2 * 6 * 3 * 2, (Kind::Double, tch::Device::Cpu)).view([2, 6, 3, 2]);
        let order = [0_i64, 2, 4, 1, 3, 5];
        let expected = x.index_select(1, &Tensor::from_slice(&order));
        for x in [x.shallow_clone(), x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])] {
            assert_eq!(values(&shuffle(&Shuffle { groups: 3 }, &x)), values(&expected));
            let part = narrow(&Narrow { first: 2, channels: 3 }, &x);
            assert_eq!(
                values(&part),
                values(&x.index_select(1, &Tensor::from_slice(&[2_i64, 3, 4])))
            );
        }
    }

    /// Both only move values, so their gradients are the way back.
    #[test]
    fn gradients_go_where_the_values_came_from() {
        let x = Tensor::arange(2 * 6 * 4, (Kind::Double, tch::Device::Cpu)).view([2, 6, 2, 2]);
        let x = x.set_requires_grad(true);
        let weight = Tensor::arange(2 * 3 * 4, (Kind::Double, tch::Device::Cpu)).view([2, 3, 2, 2]);
        let shuffled = shuffle(&Shuffle { groups: 2 }, &x);
        let out = narrow(&Narrow { first: 1, channels: 3 }, &shuffled);
        (out * &weight).sum(Kind::Double).backward();
        // Channels 1, 2, 3 after the shuffle are 3, 1, 4 of the input.
        let got = x.grad().index_select(1, &Tensor::from_slice(&[3_i64, 1, 4]));
        assert_eq!(values(&got), values(&weight));
        let rest = x.grad().index_select(1, &Tensor::from_slice(&[0_i64, 2, 5]));
        assert_eq!(rest.abs().max().double_value(&[]), 0.0);
    }
}
