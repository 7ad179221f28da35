//! `architecture.json`: one architecture of a space, option by option.

use serde::Serialize;

use crate::choice::Architecture;
use crate::event::Rung;
use crate::graph::{Cost, Graph, Shape};
use crate::spec::{RunSpec, SpaceSpec};

/// Version of the file.
const VERSION: u32 = 1;

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArchitectureFile<'a> {
    /// Version of the layout.
    pub version: u32,
    /// The space with its options.
    pub space: &'a SpaceSpec,
    /// One-line text form.
    pub text: String,
    /// One entry a choice.
    pub choices: Vec<Chosen<'a>>,
    /// What it costs.
    pub cost: Cost,
    /// Shape of an input, without the batch.
    pub input_shape: Option<Shape>,
    /// What it scores with which weights; only of a network that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ladder: Option<&'a [Rung]>,
    /// The rung whose weights are packed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packaged: Option<&'a str>,
}

/// What was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Chosen<'a> {
    /// Name of the parameter tensor that holds the row.
    pub tensor: &'a str,
    /// What was decided.
    pub label: &'a str,
    /// The option.
    pub option: &'a str,
}

impl<'a> ArchitectureFile<'a> {
    /// The file of an architecture of a run's space, which it must belong to
    /// (see [`Architecture::check`]).
    #[must_use]
    pub fn new(
        spec: &'a RunSpec,
        space: &'a Graph,
        architecture: &Architecture,
        cost: Cost,
    ) -> Self {
        let chosen = space.choices.iter().zip(&architecture.0).map(|(choice, option)| Chosen {
            tensor: &choice.tensor,
            label: &choice.label,
            option: &choice.options[*option],
        });
        Self {
            version: VERSION,
            space: &spec.space,
            text: architecture.to_text(spec.space.preset(), &space.choices),
            choices: chosen.collect(),
            cost,
            input_shape: space.input_shape(),
            ladder: None,
            packaged: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spaces::{build, toy_cell::PRESET};
    use crate::spec::Sharing;

    #[test]
    fn what_was_not_measured_is_left_out() {
        let spec = serde_json::json!({
            "dataset": {"id": "fashion-mnist"},
            "space": {"preset": "toy-cell"},
            "search": {"optimizer": {"kind": "drnas"}}
        });
        let spec = RunSpec::parse(&spec).unwrap();
        let graph = build(&spec.space, PRESET.shape, Sharing::Entangled).unwrap();
        let architecture = Architecture(vec![0, 1, 2, 3, 0, 1]);
        let cost = graph.cost(&architecture).unwrap();
        let file = ArchitectureFile::new(&spec, &graph, &architecture, cost);
        let value = serde_json::to_value(&file).unwrap();
        let keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["choices", "cost", "input_shape", "space", "text", "version"]);
        assert_eq!(value["choices"][3]["option"], "dil5");
        let measured = ArchitectureFile { ladder: Some(&[]), packaged: Some("inherited"), ..file };
        let value = serde_json::to_value(measured).unwrap();
        assert_eq!(value["packaged"], "inherited");
    }
}
