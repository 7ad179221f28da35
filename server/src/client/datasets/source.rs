//! What is sent: a file as it is, or a folder as an archive that is made on the way.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::{ClientError, name_of};

/// Bytes that an archive hands over at once.
const PIECE: usize = 1 << 20;

/// Something to be sent.
pub(super) struct Source {
    /// What it is called.
    pub(super) file_name: String,
    /// Bytes that it has.
    pub(super) bytes: u64,
    /// Its bytes.
    pub(super) content: Box<dyn Read>,
}

/// Opens a path.
pub(super) fn open(path: &Path) -> Result<Source, ClientError> {
    let refused = |error: io::Error| ClientError::Refused(format!("{}: {error}", path.display()));
    let path = path.canonicalize().map_err(refused)?;
    let file_name = name_of(&path);
    if fs::metadata(&path).map_err(refused)?.is_file() {
        let file = File::open(&path).map_err(refused)?;
        let bytes = file.metadata().map_err(refused)?.len();
        return Ok(Source { file_name, bytes, content: Box::new(file) });
    }
    let mut files = Vec::new();
    find(&path, &mut files).map_err(refused)?;
    files.sort();
    if files.is_empty() {
        return Err(ClientError::Refused(format!("there is no file in {}", path.display())));
    }
    let mut counted = Counted(0);
    write(&mut counted, &path, &files, false).map_err(refused)?;
    let content = Box::new(Archived::start(path, files)?);
    Ok(Source { file_name: format!("{file_name}.tar"), bytes: counted.0, content })
}

/// All plain files below a folder; links and hidden files are passed over.
fn find(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if kind.is_dir() {
            find(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Writes the archive; without contents only its length is right.
fn write(out: impl Write, folder: &Path, files: &[PathBuf], full: bool) -> io::Result<()> {
    let mut archive = tar::Builder::new(out);
    for path in files {
        let bytes = fs::metadata(path)?.len();
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes);
        header.set_mode(0o644);
        let name = path.strip_prefix(folder).unwrap_or(path);
        if full {
            // A file that grew or shrank since it was counted must not move all others.
            let content = File::open(path)?.take(bytes).chain(io::repeat(0)).take(bytes);
            archive.append_data(&mut header, name, content)?;
        } else {
            archive.append_data(&mut header, name, io::repeat(0).take(bytes))?;
        }
    }
    archive.finish()
}

/// Counts what is written.
struct Counted(u64);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An archive that another thread writes.
struct Archived {
    pieces: Receiver<io::Result<Vec<u8>>>,
    rest: io::Cursor<Vec<u8>>,
    _thread: JoinHandle<()>,
}

impl Archived {
    fn start(folder: PathBuf, files: Vec<PathBuf>) -> io::Result<Self> {
        let (sender, pieces) = sync_channel(2);
        let thread = std::thread::Builder::new().name("archive".to_owned()).spawn(move || {
            let mut out = io::BufWriter::with_capacity(PIECE, Pieces(sender.clone()));
            let written = write(&mut out, &folder, &files, true).and_then(|()| out.flush());
            if let Err(error) = written {
                let _ = sender.send(Err(error));
            }
        })?;
        Ok(Self { pieces, rest: io::Cursor::default(), _thread: thread })
    }
}

impl Read for Archived {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.rest.read(into)? {
                0 => match self.pieces.recv() {
                    Ok(piece) => self.rest = io::Cursor::new(piece?),
                    Err(_) => return Ok(0),
                },
                read => return Ok(read),
            }
        }
    }
}

struct Pieces(SyncSender<io::Result<Vec<u8>>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.send(Ok(bytes.to_vec())).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_becomes_an_archive_of_the_length_that_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let long = "x".repeat(120);
        for (name, bytes) in
            [("a/1.png", 10), ("b/größe.png", 512), (&format!("b/{long}.png"), 3000)]
        {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![7; bytes]).unwrap();
        }
        fs::write(dir.path().join(".hidden"), "x").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("a/link.png")).unwrap();
        let mut source = open(dir.path()).unwrap();
        let mut bytes = Vec::new();
        source.content.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, source.bytes);
        let mut archive = tar::Archive::new(bytes.as_slice());
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["a/1.png".to_owned(), "b/größe.png".into(), format!("b/{long}.png")]);
    }
}
