//! What a run's event files hold, read once for everybody who listens at that time.
//!
//! The files are read in pieces of about [`CHUNK`] bytes of whole lines. A piece is the very text
//! that listeners are sent. It is shared by all who are at the same place and lives only as long as
//! one of them still sends it, so that many listeners of one run cost little more than one, and
//! nothing once they are gone.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;

use super::entry::Entry;
use super::tail::{self, CHUNK, Tail};
use super::{ServiceError, blocking};

/// A place in a run's event files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    attempt: u32,
    offset: u64,
    /// Every event before this place has at most this id.
    last: u64,
}

impl Place {
    /// Before the first event of an attempt.
    fn begin(attempt: u32) -> Self {
        Self { attempt, offset: 0, last: tail::event_id(attempt, 0).saturating_sub(1) }
    }

    fn key(self) -> (u32, u64) {
        (self.attempt, self.offset)
    }
}

/// Events that follow each other, as they are sent.
#[derive(Debug)]
pub struct Piece {
    text: Bytes,
    /// Ids of the events, and where each begins in the text.
    events: Vec<(u64, usize)>,
    /// Where the next piece begins.
    pub next: Place,
}

impl Piece {
    /// Id of the last event.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.next.last
    }

    /// The text of those that follow an event; empty if none does. It keeps the piece alive, so that others
    /// can share it.
    #[must_use]
    pub fn after(self: &Arc<Self>, id: u64) -> Bytes {
        let first = self.events.partition_point(|(event, _)| *event <= id);
        match self.events.get(first) {
            Some((_, begin)) => {
                let range = *begin..self.text.len();
                Bytes::from_owner(Shared { piece: Arc::clone(self), range })
            }
            None => Bytes::new(),
        }
    }
}

struct Shared {
    piece: Arc<Piece>,
    range: Range<usize>,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.piece.text[self.range.clone()]
    }
}

/// The pieces of one run that somebody holds, and where pieces were found to begin.
#[derive(Debug, Default)]
pub struct Replays {
    known: Mutex<Known>,
    /// One reads at a time; who waits mostly finds what the one before has read.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    /// In the order of the files, at least half a [`CHUNK`] apart: a piece ends a line before a whole one.
    places: Vec<Place>,
    pieces: HashMap<(u32, u64), Weak<Piece>>,
}

impl Replays {
    /// Where to begin reading for what follows an event.
    #[must_use]
    pub fn place(&self, after: u64) -> Place {
        let begin = Place::begin(tail::attempt_of(after));
        let known = self.known();
        let passed = known.places.partition_point(|place| place.last <= after);
        match passed.checked_sub(1).and_then(|index| known.places.get(index)) {
            Some(place) if place.last >= begin.last => *place,
            _ => begin,
        }
    }

    /// The piece at a place; nothing if no event follows yet.
    ///
    /// # Errors
    /// - the files cannot be read.
    pub async fn piece(
        &self,
        entry: &Entry,
        place: Place,
    ) -> Result<Option<Arc<Piece>>, ServiceError> {
        if let Some(piece) = self.kept(place) {
            return Ok(Some(piece));
        }
        let _turn = self.reading.lock().await;
        if let Some(piece) = self.kept(place) {
            return Ok(Some(piece));
        }
        let (folder, id) = (entry.folder.clone(), entry.id.to_string());
        let piece = blocking(move || Ok(read(&folder, &id, place)?)).await?;
        let piece = piece.map(Arc::new);
        if let Some(piece) = &piece {
            self.keep(place, piece);
        }
        Ok(piece)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self, place: Place) -> Option<Arc<Piece>> {
        self.known().pieces.get(&place.key())?.upgrade()
    }

    fn keep(&self, place: Place, piece: &Arc<Piece>) {
        let mut known = self.known();
        known.pieces.retain(|_, piece| piece.strong_count() > 0);
        known.pieces.insert(place.key(), Arc::downgrade(piece));
        let next = piece.next;
        let index = known.places.partition_point(|place| place.key() <= next.key());
        let near = index.checked_sub(1).and_then(|before| known.places.get(before)).is_some_and(
            |before| before.attempt == next.attempt && next.offset < before.offset + CHUNK / 2,
        );
        if !near {
            known.places.insert(index, next);
        }
    }
}

/// Reads the piece at a place, of that attempt or, at its end, of a later one.
fn read(run: &Path, id: &str, mut place: Place) -> std::io::Result<Option<Piece>> {
    loop {
        let mut tail = Tail::resume(place.attempt, place.offset, place.last);
        let lines = tail.look(run)?;
        let Some(last) = lines.last() else {
            let later = tail::attempts(run).into_iter().find(|attempt| *attempt > place.attempt);
            let Some(later) = later else { return Ok(None) };
            place = Place::begin(later);
            continue;
        };
        let next = Place { attempt: place.attempt, offset: tail.offset(), last: last.id };
        let mut text = String::new();
        let mut events = Vec::with_capacity(lines.len());
        for line in &lines {
            events.push((line.id, text.len()));
            line.write(&mut text, id);
        }
        return Ok(Some(Piece { text: text.into(), events, next }));
    }
}

#[cfg(test)]
mod tests;
