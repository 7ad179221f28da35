//! Some images of a data set, to be looked at.

use std::io;
use std::path::PathBuf;

use serde_json::{Value, json};
use skein_core::dataset::facts::Facts;
use skein_core::dataset::{self, Dataset};
use skein_core::event::FailureClass;
use skein_data::known::Known;
use skein_data::{name, samples};

use super::{Datasets, own};
use crate::executor::samples::{DrawError, Drawing};
use crate::service::{ServiceError, blocking};
use crate::views::{SampleList, SampleView};

/// Which images are wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// `train` or `test`.
    pub split: String,
    /// Only of this class.
    pub class: Option<i64>,
    /// So many are passed over.
    pub offset: u64,
    /// Most of them.
    pub limit: usize,
    /// Version; the newest unless one is named.
    pub version: Option<String>,
}

/// Where the images of a data set are.
enum Pictures {
    /// In a version that was prepared.
    Prepared { folder: PathBuf, facts: Box<Facts> },
    /// In the files of a data set that is known by name.
    Known { folder: PathBuf, dataset: &'static Dataset },
}

impl Pictures {
    fn total(&self, split: &str) -> Result<u64, ServiceError> {
        match (self, split) {
            (Self::Prepared { facts, .. }, "train") => Ok(facts.train),
            (Self::Prepared { facts, .. }, "test") => Ok(facts.test),
            (Self::Known { folder, dataset }, "train" | "test") => {
                Ok(Known { folder, dataset, split }.count()?)
            }
            _ => {
                let what = format!("split `{split}`; take `train` or `test`");
                Err(ServiceError::NotFound { what })
            }
        }
    }

    fn classes(&self) -> &[String] {
        match self {
            Self::Prepared { facts, .. } => &facts.classes,
            Self::Known { dataset, .. } => &dataset.classes,
        }
    }

    fn places(&self, wanted: &Wanted) -> io::Result<Vec<u64>> {
        let Wanted { split, class, offset, limit, .. } = wanted;
        match self {
            Self::Prepared { folder, .. } => {
                samples::places(folder, split, *class, *offset, *limit)
            }
            Self::Known { folder, dataset } => {
                Known { folder, dataset, split }.places(*class, *offset, *limit)
            }
        }
    }

    fn images(&self, split: &str, places: &[u64]) -> io::Result<Vec<samples::Sample>> {
        match self {
            Self::Prepared { folder, .. } => samples::images(folder, split, places),
            Self::Known { folder, dataset } => Known { folder, dataset, split }.images(places),
        }
    }
}

impl Datasets {
    /// Images of a split, in their order.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`].
    pub async fn samples(&self, id: &str, wanted: Wanted) -> Result<SampleList, ServiceError> {
        let (datasets, id) = (self.clone(), id.to_owned());
        blocking(move || {
            let pictures = datasets.pictures(&id, wanted.version.clone())?;
            let total = pictures.total(&wanted.split)?;
            let places = pictures.places(&wanted)?;
            let found = pictures.images(&wanted.split, &places)?;
            let view = |(index, sample): (u64, samples::Sample)| SampleView {
                index,
                label: sample.label,
                class: class_name(pictures.classes(), sample.label),
                file: name::shown(sample.line.name.as_bytes()),
            };
            let samples = places.into_iter().zip(found).map(view);
            Ok(SampleList { samples: samples.collect(), split: wanted.split, total })
        })
        .await
    }

    /// One image as a PNG file.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`].
    pub async fn sample(
        &self,
        id: &str,
        split: String,
        index: u64,
        version: Option<String>,
    ) -> Result<Vec<u8>, ServiceError> {
        let (datasets, id) = (self.clone(), id.to_owned());
        blocking(move || {
            let pictures = datasets.pictures(&id, version)?;
            let found = if index < pictures.total(&split)? {
                pictures.images(&split, &[index])?.pop()
            } else {
                None
            };
            let what = || format!("image {index} of `{split}`");
            let sample = found.ok_or_else(|| ServiceError::NotFound { what: what() })?;
            Ok(sample.png()?)
        })
        .await
    }

    fn pictures(&self, id: &str, version: Option<String>) -> Result<Pictures, ServiceError> {
        if let Some(known) = dataset::find(id) {
            let folder = self.folder.join(id);
            return match self.problem(known) {
                None => Ok(Pictures::Known { folder, dataset: known }),
                Some(_) => Err(ServiceError::NotFound { what: format!("a file of `{id}`") }),
            };
        }
        let version = self.version(id, version)?;
        let facts = Box::new(own::facts(&self.folder, id, &version)?);
        Ok(Pictures::Prepared { folder: own::version(&self.folder, id, &version), facts })
    }
}

impl Datasets {
    /// A sheet of training images, each beside views of it that a search would see, as a PNG file.
    /// `settings` are sections `dataset` and `search` of a specification; without any, those that the
    /// report suggests.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`]; [`ServiceError::Invalid`] or [`ServiceError::Refused`] if the
    ///   settings do not fit; [`ServiceError::Busy`].
    pub async fn augmented(
        &self,
        id: &str,
        settings: Option<Value>,
        mut asked: Drawing,
    ) -> Result<Vec<u8>, ServiceError> {
        let mut spec = match settings {
            Some(settings) => settings,
            None => self.suggested(id).await?,
        };
        spec["dataset"]["id"] = id.into();
        let filled = self.fill_in(&mut spec);
        filled.map_err(|violation| ServiceError::Invalid(vec![violation]))?;
        asked.spec = json!({"dataset": spec["dataset"], "search": spec["search"]});
        let out = self.incoming_folder().join(format!(".sheet-{}.png", uuid::Uuid::now_v7()));
        let made = out.parent().map_or(Ok(()), std::fs::create_dir_all);
        made.map_err(|error| self.unwritable(&error))?;
        let drawn = self.drawer.draw(&self.folder, &asked, &out).await;
        let bytes = tokio::fs::read(&out).await;
        let _ = tokio::fs::remove_file(&out).await;
        match drawn {
            Ok(()) => Ok(bytes?),
            Err(DrawError::Busy) => Err(ServiceError::Busy(DrawError::Busy.to_string())),
            Err(DrawError::Refused(failure)) if failure.class == FailureClass::User => {
                let (code, message) = ("not_drawn".to_owned(), failure.message);
                Err(ServiceError::Refused { code, message })
            }
            Err(error) => Err(ServiceError::Io(std::io::Error::other(error))),
        }
    }
}

fn class_name(classes: &[String], label: i64) -> String {
    let at = usize::try_from(label).ok();
    at.and_then(|at| classes.get(at)).cloned().unwrap_or_else(|| label.to_string())
}
