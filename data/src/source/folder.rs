//! A folder on the disk. Links are never followed.

use std::fs::{self, File, FileType, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::Visit;
use crate::name::shown;
use crate::refusal::Refusal;

/// Bytes of all files, to tell how far one is.
pub(super) fn bytes(top: &Path) -> Result<u64, Refusal> {
    let mut bytes = 0;
    walk(top, &mut |path, kind| {
        if kind.is_file() {
            bytes += path.symlink_metadata().map_err(reading(top, path))?.len();
        }
        Ok(())
    })?;
    Ok(bytes)
}

/// Visits all files in it.
pub(super) fn read(top: &Path, visit: &mut dyn Visit) -> Result<(), Refusal> {
    let mut done = 0;
    walk(top, &mut |path, kind| {
        let name = within(top, path);
        if kind.is_dir() {
            return visit.folder(name);
        }
        let mut file = open(path).map_err(reading(top, path))?;
        done += file.metadata().map_err(reading(top, path))?.len();
        visit.file(name, &mut file, done)
    })
}

/// What is not a file may have been put in its place since it was looked at.
fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn walk(
    top: &Path,
    seen: &mut dyn FnMut(&Path, FileType) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut ahead: Vec<PathBuf> = vec![top.to_owned()];
    while let Some(folder) = ahead.pop() {
        for entry in fs::read_dir(&folder).map_err(reading(top, &folder))? {
            let entry = entry.map_err(reading(top, &folder))?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(reading(top, &folder))?);
            if let Some(what) = special(kind) {
                return Err(Refusal::Special { name: shown(within(top, &path)), what });
            }
            seen(&path, kind)?;
            if kind.is_dir() {
                ahead.push(path);
            }
        }
    }
    Ok(())
}

fn special(kind: FileType) -> Option<&'static str> {
    match kind {
        _ if kind.is_symlink() => Some("link"),
        _ if kind.is_fifo() => Some("pipe"),
        _ if kind.is_socket() => Some("socket"),
        _ if kind.is_block_device() || kind.is_char_device() => Some("device"),
        _ => None,
    }
}

fn within<'a>(top: &Path, path: &'a Path) -> &'a [u8] {
    path.strip_prefix(top).unwrap_or(path).as_os_str().as_bytes()
}

fn reading(top: &Path, path: &Path) -> impl FnOnce(io::Error) -> Refusal {
    Refusal::io(format!("reading `{}`", shown(within(top, path))))
}
