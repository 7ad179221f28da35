//! Listeners of runs: everything after an event, then whatever comes.
//!
//! Nothing is lost or doubled: a listener subscribes first and reads the files then; what it has
//! seen it drops by id; if it falls behind, it reads the files again.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{SelectAll, select_all};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::ServiceError;
use super::entry::{Entry, Message};
use super::runs::Runs;
use crate::domain::ids::RunId;
use crate::views::stream;

/// Texts that wait for a slow client before we wait for it.
const BUFFER: usize = 2;

/// A server that stops still sends for so long what was written before.
const PARTING: Duration = Duration::from_secs(1);

/// What a listener gets: messages, one or many at a time, as they are sent.
pub type Messages = ReceiverStream<Bytes>;

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
    ) -> Result<Messages, ServiceError> {
        let entry = self.entry(id)?;
        let (sender, receiver) = mpsc::channel(BUFFER);
        let shutdown = self.shutdown.clone();
        let listener = Listener { entry, sender, last: after, with_status, shutdown };
        let runs = self.clone();
        self.tracker.spawn(async move {
            runs.streams.fetch_add(1, Ordering::Relaxed);
            let gone = listener.sender.clone();
            tokio::select! {
                () = listener.serve() => {}
                () = gone.closed() => {}
                () = parting(&runs.shutdown) => {}
            }
            runs.streams.fetch_sub(1, Ordering::Relaxed);
        });
        Ok(Messages::new(receiver))
    }

    /// Listens to several runs, with their states; ends with the last of them or the server.
    pub fn listen_to_all(&self, places: &[(RunId, u64)]) -> SelectAll<Messages> {
        let listen = |(id, after): &(RunId, u64)| self.listen(*id, *after, true);
        select_all(places.iter().map(|place| listen(place).unwrap_or_else(|_| gone(place.0))))
    }
}

/// A while after the server was told to stop.
async fn parting(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(PARTING).await;
}

/// Says of a run that it is not there, and ends.
fn gone(id: RunId) -> Messages {
    let (sender, receiver) = mpsc::channel(1);
    // It has room for one.
    let _ = sender.try_send(stream::gone(&id.to_string()));
    Messages::new(receiver)
}

struct Listener {
    entry: Arc<Entry>,
    sender: mpsc::Sender<Bytes>,
    last: u64,
    with_status: bool,
    shutdown: CancellationToken,
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
            self.send(stream::status(&view)).await?;
        }
        self.catch_up().await?;
        if over { ControlFlow::Break(()) } else { ControlFlow::Continue(messages) }
    }

    /// Whatever comes. A listener that fell too far behind goes on from a new beginning: what it
    /// missed is in the files, and so is the end, should that have been missed.
    async fn follow(&mut self, mut messages: Receiver<Message>) -> ControlFlow<()> {
        loop {
            let message = tokio::select! {
                biased;
                message = messages.recv() => message,
                () = self.shutdown.cancelled() => return ControlFlow::Break(()),
            };
            match message {
                Ok(Message::Event(id, text)) => self.event(id, text).await?,
                Ok(Message::Status(text)) if self.with_status => self.send(text).await?,
                Ok(Message::Status(_)) => {}
                Ok(Message::End) | Err(RecvError::Closed) => return ControlFlow::Break(()),
                Err(RecvError::Lagged(_)) => return ControlFlow::Continue(()),
            }
        }
    }

    async fn event(&mut self, id: u64, text: Bytes) -> ControlFlow<()> {
        if id <= self.last {
            return ControlFlow::Continue(());
        }
        self.last = id;
        self.send(text).await
    }

    async fn send(&self, text: Bytes) -> ControlFlow<()> {
        match self.sender.send(text).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    /// Sends what the files hold after the last event.
    async fn catch_up(&mut self) -> ControlFlow<()> {
        let mut place = self.entry.replays.place(self.last);
        loop {
            let piece = match self.entry.replays.piece(&self.entry, place).await {
                Ok(Some(piece)) => piece,
                Ok(None) => return ControlFlow::Continue(()),
                Err(error) => {
                    tracing::error!(run.id = %self.entry.id, %error, "cannot replay events");
                    return ControlFlow::Break(());
                }
            };
            let text = piece.after(self.last);
            (self.last, place) = (self.last.max(piece.last()), piece.next);
            // Held no longer than its text is: who waits for a slow client holds nothing else.
            drop(piece);
            if !text.is_empty() {
                self.send(text).await?;
            }
        }
    }
}
