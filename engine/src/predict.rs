//! A result package in, its network's answer to one image or one prompt out.
//!
//! The input comes from a stranger and the package from a disk, so a process that predicts bounds
//! itself first ([`bound`]): memory, processor time, and the sizes of what it reads. It writes no
//! file and uses no GPU, which belongs to the runs.

mod image;
mod packed;
mod text;

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use skein_core::event::{Failure, FailureClass};
use skein_core::package::preprocess::Input;
use skein_core::predict::{IMAGE_BYTES, Prediction};

use self::image::Scale;
use crate::error::message_failure;
use crate::{EngineError, device};
use packed::Packed;

/// Threads of the kernels.
const THREADS: u64 = 2;
/// Most bytes of memory that a prediction may write to. libtorch and a small network take 0.15 GiB
/// of it, the largest image another 0.25; the rest is for weights, of which there are two copies
/// while they are read.
const MEMORY: u64 = 2 << 30;

/// How a prediction is made.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// It should be done after this time; a continuation ends early rather than late.
    pub limit: Duration,
    /// Takes 255 minus each pixel of an image.
    pub invert: bool,
}

/// Why there is no prediction.
#[derive(Debug)]
enum Fault {
    /// The input cannot be read.
    Input(String),
    /// The package cannot be used.
    Package(EngineError),
    /// The network cannot be computed.
    Engine(EngineError),
}

/// Bounds what this process may take from now on: memory, and processor time in case nobody is
/// left to kill it.
///
/// # Errors
/// - [`EngineError::Bug`] if the system refuses.
pub fn bound(limit: Duration) -> Result<(), EngineError> {
    device::set_threads(THREADS);
    for (resource, most) in
        [(Resource::Data, MEMORY), (Resource::Cpu, (limit.as_secs() + 1) * THREADS)]
    {
        // Whoever started the process may have bounded it harder.
        let most = getrlimit(resource).maximum.map_or(most, |already| already.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
            .map_err(|error| EngineError::Bug(format!("limits cannot be set: {error}")))?;
    }
    Ok(())
}

/// Reads an input, an image's file or a [`skein_core::predict::Prompt`] as JSON, and answers it
/// with the network of a package.
///
/// # Errors
/// - a [`Failure`]: of class `user` if the input cannot be read, `infrastructure` if the package
///   cannot be used, `resource` if memory ran out.
pub fn predict(
    package: &Path,
    input: impl Read,
    settings: Settings,
) -> Result<Prediction, Failure> {
    let began = Instant::now();
    answer(package, input, settings, began).map_err(failure)
}

fn answer(
    package: &Path,
    input: impl Read,
    settings: Settings,
    began: Instant,
) -> Result<Prediction, Fault> {
    let mut bytes = Vec::new();
    let most = IMAGE_BYTES as u64 + 1;
    input.take(most).read_to_end(&mut bytes).map_err(|error| Fault::Input(error.to_string()))?;
    if bytes.len() > IMAGE_BYTES {
        return Err(Fault::Input(format!("it is larger than {} MiB", IMAGE_BYTES >> 20)));
    }
    let packed = Packed::open(package).map_err(Fault::Package)?;
    let _guard = tch::no_grad_guard();
    match &packed.input {
        Input::Images { shape, divide, mean, std, classes, .. } => {
            let scale = Scale { shape: *shape, divide: *divide, mean, std };
            let pixels = image::read(&bytes, &scale, settings.invert).map_err(Fault::Input)?;
            image::classify(&packed.network, pixels, &scale, classes)
        }
        Input::Text { context, file, tokens, .. } => {
            let vocabulary = packed.vocabulary(file, *tokens).map_err(Fault::Package)?;
            let until = began + settings.limit.mul_f64(SHARE);
            let ends = packed.line_ends;
            text::go_on(&packed.network, vocabulary, *context, ends, &bytes, until)
        }
    }
}

/// Share of the time after which no further token is begun.
const SHARE: f64 = 0.8;

fn failure(fault: Fault) -> Failure {
    match fault {
        Fault::Input(message) => {
            Failure { class: FailureClass::User, message, hint: "send another input".to_owned() }
        }
        Fault::Engine(error) => error.failure(),
        Fault::Package(error) => {
            let found = match &error {
                EngineError::Tensor(error) => message_failure(&error.to_string()),
                _ => error.failure(),
            };
            if found.class == FailureClass::Resource {
                return found;
            }
            Failure {
                class: FailureClass::Infrastructure,
                message: format!("the run's package cannot be used: {}", found.message),
                hint: "look at the file; it may be damaged".to_owned(),
            }
        }
    }
}
