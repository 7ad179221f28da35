//! Everything that can go wrong in the engine.

use std::path::{Path, PathBuf};

use skein_core::event::{Failure, FailureClass};
use skein_core::graph::GraphError;
use skein_core::spec::Violation;

/// Why the engine cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The space does not fit the data, or an architecture the space.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// libtorch refused a call.
    #[error("libtorch: {}", first_line(.0))]
    Tensor(#[from] tch::TchError),
    /// A file could not be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: {reason}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A data set is missing or damaged.
    #[error("data set {dataset}: {reason}")]
    Data {
        /// Its id.
        dataset: String,
        /// What is wrong.
        reason: String,
        /// How to get it.
        hint: String,
    },
    /// The device is not there.
    #[error("device {device}: {reason}")]
    Device {
        /// What was asked for.
        device: String,
        /// Why it cannot be had.
        reason: String,
    },
    /// The specification is wrong.
    #[error("{}", list(.0))]
    Spec(Vec<Violation>),
    /// The loss is not a number.
    #[error("the {what} is {value} at step {step}")]
    NotFinite {
        /// Which number.
        what: &'static str,
        /// What it is.
        value: f64,
        /// When.
        step: u64,
    },
    /// A tensor has another shape than it should.
    #[error("tensor `{name}` has shape {got:?}, expected {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// What it has.
        got: Vec<i64>,
        /// What it should have.
        expected: Vec<i64>,
    },
    /// A tensor is not there.
    #[error("tensor `{0}` is missing")]
    Missing(String),
    /// Something that cannot be while Skein is right.
    #[error("{0}")]
    Bug(String),
}

fn list(violations: &[Violation]) -> String {
    let lines = violations.iter().map(|v| format!("{} {}", v.field, v.detail));
    lines.collect::<Vec<_>>().join("; ")
}

/// libtorch appends a stack trace to its messages.
fn first_line(error: &tch::TchError) -> String {
    error.to_string().lines().next().unwrap_or("unknown error").to_owned()
}

/// Names the file in an I/O error.
pub trait IoContext<T> {
    /// Adds the path.
    ///
    /// # Errors
    /// - [`EngineError::Io`] if `self` is an error.
    fn at(self, path: &Path) -> Result<T, EngineError>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn at(self, path: &Path) -> Result<T, EngineError> {
        self.map_err(|source| EngineError::Io { path: path.to_owned(), source })
    }
}

impl EngineError {
    /// The failure as a run's final record tells it.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let (class, hint) = match self {
            Self::Graph(_) | Self::Spec(_) => (FailureClass::User, "change the specification"),
            Self::Data { hint, .. } => (FailureClass::User, hint.as_str()),
            Self::Device { .. } => (FailureClass::User, "choose `cpu` or `auto` as the device"),
            Self::NotFinite { .. } => {
                (FailureClass::User, "lower the learning rate, or clip the gradient harder")
            }
            Self::Io { source, .. } => return io_failure(self, source),
            Self::Tensor(error) => return message_failure(&error.to_string()),
            Self::Content { .. } => {
                (FailureClass::Infrastructure, "look at the file, then resume the run")
            }
            Self::Shape { .. } | Self::Missing(_) | Self::Bug(_) => {
                (FailureClass::Bug, "please report this with the run's log")
            }
        };
        Failure { class, message: self.to_string(), hint: hint.to_owned() }
    }
}

fn io_failure(error: &EngineError, source: &std::io::Error) -> Failure {
    use std::io::ErrorKind;
    let (class, hint) = match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (
            FailureClass::Resource,
            "free some disk space, then resume the run from its last checkpoint",
        ),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            (FailureClass::Infrastructure, "make the folder writable, then resume the run")
        }
        _ => (FailureClass::Infrastructure, "resume the run once the file system answers again"),
    };
    Failure { class, message: error.to_string(), hint: hint.to_owned() }
}

/// Sorts a message of libtorch or a panic into a class.
#[must_use]
pub fn message_failure(message: &str) -> Failure {
    let line = message.lines().next().unwrap_or("unknown error").to_owned();
    let memory = ["out of memory", "can't allocate memory", "not enough memory"];
    if memory.iter().any(|sign| message.contains(sign)) {
        let hint = "start a new run with a smaller `resources.keep_activations`, which takes longer, or a smaller batch size";
        return Failure {
            class: FailureClass::Resource,
            message: format!("out of memory: {line}"),
            hint: hint.to_owned(),
        };
    }
    Failure {
        class: FailureClass::Bug,
        message: line,
        hint: "please report this with the run's log".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_sorted_by_whom_they_are_due_to() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let full = EngineError::Io { path: "x".into(), source: full }.failure();
        assert_eq!(full.class, FailureClass::Resource);
        assert!(full.hint.contains("disk space"));
        let memory = message_failure("DefaultCPUAllocator: can't allocate memory: you tried\nmore");
        assert_eq!((memory.class, memory.message.lines().count()), (FailureClass::Resource, 1));
        assert!(memory.hint.contains("keep_activations"));
        assert_eq!(message_failure("index out of range").class, FailureClass::Bug);
    }
}
