//! The parts of an upload: each at its place, each whole, in constant memory.

use std::io::{self, SeekFrom};
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::fs::OpenOptions;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

use super::incoming::{Coming, Incoming, State};
use super::{Datasets, no_such};
use crate::service::ServiceError;

/// Where a part begins, and what it is.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// Bytes before it; must be what is here already.
    pub offset: u64,
    /// Its SHA-256, if the sender says.
    pub sha256: Option<Vec<u8>>,
}

impl Datasets {
    /// Takes a part of an upload. A part that is not whole leaves nothing.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`]; [`ServiceError::Conflict`] if another part is expected;
    ///   [`ServiceError::Refused`] if it is longer than the file, broken off or damaged;
    ///   [`ServiceError::NoSpace`].
    pub async fn append(
        &self,
        id: &str,
        part: Part,
        bytes: impl Stream<Item = io::Result<Bytes>>,
    ) -> Result<Incoming, ServiceError> {
        let coming = self.coming(id).ok_or_else(|| no_such(id))?;
        let Ok(_turn) = coming.writing.try_lock() else {
            let detail = "another part of this upload is being received; send one at a time";
            return Err(ServiceError::Conflict(detail.to_owned()));
        };
        expects(&coming.now(), part.offset)?;
        let written = tokio::select! {
            () = coming.stop.cancelled() => return Err(no_such(id)),
            written = write(&coming, &part, bytes) => written,
        };
        let received = match written {
            Ok(received) => received,
            Err(fault) => {
                // What is behind the last whole part is of no use.
                let cut = OpenOptions::new().write(true).open(coming.content()).await;
                if let Ok(file) = cut {
                    let _ = file.set_len(part.offset).await;
                }
                return Err(self.refusal(fault));
            }
        };
        let kept = Arc::clone(&coming);
        let saved =
            tokio::task::spawn_blocking(move || kept.set(|record| record.received = received));
        saved.await?.map_err(|error| self.unwritable(&error))?;
        Ok(coming.now())
    }

    /// Ends an upload, all of which is here, and prepares it.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`]; [`ServiceError::Conflict`] if a part is missing.
    pub async fn commit(&self, id: &str) -> Result<Arc<Coming>, ServiceError> {
        let coming = self.coming(id).ok_or_else(|| no_such(id))?;
        let turn = coming.writing.lock().await;
        let Incoming { state, received, bytes, .. } = coming.now();
        if state != State::Receiving {
            // Said twice, for whoever did not hear the answer.
            drop(turn);
            return Ok(coming);
        }
        if received != bytes {
            let detail = format!("only {received} of {bytes} bytes are here; send the rest first");
            return Err(ServiceError::Conflict(detail));
        }
        let kept = Arc::clone(&coming);
        let saved =
            tokio::task::spawn_blocking(move || kept.set(|record| record.state = State::Waiting));
        saved.await?.map_err(|error| self.unwritable(&error))?;
        drop(turn);
        self.start(&coming);
        Ok(coming)
    }

    fn refusal(&self, fault: Fault) -> ServiceError {
        let refused =
            |code: &str, message: String| ServiceError::Refused { code: code.to_owned(), message };
        match fault {
            Fault::Disk(error) => self.unwritable(&error),
            Fault::Broken => refused(
                "broken_off",
                "the connection ended before the part was whole; send it again".to_owned(),
            ),
            Fault::TooLong(bytes) => refused(
                "too_long",
                format!("the parts hold more than the {bytes} bytes that were announced"),
            ),
            Fault::Digest => refused(
                "digest",
                "the part does not have the digest that its sender gives; send it again".to_owned(),
            ),
        }
    }
}

enum Fault {
    Disk(io::Error),
    Broken,
    TooLong(u64),
    Digest,
}

fn expects(record: &Incoming, offset: u64) -> Result<(), ServiceError> {
    let detail = match record.state {
        State::Receiving if record.received == offset => return Ok(()),
        State::Receiving => {
            format!(
                "{} bytes are here, so that the next part begins there, not at {offset}",
                record.received
            )
        }
        other => format!("no part is expected: the data set {}", other.in_words()),
    };
    Err(ServiceError::Conflict(detail))
}

/// Writes a part and gives how much is here then.
async fn write(
    coming: &Coming,
    part: &Part,
    bytes: impl Stream<Item = io::Result<Bytes>>,
) -> Result<u64, Fault> {
    let announced = coming.now().bytes;
    let mut file =
        OpenOptions::new().write(true).open(coming.content()).await.map_err(Fault::Disk)?;
    if file.metadata().await.map_err(Fault::Disk)?.len() != part.offset {
        // A server that was killed left the beginning of a part.
        file.set_len(part.offset).await.map_err(Fault::Disk)?;
    }
    file.seek(SeekFrom::Start(part.offset)).await.map_err(Fault::Disk)?;
    let (mut received, mut digest) = (part.offset, Sha256::new());
    let mut bytes = pin!(bytes);
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(|_| Fault::Broken)?;
        received += piece.len() as u64;
        if received > announced {
            return Err(Fault::TooLong(announced));
        }
        if part.sha256.is_some() {
            digest.update(&piece);
        }
        file.write_all(&piece).await.map_err(Fault::Disk)?;
        coming.note(|record| record.done = received);
    }
    file.flush().await.map_err(Fault::Disk)?;
    file.sync_data().await.map_err(Fault::Disk)?;
    let digest = digest.finalize();
    if part.sha256.as_ref().is_some_and(|given| given.as_slice() != digest.as_slice()) {
        return Err(Fault::Digest);
    }
    Ok(received)
}
