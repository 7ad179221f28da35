//! Creating a file exactly once, complete from the first moment, whoever tries at the same time.
//!
//! A hard link does both; where a file system has none, a rename that replaces nothing; where it
//! has neither, a plain rename by whoever could create a claim beside the file.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};

/// A claim is held for one rename; one that is so old was left by a process that died.
const STALE: Duration = Duration::from_secs(10);
/// Wait between two looks at another's claim.
const LOOK: Duration = Duration::from_millis(20);

/// One way to give a complete file another name that nothing has yet.
type Way = fn(&Path, &Path) -> io::Result<()>;

/// From the safest to the one that works everywhere.
const WAYS: [Way; 3] = [link, rename_new, rename_claimed];

/// Moves a complete file to a name that nothing has yet, in the same folder or below it; false if
/// something has the name already. The complete file is gone afterwards in both cases.
///
/// # Errors
/// - the file can be given the name in no way.
pub fn create_once(complete: &Path, target: &Path) -> io::Result<bool> {
    create_by(&WAYS, complete, target)
}

/// Tries in a folder whether a file can be created once there.
///
/// # Errors
/// - it cannot.
pub fn probe(folder: &Path) -> io::Result<()> {
    let name = |part: &str| folder.join(format!(".probe-{}-{part}", std::process::id()));
    let (complete, target) = (name("complete"), name("once"));
    fs::write(&complete, b"x")?;
    let created = create_once(&complete, &target);
    for left in [&complete, &target] {
        // What is not there need not go.
        let _ = fs::remove_file(left);
    }
    created.map(drop)
}

fn create_by(ways: &[Way], complete: &Path, target: &Path) -> io::Result<bool> {
    let mut fault = io::Error::from(ErrorKind::Unsupported);
    for way in ways {
        match way(complete, target) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                fs::remove_file(complete)?;
                return Ok(false);
            }
            Err(error) => fault = error,
        }
    }
    Err(fault)
}

fn link(complete: &Path, target: &Path) -> io::Result<()> {
    match fs::hard_link(complete, target) {
        // A network mount that lost the answer has asked twice.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && same(complete, target) => {}
        linked => linked?,
    }
    fs::remove_file(complete)
}

fn same(one: &Path, other: &Path) -> bool {
    let place = |path| fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()));
    matches!((place(one), place(other)), (Ok(one), Ok(other)) if one == other)
}

fn rename_new(complete: &Path, target: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, complete, CWD, target, RenameFlags::NOREPLACE)?)
}

fn rename_claimed(complete: &Path, target: &Path) -> io::Result<()> {
    rename_under(&claim_of(target), complete, target, STALE)
}

/// Removes a file that another may be removing too.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn claim_of(target: &Path) -> PathBuf {
    let mut name = OsString::from(target);
    name.push(".claim");
    name.into()
}

/// Renames while the claim is held, which one process at a time can create.
fn rename_under(claim: &Path, complete: &Path, target: &Path, stale: Duration) -> io::Result<()> {
    let mut since = Instant::now();
    loop {
        match File::create_new(claim) {
            Ok(_) => break,
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            Err(taken) if target.try_exists()? => return Err(taken),
            Err(_) if since.elapsed() > stale => {
                remove(claim)?;
                since = Instant::now();
            }
            Err(_) => std::thread::sleep(LOOK),
        }
    }
    let renamed = match target.try_exists() {
        Ok(true) => Err(ErrorKind::AlreadyExists.into()),
        Ok(false) => fs::rename(complete, target),
        Err(error) => Err(error),
    };
    // The next one takes it for stale, should it stay.
    let _ = fs::remove_file(claim);
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use rustix::io::Errno;

    fn refuse(_: &Path, _: &Path) -> io::Result<()> {
        Err(Errno::PERM.into())
    }

    fn invalid(_: &Path, _: &Path) -> io::Result<()> {
        Err(Errno::INVAL.into())
    }

    #[rstest]
    #[case::hard_links(&WAYS)]
    #[case::no_hard_links(&[refuse, rename_new])]
    #[case::neither(&[refuse, invalid, rename_claimed])]
    fn whoever_comes_first_decides(#[case] ways: &[Way]) {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("final");
        let created: Vec<bool> = std::thread::scope(|scope| {
            let workers = (0..8).map(|number| {
                let complete = dir.path().join(number.to_string());
                fs::write(&complete, number.to_string()).unwrap();
                let target = &target;
                scope.spawn(move || create_by(ways, &complete, target).unwrap())
            });
            let workers: Vec<_> = workers.collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        });
        assert_eq!(created.iter().filter(|first| **first).count(), 1);
        let first = created.iter().position(|first| *first).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), first.to_string());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn the_claim_of_a_dead_process_does_not_last() {
        let dir = tempfile::tempdir().unwrap();
        let (complete, target) = (dir.path().join("complete"), dir.path().join("final"));
        let claim = claim_of(&target);
        fs::write(&complete, "x").unwrap();
        fs::write(&claim, "").unwrap();
        rename_under(&claim, &complete, &target, Duration::from_millis(50)).unwrap();
        assert!(target.exists() && !claim.exists());
    }

    #[test]
    fn a_folder_that_allows_nothing_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let complete = dir.path().join("complete");
        fs::write(&complete, "x").unwrap();
        let error = create_by(&[refuse, invalid], &complete, &dir.path().join("f")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::INVAL.raw_os_error()));
        probe(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the probe leaves nothing");
        assert!(probe(&dir.path().join("none")).is_err());
    }
}
