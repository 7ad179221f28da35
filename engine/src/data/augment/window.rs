//! A window of each image, perhaps mirrored: how pixels are moved by whole rows and columns.
//!
//! A row of the window lies in one piece in the enlarged image, so that rows are copied, not single
//! pixels, and nothing of a pixel's size is made on the host.

use tch::{Kind, Tensor};

use super::column;
use crate::EngineError;

/// The part of the old size that begins at each image's `corner` (row, column), once the image is
/// enlarged by `border` black pixels on each side.
pub(super) fn cut(
    pixels: &Tensor,
    border: i64,
    corner: &[[i64; 2]],
) -> Result<Tensor, EngineError> {
    let size = pixels.size();
    let [count, channels, height, width] = size[..] else {
        return Err(EngineError::Bug(format!("{size:?} are no images")));
    };
    let (tall, wide) = (height + 2 * border, width + 2 * border);
    let enlarged = pixels.f_constant_pad_nd([border; 4])?.view([-1]);
    let counted = |end: i64| Tensor::f_arange(end, (Kind::Int64, pixels.device()));
    let first: Vec<i64> = corner.iter().map(|[top, left]| top * wide + left).collect();
    let planes = counted(count * channels)?.view([count, channels, 1]) * (tall * wide);
    let rows = counted(height)?.view([1, 1, height]) * wide;
    let starts = column(&first, pixels.device())?.view([count, 1, 1]) + planes + rows;
    // Every piece of a row's length, of which those that begin at `starts` are copied.
    let pieces = enlarged.f_unfold(0, width, 1)?;
    Ok(pieces.f_index_select(0, &starts.view([-1]))?.view(size.as_slice()))
}

/// Mirrors the images that are to be along a dimension, in place.
pub(super) fn mirror(
    mut pixels: Tensor,
    dimension: i64,
    which: &[bool],
) -> Result<Tensor, EngineError> {
    let which: Vec<i64> =
        (0..).zip(which).filter_map(|(at, mirrored)| mirrored.then_some(at)).collect();
    let which = Tensor::f_from_slice(&which)?.f_to(pixels.device())?;
    let mirrored = pixels.f_index_select(0, &which)?.f_flip([dimension])?;
    Ok(pixels.f_index_copy_(0, &which, &mirrored)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_that_are_to_be_are_mirrored() {
        let images = || Tensor::arange(24, (Kind::Uint8, tch::Device::Cpu)).view([2, 1, 3, 4]);
        assert_eq!(mirror(images(), 3, &[false; 2]).unwrap(), images());
        for (dimension, length) in [(2, 3), (3, 4)] {
            let found = mirror(images(), dimension, &[false, true]).unwrap();
            assert_eq!(found.get(0), images().get(0));
            for at in 0..length {
                let opposite = images().get(1).select(dimension - 1, length - 1 - at);
                assert_eq!(found.get(1).select(dimension - 1, at), opposite);
            }
        }
    }

    /// The corners of the enlarged image, of several channels.
    #[test]
    fn a_window_may_lie_in_any_corner() {
        let images = Tensor::arange(2 * 4 * 6 * 5, (Kind::Int64, tch::Device::Cpu)) + 1;
        let images = images.view([2, 4, 6, 5]).to_kind(Kind::Uint8);
        let enlarged = images.constant_pad_nd([3; 4]);
        for corners in [[[0, 0], [6, 6]], [[6, 0], [0, 6]], [[3, 3], [2, 5]]] {
            let found = cut(&images, 3, &corners).unwrap();
            for (at, [top, left]) in (0..).zip(corners) {
                let expected = enlarged.get(at).narrow(1, top, 6).narrow(2, left, 5);
                assert_eq!(found.get(at), expected);
            }
        }
    }
}
