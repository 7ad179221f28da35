//! NVIDIA GPUs: libtorch's half for them, which the binary does not link, and what the driver's own
//! library (NVML) says of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use tch::{Cuda, Device};

static LOADED: OnceLock<Result<(), String>> = OnceLock::new();

/// Loads `libtorch_cuda` if a driver is there; once per process.
///
/// libtorch looks for its GPU half once, when it is first asked for anything that may touch GPUs
/// (drawing random numbers is enough), and sticks to what it found: nothing may ask it before.
fn load() -> Result<(), String> {
    LOADED
        .get_or_init(|| if has_driver() { load_half() } else { Err(NO_DRIVER.to_owned()) })
        .clone()
}

/// The number of GPUs that libtorch can use, or why it can use none.
pub(super) fn count() -> Result<i64, String> {
    load()?;
    match Cuda::device_count() {
        0 => Err("libtorch finds no GPU".to_owned()),
        count => Ok(count),
    }
}

const NO_DRIVER: &str = "no NVIDIA driver is loaded";

/// Whether this machine is meant to compute on GPUs.
pub(super) fn has_driver() -> bool {
    std::path::Path::new("/proc/driver/nvidia/version").exists()
}

fn load_half() -> Result<(), String> {
    let home = std::env::var("LIBTORCH").ok();
    let home = home.or(option_env!("SKEIN_LIBTORCH").map(str::to_owned));
    let mut names = vec!["libtorch_cuda.so".to_owned()];
    if let Some(home) = home {
        names.insert(0, format!("{home}/cuda/libtorch_cuda.so"));
        names.insert(1, format!("{home}/lib/libtorch_cuda.so"));
    }
    let mut reason = String::new();
    for name in names {
        #[expect(
            unsafe_code,
            reason = "loading a library runs its initialisers; this is libtorch's own"
        )]
        // SAFETY: the library is the other half of the libtorch that is linked; its
        // initialisers only register kernels. It is never unloaded.
        match unsafe { libloading::Library::new(&name) } {
            Ok(library) => {
                std::mem::forget(library);
                return Ok(());
            }
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}

/// How the driver names the GPU that libtorch gives this number.
#[derive(Debug, PartialEq)]
enum Name {
    Index(u32),
    Uuid(String),
}

impl Name {
    /// `CUDA_VISIBLE_DEVICES` hides GPUs from libtorch and not from NVML.
    fn of(index: usize, visible: Option<&str>) -> Option<Self> {
        let Some(visible) = visible else { return Some(Self::Index(u32::try_from(index).ok()?)) };
        let name = visible.split(',').nth(index)?.trim();
        Some(match name.parse() {
            Ok(index) => Self::Index(index),
            Err(_) => Self::Uuid(name.to_owned()),
        })
    }

    fn find<'a>(&self, nvml: &'a Nvml) -> Result<nvml_wrapper::Device<'a>, NvmlError> {
        match self {
            Self::Index(index) => nvml.device_by_index(*index),
            Self::Uuid(uuid) => nvml.device_by_uuid(uuid.as_str()),
        }
    }
}

fn name(index: usize) -> Option<Name> {
    Name::of(index, std::env::var("CUDA_VISIBLE_DEVICES").ok().as_deref())
}

/// A GPU's name and bytes of memory, if the driver tells.
pub(super) fn describe(index: usize) -> Option<(String, u64)> {
    let nvml = Nvml::init().ok()?;
    let device = name(index)?.find(&nvml).ok()?;
    Some((device.name().ok()?, device.memory_info().ok()?.total))
}

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Looks how busy a GPU is, on a thread of its own.
#[derive(Debug)]
pub struct Watch {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<u32>>>,
}

impl Watch {
    /// Begins to look; sees nothing on a CPU, or where the driver does not tell.
    #[must_use]
    pub fn begin(device: Device) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let Device::Cuda(index) = device else { return Self { over, thread: None } };
        let seen = Arc::clone(&over);
        let thread = std::thread::spawn(move || looks(index, &seen).unwrap_or_default());
        Self { over, thread: Some(thread) }
    }

    /// Per cent of the time so far in which the GPU computed something.
    #[must_use]
    pub fn end(mut self) -> Option<f64> {
        self.over.store(true, Ordering::Relaxed);
        let looks = self.thread.take()?.join().ok()?;
        let count = u32::try_from(looks.len()).ok().filter(|count| *count > 0)?;
        Some(f64::from(looks.iter().sum::<u32>()) / f64::from(count))
    }
}

fn looks(index: usize, over: &AtomicBool) -> Option<Vec<u32>> {
    let nvml = Nvml::init().ok()?;
    let device = name(index)?.find(&nvml).ok()?;
    let mut looks = Vec::new();
    while !over.load(Ordering::Relaxed) {
        std::thread::sleep(PAUSE);
        looks.extend(device.utilization_rates().ok().map(|rates| rates.gpu));
    }
    Some(looks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_named_as_the_driver_names_it() {
        assert_eq!(Name::of(1, None), Some(Name::Index(1)));
        assert_eq!(Name::of(1, Some("2,5")), Some(Name::Index(5)));
        assert_eq!(Name::of(0, Some("GPU-1f, 5")), Some(Name::Uuid("GPU-1f".to_owned())));
        assert_eq!(Name::of(2, Some("2,5")), None);
    }

    #[test]
    fn nothing_is_seen_of_a_cpu() {
        assert_eq!(Watch::begin(Device::Cpu).end(), None);
    }
}
