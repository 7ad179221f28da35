//! Follows an attempt's `events.jsonl` as it grows.
//!
//! Only complete lines count: a torn last line is left for the next look. Lines that are no event
//! are skipped with a warning; an event that was seen before, by `(attempt, seq)`, is dropped.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use skein_core::event::Event;
use skein_core::folder;

use crate::views::stream;

/// Bytes that are read at a time.
pub const CHUNK: u64 = 64 << 10;
/// A line longer than this is no event.
const LONGEST_LINE: usize = 8 << 20;
/// Ids of one attempt lie below this multiple of the attempt.
const ATTEMPT: u64 = 1_000_000_000;

/// An event as it is sent.
#[derive(Debug)]
pub struct Line {
    /// Ordered within a run: `attempt * 1_000_000_000 + seq`.
    pub id: u64,
    /// The parsed event.
    pub event: Event,
    /// The event's JSON, as the worker wrote it.
    pub json: String,
}

impl Line {
    /// Appends the message that listeners of the run are sent.
    pub fn write(&self, text: &mut String, run: &str) {
        stream::event(text, run, self.id, self.event.body.kind(), &self.json);
    }
}

/// Id of an event within its run.
#[must_use]
pub fn event_id(attempt: u32, seq: u64) -> u64 {
    u64::from(attempt) * ATTEMPT + seq.min(ATTEMPT - 1)
}

/// The attempt that an event id belongs to.
#[must_use]
pub fn attempt_of(id: u64) -> u32 {
    u32::try_from(id / ATTEMPT).unwrap_or(u32::MAX)
}

/// A position within one attempt's events.
#[derive(Debug, Default)]
pub struct Tail {
    attempt: u32,
    offset: u64,
    last_id: u64,
    rest: Vec<u8>,
}

impl Tail {
    /// Begins at the first event of an attempt, and drops what is not after event `after`.
    #[must_use]
    pub fn new(attempt: u32, after: u64) -> Self {
        Self::resume(attempt, 0, after)
    }

    /// The same from a line on that begins at a known place of the attempt's file.
    #[must_use]
    pub fn resume(attempt: u32, offset: u64, after: u64) -> Self {
        Self { attempt, offset, last_id: after, rest: Vec::new() }
    }

    /// Where the first line begins that was not read, or not to its end.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset - self.rest.len() as u64
    }

    /// The attempt that is followed.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// What was written since the last look, as many lines as end in one [`CHUNK`]; empty at the end.
    ///
    /// # Errors
    /// - the file cannot be read; a file that does not exist yet is an empty one.
    pub fn look(&mut self, run: &Path) -> std::io::Result<Vec<Arc<Line>>> {
        let mut lines = Vec::new();
        while lines.is_empty() && self.read(run)? > 0 {
            self.split(&mut lines);
        }
        Ok(lines)
    }

    fn read(&mut self, run: &Path) -> std::io::Result<u64> {
        let path = folder::attempt(run, self.attempt).join(folder::EVENTS);
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(self.offset))?;
        let read = file.take(CHUNK).read_to_end(&mut self.rest)?;
        self.offset += read as u64;
        Ok(read as u64)
    }

    fn split(&mut self, lines: &mut Vec<Arc<Line>>) {
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            if self.rest.len() > LONGEST_LINE {
                tracing::warn!(attempt = self.attempt, "an event line is too long; skipped");
                self.rest.clear();
            }
            return;
        };
        let tail = self.rest.split_off(end + 1);
        let complete = std::mem::replace(&mut self.rest, tail);
        for bytes in complete.split(|byte| *byte == b'\n').filter(|bytes| !bytes.is_empty()) {
            match parse(bytes) {
                Ok(line) if line.id <= self.last_id || line.event.attempt != self.attempt => {}
                Ok(line) => {
                    self.last_id = line.id;
                    lines.push(Arc::new(line));
                }
                Err(error) => tracing::warn!(%error, "a line is no event; skipped"),
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Line, serde_json::Error> {
    let event: Event = serde_json::from_slice(bytes)?;
    let json = String::from_utf8_lossy(bytes).trim().to_owned();
    Ok(Line { id: event_id(event.attempt, event.seq), event, json })
}

/// The attempts of a run that have a folder, in order.
#[must_use]
pub fn attempts(run: &Path) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir(folder::attempts(run)) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut attempts: Vec<u32> = names.filter_map(|name| name.parse().ok()).collect();
    attempts.sort_unstable();
    attempts
}

/// Calls `visit` for every event after `after`, of all attempts in order, until it says stop.
///
/// # Errors
/// - a file cannot be read.
pub fn replay(
    run: &Path,
    after: u64,
    mut visit: impl FnMut(Arc<Line>) -> std::ops::ControlFlow<()>,
) -> std::io::Result<()> {
    for attempt in attempts(run).into_iter().filter(|attempt| *attempt >= attempt_of(after)) {
        let mut tail = Tail::new(attempt, after);
        loop {
            let lines = tail.look(run)?;
            if lines.is_empty() {
                break;
            }
            for line in lines {
                if visit(line).is_break() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn line(attempt: u32, seq: u64) -> String {
        format!(
            r#"{{"seq":{seq},"attempt":{attempt},"at":"2026-01-01T00:00:00Z","kind":"log","payload":{{"level":"info","message":"m"}}}}"#
        ) + "\n"
    }

    fn write(run: &Path, attempt: u32, text: &str) {
        let folder = folder::attempt(run, attempt);
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(folder::EVENTS);
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn ids(lines: &[Arc<Line>]) -> Vec<u64> {
        lines.iter().map(|line| line.id).collect()
    }

    #[test]
    fn a_torn_line_waits_for_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut tail = Tail::new(1, 0);
        assert!(tail.look(dir.path()).unwrap().is_empty());
        let second = line(1, 2);
        write(dir.path(), 1, &(line(1, 1) + &second[..20]));
        assert_eq!(ids(&tail.look(dir.path()).unwrap()), [1_000_000_001]);
        assert!(tail.look(dir.path()).unwrap().is_empty());
        write(dir.path(), 1, &second[20..]);
        assert_eq!(ids(&tail.look(dir.path()).unwrap()), [1_000_000_002]);
    }

    #[test]
    fn nonsense_and_repeated_events_are_skipped() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 1, &(line(1, 1) + "nonsense\n\n" + &line(1, 1) + &line(1, 2)));
        let lines = Tail::new(1, 0).look(dir.path()).unwrap();
        assert_eq!(ids(&lines), [1_000_000_001, 1_000_000_002]);
    }

    #[test]
    fn a_replay_goes_through_all_attempts_after_an_event() {
        let dir = tempfile::tempdir().unwrap();
        for attempt in [1, 2, 10] {
            write(dir.path(), attempt, &(line(attempt, 1) + &line(attempt, 2)));
        }
        let mut seen = Vec::new();
        replay(dir.path(), event_id(1, 1), |line| {
            seen.push((line.event.attempt, line.event.seq));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(seen, [(1, 2), (2, 1), (2, 2), (10, 1), (10, 2)]);
    }
}
