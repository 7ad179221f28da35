//! What a run makes of its machine, as metrics beside its losses.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tch::Device;

use crate::arithmetic::gpu_peak_bytes;
use crate::device::{Watch, megabytes, memory_bytes};

/// Measures from one report to the next.
#[derive(Debug)]
pub struct Load {
    device: Device,
    threads: f64,
    gpu: Watch,
    began: Instant,
    spent: Duration,
}

impl Load {
    /// Begins to measure a process that computes on so many threads.
    #[must_use]
    pub fn begin(device: Device, threads: usize) -> Self {
        Self {
            device,
            threads: u32::try_from(threads).map_or(1.0, f64::from),
            gpu: Watch::begin(device),
            began: Instant::now(),
            spent: processor_time(),
        }
    }

    /// The metrics of the time since this was last asked; of a GPU those that are known.
    pub fn take(&mut self) -> Vec<(&'static str, f64)> {
        let (now, spent) = (Instant::now(), processor_time());
        let could = (now - self.began).as_secs_f64() * self.threads;
        let did = spent.saturating_sub(self.spent).as_secs_f64();
        (self.began, self.spent) = (now, spent);
        let mut values = vec![("memory_mb", megabytes(memory_bytes()))];
        values.extend((could > 0.0).then(|| ("cpu_busy", did / could)));
        values.extend(self.gpu.take().map(|percent| ("gpu_busy", percent / 100.0)));
        let peak = gpu_peak_bytes(self.device);
        values.extend(peak.map(|bytes| ("gpu_memory_mb", megabytes(bytes))));
        values
    }
}

/// What all threads of this process have had of the processor.
fn processor_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_core::event::MACHINE;

    #[test]
    fn work_shows_in_the_load_as_a_share_of_the_threads() {
        let begin = Instant::now();
        let mut loads = [1, 1000].map(|threads| Load::begin(Device::Cpu, threads));
        let spent = processor_time();
        while processor_time() - spent < Duration::from_millis(50) {}
        let told = loads.each_mut().map(Load::take);
        assert!(told[0].iter().all(|(name, _)| MACHINE.contains(name)), "{told:?}");
        let of = |values: &[(&str, f64)], name| {
            values.iter().find(|(other, _)| *other == name).map(|(_, value)| *value).unwrap()
        };
        let [one, many] = told.each_ref().map(|values| of(values, "cpu_busy"));
        // Other tests may work in this process too, so there is no upper bound.
        assert!(one * begin.elapsed().as_secs_f64() >= 0.05, "{told:?}");
        assert!(one > 100.0 * many, "{told:?}");
        assert!(of(&told[0], "memory_mb") > 1.0);
        let again = of(&loads[0].take(), "cpu_busy");
        assert!(again.is_finite() && again >= 0.0, "{again}");
    }
}
