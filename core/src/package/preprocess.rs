//! What an input must go through before the network reads it.

use serde::{Deserialize, Serialize};

use crate::dataset::{DataKind, Dataset};
use crate::export::input_name;
use crate::folder;
use crate::graph::{Graph, GraphError};
use crate::spec::{DatasetSpec, Tokens};

/// Version of `preprocess.json`.
pub const VERSION: u32 = 1;

/// `preprocess.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preprocess {
    /// Version of this schema.
    pub version: u32,
    /// What is done.
    #[serde(flatten)]
    pub input: Input,
}

/// How an input is made of an image or a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Input {
    /// Pixels of `0..=255` are divided by 255, then, channel by channel, the mean is taken away and
    /// the rest divided by the standard deviation.
    Images {
        /// Name of the input in `model.onnx`.
        name: String,
        /// Order of the dimensions.
        layout: String,
        /// Channels, height, width.
        shape: [i64; 3],
        /// How an image of another size becomes one of this; absent in older packages.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resize: Option<Resize>,
        /// What pixels are divided by.
        divide: f64,
        /// Mean of each channel, after that.
        mean: Vec<f64>,
        /// Standard deviation of each channel, after that.
        std: Vec<f64>,
        /// Names of the outputs, in order.
        classes: Vec<String>,
    },
    /// A text becomes numbers of tokens.
    Text {
        /// Name of the input in `model.onnx`.
        name: String,
        /// Order of the dimensions.
        layout: String,
        /// Most tokens at once.
        context: i64,
        /// Different tokens.
        vocabulary: i64,
        /// What they are.
        tokens: Tokens,
        /// The file of this package that says which number a token has.
        file: String,
    },
}

/// How an image of any size becomes one of the input's: in training, if it is a person's own, and in
/// a prediction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resize {
    /// `centre`: the largest part in the middle with the input's ratio of width to height.
    pub part: String,
    /// `triangle`: that part is scaled with a triangle as wide as the scale asks for (bilinear with
    /// antialiasing).
    pub filter: String,
}

impl Default for Resize {
    fn default() -> Self {
        Self { part: "centre".to_owned(), filter: "triangle".to_owned() }
    }
}

impl Preprocess {
    /// For a network of a data set.
    ///
    /// # Errors
    /// - [`GraphError::Shape`] if the network does not fit itself.
    pub fn of(dataset: &Dataset, spec: &DatasetSpec, network: &Graph) -> Result<Self, GraphError> {
        let shapes = network.shapes()?;
        let size = |at: usize| shapes[0].get(at).copied().unwrap_or(1);
        let name = input_name(network).to_owned();
        let input = match dataset.kind {
            DataKind::Images => Input::Images {
                name,
                layout: "NCHW".to_owned(),
                shape: [size(0), size(1), size(2)],
                resize: Some(Resize::default()),
                divide: 255.0,
                mean: dataset.mean.to_vec(),
                std: dataset.std.to_vec(),
                classes: dataset.classes.iter().map(|name| (*name).to_owned()).collect(),
            },
            DataKind::Text => {
                let tokens = spec.tokens.unwrap_or(Tokens::Characters);
                Input::Text {
                    name,
                    layout: "NT".to_owned(),
                    context: size(0),
                    vocabulary: shapes[network.output].last().copied().unwrap_or(0),
                    tokens,
                    file: match tokens {
                        Tokens::Characters => folder::VOCABULARY,
                        Tokens::Bpe => folder::TOKENIZER,
                    }
                    .to_owned(),
                }
            }
        };
        Ok(Self { version: VERSION, input })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dataset::{self, DataShape};
    use crate::spaces;
    use crate::spec::{RunSpec, Sharing};

    fn of(dataset: &str, preset: &str, classes: i64) -> serde_json::Value {
        let spec = json!({
            "dataset": {"id": dataset}, "space": {"preset": preset},
            "search": {"optimizer": {"kind": "drnas"}},
        });
        let spec = RunSpec::parse(&spec).unwrap();
        let known = dataset::find(dataset).unwrap();
        let shape = DataShape { classes, ..known.shape };
        let network = spaces::build(&spec.space, shape, Sharing::Entangled).unwrap();
        let said = Preprocess::of(known, &spec.dataset, &network).unwrap();
        let value = json!(said);
        assert_eq!(serde_json::from_value::<Preprocess>(value.clone()).unwrap(), said);
        value
    }

    #[test]
    fn images_are_scaled_and_normalised() {
        let said = of("cifar-10", "nas-bench-201", 10);
        assert_eq!((&said["kind"], &said["layout"]), (&json!("images"), &json!("NCHW")));
        assert_eq!((&said["shape"], &said["divide"]), (&json!([3, 32, 32]), &json!(255.0)));
        assert_eq!(said["mean"].as_array().unwrap().len(), 3);
        assert_eq!(said["classes"][9], "truck");
    }

    #[test]
    fn texts_become_numbers_by_a_file_of_the_package() {
        let said = of("text", "language", 4096);
        let expected = json!({
            "version": 1, "kind": "text", "name": "tokens", "layout": "NT", "context": 224,
            "vocabulary": 4096, "tokens": "bpe", "file": "tokenizer.json",
        });
        assert_eq!(said, expected);
        assert_eq!(of("text", "language-char", 65)["file"], "vocabulary.json");
    }
}
