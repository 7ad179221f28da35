//! The folder of a prepared version; see [`skein_core::dataset::facts`] for what lies in it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use skein_core::dataset::facts;

use crate::npy;
use crate::refusal::Refusal;

/// A line of [`facts::NAMES`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// `train`, `valid` or `test`.
    pub split: String,
    /// The file's name as it came; bytes that are no UTF-8 are replaced.
    pub name: String,
    /// SHA-256 of what was read, in hexadecimal.
    pub digest: String,
}

/// A folder that is made in whole or not at all.
pub(crate) struct Folder {
    temporary: tempfile::TempDir,
    target: PathBuf,
}

impl Folder {
    /// A folder beside its target, under a name of its own.
    pub(crate) fn new(target: &Path) -> Result<Self, Refusal> {
        if target.symlink_metadata().is_ok() {
            let source = io::ErrorKind::AlreadyExists.into();
            return Err(Refusal::Io { what: "making the version's folder".to_owned(), source });
        }
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let temporary = tempfile::Builder::new()
            .prefix(".preparing-")
            .tempdir_in(parent.unwrap_or(Path::new(".")))
            .map_err(Refusal::io("making the version's folder"))?;
        Ok(Self { temporary, target: target.to_owned() })
    }

    /// A new file in it.
    pub(crate) fn create(&self, name: &str) -> Result<Output, Refusal> {
        let path = self.temporary.path().join(name);
        let file = File::create_new(path).map_err(writing(name))?;
        Ok(Output { file: BufWriter::with_capacity(1 << 20, file), name: name.to_owned() })
    }

    /// Writes a document.
    pub(crate) fn json(&self, name: &str, value: &impl Serialize) -> Result<(), Refusal> {
        let text = serde_json::to_vec_pretty(value).map_err(io::Error::from);
        let mut output = self.create(name)?;
        output.write(&text.map_err(writing(name))?)?;
        output.finish()
    }

    /// Gives it its name.
    pub(crate) fn finish(self) -> Result<(), Refusal> {
        let sync = |path: &Path| File::open(path).and_then(|folder| folder.sync_all());
        let finishing = || "finishing the version's folder";
        sync(self.temporary.path()).map_err(Refusal::io(finishing()))?;
        // A temporary folder is its owner's alone; a version is read by whoever may read the data.
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(self.temporary.path(), readable).map_err(Refusal::io(finishing()))?;
        fs::rename(self.temporary.path(), &self.target).map_err(Refusal::io(finishing()))?;
        drop(self.temporary.keep());
        Ok(())
    }
}

/// A file that is written from its start to its end.
pub(crate) struct Output {
    file: BufWriter<File>,
    name: String,
}

impl Output {
    /// An array's file, its header written.
    pub(crate) fn array(
        folder: &Folder,
        name: &str,
        descr: &str,
        shape: &[u64],
    ) -> Result<Self, Refusal> {
        let mut output = folder.create(name)?;
        output.write(&npy::header(descr, shape))?;
        Ok(output)
    }

    /// Appends bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.file.write_all(bytes).map_err(writing(&self.name))
    }

    /// Appends a line of [`facts::NAMES`].
    pub(crate) fn line(&mut self, line: &Line) -> Result<(), Refusal> {
        let mut text = serde_json::to_vec(line).map_err(|e| writing(&self.name)(e.into()))?;
        text.push(b'\n');
        self.write(&text)
    }

    /// All of it is on the disk.
    pub(crate) fn finish(self) -> Result<(), Refusal> {
        let Self { file, name } = self;
        let file = file.into_inner().map_err(|error| writing(&name)(error.into_error()))?;
        file.sync_all().map_err(writing(&name))
    }
}

fn writing(name: &str) -> impl FnOnce(io::Error) -> Refusal {
    Refusal::io(format!("writing `{name}`"))
}

/// The files of a split's arrays.
pub(crate) fn names(split: &str) -> [String; 2] {
    [facts::images(split), facts::labels(split)]
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half & 0xF)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}
