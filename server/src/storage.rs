//! The index of runs. The only place that knows sled, which holds small metadata: everything in it
//! can be rebuilt from the runs' folders. Synchronous; called through `spawn_blocking`.

pub mod db;
pub mod folder;
pub mod runs;

/// Why the store cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A folder or file of the data folder cannot be used.
    #[error("cannot use `{path}`: {source}")]
    Io {
        /// The folder or file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// This user may not write there.
    #[error(
        "`{path}` cannot be written by user {user} ({source}); give it to this user (`mkdir -p {path} \
         && chown -R {user} {path}`), or name another folder with --data or SKEIN_DATA"
    )]
    Denied {
        /// The folder or file.
        path: String,
        /// Number of the user.
        user: u32,
        /// Why.
        source: std::io::Error,
    },
    /// The folder was written by a newer version.
    #[error(
        "the data folder `{path}` has format {found}, written by Skein {written_by}; this Skein \
         ({}) knows formats up to {known}: use the newer Skein, or another data folder",
        env!("CARGO_PKG_VERSION")
    )]
    Newer {
        /// The data folder.
        path: String,
        /// Format of the folder.
        found: u64,
        /// Version that wrote it.
        written_by: String,
        /// The newest format that is understood here.
        known: u64,
    },
    /// The version file cannot be read.
    #[error("`{path}` is damaged ({detail}); it should read {{\"format\": 1}}")]
    VersionFile {
        /// The file.
        path: String,
        /// What is wrong.
        detail: String,
    },
    /// Another server works on the folder.
    #[error(
        "another Skein server uses the data folder `{path}` ({by}); stop it, or use another folder"
    )]
    InUse {
        /// The data folder.
        path: String,
        /// The other server's process and host.
        by: String,
    },
    /// The file system has no locks.
    #[error(
        "the file system of `{path}` has no locks ({source}), which the index needs; choose another \
         data folder, for example on a local disk, with --data or SKEIN_DATA"
    )]
    NoLocks {
        /// The data folder.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The index cannot be opened.
    #[error(
        "the index `{path}` is damaged ({detail}); start once with `--rebuild-index`: the old \
         index is kept beside it, and a new one is built from the runs' folders"
    )]
    Damaged {
        /// Folder of the index.
        path: String,
        /// What is wrong.
        detail: String,
    },
    /// The index cannot be read or written.
    #[error("the index cannot be used: {0}")]
    Index(#[from] sled::Error),
}

impl StorageError {
    fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| {
            let path = path.display().to_string();
            let user = rustix::process::geteuid().as_raw();
            match source.kind() {
                std::io::ErrorKind::PermissionDenied => Self::Denied { path, user, source },
                _ => Self::Io { path, source },
            }
        }
    }
}
