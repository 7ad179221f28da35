//! The devices of this machine, as the worker sees them.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Loading libtorch takes seconds on a cold disk.
const LIMIT: Duration = Duration::from_secs(60);

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Device {
    /// Id in a specification, for example `cpu` or `cuda:0`.
    pub id: String,
    /// Name for people.
    pub title: String,
    /// Its memory.
    pub memory_bytes: Option<u64>,
}

impl Device {
    /// The device that every machine has.
    #[must_use]
    pub fn cpu() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { id: "cpu".to_owned(), title: format!("CPU, {threads} threads"), memory_bytes: None }
    }
}

/// Asks the worker for the devices.
///
/// # Errors
/// - in words: the worker cannot be started, takes too long, or answers nonsense.
pub fn ask(program: &Path) -> Result<Vec<Device>, String> {
    let name = program.display();
    let mut child = Command::new(program)
        .args(["devices", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_remove("SKEIN_TOKEN")
        .spawn()
        .map_err(|error| format!("cannot start the worker `{name}`: {error}"))?;
    let end = Instant::now() + LIMIT;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(10)),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("`{name} devices` did not answer within a minute"));
            }
        }
    };
    let mut output = String::new();
    let _ = child.stdout.take().map(|mut out| out.read_to_string(&mut output));
    let mut fault = String::new();
    let _ = child.stderr.take().map(|mut err| err.read_to_string(&mut fault));
    if !status.success() {
        return Err(format!("`{name} devices` failed ({status}): {}", fault.trim()));
    }
    fault.lines().for_each(|line| tracing::warn!("{line}"));
    serde_json::from_str(&output)
        .map_err(|error| format!("`{name} devices` answered nonsense: {error}"))
}
