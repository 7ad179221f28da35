//! Whether somebody holds an attempt's lock, which says that its worker lives.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use skein_disk::lock::{Sign, sign};
use skein_disk::name::{Holder, QUIET};

use super::Job;
use super::local::lock_path;
use crate::domain::ids::RunId;

/// What is known of the holders of locks.
#[derive(Default)]
pub(super) struct Held(Mutex<Away>);

/// Workers of other machines: the newest beat of each, and when it was first seen.
#[derive(Default)]
struct Away(HashMap<(RunId, u32), (Holder, Instant)>);

impl Held {
    /// Whether a worker holds the attempt's lock. One of another machine does until its beat has
    /// stood still for long enough.
    pub(super) fn is_held(&self, job: &Job) -> bool {
        let holder = match sign(&lock_path(job)) {
            Sign::Held => return true,
            Sign::Free => return false,
            Sign::Beats(holder) => holder,
        };
        let mut away = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        away.lives(job, holder, Instant::now())
    }
}

impl Away {
    /// Whether such a worker lives, by its beat at some moment.
    fn lives(&mut self, job: &Job, holder: Holder, now: Instant) -> bool {
        let (newest, since) =
            self.0.entry((job.run, job.attempt)).or_insert_with(|| (holder.clone(), now));
        if *newest != holder {
            (*newest, *since) = (holder, now);
        }
        now.duration_since(*since) < QUIET
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_worker_of_another_machine_lives_while_it_beats() {
        let beat = |beat: &str| -> Holder {
            let mut holder = serde_json::to_value(Holder::me()).unwrap();
            (holder["host"], holder["beat"]) = ("node-2".into(), beat.into());
            serde_json::from_value(holder).unwrap()
        };
        let (mut away, job, began) = (Away::default(), job(), Instant::now());
        let quiet = QUIET + Duration::from_secs(1);
        assert!(away.lives(&job, beat("1"), began));
        assert!(away.lives(&job, beat("1"), began + QUIET / 2), "it may beat yet");
        assert!(away.lives(&job, beat("2"), began + quiet));
        assert!(!away.lives(&job, beat("2"), began + 2 * quiet));
        let next = Job { attempt: 2, ..job };
        assert!(away.lives(&next, beat("2"), began + 2 * quiet), "each attempt has its own beat");
    }

    fn job() -> Job {
        let run = RunId::new();
        let (folder, device) = ("/".into(), "cpu".to_owned());
        Job { run, folder, attempt: 1, device, pid: None, slurm: None }
    }
}
