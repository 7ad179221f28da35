//! NVIDIA GPUs: libtorch's half for them, which the binary does not link, and what the driver's own
//! library (NVML) says of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
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
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

/// What was seen since somebody asked.
#[derive(Debug, Default)]
struct Seen {
    over: AtomicBool,
    looks: Mutex<Looks>,
}

/// Per cents, and how many of them.
#[derive(Debug, Default)]
struct Looks {
    sum: f64,
    count: f64,
}

impl Looks {
    fn note(&mut self, percent: u32) {
        self.sum += f64::from(percent);
        self.count += 1.0;
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }
}

impl Watch {
    /// Begins to look; sees nothing on a CPU, or where the driver does not tell.
    #[must_use]
    pub fn begin(device: Device) -> Self {
        let seen = Arc::new(Seen::default());
        let Device::Cuda(index) = device else { return Self { seen, thread: None } };
        let shared = Arc::clone(&seen);
        let thread = std::thread::spawn(move || {
            // Nobody misses the numbers of a driver that tells none.
            let _ = look(index, &shared);
        });
        Self { seen, thread: Some(thread) }
    }

    /// Per cent of the time since this was last asked in which the GPU computed something.
    #[must_use]
    pub fn take(&self) -> Option<f64> {
        std::mem::take(&mut *self.seen.looks.lock().ok()?).mean()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.seen.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It would have said so itself if it had panicked.
            let _ = thread.join();
        }
    }
}

fn look(index: usize, seen: &Seen) -> Option<()> {
    let nvml = Nvml::init().ok()?;
    let device = name(index)?.find(&nvml).ok()?;
    while !seen.over.load(Ordering::Relaxed) {
        std::thread::sleep(PAUSE);
        if let Ok(rates) = device.utilization_rates() {
            seen.looks.lock().ok()?.note(rates.gpu);
        }
    }
    Some(())
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
        assert_eq!(Watch::begin(Device::Cpu).take(), None);
    }

    #[test]
    fn looks_are_averaged_until_they_are_taken() {
        let watch = Watch::begin(Device::Cpu);
        for percent in [20, 70] {
            watch.seen.looks.lock().unwrap().note(percent);
        }
        assert_eq!(watch.take(), Some(45.0));
        assert_eq!(watch.take(), None, "nothing was seen since");
    }
}
