//! DrNAS: rows are drawn from Dirichlet distributions (arXiv:2006.10355).

use tch::{Kind, Tensor};

/// Concentrations `elu(α) + 1`.
pub fn concentration(alpha: &Tensor) -> Tensor {
    alpha.elu() + 1.0
}

/// Draws every row with libtorch's generator, which the caller seeds.
///
/// # Shapes
/// - `alpha` and returned: `[…, options]`; returned rows sum to 1 and carry pathwise gradients.
pub fn draw(alpha: &Tensor) -> Tensor {
    let drawn = tch::no_grad(|| concentration(alpha).internal_sample_dirichlet());
    pathwise(alpha, &drawn)
}

/// A given draw with the gradient that libtorch's reparameterised sampler has:
/// `∂L/∂c = D ⊙ (u − Σ_j a_j u_j)` for the gradient `u` of the draw.
pub fn pathwise(alpha: &Tensor, drawn: &Tensor) -> Tensor {
    let c = concentration(alpha);
    let held = c.detach();
    let total = held.sum_dim_intlist(-1, true, Kind::Double).expand_as(&held);
    let derivative = tch::no_grad(|| Tensor::internal_dirichlet_grad(drawn, &held, &total));
    let moved = derivative * (c - held);
    // `moved` is zero in value; its gradient is that of the draw.
    drawn + &moved - drawn * moved.sum_dim_intlist(-1, true, Kind::Double)
}

/// The mean of every row's distribution.
pub fn expected(alpha: &Tensor) -> Tensor {
    let c = concentration(alpha);
    &c / c.sum_dim_intlist(-1, true, Kind::Double)
}

/// Distance of all rows to the uniform Dirichlet distribution, summed:
/// `Σ KL(Dir(c) ‖ Dir(1, …, 1))`, in nats.
pub fn divergence(alpha: &Tensor) -> Tensor {
    let c = concentration(alpha);
    let total = c.sum_dim_intlist(-1, false, Kind::Double);
    let options = c.ones_like().sum_dim_intlist(-1, false, Kind::Double);
    let moments = (&c - 1.0) * (c.digamma() - total.digamma().unsqueeze(-1));
    let rows =
        total.lgamma() - options.lgamma() - c.lgamma().sum_dim_intlist(-1, false, Kind::Double)
            + moments.sum_dim_intlist(-1, false, Kind::Double);
    rows.sum(Kind::Double)
}
