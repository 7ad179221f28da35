//! What people bring, as a stream of files: an archive, a folder, or one file.
//!
//! What something is, is told by its content; a file's name only has to agree.

mod folder;
mod magic;
mod tar;
pub(crate) mod zip;

use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use self::magic::Content;
pub(crate) use self::magic::foreign;
use crate::refusal::Refusal;

/// Who looks at the entries of a source.
pub(crate) trait Visit {
    /// There is a folder.
    fn folder(&mut self, name: &[u8]) -> Result<(), Refusal>;

    /// There is a file; `done` bytes of the source are read after it.
    fn file(&mut self, name: &[u8], data: &mut dyn Read, done: u64) -> Result<(), Refusal>;
}

/// A source that was looked at.
pub(crate) struct Source {
    form: Form,
    /// Its name, as it is shown.
    name: String,
    /// Bytes of it.
    pub(crate) bytes: u64,
}

enum Form {
    Zip(File),
    Tar(File, tar::Packing),
    Folder(PathBuf),
    Single(File),
}

impl Source {
    /// Looks at how a source begins.
    pub(crate) fn open(path: &Path, file_name: &str) -> Result<Self, Refusal> {
        let name = crate::name::shown(file_name.as_bytes());
        if path.is_dir() {
            let bytes = folder::bytes(path)?;
            return Ok(Self { form: Form::Folder(path.to_owned()), name, bytes });
        }
        let opening = || format!("opening `{name}`");
        let file = File::open(path).map_err(Refusal::io(opening()))?;
        let bytes = file.metadata().map_err(Refusal::io(opening()))?.len();
        let mut head = vec![0; crate::spool::HEAD];
        let read = file.read_at(&mut head, 0).map_err(Refusal::io(opening()))?;
        head.truncate(read);
        let form = match magic::content(&head, &file) {
            Content::Zip => Form::Zip(file),
            Content::Tar(packing) => Form::Tar(file, packing),
            Content::Plain => Form::Single(file),
            Content::Foreign(format, advice) => {
                return Err(Refusal::Format { name, format, advice });
            }
            Content::Pickle => return Err(Refusal::Pickle { name }),
        };
        if let Form::Single(_) = form {
            magic::check_name(&name, &head)?;
        }
        Ok(Self { form, name, bytes })
    }

    /// What it is, in a word.
    pub(crate) fn word(&self) -> &'static str {
        match &self.form {
            Form::Zip(_) if self.name.to_ascii_lowercase().ends_with(".npz") => "npz",
            Form::Zip(_) => "zip",
            Form::Tar(_, packing) => packing.word(),
            Form::Folder(_) => "folder",
            Form::Single(_) => "file",
        }
    }

    /// Whether it is packed, so that little may become much.
    pub(crate) fn is_packed(&self) -> bool {
        matches!(self.form, Form::Zip(_) | Form::Tar(..))
    }

    /// Visits all that is in it.
    pub(crate) fn read(&self, visit: &mut dyn Visit) -> Result<(), Refusal> {
        match &self.form {
            Form::Zip(file) => zip::read(file, visit),
            Form::Tar(file, packing) => tar::read(file, *packing, visit),
            Form::Folder(path) => folder::read(path, visit),
            Form::Single(file) => {
                let name = self.name.rsplit('/').next().unwrap_or_default();
                visit.file(name.as_bytes(), &mut BufReader::new(file), self.bytes)
            }
        }
    }
}
