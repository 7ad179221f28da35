//! Follows a run to its end: a bar on a terminal, plain lines elsewhere.

use std::io::{BufRead, BufReader, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use skein_core::event::{Event, EventBody, Metrics, Progress};
use skein_core::number::{Num, duration};

use super::ClientError;
use super::http::Api;
use super::text::percent;
use crate::views::{RunDetail, RunView};

/// A server that went away may come back within this time.
const PATIENCE: Duration = Duration::from_secs(60);
/// Plain lines about progress are at least this far apart.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Steps of the bar.
const BAR: u64 = 1000;

/// Follows a run until it has ended, is paused, or `stop` says so; gives its last state.
///
/// # Errors
/// - [`ClientError`] if the server cannot be reached for a minute.
pub fn follow(api: &Api, id: &str, stop: &dyn Fn() -> bool) -> Result<RunDetail, ClientError> {
    let mut show = Show::new();
    let mut last_id = 0;
    let mut away: Option<Instant> = None;
    loop {
        let read = stream(api, id, &mut last_id, &mut show, stop);
        if read.is_ok() {
            away = None;
        }
        let detail = read.and_then(|()| api.get::<RunDetail>(&format!("/api/v1/runs/{id}")));
        match detail {
            Ok(detail) if is_over(&detail.run) || stop() => {
                show.end(&detail.run);
                return Ok(detail);
            }
            Ok(_) => {}
            Err(ClientError::Failed(text)) if !stop() => {
                let since = *away.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE {
                    return Err(ClientError::Failed(text));
                }
                show.line("the server does not answer; trying again");
            }
            Err(error) => return Err(error),
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn is_over(run: &RunView) -> bool {
    matches!(run.status.as_str(), "succeeded" | "failed" | "cancelled" | "paused")
}

/// Shows one stream until it ends or the run is over.
fn stream(
    api: &Api,
    id: &str,
    last_id: &mut u64,
    show: &mut Show,
    stop: &dyn Fn() -> bool,
) -> Result<(), ClientError> {
    let path = format!("/api/v1/runs/{id}/events?status=true");
    let after = last_id.to_string();
    let reader = BufReader::new(api.open(&path, &[("last-event-id", &after)])?);
    let (mut kind, mut data, mut event_id) = (String::new(), String::new(), None);
    for line in reader.lines() {
        // A connection that breaks is opened again by the caller.
        let Ok(line) = line else { return Ok(()) };
        if stop() {
            return Ok(());
        }
        match line.split_once(':') {
            Some(("event", value)) => value.trim().clone_into(&mut kind),
            Some(("data", value)) => data.push_str(value.trim_start()),
            Some(("id", value)) => event_id = value.trim().parse().ok(),
            _ if line.is_empty() && !data.is_empty() => {
                if let Some(seen) = event_id.take() {
                    *last_id = seen;
                }
                if show.message(&kind, &data) {
                    return Ok(());
                }
                data.clear();
            }
            _ => {}
        }
    }
    Ok(())
}

/// What is shown of a run.
struct Show {
    bar: Option<ProgressBar>,
    line_at: Option<Instant>,
    status: String,
    progress: Option<Progress>,
    loss: Option<Num>,
    accuracy: Option<Num>,
    architecture: Option<String>,
}

impl Show {
    fn new() -> Self {
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} % {wide_msg}");
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(BAR);
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        Self {
            bar,
            line_at: None,
            status: String::new(),
            progress: None,
            loss: None,
            accuracy: None,
            architecture: None,
        }
    }

    /// Takes a message in; true if the run is over.
    fn message(&mut self, kind: &str, data: &str) -> bool {
        if kind == "status" {
            return serde_json::from_str::<RunView>(data).is_ok_and(|run| self.status(&run));
        }
        if let Ok(event) = serde_json::from_str::<Event>(data) {
            self.event(&event);
        }
        false
    }

    fn status(&mut self, run: &RunView) -> bool {
        let reason = run.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let status = format!("{}{reason}", run.status);
        if status != self.status {
            self.line(&status);
            self.status = status;
        }
        is_over(run)
    }

    fn event(&mut self, event: &Event) {
        match &event.body {
            EventBody::Progress(progress) => {
                self.progress = Some(progress.clone());
                self.draw();
            }
            EventBody::Metrics(metrics) => self.metrics(metrics),
            EventBody::Architecture(now) => self.architecture = Some(now.text.clone()),
            EventBody::Phase(phase) => {
                (self.loss, self.accuracy) = (None, None);
                self.line(&format!("phase {}", phase.name.as_str()));
            }
            EventBody::Warning(warning) => self.line(&format!("warning: {}", warning.message)),
            _ => {}
        }
    }

    fn metrics(&mut self, metrics: &Metrics) {
        let first = |names: &[&str]| names.iter().find_map(|name| metrics.values.get(*name));
        self.loss = first(&["weight_loss", "loss"]).copied().or(self.loss);
        let accuracy = first(&["valid_accuracy", "weight_accuracy", "accuracy"]);
        self.accuracy = accuracy.copied().or(self.accuracy);
    }

    fn draw(&mut self) {
        let Some(progress) = self.progress.clone() else { return };
        let text = self.text(&progress);
        match &self.bar {
            Some(bar) => {
                let share = progress.fraction.0.clamp(0.0, 1.0) * 1000.0;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "clamped"
                )]
                bar.set_position(if share.is_nan() { 0 } else { share as u64 });
                bar.set_message(text);
            }
            None if self.line_at.is_none_or(|at| at.elapsed() >= LINE_EVERY) => {
                self.line_at = Some(Instant::now());
                self.line(&format!("{:5.1} % {text}", progress.fraction.0 * 100.0));
            }
            None => {}
        }
    }

    fn text(&self, progress: &Progress) -> String {
        let mut parts =
            vec![format!("{} {}/{}", progress.phase.as_str(), progress.step, progress.total_steps)];
        parts.push(format!("{:.0} examples/s", progress.images_per_s.0));
        parts.extend(progress.remaining_s.map(|left| format!("{} left", duration(left.0))));
        parts.extend(self.loss.map(|loss| format!("loss {:.3}", loss.0)));
        parts.extend(self.accuracy.map(|accuracy| format!("accuracy {}", percent(accuracy))));
        parts.extend(self.architecture.clone());
        parts.join(" · ")
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => {
                let _ = writeln!(std::io::stderr(), "{text}");
            }
        }
    }

    fn end(&mut self, run: &RunView) {
        self.status(run);
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
