//! Public data sets by name: where their files are, and what they must be.
//!
//! A mirror holds `NAME/FILE` for every file; mirrors are asked before the address of the publisher.
//! A download that breaks off goes on where it ended; a file that is not what it must be is refused.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use md5::Md5;
use sha2::{Digest as _, Sha256};
use skein_core::dataset::{self, Files, TEXT_INPUT};

use super::Datasets;
use super::incoming::{Coming, Refused, State};
use crate::service::blocking;
use crate::service::create::hex;

/// Bytes that are read at once.
const PIECE: usize = 1 << 16;
/// Most bytes of a file that says nothing of its length.
const MOST_BYTES: u64 = 64 << 30;

/// A public data set.
#[derive(Debug)]
pub struct Public {
    /// What it is asked for by.
    pub name: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// Its files.
    pub files: &'static [PublicFile],
    /// Id of the data set that the files are, if that is known by name; else they are prepared.
    pub known: Option<&'static str>,
}

/// One file of it.
#[derive(Debug)]
pub struct PublicFile {
    /// Its name.
    pub name: &'static str,
    /// Folder of the publisher.
    pub from: &'static str,
    /// What it must be; absent where no publisher says.
    pub digest: Option<Digest>,
}

/// What the bytes of a file must have.
#[derive(Debug, Clone, Copy)]
pub enum Digest {
    /// SHA-256 in hexadecimal.
    Sha256(&'static str),
    /// MD5 in hexadecimal: against damage, not against deceit.
    Md5(&'static str),
}

const FASHION: &str = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com";
const MNIST: &str = "https://ossci-datasets.s3.amazonaws.com/mnist";
const TORONTO: &str = "https://www.cs.toronto.edu/~kriz";

const fn md5(name: &'static str, from: &'static str, digest: &'static str) -> PublicFile {
    PublicFile { name, from, digest: Some(Digest::Md5(digest)) }
}

/// All public data sets that can be fetched. Digests are those of the publishers or of torchvision.
pub const PUBLIC: &[Public] = &[
    Public {
        name: "fashion-mnist",
        title: "FashionMNIST",
        known: Some("fashion-mnist"),
        files: &[
            md5("train-images-idx3-ubyte.gz", FASHION, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            md5("train-labels-idx1-ubyte.gz", FASHION, "25c81989df183df01b3e8a0aad5dffbe"),
            md5("t10k-images-idx3-ubyte.gz", FASHION, "bef4ecab320f06d8554ea6380940ec79"),
            md5("t10k-labels-idx1-ubyte.gz", FASHION, "bb300cfdad3c16e7a12a480ee83cd310"),
        ],
    },
    Public {
        name: "mnist",
        title: "MNIST",
        known: None,
        files: &[
            md5("train-images-idx3-ubyte.gz", MNIST, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            md5("train-labels-idx1-ubyte.gz", MNIST, "d53e105ee54ea40749a09fcbcd1e9432"),
            md5("t10k-images-idx3-ubyte.gz", MNIST, "9fb629c4189551a2d022fa330f9573f3"),
            md5("t10k-labels-idx1-ubyte.gz", MNIST, "ec29112dd5afa0611ce80d1b7f02629c"),
        ],
    },
    Public {
        name: "cifar-10",
        title: "CIFAR-10",
        known: Some("cifar-10"),
        files: &[md5("cifar-10-binary.tar.gz", TORONTO, "c32a1d4ab5d03f1284b67883e8d87530")],
    },
    Public {
        name: "cifar-100",
        title: "CIFAR-100",
        known: Some("cifar-100"),
        files: &[md5("cifar-100-binary.tar.gz", TORONTO, "03b5dce01913d631647c71ecec9e9cb8")],
    },
    Public {
        name: "imagenette",
        title: "Imagenette (160 pixels)",
        known: None,
        files: &[md5(
            "imagenette2-160.tgz",
            "https://s3.amazonaws.com/fast-ai-imageclas",
            "e793b78cc4c9e9a4ccc0c1155377a412",
        )],
    },
    Public {
        name: "tiny-shakespeare",
        title: "Tiny Shakespeare",
        known: Some("tiny-shakespeare"),
        files: &[PublicFile {
            name: "input.txt",
            from: "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare",
            digest: Some(Digest::Sha256(
                "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            )),
        }],
    },
    Public {
        name: "tinystories",
        title: "TinyStories (validation part of version 2)",
        known: None,
        files: &[PublicFile {
            name: "TinyStoriesV2-GPT4-valid.txt",
            from: "https://huggingface.co/datasets/roneneldan/TinyStories/resolve/main",
            digest: None,
        }],
    },
];

/// A public data set by its name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Public> {
    PUBLIC.iter().find(|public| public.name == name)
}

/// All names, for a message.
#[must_use]
pub fn names() -> String {
    let names: Vec<_> = PUBLIC.iter().map(|public| format!("`{}`", public.name)).collect();
    names.join(", ")
}

/// Where files are looked for before their publisher is asked.
#[derive(Debug, Clone, Default)]
pub struct Mirrors {
    /// Addresses of folders, without a slash at the end.
    pub bases: Vec<String>,
    /// Whether publishers are asked at all.
    pub only: bool,
}

impl Mirrors {
    fn addresses(&self, public: &Public, file: &PublicFile) -> Vec<String> {
        let mirrors = self.bases.iter().map(|base| format!("{base}/{}/{}", public.name, file.name));
        let publisher = format!("{}/{}", file.from, file.name);
        mirrors.chain((!self.only).then_some(publisher)).collect()
    }
}

impl Datasets {
    /// Fetches every file; gives whether there is something to prepare then.
    pub(super) async fn fetch(&self, coming: &Arc<Coming>) -> Result<bool, Refused> {
        let name = coming.now().fetch.unwrap_or_default();
        let Some(public) = find(&name) else {
            return Err(refused("not_known", format!("`{name}` is no public data set")));
        };
        let place = coming.folder.join("fetched");
        for file in public.files {
            let (datasets, kept, place) = (self.clone(), Arc::clone(coming), place.clone());
            let fetched = blocking(move || Ok(datasets.fetch_file(&kept, public, file, &place)));
            fetched.await.map_err(|error| refused("internal", error.to_string()))??;
        }
        let (datasets, kept) = (self.clone(), Arc::clone(coming));
        let placed = blocking(move || Ok(datasets.place(&kept, public, &place)));
        placed.await.map_err(|error| refused("internal", error.to_string()))?
    }

    fn fetch_file(
        &self,
        coming: &Coming,
        public: &Public,
        file: &PublicFile,
        place: &Path,
    ) -> Result<(), Refused> {
        fs::create_dir_all(place).map_err(|error| disk(place, &error))?;
        let path = place.join(file.name);
        let mut faults = Vec::new();
        for address in self.mirrors.addresses(public, file) {
            let fetched = download(&address, &path, coming);
            match fetched.and_then(|()| check(&path, file)) {
                Ok(()) => return Ok(()),
                Err(fault) => faults.push(format!("{address}: {fault}")),
            }
            if coming.stop.is_cancelled() || self.shutdown.is_cancelled() {
                break;
            }
        }
        Err(refused(
            "not_fetched",
            format!(
                "`{}` could not be fetched ({}). Where this machine cannot reach it, fetch it \
                 elsewhere and upload it here, or name a mirror with `--mirror URL`",
                file.name,
                faults.join("; ")
            ),
        ))
    }

    /// Puts files where runs find them, or where a preparation does.
    fn place(&self, coming: &Coming, public: &Public, fetched: &Path) -> Result<bool, Refused> {
        let Some(id) = public.known else {
            let single = (public.files.len() == 1).then(|| fetched.join(public.files[0].name));
            let source = single.unwrap_or_else(|| fetched.to_owned());
            let name = public.files.first().map_or("", |file| file.name);
            let set = coming.set(|record| {
                record.folder = Some(source);
                record.file_name = name.to_owned();
                record.state = State::Waiting;
            });
            set.map_err(|error| disk(fetched, &error))?;
            return Ok(true);
        };
        let whole = coming.folder.join("whole");
        fs::create_dir_all(&whole).map_err(|error| disk(&whole, &error))?;
        for file in public.files {
            let path = fetched.join(file.name);
            let put = if file.name.ends_with(".tar.gz") {
                unpack(&path, id, &whole)
            } else {
                fs::rename(&path, whole.join(file.name))
            };
            put.map_err(|error| disk(&whole, &error))?;
        }
        let target = self.folder.join(id);
        let moved = fs::create_dir_all(&target).and_then(|()| {
            for entry in fs::read_dir(&whole)? {
                let entry = entry?;
                fs::rename(entry.path(), target.join(entry.file_name()))?;
            }
            Ok(())
        });
        moved.map_err(|error| disk(&target, &error))?;
        Ok(false)
    }
}

/// Loads a file, from where an earlier download ended.
fn download(address: &str, path: &Path, coming: &Coming) -> Result<(), String> {
    let have = fs::metadata(path).map_or(0, |file| file.len());
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(10)))
        .timeout_recv_response(Some(Duration::from_secs(30)))
        .user_agent(concat!("skein/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut request = agent.get(address);
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let answer = request.call().map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    let start = match status {
        206 => have,
        200 => 0,
        // All of it is here.
        416 if have > 0 => return Ok(()),
        _ => return Err(format!("the server answered {}", answer.status())),
    };
    let length = answer.body().content_length();
    coming.note(|record| {
        record.stage = path.file_name().map(|name| name.to_string_lossy().into_owned());
        (record.done, record.total) = (start, start + length.unwrap_or(0));
    });
    let cannot = |error: io::Error| format!("`{}` cannot be written: {error}", path.display());
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(start == 0)
        .append(start > 0)
        .write(true)
        .open(path)
        .map_err(cannot)?;
    let mut body = answer.into_body().into_with_config().limit(MOST_BYTES).reader();
    let mut piece = vec![0; PIECE];
    loop {
        if coming.stop.is_cancelled() {
            return Err("it was cancelled".to_owned());
        }
        let read = body.read(&mut piece).map_err(|error| format!("it broke off: {error}"))?;
        if read == 0 {
            return file.sync_all().map_err(cannot);
        }
        file.write_all(&piece[..read]).map_err(cannot)?;
        coming.note(|record| record.done += read as u64);
    }
}

/// Whether a file is what it must be; one that is not goes.
fn check(path: &Path, file: &PublicFile) -> Result<(), String> {
    let Some(digest) = file.digest else { return Ok(()) };
    let cannot = |error: io::Error| format!("`{}` cannot be read: {error}", path.display());
    let mut content = File::open(path).map_err(cannot)?;
    let (found, expected) = match digest {
        Digest::Sha256(expected) => {
            let mut hasher = Sha256::new();
            pour(&mut content, |piece| hasher.update(piece)).map_err(cannot)?;
            (hex(&hasher.finalize()), expected)
        }
        Digest::Md5(expected) => {
            let mut hasher = Md5::new();
            pour(&mut content, |piece| hasher.update(piece)).map_err(cannot)?;
            (hex(&hasher.finalize()), expected)
        }
    };
    if found == expected {
        return Ok(());
    }
    let _ = fs::remove_file(path);
    Err(format!("its digest is {found}, and {expected} is expected"))
}

fn pour(file: &mut File, mut taken: impl FnMut(&[u8])) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(()),
            read => taken(&piece[..read]),
        }
    }
}

/// Takes the files that a data set needs out of an archive; nothing else of it is written.
fn unpack(archive: &Path, id: &str, folder: &Path) -> io::Result<()> {
    let names: Vec<&str> = match dataset::find(id).map(|known| known.files) {
        Some(Files::Cifar { train, test, .. }) => train.iter().copied().chain([test]).collect(),
        _ => vec![TEXT_INPUT],
    };
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(archive)?));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path: PathBuf = entry.path()?.into_owned();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        if entry.header().entry_type().is_file() && names.contains(&name) {
            io::copy(&mut entry, &mut File::create(folder.join(name))?)?;
        }
    }
    Ok(())
}

fn refused(code: &str, message: String) -> Refused {
    Refused { code: code.to_owned(), message }
}

fn disk(place: &Path, error: &io::Error) -> Refused {
    refused("no_space", format!("`{}` cannot be written: {error}", place.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digest_has_the_length_of_its_kind_and_every_id_is_known() {
        for public in PUBLIC {
            assert!(public.known.is_none_or(|id| dataset::find(id).is_some()), "{}", public.name);
            assert!(dataset::is_id(public.name));
            for file in public.files {
                let (digest, length) = match file.digest {
                    Some(Digest::Sha256(digest)) => (digest, 64),
                    Some(Digest::Md5(digest)) => (digest, 32),
                    None => continue,
                };
                assert_eq!(digest.len(), length, "{}", file.name);
                assert!(digest.bytes().all(|sign| sign.is_ascii_hexdigit()));
            }
        }
    }

    #[test]
    fn mirrors_are_asked_first_and_alone_where_that_is_wanted() {
        let public = find("cifar-10").unwrap();
        let bases = vec!["https://mirror.example/data".to_owned()];
        let mut mirrors = Mirrors { bases, only: false };
        let mirrored = "https://mirror.example/data/cifar-10/cifar-10-binary.tar.gz";
        let addresses = mirrors.addresses(public, &public.files[0]);
        assert_eq!((addresses[0].as_str(), addresses.len()), (mirrored, 2));
        mirrors.only = true;
        assert_eq!(mirrors.addresses(public, &public.files[0]), [mirrored]);
    }
}
