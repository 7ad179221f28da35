//! Devices: which there are, and which one a run gets.

mod gpu;

use serde::Serialize;
use skein_core::spec::Precision;
use tch::{Cuda, Device, Kind};

use crate::EngineError;
use crate::arithmetic::Arithmetic;

pub use gpu::Watch;

/// A device as `skein-worker devices` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// `cpu` or `cuda:N`.
    pub id: String,
    /// Words for people.
    pub title: String,
    /// Its memory; 0 where the driver does not tell.
    pub memory_bytes: u64,
}

/// Where and how wide a run computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compute {
    /// The device.
    pub device: Device,
    /// Width of weights and images.
    pub kind: Kind,
    /// How exactly products are computed.
    pub arithmetic: Arithmetic,
}

impl Compute {
    /// The CPU in single precision.
    pub const PLAIN: Self =
        Self { device: Device::Cpu, kind: Kind::Float, arithmetic: Arithmetic::Full };

    /// The CPU in double precision, for checks.
    #[must_use]
    pub fn exact() -> Self {
        Self { kind: Kind::Double, ..Self::PLAIN }
    }

    /// Device and width that a specification asks for; the whole process multiplies single-precision
    /// numbers on GPUs so from now on.
    ///
    /// # Errors
    /// - [`EngineError::Device`] if there is no such GPU.
    pub fn choose(device: &str, precision: Precision) -> Result<Self, EngineError> {
        let (kind, arithmetic) = match precision {
            Precision::Float32 => (Kind::Float, Arithmetic::Full),
            Precision::Float64 => (Kind::Double, Arithmetic::Full),
            Precision::Tf32 => (Kind::Float, Arithmetic::Tf32),
            Precision::Bfloat16 => (Kind::Float, Arithmetic::Bfloat16),
        };
        let device = choose(device)?;
        arithmetic.set_up();
        Ok(Self { device, kind, arithmetic })
    }
}

/// Name of a device as specifications write it.
#[must_use]
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    }
}

fn choose(text: &str) -> Result<Device, EngineError> {
    if text == "cpu" {
        return Ok(Device::Cpu);
    }
    let count = gpu::count();
    let refuse = |reason: String| Err(EngineError::Device { device: text.to_owned(), reason });
    let index = match text {
        "auto" if count.is_err() => return Ok(Device::Cpu),
        "auto" | "cuda" => 0,
        other => match other.strip_prefix("cuda:").and_then(|index| index.parse().ok()) {
            Some(index) => index,
            None => return refuse("is not a device".to_owned()),
        },
    };
    let count = match count {
        Ok(count) => count,
        Err(reason) => return refuse(format!("there is no usable GPU: {reason}")),
    };
    if i64::try_from(index).is_ok_and(|index| index < count) {
        return Ok(Device::Cuda(index));
    }
    refuse(format!("there are {count} GPUs, counted from 0"))
}

/// Why a machine with a GPU's driver has no GPU that can be used, if so.
#[must_use]
pub fn trouble() -> Option<String> {
    if !gpu::has_driver() {
        return None;
    }
    gpu::count().err()
}

/// All devices of this machine.
#[must_use]
pub fn list() -> Vec<DeviceInfo> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cpu = DeviceInfo {
        id: "cpu".to_owned(),
        title: format!("CPU, {threads} threads"),
        memory_bytes: memory_kib("/proc/meminfo", "MemTotal:") * 1024,
    };
    let gpus = (0..gpu::count().unwrap_or(0)).map(|index| {
        let found = gpu::describe(usize::try_from(index).unwrap_or(0));
        let (title, memory_bytes) = found.unwrap_or_else(|| (format!("GPU {index}"), 0));
        DeviceInfo { id: format!("cuda:{index}"), title, memory_bytes }
    });
    std::iter::once(cpu).chain(gpus).collect()
}

/// Sets the number of CPU threads; 0 takes one per core. Returns the number.
pub fn set_threads(threads: u64) -> usize {
    let all = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = usize::try_from(threads).ok().filter(|threads| *threads > 0).unwrap_or(all);
    tch::set_num_threads(i32::try_from(threads).unwrap_or(1));
    threads
}

/// What libgomp and the C library must know before `main`.
///
/// - A thread of libtorch's CPU kernels looks for work so often before it sleeps. The default, some
///   300,000 looks, is no faster on an idle machine; where another process wants the cores, threads
///   that wait for each other stop each other for whole time slices, and a step takes up to forty
///   times as long.
/// - Memory that a step gives back is kept for the next one instead of returned page by page.
/// - GPUs are counted as the driver counts them, so that a name belongs to its GPU.
const ENVIRONMENT: [(&str, &str); 5] = [
    ("GOMP_SPINCOUNT", "2000"),
    ("MALLOC_MMAP_THRESHOLD_", "1073741824"),
    ("MALLOC_TRIM_THRESHOLD_", "4294967296"),
    ("MALLOC_TOP_PAD_", "67108864"),
    ("CUDA_DEVICE_ORDER", "PCI_BUS_ID"),
];

/// Starts this program anew with `ENVIRONMENT`, unless it says already how threads wait.
///
/// Process id, open files and arguments stay.
pub fn prepare_process() {
    use std::os::unix::process::CommandExt;
    let told =
        ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"].iter().any(|name| std::env::var_os(name).is_some());
    let Ok(program) = std::env::current_exe() else { return };
    if !told {
        // Only returns if it fails; then everything works, if more slowly.
        let _ = std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .envs(ENVIRONMENT)
            .exec();
    }
}

/// Peak resident memory of this process, in bytes.
#[must_use]
pub fn peak_memory_bytes() -> u64 {
    memory_kib("/proc/self/status", "VmHWM:") * 1024
}

/// Resident memory of this process now, in bytes.
#[must_use]
pub fn memory_bytes() -> u64 {
    memory_kib("/proc/self/status", "VmRSS:") * 1024
}

/// Bytes as megabytes, to a tenth.
#[must_use]
pub fn megabytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 100_000).unwrap_or(u32::MAX)) / 10.0
}

fn memory_kib(file: &str, key: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// What the machine's processor calls itself.
#[must_use]
pub fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim().to_owned())
}

/// Waits until a device has done all that it was given; a CPU has then anyway.
pub fn synchronise(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(i64::try_from(index).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there() {
        assert_eq!(choose("cpu").unwrap(), Device::Cpu);
        assert_eq!(list()[0].id, "cpu");
        let now = memory_bytes();
        assert!(now > 1 << 20 && peak_memory_bytes() >= now);
    }

    #[test]
    fn a_gpu_that_is_not_there_is_refused_with_the_reason() {
        let error = choose("cuda:97").unwrap_err().to_string();
        assert!(error.starts_with("device cuda:97: there "), "{error}");
        assert!(choose("gpu").unwrap_err().to_string().contains("is not a device"));
    }
}
