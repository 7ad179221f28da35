//! `RandAugment` (arXiv:1909.13719) on a whole batch: two random operations an image.
//!
//! The operations and their strengths are those of timm's increasing set (`rand-m9-mstd0.5-inc1`):
//! each is done with probability one half, at a strength drawn around the magnitude. What comes
//! into the image from outside is black. Draws are made on the host and counted. Only images of
//! three channels have colours: any other stays as it is where its colours would fade or deepen, and
//! the other operations change all of its channels alike.

use rand_xoshiro::Xoshiro256PlusPlus;
use tch::{Kind, Tensor};

use crate::EngineError;
use crate::state::seed::below;

/// Operations done to an image at most.
const LAYERS: usize = 2;
/// Spread of the strength around the magnitude.
const SPREAD: f64 = 0.5;
/// The greatest strength.
const GREATEST: f64 = 10.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    AutoContrast,
    Equalize,
    Invert,
    Rotate,
    Posterize,
    Solarize,
    SolarizeAdd,
    Colour,
    Contrast,
    Brightness,
    Sharpness,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
}

const OPS: [Op; 15] = [
    Op::AutoContrast,
    Op::Equalize,
    Op::Invert,
    Op::Rotate,
    Op::Posterize,
    Op::Solarize,
    Op::SolarizeAdd,
    Op::Colour,
    Op::Contrast,
    Op::Brightness,
    Op::Sharpness,
    Op::ShearX,
    Op::ShearY,
    Op::TranslateX,
    Op::TranslateY,
];

/// One operation on one image, with its strength as a share of the greatest, signed at random.
type Drawn = (Op, f64);

/// Changes images `[batch, channels, height, width]` of bytes at this magnitude, `0..=10`.
///
/// # Errors
/// - [`EngineError::Tensor`] if memory runs out.
pub(super) fn apply(
    pixels: &Tensor,
    magnitude: f64,
    generator: &mut Xoshiro256PlusPlus,
) -> Result<Tensor, EngineError> {
    let count = usize::try_from(pixels.size()[0]).unwrap_or(0);
    let drawn: Vec<[Option<Drawn>; LAYERS]> =
        (0..count).map(|_| std::array::from_fn(|_| draw(magnitude, generator))).collect();
    let mut x = pixels.f_to_kind(Kind::Float)?;
    for layer in 0..LAYERS {
        for op in OPS {
            let of = drawn.iter().zip(0_i64..).filter_map(|(image, at)| match image[layer] {
                Some((drawn, strength)) if drawn == op => Some((at, strength)),
                _ => None,
            });
            let (at, strengths): (Vec<i64>, Vec<f64>) = of.unzip();
            if !at.is_empty() {
                let at = Tensor::f_from_slice(&at)?.f_to(x.device())?;
                let changed = change(op, &x.f_index_select(0, &at)?, &strengths)?;
                x = x.f_index_copy(0, &at, &changed.round().clamp(0.0, 255.0))?;
            }
        }
    }
    Ok(x.f_to_kind(Kind::Uint8)?)
}

fn draw(magnitude: f64, generator: &mut Xoshiro256PlusPlus) -> Option<Drawn> {
    let op = OPS[below(generator, OPS.len())];
    let (skipped, negative) = (below(generator, 2) == 0, below(generator, 2) == 0);
    // Twelve uniform numbers make a normal one.
    let mut uniform = || f64::from(u32::try_from(below(generator, 1 << 30)).unwrap_or(0));
    let normal = (0..12).map(|_| uniform()).sum::<f64>() / f64::from(1 << 30) - 6.0;
    let share = (magnitude + SPREAD * normal).clamp(0.0, GREATEST) / GREATEST;
    (!skipped).then_some((op, if negative { -share } else { share }))
}

/// Does an operation to images of floats, `0..=255`; `shares` holds one strength an image.
fn change(op: Op, x: &Tensor, shares: &[f64]) -> Result<Tensor, EngineError> {
    let each = |value: &dyn Fn(f64) -> f64| -> Result<Tensor, EngineError> {
        let values: Vec<f64> = shares.iter().map(|share| value(*share)).collect();
        let values = Tensor::f_from_slice(&values)?.f_to_kind(Kind::Float)?;
        Ok(values.f_to(x.device())?.view([-1, 1, 1, 1]))
    };
    let blend = |other: &Tensor| -> Result<Tensor, EngineError> {
        Ok(other + (x - other) * each(&|share| (1.0 + 0.9 * share).max(0.1))?)
    };
    Ok(match op {
        Op::AutoContrast => {
            let low = x.amin([2, 3].as_slice(), true);
            let range = x.amax([2, 3].as_slice(), true) - &low;
            let scale: Tensor = 255.0 / range.clamp_min(1.0);
            let stretched: Tensor = (x - &low) * scale;
            stretched.where_self(&range.gt(0.0), x)
        }
        Op::Equalize => equalised(x)?,
        Op::Invert => 255.0 - x,
        Op::Posterize => {
            let step = each(&|share| 2_f64.powi(4) * 2_f64.powf((share.abs() * 4.0).floor()))?;
            (x / &step).floor() * step
        }
        Op::Solarize => {
            let from = each(&|share| 256.0 - (share.abs() * 256.0).floor())?;
            let inverted: Tensor = 255.0 - x;
            inverted.where_self(&x.ge_tensor(&from), x)
        }
        Op::SolarizeAdd => {
            let more = x + each(&|share| (share.abs() * 110.0).floor())?;
            more.where_self(&x.lt(128.0), x)
        }
        Op::Colour if x.size()[1] != 3 => x.shallow_clone(),
        Op::Colour => blend(&grey(x))?,
        Op::Contrast => blend(&grey(x).mean_dim([1, 2, 3].as_slice(), true, Kind::Float))?,
        Op::Brightness => blend(&x.zeros_like())?,
        Op::Sharpness => blend(&smooth(x)?)?,
        Op::Rotate => {
            let angle = |share: f64| (30.0 * share).to_radians();
            let ratio = ratio(x);
            warp(x, shares, |share| {
                let (sin, cos) = angle(share).sin_cos();
                [cos, -sin / ratio, 0.0, sin * ratio, cos, 0.0]
            })?
        }
        Op::ShearX => warp(x, shares, |share| [1.0, 0.3 * share / ratio(x), 0.0, 0.0, 1.0, 0.0])?,
        Op::ShearY => warp(x, shares, |share| [1.0, 0.0, 0.0, 0.3 * share * ratio(x), 1.0, 0.0])?,
        // The whole side is 2 in the grid's units.
        Op::TranslateX => warp(x, shares, |share| [1.0, 0.0, 0.9 * share, 0.0, 1.0, 0.0])?,
        Op::TranslateY => warp(x, shares, |share| [1.0, 0.0, 0.0, 0.0, 1.0, 0.9 * share])?,
    })
}

/// Width over height.
#[expect(clippy::cast_precision_loss, reason = "sides are small")]
fn ratio(x: &Tensor) -> f64 {
    let size = x.size();
    size[3] as f64 / size[2].max(1) as f64
}

/// One channel of brightness: of three channels that of their colours (ITU-R BT.601), of any other
/// number the mean.
pub(super) fn grey(x: &Tensor) -> Tensor {
    if x.size()[1] != 3 {
        return x.mean_dim([1].as_slice(), true, Kind::Float);
    }
    let shares = Tensor::from_slice(&[0.299_f32, 0.587, 0.114]).to(x.device()).view([1, 3, 1, 1]);
    (x * shares).sum_dim_intlist([1].as_slice(), true, Kind::Float)
}

/// A blur whose border stays as it is.
fn smooth(x: &Tensor) -> Result<Tensor, EngineError> {
    let size = x.size();
    let (height, width) = (size[2], size[3]);
    if height < 3 || width < 3 {
        return Ok(x.copy());
    }
    let mut kernel = [1.0_f32 / 13.0; 9];
    kernel[4] = 5.0 / 13.0;
    let kernel = Tensor::f_from_slice(&kernel)?.f_to(x.device())?.view([1, 1, 3, 3]);
    let inner = x
        .view([-1, 1, height, width])
        .f_conv2d::<Tensor>(&kernel, None, 1, 0, 1, 1)?
        .view([size[0], size[1], height - 2, width - 2]);
    let blurred = x.copy();
    blurred.f_narrow(2, 1, height - 2)?.f_narrow(3, 1, width - 2)?.f_copy_(&inner)?;
    Ok(blurred)
}

/// Spreads the values of each channel evenly, as the Python Imaging Library does.
fn equalised(x: &Tensor) -> Result<Tensor, EngineError> {
    let size = x.size();
    let values = x.f_to_kind(Kind::Int64)?.view([size[0], size[1], -1]);
    let counts = Tensor::zeros([size[0], size[1], 256], (Kind::Int64, x.device())).f_scatter_add(
        2,
        &values,
        &values.ones_like(),
    )?;
    let last = values.amax([2].as_slice(), true);
    let total = values.size()[2];
    let others: Tensor = total - counts.f_gather(2, &last, false)?;
    let step = others.divide_scalar_mode(255, "floor");
    let before = counts.cumsum(2, Kind::Int64) - &counts;
    let safe = step.clamp_min(1);
    let table =
        (before + safe.divide_scalar_mode(2, "floor")).f_divide_tensor_mode(&safe, "floor")?;
    let spread = table.clamp_max(255).f_gather(2, &values, false)?.where_self(&step.gt(0), &values);
    Ok(spread.f_to_kind(Kind::Float)?.view(size.as_slice()))
}

/// Moves pixels by a matrix an image, from the new place to the old one; black from outside.
fn warp(
    x: &Tensor,
    shares: &[f64],
    matrix: impl Fn(f64) -> [f64; 6],
) -> Result<Tensor, EngineError> {
    let matrices: Vec<f64> = shares.iter().flat_map(|share| matrix(*share)).collect();
    let matrices = Tensor::f_from_slice(&matrices)?.f_to_kind(Kind::Float)?;
    let matrices = matrices.f_to(x.device())?.view([-1, 2, 3]);
    let grid = Tensor::f_affine_grid_generator(&matrices, x.size(), false)?;
    Ok(x.f_grid_sampler(&grid, 0, 0, false)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::seed::{Stream, generator};

    /// One image of one channel and one row.
    fn row(values: &[f32]) -> Tensor {
        Tensor::from_slice(values).view([1, 1, 1, -1])
    }

    #[track_caller]
    fn check(op: Op, share: f64, before: &[f32], after: &[f32]) {
        let changed = change(op, &row(before), &[share]).unwrap().round().clamp(0.0, 255.0);
        assert_eq!(Vec::<f32>::try_from(changed.reshape([-1])).unwrap(), after, "{op:?}");
    }

    #[test]
    fn each_operation_on_values_does_what_it_says() {
        let before = [0.0, 50.0, 130.0, 200.0];
        check(Op::Invert, 0.9, &before, &[255.0, 205.0, 125.0, 55.0]);
        check(Op::AutoContrast, 0.9, &[50.0, 60.0, 100.0], &[0.0, 51.0, 255.0]);
        check(Op::AutoContrast, 0.9, &[7.0, 7.0], &[7.0, 7.0]);
        // Half of the strength leaves two of eight bits.
        check(Op::Posterize, 0.5, &before, &[0.0, 0.0, 128.0, 192.0]);
        check(Op::Solarize, -0.5, &before, &[0.0, 50.0, 125.0, 55.0]);
        check(Op::SolarizeAdd, 0.5, &before, &[55.0, 105.0, 130.0, 200.0]);
        check(Op::Brightness, 0.4, &before, &[0.0, 68.0, 177.0, 255.0]);
        check(Op::Contrast, -0.5, &before, &[43.0, 70.0, 114.0, 153.0]);
        check(Op::Colour, 0.9, &before, &before);
    }

    #[test]
    fn equalising_spreads_the_values_evenly() {
        // 510 pixels, half of them in the highest value: a step is one.
        let before: Vec<f32> = [vec![3.0; 255], vec![9.0; 255]].concat();
        let after: Vec<f32> = [vec![0.0; 255], vec![255.0; 255]].concat();
        check(Op::Equalize, 0.0, &before, &after);
        check(Op::Equalize, 0.0, &[3.0, 9.0], &[3.0, 9.0]);
    }

    #[test]
    fn places_move_and_the_outside_is_black() {
        let before: Vec<f32> = (1_u8..=10).map(f32::from).collect();
        // 0.45 of ten pixels at two ninths of the strength: one pixel.
        let after: Vec<f32> = before[1..].iter().copied().chain([0.0]).collect();
        check(Op::TranslateX, 2.0 / 9.0, &before, &after);
        let square = Tensor::from_slice(&(0_u8..16).map(f32::from).collect::<Vec<_>>());
        let square = square.view([1, 1, 4, 4]);
        for op in [Op::Rotate, Op::ShearX, Op::ShearY, Op::TranslateY, Op::Sharpness] {
            let still = change(op, &square, &[0.0]).unwrap();
            assert!((still - &square).abs().max().double_value(&[]) < 1e-4, "{op:?}");
            let moved = change(op, &square, &[0.9]).unwrap();
            assert!(moved != square || op == Op::Sharpness, "{op:?}");
        }
        // A quarter turn of a matrix of the same kind maps rows to columns.
        let turned = warp(&square, &[0.0], |_| [0.0, -1.0, 0.0, 1.0, 0.0, 0.0]).unwrap();
        assert_eq!(turned.double_value(&[0, 0, 0, 0]), square.double_value(&[0, 0, 0, 3]));
    }

    #[test]
    fn draws_repeat_and_about_three_quarters_of_the_images_change() {
        let x = Tensor::arange(100 * 3 * 64, (Kind::Int64, tch::Device::Cpu));
        let x = (x * 37).remainder(251).to_kind(Kind::Uint8).view([100, 3, 8, 8]);
        let changed = |step| apply(&x, 9.0, &mut generator(1, Stream::FitAugment, step)).unwrap();
        assert_eq!(changed(1), changed(1));
        assert_ne!(changed(1), changed(2));
        assert_eq!(changed(1).kind(), Kind::Uint8);
        let moved = changed(1).not_equal_tensor(&x).reshape([100, -1]).any_dim(1, false);
        let count = moved.sum(Kind::Int64).int64_value(&[]);
        assert!((60..90).contains(&count), "{count} of 100");
    }
}
