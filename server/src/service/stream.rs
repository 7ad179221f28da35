//! One listener of a run: everything after an event, then whatever comes.
//!
//! Nothing is lost or doubled: the listener subscribes first and reads the files then; what it has
//! seen it drops by id; if it falls behind, it reads the files again.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::entry::{Entry, Message};
use super::runs::Runs;
use super::tail::{self, Line};
use super::{ServiceError, blocking};
use crate::domain::ids::RunId;
use crate::views::RunView;

/// Messages that wait for a slow client before we wait for it.
const BUFFER: usize = 64;

/// What one listener gets.
#[derive(Debug)]
pub enum Item {
    /// The worker said something.
    Event(Arc<Line>),
    /// The run's state, at the beginning and after each change.
    Status(Arc<RunView>),
}

impl Runs {
    /// Listens to a run from the event after `after` on; ends with the run or the server.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`].
    pub fn listen(
        &self,
        id: RunId,
        after: u64,
        with_status: bool,
    ) -> Result<mpsc::Receiver<Item>, ServiceError> {
        let entry = self.entry(id)?;
        let (sender, receiver) = mpsc::channel(BUFFER);
        let listener = Listener { entry, sender, last: after, with_status };
        let runs = self.clone();
        self.tracker.spawn(async move {
            runs.streams.fetch_add(1, Ordering::Relaxed);
            let gone = listener.sender.clone();
            tokio::select! {
                () = listener.serve() => {}
                () = gone.closed() => {}
                () = runs.shutdown.cancelled() => {}
            }
            runs.streams.fetch_sub(1, Ordering::Relaxed);
        });
        Ok(receiver)
    }
}

struct Listener {
    entry: Arc<Entry>,
    sender: mpsc::Sender<Item>,
    last: u64,
    with_status: bool,
}

impl Listener {
    async fn serve(mut self) {
        while let ControlFlow::Continue(messages) = self.begin().await {
            if self.follow(messages).await.is_break() {
                return;
            }
        }
    }

    /// The state and everything written so far; breaks if nothing more will come.
    async fn begin(&mut self) -> ControlFlow<(), Receiver<Message>> {
        let (view, messages) = self.entry.listen();
        let over = self.entry.status().is_ended();
        if self.with_status {
            self.send(Item::Status(Arc::new(view))).await?;
        }
        self.catch_up().await?;
        if over { ControlFlow::Break(()) } else { ControlFlow::Continue(messages) }
    }

    /// Whatever comes. A listener that fell too far behind goes on from a new beginning: what it
    /// missed is in the files, and so is the end, should that have been missed.
    async fn follow(&mut self, mut messages: Receiver<Message>) -> ControlFlow<()> {
        loop {
            match messages.recv().await {
                Ok(Message::Event(line)) => self.event(line).await?,
                Ok(Message::Status(view)) if self.with_status => {
                    self.send(Item::Status(view)).await?;
                }
                Ok(Message::Status(_)) => {}
                Ok(Message::End) | Err(RecvError::Closed) => return ControlFlow::Break(()),
                Err(RecvError::Lagged(_)) => return ControlFlow::Continue(()),
            }
        }
    }

    async fn event(&mut self, line: Arc<Line>) -> ControlFlow<()> {
        if line.id <= self.last {
            return ControlFlow::Continue(());
        }
        self.last = line.id;
        self.send(Item::Event(line)).await
    }

    async fn send(&self, item: Item) -> ControlFlow<()> {
        match self.sender.send(item).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    /// Sends what the files hold after the last event.
    async fn catch_up(&mut self) -> ControlFlow<()> {
        let (entry, sender, after) = (Arc::clone(&self.entry), self.sender.clone(), self.last);
        let read = blocking(move || {
            let mut last = after;
            tail::replay(&entry.folder, after, |line| {
                let id = line.id;
                match sender.blocking_send(Item::Event(line)) {
                    Ok(()) => {
                        last = id;
                        ControlFlow::Continue(())
                    }
                    Err(_) => ControlFlow::Break(()),
                }
            })?;
            Ok(last)
        });
        match read.await {
            Ok(last) => {
                self.last = last;
                ControlFlow::Continue(())
            }
            Err(error) => {
                tracing::error!(run.id = %self.entry.id, %error, "cannot replay events");
                ControlFlow::Break(())
            }
        }
    }
}
