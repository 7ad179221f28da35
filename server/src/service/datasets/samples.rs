//! Some images of a prepared data set, to be looked at.

use serde_json::{Value, json};
use skein_core::dataset::facts::Facts;
use skein_core::event::FailureClass;
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

impl Datasets {
    /// Images of a split, in their order.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`].
    pub async fn samples(&self, id: &str, wanted: Wanted) -> Result<SampleList, ServiceError> {
        let (datasets, id) = (self.clone(), id.to_owned());
        blocking(move || {
            let version = datasets.version(&id, wanted.version.clone())?;
            let facts = own::facts(&datasets.folder, &id, &version)?;
            let total = images(&facts, &wanted.split)?;
            let folder = own::version(&datasets.folder, &id, &version);
            let Wanted { split, class, offset, limit, .. } = wanted;
            let places = samples::places(&folder, &split, class, offset, limit)?;
            let found = samples::images(&folder, &split, &places)?;
            let view = |(index, sample): (u64, samples::Sample)| SampleView {
                index,
                label: sample.label,
                class: class_name(&facts, sample.label),
                file: name::shown(sample.line.name.as_bytes()),
            };
            let samples = places.into_iter().zip(found).map(view);
            Ok(SampleList { samples: samples.collect(), split, total })
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
            let version = datasets.version(&id, version)?;
            let facts = own::facts(&datasets.folder, &id, &version)?;
            if index >= images(&facts, &split)? {
                return Err(ServiceError::NotFound { what: format!("image {index} of `{split}`") });
            }
            let folder = own::version(&datasets.folder, &id, &version);
            Ok(samples::png(&folder, &split, index)?)
        })
        .await
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

fn images(facts: &Facts, split: &str) -> Result<u64, ServiceError> {
    match split {
        "train" => Ok(facts.train),
        "test" => Ok(facts.test),
        _ => {
            Err(ServiceError::NotFound { what: format!("split `{split}`; take `train` or `test`") })
        }
    }
}

fn class_name(facts: &Facts, label: i64) -> String {
    let at = usize::try_from(label).ok();
    at.and_then(|at| facts.classes.get(at)).cloned().unwrap_or_else(|| label.to_string())
}
