//! Some images of a prepared data set, to be looked at.

use skein_core::dataset::facts::Facts;
use skein_data::{name, samples};

use super::{Datasets, own};
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
