//! Pieces of flat buffers, stepped one after the other.

use tch::{Device, Tensor};

/// Numbers of a piece on a CPU: what a step makes in between then stays in the cache, and the
/// memory that it takes does not grow with the network.
const LENGTH: i64 = 1 << 18;

/// A piece of flat buffers of equal length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    start: i64,
    length: i64,
}

impl Piece {
    /// All of a buffer.
    pub(super) fn whole(buffer: &Tensor) -> Self {
        Self { start: 0, length: length(buffer) }
    }

    /// The pieces of a buffer; on a GPU, where every kernel has its price, there is one.
    pub(super) fn all(buffer: &Tensor) -> impl Iterator<Item = Self> + use<> {
        let all = length(buffer);
        let step = if buffer.device() == Device::Cpu { LENGTH } else { all.max(1) };
        let count = usize::try_from((all + step - 1) / step).unwrap_or(0);
        let starts = (0_i64..).map(move |at| at * step).take(count);
        starts.map(move |start| Self { start, length: step.min(all - start) })
    }

    /// This piece of a buffer; what is written to it is written to the buffer.
    pub(super) fn of(self, buffer: &Tensor) -> Tensor {
        buffer.narrow(0, self.start, self.length)
    }
}

fn length(buffer: &Tensor) -> i64 {
    buffer.size().iter().product()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_a_buffer_once() {
        for count in [0, 1, LENGTH - 1, LENGTH, 2 * LENGTH + 5] {
            let buffer = Tensor::zeros([count], tch::kind::FLOAT_CPU);
            for piece in Piece::all(&buffer) {
                let _ = piece.of(&buffer).g_add_scalar_(1.0);
            }
            assert_eq!(buffer, Tensor::ones([count], tch::kind::FLOAT_CPU), "{count}");
        }
    }
}
