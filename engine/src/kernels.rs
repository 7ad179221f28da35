//! What the files of `src/cpp` compute, with gradients that autograd knows.

use std::ffi::{CStr, c_char, c_void};

use tch::{Device, Kind, Tensor};

use crate::arithmetic;

/// Channels that the loops work on at a time.
pub const LANES: i64 = 8;
/// Most points of a kernel's side.
pub const MOST_POINTS: i64 = 7;

#[expect(unsafe_code, reason = "functions of our own, on libtorch's tensors")]
mod ffi {
    use super::{c_char, c_void};

    unsafe extern "C" {
        pub(super) fn skein_depthwise(
            x: *const c_void,
            weight: *const c_void,
            stride: i64,
            padding: i64,
            dilation: i64,
            relu: bool,
        ) -> *mut c_void;
        pub(super) fn skein_mixture(
            values: *const *const c_void,
            count: i64,
            weights: *const c_void,
        ) -> *mut c_void;
        pub(super) safe fn skein_is_tracing() -> bool;
        pub(super) fn skein_order_gradient(out: *const c_void, like: *const c_void) -> bool;
        pub(super) fn skein_fault() -> *const c_char;
    }
}

/// Whether our own loops may compute with a tensor: double precision, autocast and GPUs stay with
/// libtorch, and so does what is traced, since TorchScript knows none of our operations.
#[must_use]
pub fn take(x: &Tensor) -> bool {
    let single = x.kind() == Kind::Float && x.device() == Device::Cpu;
    single && !arithmetic::is_autocast(Device::Cpu) && !ffi::skein_is_tracing()
}

/// The sum of maps of one shape, of which the first are weighted by `weights`; on a CPU, in single
/// precision.
///
/// # Shapes
/// - `weights`: `[n]`, `n` up to the number of maps.
///
/// # Panics
/// - libtorch refuses, as in all of tch's functions.
#[expect(unsafe_code, reason = "all tensors live")]
pub fn mixture(values: &[Tensor], weights: &Tensor) -> Tensor {
    let pointers: Vec<*const c_void> = values.iter().map(|value| value.as_ptr().cast()).collect();
    let count = i64::try_from(values.len()).unwrap_or(0);
    let found = unsafe { ffi::skein_mixture(pointers.as_ptr(), count, weights.as_ptr().cast()) };
    owned(found, "a weighted sum")
}

/// A depth-wise convolution of single precision on a CPU, of `x` or of its ReLU, whose map is never
/// stored.
///
/// # Shapes
/// - `x`: `[batch, channels, height, width]`, a multiple of [`LANES`] channels; `weight`:
///   `[channels, 1, k, k]`, `k` up to [`MOST_POINTS`].
///
/// # Panics
/// - libtorch refuses, as in all of tch's functions.
#[expect(unsafe_code, reason = "both tensors live")]
pub fn depthwise(
    x: &Tensor,
    weight: &Tensor,
    (stride, padding, dilation): (i64, i64, i64),
    relu: bool,
) -> Tensor {
    let (x, weight) = (x.as_ptr().cast(), weight.as_ptr().cast());
    let found = unsafe { ffi::skein_depthwise(x, weight, stride, padding, dilation, relu) };
    owned(found, "a depth-wise convolution")
}

/// Has the gradient of `out` arrive in the order in memory that `like` has.
///
/// # Panics
/// - libtorch refuses, as in all of tch's functions.
#[expect(unsafe_code, reason = "both tensors live")]
pub fn order_gradient(out: &Tensor, like: &Tensor) {
    let done = unsafe { ffi::skein_order_gradient(out.as_ptr().cast(), like.as_ptr().cast()) };
    assert!(done, "a hook was refused: {}", fault());
}

#[expect(unsafe_code, reason = "functions of ours give a tensor that the caller owns, or null")]
fn owned(found: *mut c_void, what: &str) -> Tensor {
    assert!(!found.is_null(), "{what} failed: {}", fault());
    unsafe { Tensor::from_ptr(found.cast()) }
}

#[expect(unsafe_code, reason = "a text that lives until the next fault of this thread")]
fn fault() -> String {
    unsafe { CStr::from_ptr(ffi::skein_fault()) }.to_string_lossy().into_owned()
}
