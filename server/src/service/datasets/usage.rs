//! Who uses a data set.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::service::ServiceError;
use crate::service::entry::Entry;
use crate::service::runs::Runs;
use crate::views::DatasetView;

/// Most runs that a refusal names.
const MOST_NAMED: usize = 5;

impl Runs {
    /// The runs on a data set, oldest first.
    #[must_use]
    pub fn using(&self, id: &str) -> Vec<Arc<Entry>> {
        self.all().into_iter().filter(|entry| entry.spec.dataset.id == id).collect()
    }

    /// All data sets, each with how many runs use it.
    ///
    /// # Errors
    /// - [`ServiceError::Task`].
    pub async fn list_datasets(&self) -> Result<Vec<DatasetView>, ServiceError> {
        let mut uses: BTreeMap<String, u64> = BTreeMap::new();
        for entry in self.all() {
            *uses.entry(entry.spec.dataset.id.clone()).or_default() += 1;
        }
        let list = self.datasets.list().await?.into_iter();
        Ok(list
            .map(|view| DatasetView { runs: uses.remove(&view.id).unwrap_or(0), ..view })
            .collect())
    }

    /// One data set, with how many runs use it.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`].
    pub async fn show_dataset(&self, id: &str) -> Result<DatasetView, ServiceError> {
        let view = self.datasets.show(id).await?;
        Ok(DatasetView { runs: self.using(id).len() as u64, ..view })
    }

    /// Deletes a data set that no run needs any more.
    ///
    /// # Errors
    /// - [`ServiceError::Conflict`] if a run that has not ended uses it; [`ServiceError::NotFound`].
    pub async fn delete_dataset(&self, id: &str) -> Result<(), ServiceError> {
        let active: Vec<String> = self
            .using(id)
            .iter()
            .filter(|entry| !entry.status().is_ended())
            .map(|entry| format!("`{}`", entry.view().name))
            .collect();
        if active.is_empty() {
            return self.datasets.delete(id).await;
        }
        let more = match active.len().saturating_sub(MOST_NAMED) {
            0 => String::new(),
            others => format!(" and {others} others"),
        };
        let named = active.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
        Err(ServiceError::Conflict(format!(
            "runs that have not ended use `{id}`: {named}{more}; cancel them first"
        )))
    }
}
