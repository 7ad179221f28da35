//! A fixed network as an ONNX model with its weights.
//!
//! Operator set 17, the first with a node for layer norm, which every runtime since 2022 reads. The
//! size of a batch stays open, and so does the number of tokens of a language model, up to its
//! context. The input is `images` or `tokens`, the output `logits`; initializers have the names of
//! [`Graph::params`]. Values within a node are called after it, as in `block0.attention/weights`.

mod proto;
mod writer;

pub(super) use proto::Attribute;
pub(super) use writer::Writer;

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{About, ExportError, fixed_shapes, input_name, nodes};
use crate::graph::{Graph, Shape};
use proto::{Element, Tensor, Value};

/// Operator set of the models.
pub const OPSET: i64 = 17;
/// Version of the file format that came with it.
const IR_VERSION: i64 = 8;
/// Name of the output.
pub const OUTPUT: &str = "logits";

/// Tensors by their names, as numbers of four bytes, the least significant first.
pub type Weights<'a> = BTreeMap<String, &'a [u8]>;

/// Where a node stands in the graph.
#[derive(Debug)]
pub(super) struct At<'a> {
    /// The node's name.
    pub(super) name: &'a str,
    /// What its value is called.
    pub(super) value: String,
    /// Names of the values that it reads.
    pub(super) inputs: Vec<String>,
    /// The embedding whose table it shares, if any.
    pub(super) tied: &'a str,
    /// Shape of the first value that it reads, without the batch dimension.
    pub(super) read: &'a Shape,
    /// Shape of its value, likewise.
    pub(super) shape: &'a Shape,
}

impl At<'_> {
    /// Its first input.
    pub(super) fn x(&self) -> &str {
        self.inputs.first().map_or("", String::as_str)
    }

    /// All of its inputs.
    pub(super) fn all(&self) -> Vec<&str> {
        self.inputs.iter().map(String::as_str).collect()
    }

    /// One of its tensors.
    pub(super) fn param(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }
}

/// Writes `model.onnx`.
///
/// # Errors
/// - [`ExportError::Open`] or [`ExportError::Graph`] if the graph is not one fixed network,
///   [`ExportError::Missing`] or [`ExportError::Length`] if a tensor is not there or of another
///   size.
pub fn model(
    graph: &Graph,
    about: &About<'_>,
    weights: &Weights<'_>,
) -> Result<Vec<u8>, ExportError> {
    let shapes = fixed_shapes(graph)?;
    let input = input_name(graph);
    let mut writer = Writer::default();
    for param in graph.params() {
        let bytes = weights
            .get(&param.name)
            .ok_or_else(|| ExportError::Missing { name: param.name.clone() })?;
        let count: i64 = param.shape.iter().product();
        let expected = 4 * usize::try_from(count).unwrap_or(0);
        if bytes.len() != expected {
            let (name, got) = (param.name, bytes.len());
            return Err(ExportError::Length { name, got, expected });
        }
        writer.tensor(Tensor {
            name: &param.name,
            element: Element::Float,
            dims: &param.shape,
            bytes: Cow::Borrowed(bytes),
        });
    }
    let mut values = vec![input.to_owned()];
    for (id, node) in graph.nodes.iter().enumerate().skip(1) {
        let value = match node.name.as_str() {
            _ if id == graph.output => OUTPUT.to_owned(),
            name if [input, OUTPUT].contains(&name) => format!("{name}/value"),
            name => name.to_owned(),
        };
        let inputs = node.inputs.iter().map(|input| values[*input].clone()).collect();
        let tied = node.table().map_or("", |table| graph.nodes[table].name.as_str());
        let read = &shapes[node.inputs.first().copied().unwrap_or(0)];
        let at = At { name: &node.name, value, inputs, tied, read, shape: &shapes[id] };
        let open = || ExportError::Open { node: node.name.clone() };
        let kind = nodes::kind(&node.op).ok_or_else(open)?;
        values.push(kind.onnx(&at, &mut writer));
    }
    if values[graph.output] != OUTPUT {
        // The last node has no node of its own here.
        writer.rename(&values[graph.output], OUTPUT);
    }
    let element = if input == "tokens" { Element::Integer } else { Element::Float };
    let open = input == "tokens";
    let read = Value { name: input, element, dims: sizes(&shapes[0], open) };
    let given =
        Value { name: OUTPUT, element: Element::Float, dims: sizes(&shapes[graph.output], open) };
    let said = format!("{}: {}", about.title, about.architecture);
    Ok(proto::model((IR_VERSION, OPSET), &said, writer.graph(&[read], &[given])))
}

/// A shape in which the batch, and the number of tokens if that is `open`, may be any.
fn sizes(shape: &[i64], open: bool) -> Vec<Result<i64, &'static str>> {
    let size = |(at, size): (usize, &i64)| if open && at == 0 { Err("tokens") } else { Ok(*size) };
    std::iter::once(Err("batch")).chain(shape.iter().enumerate().map(size)).collect()
}
