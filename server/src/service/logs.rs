//! The log of an attempt: what the worker wrote to its standard error, and its `log` and `warning`
//! events, in the order of time as far as lines tell it.

use std::ops::ControlFlow;

use skein_core::event::EventBody;
use time::OffsetDateTime;

use super::runs::Runs;
use super::{ServiceError, blocking, tail};
use crate::domain::clock;
use crate::domain::ids::RunId;
use crate::executor::Job;
use crate::views::LogView;

impl Runs {
    /// The last lines of an attempt's log; of the newest attempt if none is named.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`] if there is no such run or attempt.
    pub async fn log(
        &self,
        id: RunId,
        attempt: Option<u32>,
        most: usize,
    ) -> Result<LogView, ServiceError> {
        let (runs, entry) = (self.clone(), self.entry(id)?);
        blocking(move || {
            let attempts = tail::attempts(&entry.folder);
            let attempt = match attempt {
                Some(asked) if !attempts.contains(&asked) => {
                    return Err(ServiceError::NotFound { what: format!("attempt {asked}") });
                }
                Some(asked) => asked,
                None => attempts.last().copied().unwrap_or(0),
            };
            let job = Job { attempt, ..entry.job() };
            let executor = runs.executors.of(entry.spec.resources.executor);
            let mut lines = stderr_lines(executor.logs(&job, most));
            lines.extend(event_lines(&entry.folder, attempt)?);
            // Stable, so that lines of equal time keep their order.
            lines.sort_by_key(|(at, _)| *at);
            let first = lines.len().saturating_sub(most);
            let lines = lines.split_off(first).into_iter().map(|(_, line)| line).collect();
            Ok(LogView { attempts, attempt, lines })
        })
        .await
    }
}

type Timed = (Option<OffsetDateTime>, String);

/// A line without a time belongs to the one before it.
fn stderr_lines(lines: Vec<String>) -> Vec<Timed> {
    let mut at = None;
    let timed = lines.into_iter().map(|line| {
        at = line.split_whitespace().next().and_then(clock::parse).or(at);
        (at, line)
    });
    timed.collect()
}

fn event_lines(run: &std::path::Path, attempt: u32) -> std::io::Result<Vec<Timed>> {
    let mut lines = Vec::new();
    // One before the attempt's first event.
    let after = tail::event_id(attempt, 0);
    tail::replay(run, after, |line| {
        if line.event.attempt > attempt {
            return ControlFlow::Break(());
        }
        let (level, message) = match &line.event.body {
            EventBody::Log(log) => (log.level.as_str(), &log.message),
            EventBody::Warning(warning) => ("warning", &warning.message),
            EventBody::Failed(failure) => ("error", &failure.message),
            _ => return ControlFlow::Continue(()),
        };
        let at = clock::parse(&line.event.at);
        let time = at.map(clock::text).unwrap_or_default();
        let time = time.get(11..19).unwrap_or("--:--:--");
        lines.push((at, format!("{time} {level} {message}")));
        ControlFlow::Continue(())
    })?;
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_a_time_follow_the_one_before() {
        let lines = ["begin", "2026-01-01T00:00:05Z WARN x", "  caused by y"].map(str::to_owned);
        let timed = stderr_lines(lines.to_vec());
        assert_eq!(timed[0].0, None);
        assert!(timed[1].0.is_some());
        assert_eq!(timed[1].0, timed[2].0);
    }
}
