//! Training an architecture that a run found, in a run of its own.

use serde_json::{Value, json};
use skein_core::spec::{Inherit, Violation};

use super::ServiceError;
use super::create::Created;
use super::entry::Entry;
use super::runs::Runs;
use crate::domain::ids::RunId;
use crate::domain::run::RunStatus;
use crate::views::{Training, TrainingAsked};

/// Epochs of a fine-tuning, if neither the request nor the run says how many.
pub const FINE_TUNE: u64 = 10;
/// Epochs of a training from scratch, likewise.
pub const FROM_SCRATCH: u64 = 100;

impl Runs {
    /// Queues a run that measures or trains an architecture of another run.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`]; [`ServiceError::Conflict`] if the run has no architecture or
    ///   no weights to go on from; those of [`Runs::create`].
    pub async fn train(
        &self,
        id: RunId,
        asked: TrainingAsked,
        key: Option<String>,
    ) -> Result<Created, ServiceError> {
        let spec = self.training(id, asked)?;
        self.create(spec, key).await
    }

    /// The specification of such a run, everything else as in the run that it starts from.
    ///
    /// # Errors
    /// - [`ServiceError::NotFound`]; [`ServiceError::Conflict`] as above.
    pub fn training(&self, id: RunId, asked: TrainingAsked) -> Result<Value, ServiceError> {
        let entry = self.entry(id)?;
        let view = entry.view();
        let own = match (&view.summary, &view.architecture) {
            (Some(summary), _) => Some(summary.architecture.clone()),
            (None, now) => now.as_ref().map(|now| now.text.clone()),
        };
        let architecture = match (asked.architecture, own) {
            (Some(given), _) => given,
            (None, Some(own)) => own.into(),
            (None, None) => {
                return Err(ServiceError::Conflict(
                    "the run has derived no architecture yet; give one as `architecture`".into(),
                ));
            }
        };
        let inherit = inherit(&entry, asked.preset)?;
        let mut spec = entry.spec.to_value();
        spec["name"] = asked.name.unwrap_or_else(|| name(&view.name, asked.preset)).into();
        spec["constraints"] = json!({});
        if let Some(search) = spec["search"].as_object_mut() {
            for field in ["epochs", "second_stage", "inherit", "reset_head"] {
                search.remove(field);
            }
            let optimizer = json!({"kind": "fixed", "architecture": architecture});
            search.insert("optimizer".to_owned(), optimizer);
            search.insert("from_run".to_owned(), id.to_string().into());
            search.insert("inherit".to_owned(), json!(inherit));
        }
        spec["after"]["finalists"] = json!({});
        epochs(&mut spec["after"], asked.preset, asked.epochs)?;
        Ok(spec)
    }
}

/// What the new run inherits of the one that it starts from.
fn inherit(entry: &Entry, training: Training) -> Result<Inherit, ServiceError> {
    let succeeded = entry.status() == RunStatus::Succeeded;
    match &entry.spec.search.optimizer {
        _ if !succeeded && training == Training::FromScratch => Ok(Inherit::None),
        _ if !succeeded => Err(ServiceError::Conflict(format!(
            "only a run that has succeeded lends weights; this one is {}",
            entry.status()
        ))),
        optimizer if optimizer.lends_weights() => Ok(Inherit::Supernet),
        _ => Ok(Inherit::Result),
    }
}

fn name(of: &str, training: Training) -> String {
    let what = match training {
        Training::Inherit => "measured",
        Training::FineTune => "fine-tuned",
        Training::FromScratch => "from scratch",
    };
    format!("{of}, {what}")
}

/// How long a training was in the run that another starts from, or is usually.
#[must_use]
pub fn usual_epochs(after: &Value, stage: &str, usual: u64) -> u64 {
    after[stage]["epochs"].as_u64().filter(|epochs| *epochs > 0).unwrap_or(usual)
}

/// How long each training of the new run is.
fn epochs(after: &mut Value, training: Training, asked: Option<u64>) -> Result<(), ServiceError> {
    if training == Training::Inherit && asked.is_some() {
        let detail = "must be left out: nothing is trained".to_owned();
        return Err(ServiceError::Invalid(vec![Violation { field: "epochs".to_owned(), detail }]));
    }
    for (stage, of, usual) in [
        ("fine_tune", Training::FineTune, FINE_TUNE),
        ("from_scratch", Training::FromScratch, FROM_SCRATCH),
    ] {
        let epochs = asked.unwrap_or_else(|| usual_epochs(after, stage, usual));
        after[stage]["epochs"] = if training == of { epochs } else { 0 }.into();
    }
    after["packaged"] = "best".into();
    Ok(())
}
