//! Weights that a file gives by a formula.

use skein_engine::store::Store;
use tch::Tensor;

/// Weights of the conv macro file, which stores a formula instead of 7.7 million numbers.
pub(crate) fn by_formula(store: &Store) {
    for param in store.weights.params() {
        let seed: u32 = param.name.bytes().map(u32::from).sum::<u32>().wrapping_mul(7919);
        let fan: i64 = param.shape[1..].iter().product();
        #[expect(clippy::cast_precision_loss, reason = "fans are small")]
        let std = match (param.shape.len(), param.name.starts_with("conv")) {
            (1, _) => 0.05,
            (_, true) => 2.5 / (fan as f64).sqrt(),
            (_, false) => 1.5 / (fan as f64).sqrt(),
        };
        let count = u32::try_from(param.shape.iter().product::<i64>()).unwrap();
        let values: Vec<f64> =
            (0..count).map(|i| f64::from(formula(i.wrapping_add(seed), std))).collect();
        store.set(&param.name, &Tensor::from_slice(&values).view(param.shape.as_slice())).unwrap();
    }
}

#[expect(clippy::cast_possible_truncation, reason = "weights are rounded to single precision")]
fn formula(at: u32, std: f64) -> f32 {
    let mut v = at.wrapping_mul(2_654_435_761);
    v ^= v >> 15;
    v = v.wrapping_mul(2_246_822_519);
    v ^= v >> 13;
    v = v.wrapping_mul(3_266_489_917);
    v ^= v >> 16;
    ((f64::from(v) / 4_294_967_296.0 - 0.5) * 2.0 * 3_f64.sqrt() * std) as f32
}
