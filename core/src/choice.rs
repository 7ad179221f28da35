//! Decisions of a search space, and architectures: one option per decision.

use serde::{Deserialize, Serialize};

/// Index of a choice within its graph.
pub type ChoiceId = usize;

/// One decision with its options; its architecture parameters are one *row*.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Name of the parameter tensor that holds the row, for example `normal`.
    pub tensor: String,
    /// What is decided, unique within the tensor, for example `0→1`.
    pub label: String,
    /// Names of the options in row order, for example `sep3`.
    pub options: Vec<String>,
    /// Where the decision sits, for drawings.
    pub site: Site,
    /// The decision matters only while another one has one of these options, as for layers
    /// beyond the depth; otherwise always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<(ChoiceId, Vec<usize>)>,
}

impl Choice {
    /// Tensor and label together, unique within a graph.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.tensor, self.label)
    }

    /// It has no such option.
    pub(crate) fn lacks(&self, option: &str) -> ArchitectureError {
        ArchitectureError::Option {
            choice: self.name(),
            option: option.to_owned(),
            options: self.options.join(", "),
        }
    }
}

/// Where in the network a choice acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Site {
    /// The operation on an edge of a cell.
    Edge {
        /// Name of the cell, for example `normal`.
        cell: String,
        /// Node that the edge leaves.
        from: usize,
        /// Node that the edge enters.
        to: usize,
    },
    /// A property of a layer, or of the whole network.
    Layer {
        /// Where it acts, for example `conv1` or `block3`; `network` for all of it.
        layer: String,
        /// What is decided, for example `channels`.
        property: String,
    },
}

/// One option per choice, in the order of the graph's choices.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Architecture(pub Vec<usize>);

/// Why an architecture does not belong to a space.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchitectureError {
    /// The number of entries differs from the number of choices.
    #[error("the space has {expected} choices, the architecture has {got}")]
    Length {
        /// Choices of the space.
        expected: usize,
        /// Entries of the architecture.
        got: usize,
    },
    /// An option that the choice does not have.
    #[error("choice `{choice}` has no option `{option}`; it has {options}")]
    Option {
        /// The choice.
        choice: String,
        /// What was asked for.
        option: String,
        /// What there is.
        options: String,
    },
    /// The text is not of the form `preset|tensor=option,option|…`.
    #[error("cannot read `{text}` as an architecture: {reason}")]
    Text {
        /// The part that could not be read.
        text: String,
        /// What was expected.
        reason: String,
    },
    /// A text of another form that cannot be read at some place.
    #[error("line {line}, column {column}: {reason}; found {found}")]
    Place {
        /// Line of the text, from 1.
        line: usize,
        /// Sign of the line, from 1.
        column: usize,
        /// What stands there.
        found: String,
        /// What was expected, or what is wrong with it.
        reason: String,
    },
}

impl Architecture {
    /// Checks that every entry names an option of its choice.
    ///
    /// # Errors
    /// - [`ArchitectureError::Length`] or [`ArchitectureError::Option`].
    pub fn check(&self, choices: &[Choice]) -> Result<(), ArchitectureError> {
        if self.0.len() != choices.len() {
            return Err(ArchitectureError::Length { expected: choices.len(), got: self.0.len() });
        }
        for (&option, choice) in self.0.iter().zip(choices) {
            if option >= choice.options.len() {
                return Err(choice.lacks(&option.to_string()));
            }
        }
        Ok(())
    }

    /// The option with the largest entry of each row; the first of equals wins.
    #[must_use]
    pub fn argmax<R: AsRef<[f64]>>(rows: &[R]) -> Self {
        Self(rows.iter().map(|row| argmax(row.as_ref())).collect())
    }

    /// One-line text form, for example `toy-cell|normal=sep3,sep5,dil3|reduce=sep3,sep3,dil5`.
    ///
    /// The architecture must belong to `choices` (see [`Architecture::check`]).
    #[must_use]
    pub fn to_text(&self, preset: &str, choices: &[Choice]) -> String {
        let mut text = preset.to_owned();
        let mut tensor = None;
        for (&option, choice) in self.0.iter().zip(choices) {
            if tensor == Some(&choice.tensor) {
                text.push(',');
            } else {
                text.push('|');
                text.push_str(&choice.tensor);
                text.push('=');
                tensor = Some(&choice.tensor);
            }
            text.push_str(choice.options.get(option).map_or("?", String::as_str));
        }
        text
    }

    /// Reads the text form back.
    ///
    /// # Errors
    /// - [`ArchitectureError`] if the text names another space, tensor or option.
    pub fn parse(text: &str, preset: &str, choices: &[Choice]) -> Result<Self, ArchitectureError> {
        let bad = |part: &str, reason: &str| ArchitectureError::Text {
            text: part.to_owned(),
            reason: reason.to_owned(),
        };
        let mut parts = text.trim().split('|');
        if parts.next() != Some(preset) {
            return Err(bad(text, &format!("it should begin with `{preset}|`")));
        }
        let mut picked = Vec::with_capacity(choices.len());
        for part in parts {
            let (tensor, options) =
                part.split_once('=').ok_or_else(|| bad(part, "expected `tensor=option,…`"))?;
            for option in options.split(',') {
                let Some(choice) = choices.get(picked.len()) else {
                    return Err(bad(part, "more options than the space has choices"));
                };
                if choice.tensor != tensor {
                    return Err(bad(part, &format!("expected `{}=…` here", choice.tensor)));
                }
                let index = choice.options.iter().position(|known| known == option.trim());
                picked.push(index.ok_or_else(|| choice.lacks(option))?);
            }
        }
        let architecture = Self(picked);
        architecture.check(choices)?;
        Ok(architecture)
    }
}

/// Index of the largest entry; the first of equals wins, an empty row gives 0.
#[must_use]
pub fn argmax(row: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn choices() -> Vec<Choice> {
        let edge = |tensor: &str, to| Choice {
            tensor: tensor.to_owned(),
            label: format!("0→{to}"),
            options: ["sep3", "sep5", "dil3"].map(str::to_owned).to_vec(),
            site: Site::Edge { cell: tensor.to_owned(), from: 0, to },
            when: None,
        };
        vec![edge("normal", 1), edge("normal", 2), edge("reduce", 1)]
    }

    proptest! {
        #[test]
        fn text_round_trips(picked in proptest::collection::vec(0_usize..3, 3)) {
            let architecture = Architecture(picked);
            let text = architecture.to_text("toy", &choices());
            prop_assert_eq!(Architecture::parse(&text, "toy", &choices()), Ok(architecture));
        }
    }

    #[test]
    fn wrong_text_is_refused_with_the_reason() {
        let message = |text: &str| {
            Architecture::parse(text, "toy", &choices()).map_err(|error| error.to_string())
        };
        insta::assert_debug_snapshot!(
            ["x", "toy|normal=sep3", "toy|normal=sep3,sep9|reduce=sep3", "toy|reduce=sep3"].map(message),
            @r#"
        [
            Err(
                "cannot read `x` as an architecture: it should begin with `toy|`",
            ),
            Err(
                "the space has 3 choices, the architecture has 1",
            ),
            Err(
                "choice `normal 0→2` has no option `sep9`; it has sep3, sep5, dil3",
            ),
            Err(
                "cannot read `reduce=sep3` as an architecture: expected `normal=…` here",
            ),
        ]
        "#
        );
    }

    #[test]
    fn the_first_of_equals_wins() {
        assert_eq!(Architecture::argmax(&[[0.2, 0.4, 0.4], [0.5, 0.5, 0.0]]).0, [1, 0]);
    }
}
