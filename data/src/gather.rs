//! All files of a source: their bytes in the spool, their names and digests in memory.

use std::io::Read;
use std::path::Path;

use image::ImageFormat;
use skein_core::dataset::is_pickle;

use crate::layout::idx::Header;
use crate::limits::Limits;
use crate::name::{Name, shown};
use crate::prepare::{Progress, Stage};
use crate::refusal::Refusal;
use crate::report::Named;
use crate::source::{Source, Visit, foreign};
use crate::spool::{Digest, Place, Spool};

/// A file of the source.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) name: Name,
    pub(crate) place: Place,
    pub(crate) digest: Digest,
    pub(crate) kind: Kind,
}

/// What a file holds, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Image,
    /// An array of NumPy.
    Array,
    Pickle,
    /// Numbers as MNIST has them.
    Idx,
    Gzip,
    /// A format that is not read: what it is, and what to do instead.
    Foreign(&'static str, &'static str),
    Other,
}

impl Kind {
    pub(crate) fn of(head: &[u8], name: &Name) -> Self {
        use ImageFormat::{Avif, Bmp, Gif, Jpeg, Png, Pnm, Tiff, WebP};
        match image::guess_format(head) {
            Ok(Png | Jpeg | Gif | WebP | Avif) => return Self::Image,
            // Signs so short that a text or a record of CIFAR may begin so.
            Ok(format @ (Pnm | Tiff | Bmp))
                if ImageFormat::from_extension(name.ending()) == Some(format) =>
            {
                return Self::Image;
            }
            _ => {}
        }
        match head {
            _ if head.starts_with(&crate::npy::MAGIC) => Self::Array,
            // CIFAR's records may begin like that.
            _ if name.ending() != "bin" && Header::read(head).is_some() => Self::Idx,
            _ if is_pickle(head) => Self::Pickle,
            _ if head.starts_with(&skein_core::dataset::GZIP) => Self::Gzip,
            _ => {
                foreign(head).map_or(Self::Other, |(format, advice)| Self::Foreign(format, advice))
            }
        }
    }
}

/// All that was read of a source.
pub(crate) struct Gathered {
    /// The kind of source, in a word: `zip`.
    pub(crate) word: &'static str,
    pub(crate) spool: Spool,
    /// Sorted by name; no name is there twice.
    pub(crate) items: Vec<Item>,
    /// Names of folders that the source tells.
    pub(crate) folders: Vec<Name>,
    /// What programs left there.
    pub(crate) ignored: Named,
    /// Files whose names are no UTF-8.
    pub(crate) foreign_names: Named,
    /// Files, ignored ones among them.
    pub(crate) files: u64,
}

/// Reads a source once.
///
/// # Errors
/// - [`Refusal`]
pub(crate) fn gather(
    source: &Source,
    limits: &Limits,
    scratch: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Gathered, Refusal> {
    let packed = source.is_packed().then_some(source.bytes);
    let gathered = Gathered {
        word: source.word(),
        spool: Spool::new(scratch, limits, packed)?,
        items: vec![],
        folders: vec![],
        ignored: Named::default(),
        foreign_names: Named::default(),
        files: 0,
    };
    let mut visitor = Visitor { gathered, limits, total: source.bytes, progress };
    visitor.tell(0);
    source.read(&mut visitor)?;
    visitor.tell(source.bytes);
    let mut gathered = visitor.gathered;
    gathered.items.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let mut pairs = gathered.items.windows(2);
    let twice = pairs.find(|pair| pair[0].name == pair[1].name).map(|pair| pair[0].name.shown());
    twice.map_or(Ok(gathered), |name| Err(Refusal::Twice(name)))
}

struct Visitor<'a> {
    gathered: Gathered,
    limits: &'a Limits,
    total: u64,
    progress: &'a mut dyn FnMut(Progress),
}

impl Visitor<'_> {
    fn tell(&mut self, done: u64) {
        let done = done.min(self.total);
        (self.progress)(Progress { stage: Stage::Reading, done, total: self.total });
    }

    fn name(&self, raw: &[u8]) -> Result<Name, Refusal> {
        Name::parse(raw).map_err(|fault| Refusal::Name { name: shown(raw), fault })
    }

    fn count(&mut self) -> Result<(), Refusal> {
        self.gathered.files += 1;
        let all = self.gathered.files + self.gathered.folders.len() as u64;
        if all > self.limits.files { Err(Refusal::Files(self.limits.files)) } else { Ok(()) }
    }
}

impl Visit for Visitor<'_> {
    fn folder(&mut self, name: &[u8]) -> Result<(), Refusal> {
        // The top of a tar is `./`.
        if matches!(name, b"." | b"./" | b"") {
            return Ok(());
        }
        let name = self.name(name)?;
        if self.gathered.folders.len() as u64 >= self.limits.files {
            return Err(Refusal::Files(self.limits.files));
        }
        if !name.is_clutter() {
            self.gathered.folders.push(name);
        }
        Ok(())
    }

    fn file(&mut self, name: &[u8], data: &mut dyn Read, done: u64) -> Result<(), Refusal> {
        let name = self.name(name)?;
        self.count()?;
        if name.is_clutter() {
            self.gathered.ignored.add(|| name.shown());
            // Its bytes are read all the same, so that they count and their checksum is looked at.
            return self.gathered.spool.pass_over(&name.shown(), data);
        }
        if !name.is_utf8() {
            self.gathered.foreign_names.add(|| name.shown());
        }
        let stored = self.gathered.spool.append(&format!("`{}`", name.shown()), data)?;
        let kind = Kind::of(&stored.head, &name);
        self.gathered.items.push(Item { name, place: stored.place, digest: stored.digest, kind });
        self.tell(done);
        Ok(())
    }
}
