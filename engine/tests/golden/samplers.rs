//! Samplers and projections against the published code's.

use rstest::rstest;
use skein_core::spec::Projection;
use skein_engine::rows::{darts, drnas, gdas};
use tch::{Kind, Tensor};

use super::vectors::Vectors;

fn gradient(out: &Tensor, upstream: &Tensor, input: &Tensor) -> Tensor {
    let loss = (out * upstream).sum(Kind::Double);
    Tensor::run_backward(&[loss], &[input], false, false).remove(0)
}

#[rstest]
fn drnas_concentrations_and_pathwise_gradients(
    #[values("init", "unit", "wide", "two", "vec", "cube", "zero")] case: &str,
) {
    let v = Vectors::read("samplers").under(&format!("drnas.{case}."));
    let alpha = v.get("alpha").set_requires_grad(true);
    v.check("concentration", &drnas::concentration(&alpha));
    let drawn = drnas::pathwise(&alpha, &v.get("a"));
    v.check("a", &drawn);
    v.check("grad_alpha", &gradient(&drawn, &v.get("upstream"), &alpha));
}

#[test]
fn the_dirichlet_gradient_holds_at_extreme_arguments() {
    let v = Vectors::read("samplers").under("dirichlet_grad.");
    let c = v.get("concentration");
    let total = c.sum_dim_intlist(-1, true, Kind::Double).expand_as(&c);
    v.check("value", &Tensor::internal_dirichlet_grad(&v.get("a"), &c, &total));
}

#[rstest]
fn gdas_samples_and_gradients(#[values("tau10", "tau1", "tau01", "tau5cube")] case: &str) {
    let v = Vectors::read("samplers").under(&format!("gdas.{case}."));
    let alpha = v.get("alpha").set_requires_grad(true);
    let row = gdas::straight_through(&alpha, &v.get("noise"), v.number("tau"));
    v.check("a", &row);
    v.check("onehot", &row);
    v.check("grad_alpha", &gradient(&row, &v.get("upstream"), &alpha));
}

#[test]
fn the_temperature_falls_as_published() {
    let v = Vectors::read("samplers");
    let schedule: Vec<f64> =
        (0..250).map(|epoch| gdas::temperature(10.0, 0.1, epoch, 250)).collect();
    // The published code computes it in single precision.
    v.check_to("gdas.schedule_250", &Tensor::from_slice(&schedule), 1e-6);
}

#[rstest]
fn darts_projections_and_gradients(
    #[values(("softmax", Projection::Softmax), ("sparsemax", Projection::Sparsemax))] projection: (
        &str,
        Projection,
    ),
    #[values("init", "unit", "wide", "tie")] case: &str,
) {
    let v = Vectors::read("samplers").under(&format!("{}.{case}.", projection.0));
    let alpha = v.get("alpha").set_requires_grad(true);
    let row = darts::weights(&alpha, projection.1);
    v.check("a", &row);
    v.check("grad_alpha", &gradient(&row, &v.get("upstream"), &alpha));
}

#[test]
fn the_distance_to_uniform_rows() {
    let v = Vectors::read("samplers").under("kl.");
    let alpha = v.get("alpha").set_requires_grad(true);
    let loss = drnas::divergence(&alpha) * v.number("scale");
    // The published code takes lnΓ(5) = ln 24 of each of the six rows in single precision.
    let exact = 24.0_f64.ln();
    #[expect(clippy::cast_possible_truncation, reason = "that is the point")]
    let rounded = f64::from(exact as f32);
    v.check("value", &(&loss - (rounded - exact) * 6.0 * v.number("scale")));
    v.check("grad_alpha", &Tensor::run_backward(&[loss], &[&alpha], false, false).remove(0));
}
