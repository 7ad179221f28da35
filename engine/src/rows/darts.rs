//! DARTS: a continuous relaxation (arXiv:1806.09055).

use skein_core::spec::Projection;
use tch::{Kind, Tensor};

/// The weights of every row.
///
/// # Shapes
/// - `alpha` and returned: `[…, options]`; returned rows sum to 1.
pub fn weights(alpha: &Tensor, projection: Projection) -> Tensor {
    match projection {
        Projection::Softmax => alpha.softmax(-1, alpha.kind()),
        Projection::Sparsemax => sparsemax(alpha),
    }
}

/// Euclidean projection of every row onto the simplex (arXiv:1602.02068).
fn sparsemax(z: &Tensor) -> Tensor {
    let options = z.size().last().copied().unwrap_or(1);
    let (sorted, _) = z.sort(-1, true);
    let rank = Tensor::arange_start(1, options + 1, (z.kind(), z.device()));
    let total = sorted.cumsum(-1, z.kind());
    // The support is as large as the largest rank that fulfils the condition.
    let fits: Tensor = &sorted * &rank + 1.0;
    let support = fits.gt_tensor(&total).sum_dim_intlist(-1, true, Kind::Int64);
    let threshold = (total.gather(-1, &(&support - 1), false) - 1.0) / support.to_kind(z.kind());
    (z - threshold).relu()
}
