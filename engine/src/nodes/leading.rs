//! The first features of several widths: cut where each width ends, and put together again.

use tch::Tensor;

/// How many features each of several rising widths has more than the one before.
///
/// Parts are cut and joined along these, never padded to the widest: what belongs to a piece is
/// added up once, and a backward pass adds pieces, where that of plain parts would pad each of
/// them to the whole.
#[derive(Debug)]
pub struct Steps(Vec<i64>);

impl Steps {
    /// Of widths, rising.
    pub fn of(widths: impl IntoIterator<Item = i64>) -> Self {
        let mut before = 0;
        let step = |width| width - std::mem::replace(&mut before, width);
        Self(widths.into_iter().map(step).collect())
    }

    /// Each width's first features.
    ///
    /// # Shapes
    /// - `x`: as wide as the widest along `dimension`; returned, of each: as wide as its width.
    pub fn leading(&self, x: &Tensor, dimension: i64) -> Vec<Tensor> {
        let pieces = x.split_with_sizes(self.0.as_slice(), dimension);
        let first = |count: usize| match count {
            count if count == pieces.len() => x.shallow_clone(),
            1 => pieces[0].shallow_clone(),
            count => Tensor::cat(&pieces[..count], dimension),
        };
        (1..=pieces.len()).map(first).collect()
    }

    /// The sum of parts, one of each width, as if each were padded at its end.
    ///
    /// # Shapes
    /// - `parts`: as `leading` returns them; returned: as wide as the widest along `dimension`.
    pub fn joined(&self, parts: &[Tensor], dimension: i64) -> Tensor {
        let mut sums: Vec<Tensor> = Vec::with_capacity(parts.len());
        for (part, last) in parts.iter().zip(1..) {
            let mut pieces = part.split_with_sizes(&self.0[..last], dimension);
            for (sum, piece) in sums.iter_mut().zip(&pieces) {
                *sum = &*sum + piece;
            }
            sums.extend(pieces.pop());
        }
        Tensor::cat(&sums, dimension)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn first_features_come_and_go_as_if_they_were_padded() {
        let x = Tensor::arange(24, (Kind::Double, Device::Cpu)).view([2, 6, 2]);
        let widths = [1, 3, 4, 6];
        let steps = Steps::of(widths);
        let parts = steps.leading(&x, 1);
        let mut sum = x.zeros_like();
        for (part, width) in parts.iter().zip(widths) {
            assert_eq!(*part, x.narrow(1, 0, width));
            sum += part.constant_pad_nd([0, 0, 0, 6 - width]);
        }
        assert_eq!(steps.joined(&parts, 1), sum);
    }

    #[test]
    fn one_width_is_the_whole() {
        let x = Tensor::arange(6, (Kind::Double, Device::Cpu)).view([2, 3]);
        let steps = Steps::of([3]);
        assert_eq!(steps.joined(&steps.leading(&x, 1), 1), x);
    }
}
