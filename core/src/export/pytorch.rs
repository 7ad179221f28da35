//! A fixed network as one readable Python module that needs PyTorch and nothing else.
//!
//! Names follow the graph's: the network's `state_dict` has exactly the names of
//! [`Graph::params`], and `num_batches_tracked` beside each batch norm's running statistics. Nodes
//! whose names begin alike become a class where they have one result (`scope`); classes that
//! differ in numbers only become one class with arguments (`class`).

mod attributes;
mod class;
mod classes;
mod code;
mod forward;
mod scope;

pub(super) use code::Code;

use super::{About, ExportError, fixed_shapes, input_name, nodes};
use crate::choice::Architecture;
use crate::graph::{Graph, Shape};
use classes::Classes;

/// Reads the weights; the same for every network.
const LOAD: &str = include_str!("pytorch/layers/load.py");

/// Where a node stands in the Python.
#[derive(Debug)]
pub(super) struct At<'a> {
    /// The attribute that holds its module, as in `self.conv1`.
    pub(super) me: String,
    /// Variables that hold its inputs.
    pub(super) inputs: Vec<String>,
    /// The attribute of the embedding whose table it shares, if any.
    pub(super) tied: String,
    /// Shape of its value, without the batch dimension.
    pub(super) shape: &'a Shape,
}

impl At<'_> {
    /// The variable of its first input.
    pub(super) fn x(&self) -> &str {
        self.inputs.first().map_or("", String::as_str)
    }
}

/// What a node becomes in Python.
#[derive(Debug)]
pub(super) struct Layer {
    /// Its module, if it stores something or acts differently while training.
    pub(super) module: Option<Code>,
    /// Its value.
    pub(super) value: Code,
    /// A class that the module needs, as text.
    pub(super) helper: Option<&'static str>,
}

impl Layer {
    /// A module that is called with the input.
    pub(super) fn module(at: &At<'_>, module: Code) -> Self {
        let value = Code::text(format!("{}({})", at.me, at.x()));
        Self { module: Some(module), value, helper: None }
    }

    /// An expression.
    pub(super) fn function(value: Code) -> Self {
        Self { module: None, value, helper: None }
    }

    /// The same with a class that it needs.
    pub(super) fn with(self, helper: &'static str) -> Self {
        Self { helper: Some(helper), ..self }
    }
}

/// Writes `model.py`.
///
/// # Errors
/// - [`ExportError::Open`] if the graph is not one fixed network, [`ExportError::Graph`] if its
///   shapes do not fit.
pub fn module(graph: &Graph, about: &About<'_>) -> Result<String, ExportError> {
    let shapes = fixed_shapes(graph)?;
    let root = scope::root(graph);
    let walk = Walk { graph, shapes: &shapes };
    let classes = Classes::of(&walk, &root);
    let used = classes.helpers.iter().map(|helper| (*helper).to_owned());
    let parts: Vec<String> = used.chain(classes.texts()).chain([LOAD.to_owned()]).collect();
    let body = parts.join("\n\n");
    let mut text = heading(graph, about, &shapes)?;
    text += "import json\nfrom pathlib import Path\n\nimport torch\nfrom torch import nn\n";
    if body.contains("F.") {
        text += "from torch.nn import functional as F\n";
    }
    Ok(text + "\n\n" + &body)
}

/// What all parts of the walk know.
struct Walk<'a> {
    graph: &'a Graph,
    shapes: &'a [Shape],
}

/// The module's documentation.
fn heading(graph: &Graph, about: &About<'_>, shapes: &[Shape]) -> Result<String, ExportError> {
    let cost = graph.cost(&Architecture(vec![]))?;
    let (input, said) = (input_name(graph), |text: &str| text.replace(['\\', '"'], "'"));
    let (read, given) = (&shapes[0], &shapes[graph.output]);
    let (read, given, sizes) = match (input, &read[..]) {
        ("tokens", [context]) => {
            let sizes =
                format!("N is the size of a batch, T the number of tokens, up to {context}.");
            ("[N, T], integers".to_owned(), dims(&given[1..]).replace("[N", "[N, T"), sizes)
        }
        _ => (dims(read), dims(given), "N is the size of a batch.".to_owned()),
    };
    Ok(format!(
        "\"\"\"{}: {}\n\n\
         {} parameters, {} multiply-accumulates for one example. Written by Skein;\n\
         needs PyTorch 2.1 or newer and nothing else:\n\n    \
         import model\n\n    \
         network = model.load()  # weights of model.safetensors beside it\n    \
         logits = network({input})  # {read}, to {given}\n\n\
         {sizes}\n\"\"\"\n\n",
        said(about.title),
        said(about.architecture),
        thousands(cost.params),
        thousands(cost.macs),
    ))
}

/// A shape with its batch dimension.
fn dims(shape: &[i64]) -> String {
    let sizes = shape.iter().map(|size| format!(", {size}"));
    format!("[N{}]", sizes.collect::<String>())
}

/// A number with commas.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
