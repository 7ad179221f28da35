//! Asking a worker to stop until it hears.

use std::time::{Duration, Instant};

/// A request that has reached nobody is repeated after a time that grows between these.
const SOONEST: Duration = Duration::from_millis(500);
const LATEST: Duration = Duration::from_secs(10);

/// A request to stop, repeated until it has reached a worker.
#[derive(Debug, Default)]
pub(super) struct Request {
    /// When it reached one.
    pub(super) reached: Option<Instant>,
    next: Option<Instant>,
    wait: Duration,
}

impl Request {
    /// Whether it is to be made now.
    pub(super) fn is_due(&self) -> bool {
        self.next.is_none_or(|next| next <= Instant::now())
    }

    /// Notes whether it has reached a worker; it is made again after `again`, if at all.
    pub(super) fn note(&mut self, reached: bool, again: Option<Duration>) {
        let now = Instant::now();
        self.wait = (2 * self.wait).clamp(SOONEST, LATEST);
        if reached {
            self.reached.get_or_insert(now);
        }
        let far = Duration::from_secs(u64::from(u32::MAX));
        self.next = Some(now + if reached { again.unwrap_or(far) } else { self.wait });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_repeated_until_it_reaches_a_worker_and_then_only_if_it_is_to_be() {
        let mut request = Request::default();
        assert!(request.is_due());
        request.note(false, None);
        assert!(!request.is_due() && request.reached.is_none());
        request.next = Some(Instant::now());
        assert!(request.is_due());
        (0..9).for_each(|_| request.note(false, None));
        assert_eq!(request.wait, LATEST);
        request.note(true, Some(Duration::ZERO));
        let first = request.reached;
        assert!(first.is_some() && request.is_due());
        request.note(true, None);
        assert!(request.reached == first && !request.is_due());
    }
}
