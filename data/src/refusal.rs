//! Why a data set is not taken, in words that say what to do.

use std::io;

use crate::limits::said;
use crate::name::NameFault;

/// Why a data set is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A name that would lead elsewhere.
    #[error("`{name}` {fault}; nothing is taken from such an archive")]
    Name {
        /// As it is shown.
        name: String,
        /// What is wrong with it.
        fault: NameFault,
    },
    /// A link, a device, a pipe.
    #[error("`{name}` is a {what}; pack files and folders only")]
    Special {
        /// As it is shown.
        name: String,
        /// What it is.
        what: &'static str,
    },
    /// Two files of one name.
    #[error("`{0}` is there twice; pack every file once")]
    Twice(String),
    /// Too many files.
    #[error("there are more than {0} files")]
    Files(u64),
    /// Too many bytes.
    #[error("there are more than {} once it is unpacked", said(*.0))]
    Bytes(u64),
    /// Far more bytes than an honest archive of that size has.
    #[error("it unpacks to more than {ratio} times its size, as only a trap does")]
    Bomb {
        /// Unpacked bytes for each packed one.
        ratio: u64,
    },
    /// Too many classes.
    #[error("there are more than {0} classes")]
    Classes(usize),
    /// A password is needed.
    #[error("`{0}` is encrypted; pack it without a password")]
    Encrypted(String),
    /// The end is missing.
    #[error("the upload is cut off within {0}; send it again")]
    CutOff(String),
    /// Bytes that cannot be right.
    #[error("{place} is damaged: {reason}")]
    Damaged {
        /// A file, or the archive.
        place: String,
        /// What does not fit.
        reason: String,
    },
    /// A name that promises another content.
    #[error("`{name}` is no {promised}: it {begins}")]
    Misnamed {
        /// The file's name.
        name: String,
        /// What it should be.
        promised: &'static str,
        /// How it begins instead.
        begins: &'static str,
    },
    /// A format that is not read.
    #[error("`{name}` is {format}; {advice}")]
    Format {
        /// The file's name.
        name: String,
        /// What it is.
        format: &'static str,
        /// What to do instead.
        advice: &'static str,
    },
    /// A pickle of Python, which is a program.
    #[error(
        "`{name}` is a pickle of Python, which is a program and is never run here; save arrays as \
         .npz (numpy.savez), images as files in folders of classes, or take the binary version"
    )]
    Pickle {
        /// The file's name.
        name: String,
    },
    /// Detection, segmentation.
    #[error(
        "this looks like a set for {task} (`{sign}`); Skein searches networks that tell the class \
         of a whole image, so sort the images into one folder per class"
    )]
    Task {
        /// What it is for.
        task: &'static str,
        /// The file that tells.
        sign: String,
    },
    /// No layout fits.
    #[error("{0}")]
    Layout(String),
    /// A file of the set holds what it should not.
    #[error("`{name}` {reason}")]
    Content {
        /// The file's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing to tell apart.
    #[error("all images are of one class, `{0}`; a network needs at least two to tell apart")]
    OneClass(String),
    /// Most images cannot be decoded.
    #[error("{bad} of {all} images cannot be read, `{first}` for one: {reason}")]
    MostlyBad {
        /// Images that cannot be read.
        bad: u64,
        /// All.
        all: u64,
        /// One of them.
        first: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What was asked for makes no sense.
    #[error("{0}")]
    Options(String),
    /// The disk is full.
    #[error("the disk is full, or a quota is used up; free some space and try again")]
    NoSpace(#[source] io::Error),
    /// The system failed.
    #[error("{what} failed")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl Refusal {
    /// One word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name { .. } => "unsafe_name",
            Self::Special { .. } => "unsafe_entry",
            Self::Twice(_) => "duplicate_name",
            Self::Files(_) => "too_many_files",
            Self::Bytes(_) => "too_large",
            Self::Bomb { .. } => "archive_bomb",
            Self::Classes(_) => "too_many_classes",
            Self::Encrypted(_) => "encrypted",
            Self::CutOff(_) => "cut_off",
            Self::Damaged { .. } => "damaged",
            Self::Misnamed { .. } => "misnamed",
            Self::Format { .. } => "unsupported_format",
            Self::Pickle { .. } => "pickle",
            Self::Task { .. } => "unsupported_task",
            Self::Layout(_) => "no_layout",
            Self::Content { .. } => "bad_content",
            Self::OneClass(_) => "one_class",
            Self::MostlyBad { .. } => "mostly_unreadable",
            Self::Options(_) => "options",
            Self::NoSpace(_) => "no_space",
            Self::Io { .. } => "io",
        }
    }

    /// The disk failed at something.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::NoSpace(source),
            _ => Self::Io { what: what.into(), source },
        }
    }

    /// Reading a part of the source failed: the disk's fault if the system says so, else that of
    /// the bytes.
    pub(crate) fn reading(place: &str, error: io::Error) -> Self {
        if error.raw_os_error().is_some() {
            return Self::io(format!("reading {place}"))(error);
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::CutOff(place.to_owned()),
            _ => Self::Damaged { place: place.to_owned(), reason: error.to_string() },
        }
    }

    /// A file of the set holds what it should not.
    pub(crate) fn content(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Content { name: name.into(), reason: reason.into() }
    }
}
