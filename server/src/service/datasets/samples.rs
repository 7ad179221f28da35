//! Some images of a prepared data set, to be looked at.

use skein_core::dataset::facts::Facts;

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
            let found = skein_data::samples::list(
                &folder,
                &wanted.split,
                wanted.class,
                wanted.offset,
                wanted.limit,
            )?;
            let samples = found.into_iter().map(|sample| SampleView {
                index: sample.index,
                label: sample.label,
                class: class(&facts, sample.label),
                file: sample.file,
            });
            Ok(SampleList { split: wanted.split, total, samples: samples.collect() })
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
            Ok(skein_data::samples::png(&folder, &split, index)?)
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

fn class(facts: &Facts, label: i64) -> String {
    let at = usize::try_from(label).ok();
    at.and_then(|at| facts.classes.get(at)).cloned().unwrap_or_else(|| label.to_string())
}
