//! Who holds a lock, as the lock's file says it: host, process, and a beat that the holder raises
//! while it lives.
//!
//! A holder on this machine is judged by its process. One on another machine cannot be, so its
//! beat is watched: if it does not rise for [`QUIET`], the holder is dead.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A holder raises its beat this often.
pub const BEAT: Duration = Duration::from_secs(5);
/// A beat that has not risen for so long belongs to a dead holder.
pub const QUIET: Duration = Duration::from_secs(20);

/// The holder of a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Name of its machine.
    host: String,
    /// Its process there.
    process: u32,
    /// When the process began, in ticks since the machine started: numbers of processes come
    /// again.
    began: u64,
    /// Identifies one start of the machine.
    boot: String,
    /// Identifies the set of process numbers: a container has its own.
    space: String,
    /// Rises while the holder lives. As wide as it can become, so that every text of a holder has
    /// the same length and a new one covers the old.
    beat: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on host {}", self.process, self.host)
    }
}

impl Holder {
    /// This process.
    #[must_use]
    pub fn me() -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let space = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let process = std::process::id();
        Self {
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            process,
            began: began(process).unwrap_or(0),
            boot: boot.trim().to_owned(),
            space: space.display().to_string(),
            beat: beat(0),
        }
    }

    /// The same with a higher beat.
    #[must_use]
    pub(crate) fn after(&self, beats: u64) -> Self {
        Self { beat: beat(beats), ..self.clone() }
    }

    /// Whether it is the same process, whatever its beat.
    #[must_use]
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.after(0) == other.after(0)
    }

    /// Whether the process lives; `None` if it is not one of this machine, so that only its beat
    /// can tell.
    #[must_use]
    pub(crate) fn lives(&self) -> Option<bool> {
        let me = Self::me();
        let here = !self.boot.is_empty() && (&self.boot, &self.space) == (&me.boot, &me.space);
        here.then(|| began(self.process) == Some(self.began))
    }

    /// The holder that a lock's file names; `None` if it names none.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Names this holder in a lock's file, which is opened anew: a network mount hands on what was
    /// written when a file is closed.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = File::options().write(true).open(path)?;
        let text = serde_json::to_vec(self)?;
        file.write_all(&text)?;
        file.set_len(text.len() as u64)
    }
}

fn beat(beats: u64) -> String {
    format!("{beats:012}")
}

/// When a process that lives began.
fn began(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if matches!(fields.next(), Some("Z" | "X")) {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_this_machine_is_judged_by_itself() {
        let me = Holder::me();
        assert_eq!(me.lives(), Some(true));
        assert!(me.began > 0 && !me.boot.is_empty() && !me.space.is_empty(), "{me:?}");
        let reborn = Holder { began: me.began + 1, ..me.clone() };
        assert_eq!(reborn.lives(), Some(false), "the number came again");
        let away = Holder { boot: "another".to_owned(), ..me.clone() };
        assert_eq!(away.lives(), None);
        assert_eq!(Holder { space: "pid:[1]".to_owned(), ..me }.lives(), None);
    }

    #[test]
    fn the_file_names_the_holder_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        fs::write(&path, "4711\n".repeat(100)).unwrap();
        assert_eq!(Holder::read(&path), None, "as it was written once");
        let me = Holder::me();
        me.after(7).write(&path).unwrap();
        let found = Holder::read(&path).unwrap();
        assert!(found.is(&me) && found != me, "{found:?}");
        assert_eq!(found.to_string(), format!("process {} on host {}", me.process, me.host));
    }
}
