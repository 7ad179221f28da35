//! A lock that says who holds it.
//!
//! The kernel's lock (`flock`) decides where it can be trusted: on a local disk. On a file system
//! that several machines mount it may hold on one machine only, and some have none; there the
//! holder that the file names decides too, see [`Holder`].

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::kind;
use crate::name::{BEAT, Holder, QUIET};

/// Somebody who asks whether a lock is held takes it for a moment; whoever wants it waits so long.
const ASKED: Duration = Duration::from_millis(200);
/// Wait between two looks at a lock's file.
const LOOK: Duration = Duration::from_millis(500);
/// Of two that name themselves at once the later one stays; it shows after this time.
const SETTLE: Duration = Duration::from_secs(1);

/// Why a lock cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else holds it.
    #[error("held by {}", said(.0.as_ref()))]
    Held(Option<Holder>),
    /// Its file cannot be used.
    #[error(transparent)]
    Io(#[from] io::Error),
}

fn said(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "a process that it does not name".to_owned(), Holder::to_string)
}

/// What a lock's file tells of its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    /// The holder lives.
    Held,
    /// Nobody holds it.
    Free,
    /// The holder is on another machine; it lives if it soon differs from this one.
    Beats(Holder),
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    me: Holder,
    stop: Option<Sender<()>>,
    beating: Option<JoinHandle<()>>,
    _kernel: File,
}

/// How a lock is taken; tests choose differently.
#[derive(Clone, Copy)]
struct Manner {
    /// The kernel's lock.
    flock: fn(&File, FlockOperation) -> Result<(), Errno>,
    /// Whether it holds on every machine that can open the file.
    trusted: bool,
    settle: Duration,
    quiet: Duration,
    beat: Duration,
}

impl Manner {
    fn of(path: &Path) -> Self {
        let folder = path.parent().unwrap_or(path);
        // A file system that does not say what it is cannot be trusted.
        let trusted = matches!(kind::shared(folder), Ok(None));
        let flock = |file: &File, how| flock(file, how);
        Self { flock, trusted, settle: SETTLE, quiet: QUIET, beat: BEAT }
    }
}

impl Lock {
    /// Takes the lock of a file, which is created if need be. Should another machine take the lock
    /// over, because this process stood still for long, `lost` is called from another thread.
    ///
    /// This takes up to [`QUIET`] where the last holder was on another machine and did not say
    /// that it left.
    ///
    /// # Errors
    /// - [`LockError::Held`] if somebody else holds it.
    pub fn take(path: &Path, lost: impl FnOnce() + Send + 'static) -> Result<Self, LockError> {
        Self::take_in(Manner::of(path), path, lost)
    }

    fn take_in(
        manner: Manner,
        path: &Path,
        lost: impl FnOnce() + Send + 'static,
    ) -> Result<Self, LockError> {
        let kernel = File::options().create(true).truncate(false).write(true).open(path)?;
        let locked = ask_kernel(manner, &kernel, path)?;
        let decided = locked && manner.trusted;
        if !decided {
            wait_for_holder(manner, path)?;
        }
        let me = Holder::me();
        me.write(path)?;
        if !decided {
            std::thread::sleep(manner.settle);
            let found = Holder::read(path);
            if !found.as_ref().is_some_and(|found| found.is(&me)) {
                return Err(LockError::Held(found));
            }
        }
        let (stop, stopped) = channel();
        let (own, mine, beat) = (path.to_owned(), me.clone(), manner.beat);
        let beating = std::thread::Builder::new().name("lock".to_owned()).spawn(move || {
            let mut beats = 0;
            while stopped.recv_timeout(beat) == Err(RecvTimeoutError::Timeout) {
                beats += 1;
                if Holder::read(&own).is_some_and(|found| !found.is(&mine)) {
                    return lost();
                }
                // A beat that cannot be written now may be written next time.
                let _ = mine.after(beats).write(&own);
            }
        })?;
        let (stop, beating) = (Some(stop), Some(beating));
        Ok(Self { path: path.to_owned(), me, stop, beating, _kernel: kernel })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It ends with the sender, whatever it did.
        let _ = self.beating.take().map(JoinHandle::join);
        if Holder::read(&self.path).is_some_and(|found| found.is(&self.me)) {
            // Nobody is named any more; where that fails, the silence tells.
            let _ = File::options().write(true).open(&self.path).and_then(|file| file.set_len(0));
        }
    }
}

/// Takes the kernel's lock; false if the file system has none.
fn ask_kernel(manner: Manner, file: &File, path: &Path) -> Result<bool, LockError> {
    let began = Instant::now();
    loop {
        match (manner.flock)(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) if began.elapsed() > ASKED => {
                return Err(LockError::Held(Holder::read(path)));
            }
            Err(Errno::WOULDBLOCK) => std::thread::sleep(ASKED / 10),
            Err(error) => {
                let path = path.display();
                tracing::warn!(
                    "`{path}` cannot be locked ({error}); the process that it names decides"
                );
                return Ok(false);
            }
        }
    }
}

/// Waits until it is known whether the holder that the file names lives.
fn wait_for_holder(manner: Manner, path: &Path) -> Result<(), LockError> {
    let Some(holder) = Holder::read(path) else { return Ok(()) };
    if holder.is(&Holder::me()) {
        return Err(LockError::Held(Some(holder)));
    }
    match holder.lives() {
        Some(true) => return Err(LockError::Held(Some(holder))),
        Some(false) => return Ok(()),
        None => {}
    }
    let seconds = manner.quiet.as_secs();
    let shown = path.display();
    tracing::warn!("`{shown}` names {holder}; waiting up to {seconds} s to see whether it lives");
    let began = Instant::now();
    while began.elapsed() < manner.quiet {
        std::thread::sleep(LOOK.min(manner.quiet / 10));
        match Holder::read(path) {
            Some(found) if found == holder => {}
            // Caught in the middle of a beat.
            None if std::fs::metadata(path)?.len() > 0 => {}
            None => return Ok(()),
            found => return Err(LockError::Held(found)),
        }
    }
    Ok(())
}

/// Tries whether the file system of a folder has locks.
///
/// # Errors
/// - it has none.
pub fn probe(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".probe-{}-lock", std::process::id()));
    let file = File::create(&path)?;
    let locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
    // What is not there need not go.
    let _ = std::fs::remove_file(&path);
    Ok(locked?)
}

/// What a lock's file tells now of its holder; takes no time.
#[must_use]
pub fn sign(path: &Path) -> Sign {
    sign_in(Manner::of(path), path)
}

fn sign_in(manner: Manner, path: &Path) -> Sign {
    let Ok(file) = File::open(path) else { return Sign::Free };
    // A shared lock, held for no longer than this call.
    match (manner.flock)(&file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => return Sign::Held,
        Ok(()) if manner.trusted => return Sign::Free,
        _ => {}
    }
    let Some(holder) = Holder::read(path) else { return Sign::Free };
    match holder.lives() {
        Some(true) => Sign::Held,
        Some(false) => Sign::Free,
        None => Sign::Beats(holder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// On a file system like that, with short waits.
    fn manner(flock: fn(&File, FlockOperation) -> Result<(), Errno>, trusted: bool) -> Manner {
        let [settle, quiet, beat] = [20, 400, 30].map(Duration::from_millis);
        Manner { flock, trusted, settle, quiet, beat }
    }

    fn disk() -> Manner {
        manner(|file, how| flock(file, how), true)
    }

    /// Locks hold on one machine, which two threads are not.
    fn mount() -> Manner {
        manner(|_, _| Ok(()), false)
    }

    fn without_call() -> Manner {
        manner(|_, _| Err(Errno::NOSYS), true)
    }

    fn without_locks() -> Manner {
        manner(|_, _| Err(Errno::NOLCK), false)
    }

    fn elsewhere(beats: u64) -> Holder {
        let text = serde_json::to_string(&Holder::me().after(beats)).unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        (value["host"], value["boot"]) = ("node-2".into(), "another".into());
        serde_json::from_value(value).unwrap()
    }

    #[rstest]
    #[case::disk(disk())]
    #[case::locks_of_one_machine(mount())]
    #[case::no_such_call(without_call())]
    #[case::no_locks(without_locks())]
    fn a_second_holder_is_refused_and_told_who_the_first_is(#[case] manner: Manner) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert_eq!(sign_in(manner, &path), Sign::Free);
        let first = Lock::take_in(manner, &path, || {}).unwrap();
        let error = Lock::take_in(manner, &path, || {}).unwrap_err();
        assert_eq!(error.to_string(), format!("held by {}", Holder::me()));
        assert_eq!(sign_in(manner, &path), Sign::Held);
        drop(first);
        assert_eq!(sign_in(manner, &path), Sign::Free);
        Lock::take_in(manner, &path, || {}).unwrap();
    }

    #[rstest]
    #[case::locks_of_one_machine(mount())]
    #[case::no_locks(without_locks())]
    fn a_holder_elsewhere_counts_while_it_beats(#[case] manner: Manner) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        File::create(&path).unwrap();
        elsewhere(0).write(&path).unwrap();
        let other = path.clone();
        let beating = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            elsewhere(1).write(&other).unwrap();
        });
        let error = Lock::take_in(manner, &path, || {}).unwrap_err();
        assert!(error.to_string().ends_with("on host node-2"), "{error}");
        beating.join().unwrap();
        assert_eq!(sign_in(manner, &path), Sign::Beats(elsewhere(1)));
        // It beats no more.
        Lock::take_in(manner, &path, || {}).unwrap();
    }

    #[test]
    fn a_probe_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        probe(dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn on_a_disk_only_the_lock_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        File::create(&path).unwrap();
        // Left by a container that was killed; its successor need not wait.
        elsewhere(3).write(&path).unwrap();
        assert_eq!(sign_in(disk(), &path), Sign::Free);
        let began = Instant::now();
        Lock::take_in(disk(), &path, || {}).unwrap();
        assert!(began.elapsed() < Duration::from_millis(300), "{:?}", began.elapsed());
    }

    #[test]
    fn a_holder_that_another_has_replaced_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lost = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&lost);
        let lock = Lock::take_in(mount(), &path, move || told.store(true, Ordering::Relaxed));
        let lock = lock.unwrap();
        std::thread::sleep(Duration::from_millis(200));
        assert!(Holder::read(&path).unwrap() != lock.me, "it beats");
        elsewhere(0).write(&path).unwrap();
        let began = Instant::now();
        while !lost.load(Ordering::Relaxed) {
            assert!(began.elapsed() < Duration::from_secs(10), "never told");
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(lock);
        assert_eq!(Holder::read(&path), Some(elsewhere(0)), "another's name stays");
    }
}
