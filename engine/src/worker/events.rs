//! The attempt's voice: `events.jsonl`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use skein_core::event::{Event, EventBody, Log, Warning};
use skein_core::folder;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::EngineError;
use crate::error::IoContext;

/// Appends events, each flushed as it is written.
#[derive(Debug)]
pub struct Events {
    file: File,
    path: PathBuf,
    attempt: u32,
    seq: u64,
}

impl Events {
    /// A new file in the attempt's folder.
    ///
    /// # Errors
    /// - [`EngineError::Io`] if it cannot be made.
    pub fn create(folder: &Path, attempt: u32) -> Result<Self, EngineError> {
        let path = folder.join(folder::EVENTS);
        let file = File::options().create_new(true).append(true).open(&path).at(&path)?;
        Ok(Self { file, path, attempt, seq: 0 })
    }

    /// Says something.
    ///
    /// # Errors
    /// - [`EngineError::Io`] if the line cannot be written.
    pub fn say(&mut self, body: EventBody) -> Result<(), EngineError> {
        self.seq += 1;
        let event = Event { seq: self.seq, attempt: self.attempt, at: now(), body };
        let mut line =
            serde_json::to_vec(&event).map_err(|error| EngineError::Bug(error.to_string()))?;
        line.push(b'\n');
        self.file.write_all(&line).at(&self.path)
    }

    /// A line for the log.
    ///
    /// # Errors
    /// - [`EngineError::Io`] if the line cannot be written.
    pub fn log(&mut self, message: impl Into<String>) -> Result<(), EngineError> {
        self.say(EventBody::Log(Log { level: "info".to_owned(), message: message.into() }))
    }

    /// Something a person should know.
    ///
    /// # Errors
    /// - [`EngineError::Io`] if the line cannot be written.
    pub fn warn(&mut self, code: &str, message: impl Into<String>) -> Result<(), EngineError> {
        self.say(EventBody::Warning(Warning { code: code.to_owned(), message: message.into() }))
    }
}

/// The present moment, UTC, RFC 3339.
#[must_use]
pub fn now() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}
