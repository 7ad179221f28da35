//! The form for a new run as a page.

use askama::Template;
use serde::Deserialize;
use serde_json::Value;

use super::examples::{EXAMPLES, Example};
use super::form::{self, Control, Offer, Section};
use super::frame::Frame;
use crate::views::{Training, TrainingAsked};

/// Where the form's values come from.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Query {
    /// Id of a run to clone.
    pub(super) from: String,
    /// Id of a run whose trained supernet is searched again.
    pub(super) again: String,
    /// Id of a run whose architecture is trained again.
    pub(super) train: String,
    /// How, if one is.
    pub(super) preset: Option<Training>,
    /// Another architecture than what the run found.
    pub(super) architecture: String,
    /// Id of an example.
    pub(super) example: String,
    /// Id of a data set to search on.
    pub(super) dataset: String,
}

impl Query {
    /// How an architecture is trained again; unless told otherwise on from its weights, if the run
    /// lends any.
    pub(super) fn training(self, lends: bool) -> TrainingAsked {
        let usual = if lends { Training::FineTune } else { Training::FromScratch };
        TrainingAsked {
            preset: self.preset.unwrap_or(usual),
            architecture: Some(self.architecture).filter(|text| !text.is_empty()).map(Value::from),
            epochs: None,
            name: None,
        }
    }
}

/// The frame of the page, and what there is to choose from.
pub(super) type Base = (Frame, Offer);

/// `/runs/new`.
#[derive(Template)]
#[template(path = "runs/new.html")]
pub(super) struct NewPage {
    frame: Frame,
    examples: &'static [Example],
    /// `defaults`, the id of an example, `dataset`, `clone`, `again` or `train`.
    origin: &'static str,
    /// Id and name of the run that it starts from.
    other: Option<(String, String)>,
    preset: String,
    general: Vec<Control>,
    sections: Vec<Section>,
}

impl NewPage {
    /// The form with every default.
    pub(super) fn defaults(base: Base) -> Self {
        Self::filled(base, "defaults", None, &Value::Null)
    }

    /// The form with an example's values.
    pub(super) fn example(base: Base, example: &Example) -> Self {
        Self::filled(base, example.id, None, &example.spec())
    }

    /// The form with a data set, and with what its report suggests for it.
    pub(super) fn on(base: Base, spec: &Value) -> Self {
        Self::filled(base, "dataset", None, spec)
    }

    /// The form with another run's values.
    pub(super) fn clone_of(base: Base, id: String, name: String, spec: &Value) -> Self {
        Self::filled(base, "clone", Some((id, name)), spec)
    }

    /// The form for another search of a run's trained supernet.
    pub(super) fn again(base: Base, id: String, name: String, mut spec: Value) -> Self {
        spec["search"]["from_run"] = id.clone().into();
        if let Some(general) = spec.as_object_mut() {
            general.insert("name".to_owned(), format!("{name}, again").into());
        }
        Self::filled(base, "again", Some((id, name)), &spec)
    }

    /// The form for another training of what a run found.
    pub(super) fn train(base: Base, id: String, name: String, spec: &Value) -> Self {
        Self::filled(base, "train", Some((id, name)), spec)
    }

    fn filled(
        (frame, offer): Base,
        origin: &'static str,
        other: Option<(String, String)>,
        spec: &Value,
    ) -> Self {
        let preset = match form::text(form::at(spec, "space.preset")) {
            preset if preset.is_empty() => skein_core::spaces::PRESETS[0].preset.to_owned(),
            preset => preset,
        };
        Self {
            examples: EXAMPLES,
            origin,
            other,
            preset,
            general: form::general(spec, &offer),
            sections: form::sections(spec, &offer),
            frame,
        }
    }
}
