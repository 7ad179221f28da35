//! Work on many examples, on all processors, with little in memory at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::refusal::Refusal;

/// Results that wait at most.
const WAITING: usize = 256;

/// Does `work` for `0..count` on all processors, and gives the results to `take` in any order.
/// Where `alone` says so, memory is scarce: one of those is worked on at a time.
///
/// # Errors
/// - the first error of either.
pub(crate) fn each<T: Send>(
    count: usize,
    alone: impl Fn(usize) -> bool + Sync,
    work: impl Fn(usize) -> Result<T, Refusal> + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let (next, stop, one) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(()));
    let threads = thread::available_parallelism().map_or(2, usize::from).clamp(2, 16);
    let (sender, results) = sync_channel(WAITING);
    let run = |sender: std::sync::mpsc::SyncSender<_>| {
        while !stop.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return;
            }
            let _alone = alone(at).then(|| one.lock());
            if sender.send((at, work(at))).is_err() {
                return;
            }
        }
    };
    let run = &run;
    thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            scope.spawn(move || run(sender));
        }
        drop(sender);
        for (at, result) in &results {
            if let Err(refusal) = result.and_then(|result| take(at, result)) {
                stop.store(true, Ordering::Relaxed);
                // Workers that wait for room learn that nobody listens.
                drop(results);
                return Err(refusal);
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_worked_on_once() {
        let mut seen = vec![0; 10_000];
        let taken = each(
            10_000,
            |_| false,
            |at| Ok(2 * at),
            |at, result| {
                assert_eq!(result, 2 * at);
                seen[at] += 1;
                Ok(())
            },
        );
        assert!(taken.is_ok() && seen.iter().all(|count| *count == 1));
    }

    #[test]
    fn an_error_ends_it() {
        for fault in [0, 700] {
            let failed = |at| if at == fault { Err(Refusal::Files(1)) } else { Ok(()) };
            assert!(each(1_000_000, |_| true, failed, |_, ()| Ok(())).is_err());
            assert!(each(1_000_000, |_| false, |_| Ok(()), |at, ()| failed(at)).is_err());
        }
    }
}
