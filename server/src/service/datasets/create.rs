//! Adding, renaming and deleting data sets.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use skein_core::dataset;
use skein_core::dataset::MOST_ID;
use skein_core::spec::Violation;
use skein_data::name;

use super::incoming::{Coming, Incoming, State};
use super::{Datasets, fetch, is_below, no_such, own};
use crate::domain::clock;
use crate::service::create::free_bytes;
use crate::service::{ServiceError, blocking};
use crate::views::NewDataset;

/// Most characters of a data set's name.
const MOST_TITLE: usize = 120;
/// Largest side that images are brought to, in pixels.
const MOST_SIZE: u32 = 512;
/// Share of each class that is held out for testing, unless asked otherwise.
const TEST_SHARE: f64 = 0.2;

impl Datasets {
    /// Begins a data set, or another version of one: its bytes are awaited, or a folder on this
    /// machine is read, or the files of a public data set are fetched.
    ///
    /// # Errors
    /// - [`ServiceError::Invalid`] with everything that is wrong; [`ServiceError::Conflict`] if
    ///   something is on its way to that data set; [`ServiceError::Forbidden`];
    ///   [`ServiceError::NoSpace`].
    pub async fn create(&self, asked: NewDataset) -> Result<Arc<Coming>, ServiceError> {
        let datasets = self.clone();
        let coming = blocking(move || datasets.begin(asked)).await?;
        if coming.now().state != State::Receiving {
            self.start(&coming);
        }
        Ok(coming)
    }

    fn begin(&self, asked: NewDataset) -> Result<Arc<Coming>, ServiceError> {
        let record = self.checked(&asked)?;
        self.check_free(record.bytes)?;
        let mut coming = self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = |id: &str| {
            coming.contains_key(id) || dataset::find(id).is_some() || self.folder.join(id).exists()
        };
        // A data set that is known by name is fetched to where it is looked for.
        let known = asked.fetch.as_deref().and_then(fetch::find).and_then(|public| public.known);
        let id = match asked.id.or(known.map(str::to_owned)) {
            Some(id) => id,
            None => free_id(&slug(&record.title), taken),
        };
        if coming.get(&id).is_some_and(|other| other.now().state != State::Failed) {
            let detail = format!(
                "something is on its way to `{id}` already; wait for it, or cancel it first"
            );
            return Err(ServiceError::Conflict(detail));
        }
        let folder = self.incoming_folder().join(&id);
        let begun = fs::remove_dir_all(&folder).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        });
        let begun = begun.and_then(|()| Coming::begin(folder, &id, record));
        let begun = Arc::new(begun.map_err(|error| self.unwritable(&error))?);
        coming.insert(id, Arc::clone(&begun));
        Ok(begun)
    }

    /// The record that a request stands for.
    fn checked(&self, asked: &NewDataset) -> Result<Incoming, ServiceError> {
        let file_name = file_name(asked);
        let title = name::shown(asked.title.as_deref().unwrap_or("").trim().as_bytes());
        let mut faults = faults(asked, &file_name);
        let mut add = |field: &str, detail: String| {
            faults.push(Violation { field: field.to_owned(), detail });
        };
        if let Some(detail) = title_fault(&title) {
            add("title", detail);
        }
        if let Some(id) = &asked.id
            && own::read(&self.folder, id).is_none()
        {
            add("id", format!("`{id}` is no data set of your own; leave it out to add a new one"));
        }
        if !faults.is_empty() {
            return Err(ServiceError::Invalid(faults));
        }
        let public = asked.fetch.as_deref().and_then(fetch::find);
        let test_share = asked.test_share.unwrap_or(TEST_SHARE);
        let folder = asked.folder.as_ref().map(PathBuf::from);
        if let Some(folder) = &folder {
            self.check_folder(folder)?;
        }
        let named =
            |title: String| if title.is_empty() { stem(&file_name).to_owned() } else { title };
        let state = match (&folder, public) {
            (None, None) => State::Receiving,
            (Some(_), _) => State::Waiting,
            (None, Some(_)) => State::Fetching,
        };
        Ok(Incoming {
            title: public.map_or_else(|| named(title), |public| public.title.to_owned()),
            bytes: asked.bytes.unwrap_or(0),
            received: 0,
            state,
            stage: None,
            done: 0,
            total: 0,
            size: asked.size,
            test_share,
            folder,
            fetch: asked.fetch.clone(),
            error: None,
            created_at: clock::now(),
            file_name,
        })
    }

    fn check_folder(&self, folder: &Path) -> Result<(), ServiceError> {
        let shown = folder.display();
        if self.allowed.is_empty() {
            return Err(ServiceError::Forbidden(
                "this server takes no folders: its administrator allows some with \
                 `--allow-folder DIR`"
                    .to_owned(),
            ));
        }
        if !is_below(folder, &self.allowed) {
            let allowed: Vec<_> =
                self.allowed.iter().map(|place| format!("`{}`", place.display())).collect();
            return Err(ServiceError::Forbidden(format!(
                "`{shown}` does not exist, or is not below {}",
                allowed.join(" or ")
            )));
        }
        Ok(())
    }

    /// Refuses what would not leave enough of the disk.
    pub(super) fn check_free(&self, bytes: u64) -> Result<(), ServiceError> {
        let place = self.folder.ancestors().find(|place| place.is_dir()).unwrap_or(&self.folder);
        let free = free_bytes(place).map_err(|error| self.unwritable(&error))?;
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        if free >= bytes.saturating_add(self.min_free_bytes) {
            return Ok(());
        }
        Err(ServiceError::NoSpace(format!(
            "the file has {} MiB, and of the {} MiB that are free in `{}`, {} stay free; delete \
             data sets or runs, or move the folder to a larger disk",
            mib(bytes),
            mib(free),
            self.folder.display(),
            mib(self.min_free_bytes)
        )))
    }

    /// A folder that takes nothing.
    pub(super) fn unwritable(&self, error: &std::io::Error) -> ServiceError {
        let folder = self.folder.display();
        ServiceError::NoSpace(format!(
            "the data sets' folder `{folder}` cannot be written ({error})"
        ))
    }

    /// Gives a data set another name.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`], [`ServiceError::Invalid`].
    pub async fn rename(&self, id: &str, title: &str) -> Result<(), ServiceError> {
        let title = name::shown(title.trim().as_bytes());
        let fault =
            if title.is_empty() { Some("is empty".to_owned()) } else { title_fault(&title) };
        if let Some(detail) = fault {
            return Err(ServiceError::Invalid(vec![Violation {
                field: "title".to_owned(),
                detail,
            }]));
        }
        let (datasets, id) = (self.clone(), id.to_owned());
        blocking(move || {
            let mut set = own::read(&datasets.folder, &id).ok_or_else(|| no_such(&id))?;
            set.title = title;
            own::write(&datasets.folder, &id, &set).map_err(|error| datasets.unwritable(&error))
        })
        .await
    }

    /// Prepares the newest version again, with images of another size.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`], [`ServiceError::Conflict`], [`ServiceError::Invalid`].
    pub async fn resize(&self, id: &str, size: u32) -> Result<Arc<Coming>, ServiceError> {
        let set = own::read(&self.folder, id).ok_or_else(|| no_such(id))?;
        let newest = set.versions.last().ok_or_else(|| no_such(id))?;
        let source = own::version(&self.folder, id, &newest.version).join(own::SOURCE);
        let folder = newest.folder.as_ref().map_or(source, PathBuf::from);
        if !folder.exists() {
            let detail = format!("what `{id}` was made of is not here any more; upload it again");
            return Err(ServiceError::Conflict(detail));
        }
        // A folder of ours needs no permission.
        let trusted = newest.folder.is_none();
        let asked = NewDataset {
            id: Some(id.to_owned()),
            title: Some(set.title.clone()),
            file_name: Some(newest.file_name.clone()),
            bytes: Some(newest.file_bytes.max(1)),
            size: Some(size),
            ..NewDataset::default()
        };
        let datasets = self.clone();
        let coming = blocking(move || {
            if !trusted {
                datasets.check_folder(&folder)?;
            }
            let coming = datasets.begin(asked)?;
            let began = coming.set(|record| {
                record.folder = Some(folder);
                record.state = State::Waiting;
            });
            began.map_err(|error| datasets.unwritable(&error))?;
            Ok(coming)
        })
        .await?;
        self.start(&coming);
        Ok(coming)
    }

    /// Gives up what is on its way; its bytes are freed.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`] if nothing is.
    pub async fn abandon(&self, id: &str) -> Result<(), ServiceError> {
        let coming = self.coming(id);
        let coming =
            coming.ok_or_else(|| ServiceError::NotFound { what: format!("upload to `{id}`") })?;
        coming.stop.cancel();
        // A part that is being written, or a preparation, sees that and ends first.
        let _last = coming.writing.lock().await;
        self.forget(&coming).await;
        Ok(())
    }

    /// Removes what came, with its folder.
    pub(super) async fn forget(&self, coming: &Arc<Coming>) {
        let (datasets, coming) = (self.clone(), Arc::clone(coming));
        let done = blocking(move || {
            let mut all = datasets.coming.lock().unwrap_or_else(PoisonError::into_inner);
            if all.get(&coming.id).is_some_and(|known| Arc::ptr_eq(known, &coming)) {
                all.remove(&coming.id);
                fs::remove_dir_all(&coming.folder)?;
            }
            Ok(())
        });
        if let Err(error) = done.await {
            tracing::warn!(%error, "what was uploaded cannot be removed");
        }
    }

    /// Deletes a data set with everything that belongs to it.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`].
    pub async fn delete(&self, id: &str) -> Result<(), ServiceError> {
        let is_coming = self.coming(id).is_some();
        if is_coming {
            self.abandon(id).await?;
        }
        let (datasets, id) = (self.clone(), id.to_owned());
        blocking(move || {
            if own::read(&datasets.folder, &id).is_none() {
                return if is_coming { Ok(()) } else { Err(no_such(&id)) };
            }
            let doomed = datasets.incoming_folder().join(format!(".deleted-{id}"));
            let removed = fs::create_dir_all(datasets.incoming_folder())
                .and_then(|()| fs::rename(datasets.folder.join(&id), &doomed))
                .and_then(|()| fs::remove_dir_all(&doomed));
            removed.map_err(|error| datasets.unwritable(&error))
        })
        .await
    }
}

/// What is wrong with a request, whatever there is already.
fn faults(asked: &NewDataset, file_name: &str) -> Vec<Violation> {
    let mut faults = Vec::new();
    let mut add = |field: &str, detail: String| {
        faults.push(Violation { field: field.to_owned(), detail });
    };
    let ways = [asked.bytes.is_some(), asked.folder.is_some(), asked.fetch.is_some()];
    if ways.iter().filter(|way| **way).count() != 1 {
        add("", "give one of `bytes` (with `file_name`), `folder` and `fetch`".to_owned());
    }
    if let Some(name) = asked.fetch.as_deref().filter(|name| fetch::find(name).is_none()) {
        add("fetch", format!("`{name}` is not known; one of {}", fetch::names()));
    }
    if asked.bytes == Some(0) {
        add("bytes", "the file is empty".to_owned());
    }
    if asked.bytes.is_some() && file_name.is_empty() {
        add("file_name", "is missing".to_owned());
    }
    if asked.size.is_some_and(|size| !(8..=MOST_SIZE).contains(&size)) {
        add("size", format!("must be from 8 to {MOST_SIZE} pixels"));
    }
    if !(0.01..=0.9).contains(&asked.test_share.unwrap_or(TEST_SHARE)) {
        add("test_share", "must be from 0.01 to 0.9".to_owned());
    }
    faults
}

/// The name of what is sent; of a folder its own.
fn file_name(asked: &NewDataset) -> String {
    let given = asked.file_name.as_deref().or(asked.folder.as_deref()).unwrap_or("");
    let last = given.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or("");
    name::shown(last.as_bytes()).chars().take(200).collect()
}

/// A file's name without what tells its format.
fn stem(file_name: &str) -> &str {
    let mut stem = file_name;
    for packed in [".gz", ".zst"] {
        stem = stem.strip_suffix(packed).unwrap_or(stem);
    }
    match stem.rsplit_once('.') {
        Some((before, ending)) if !before.is_empty() && ending.len() <= 4 => before,
        _ if stem.is_empty() => file_name,
        _ => stem,
    }
}

fn title_fault(title: &str) -> Option<String> {
    let long = title.chars().count() > MOST_TITLE;
    long.then(|| format!("must have at most {MOST_TITLE} characters"))
}

/// An id made of a name: what is no small letter or digit becomes `-`.
fn slug(title: &str) -> String {
    let plain = title.to_lowercase();
    let plain = plain.chars().map(|sign| if sign.is_ascii_alphanumeric() { sign } else { '-' });
    let words: Vec<String> = plain
        .collect::<String>()
        .split('-')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let slug: String = words.join("-").chars().take(MOST_ID - 8).collect();
    let slug = slug.trim_matches('-');
    if slug.is_empty() { "data".to_owned() } else { slug.to_owned() }
}

fn free_id(slug: &str, taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2_u32..).map(|number| format!("{slug}-{number}"));
    let mut names = std::iter::once(slug.to_owned()).chain(numbered);
    names.find(|id| !taken(id)).unwrap_or_else(|| slug.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_of_any_name() {
        for (title, id) in [
            ("Flowers", "flowers"),
            ("  My <b>Cats</b> & dogs! ", "my-b-cats-b-dogs"),
            ("Блумы", "data"),
            ("größe 2", "gr-e-2"),
            ("", "data"),
        ] {
            assert_eq!(slug(title), id);
            assert!(dataset::is_id(&slug(title)));
        }
        assert!(dataset::is_id(&slug(&"long name ".repeat(40))));
        let taken = ["a", "a-2"];
        assert_eq!(free_id("a", |id| taken.contains(&id)), "a-3");
    }

    #[test]
    fn a_file_gives_its_name_without_folders_and_endings() {
        let of = |name: &str| {
            file_name(&NewDataset { file_name: Some(name.to_owned()), ..NewDataset::default() })
        };
        assert_eq!(of("C:\\data\\flowers.zip"), "flowers.zip");
        assert_eq!(of("../../etc/passwd"), "passwd");
        assert_eq!(of("/srv/photos/"), "photos");
        assert_eq!(stem("cifar-10-binary.tar.gz"), "cifar-10-binary");
        assert_eq!(stem(".zip"), ".zip");
        assert_eq!(stem("v1.0 photos.pkl"), "v1.0 photos");
    }
}
