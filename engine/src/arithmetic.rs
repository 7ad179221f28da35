//! How exactly products are computed: in full, in TF32, or in `bfloat16` by libtorch's autocast.

use tch::Device;

/// How exactly convolutions and matrix products are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// As exactly as their factors are.
    Full,
    /// On a GPU, single-precision factors are rounded to TF32's ten bits.
    Tf32,
    /// Factors are rounded to `bfloat16`; sums, norms and softmax stay single.
    Bfloat16,
}

#[expect(unsafe_code, reason = "libtorch's own functions, which tch does not wrap")]
mod ffi {
    unsafe extern "C" {
        // None of them keeps or reads memory of ours, and none lets an exception out.
        pub(super) safe fn skein_tf32(on: bool);
        pub(super) safe fn skein_autocast_enter(cuda: bool) -> bool;
        pub(super) safe fn skein_autocast_is_on(cuda: bool) -> bool;
        pub(super) safe fn skein_autocast_leave(cuda: bool, before: bool);
        pub(super) safe fn skein_gpu_peak_bytes(index: i8) -> i64;
    }
}

impl Arithmetic {
    /// Makes this the process's way to multiply single-precision numbers on GPUs; libtorch's own
    /// default rounds in convolutions and not in matrix products.
    pub fn set_up(self) {
        ffi::skein_tf32(self != Self::Full);
    }

    /// Computes something in this way.
    pub fn within<T>(self, device: Device, compute: impl FnOnce() -> T) -> T {
        let _guard = (self == Self::Bfloat16).then(|| Autocast::enter(device.is_cuda()));
        compute()
    }
}

/// Autocast while it lives, on this thread.
struct Autocast {
    cuda: bool,
    before: bool,
}

impl Autocast {
    fn enter(cuda: bool) -> Self {
        Self { cuda, before: ffi::skein_autocast_enter(cuda) }
    }
}

impl Drop for Autocast {
    fn drop(&mut self) {
        ffi::skein_autocast_leave(self.cuda, self.before);
    }
}

/// Whether this thread computes with autocast.
#[must_use]
pub fn is_autocast(device: Device) -> bool {
    ffi::skein_autocast_is_on(device.is_cuda())
}

/// The most memory that tensors had of a GPU so far, in bytes; none where nobody knows.
#[must_use]
pub fn gpu_peak_bytes(device: Device) -> Option<u64> {
    let Device::Cuda(index) = device else { return None };
    u64::try_from(ffi::skein_gpu_peak_bytes(i8::try_from(index).ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Kind, Tensor};

    #[test]
    fn products_are_rounded_inside_and_nowhere_else() {
        let x = Tensor::ones([4, 4], (Kind::Float, Device::Cpu));
        let kind = || x.matmul(&x).kind();
        let inside = Arithmetic::Bfloat16
            .within(Device::Cpu, || (kind(), Arithmetic::Bfloat16.within(Device::Cpu, kind)));
        assert_eq!(inside, (Kind::BFloat16, Kind::BFloat16));
        assert_eq!(kind(), Kind::Float);
        assert_eq!(Arithmetic::Full.within(Device::Cpu, kind), Kind::Float);
        let caught = std::panic::catch_unwind(|| {
            Arithmetic::Bfloat16.within(Device::Cpu, || panic!("on purpose"))
        });
        assert!(caught.is_err());
        assert_eq!(kind(), Kind::Float, "a panic ends it too");
    }

    #[test]
    fn a_cpu_has_no_peak_of_a_gpu() {
        assert_eq!(gpu_peak_bytes(Device::Cpu), None);
        assert_eq!(gpu_peak_bytes(Device::Cuda(0)).is_some(), tch::Cuda::is_available());
    }
}
