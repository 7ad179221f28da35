//! What nodes write their part of an ONNX graph with.

use std::borrow::Cow;

use super::At;
use super::proto::{self, Attribute, Element, Message, Tensor, Value};

/// An ONNX graph under way.
#[derive(Debug, Default)]
pub(in crate::export) struct Writer<'a> {
    nodes: Vec<Message<'a>>,
    tensors: Vec<Message<'a>>,
}

impl<'a> Writer<'a> {
    /// Stores a tensor.
    pub(super) fn tensor(&mut self, tensor: Tensor<'_, 'a>) {
        self.tensors.push(proto::tensor(tensor));
    }

    /// Gives a value another name.
    pub(super) fn rename(&mut self, value: &str, name: &str) {
        self.node(name, "Identity", &[value], vec![]);
    }

    /// The finished graph.
    pub(super) fn graph(self, inputs: &[Value<'_>], outputs: &[Value<'_>]) -> Message<'a> {
        proto::graph(self.nodes, self.tensors, inputs, outputs)
    }

    fn node(&mut self, value: &str, op: &str, inputs: &[&str], attributes: Vec<Attribute>) {
        self.nodes.push(proto::node((value, op), inputs, &[value], attributes));
    }

    /// The operation that gives the node's value; gives its name.
    pub(in crate::export) fn value(
        &mut self,
        at: &At<'_>,
        op: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        self.node(&at.value, op, inputs, attributes);
        at.value.clone()
    }

    /// An operation within the node; gives the name of its value.
    pub(in crate::export) fn part(
        &mut self,
        at: &At<'_>,
        part: &str,
        op: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        let value = format!("{}/{part}", at.name);
        self.node(&value, op, inputs, attributes);
        value
    }

    /// A constant tensor of integers.
    pub(in crate::export) fn table(
        &mut self,
        at: &At<'_>,
        part: &str,
        dims: &[i64],
        values: &[i64],
    ) -> String {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(at, part, Element::Integer, (dims, bytes))
    }

    /// A constant list of integers.
    pub(in crate::export) fn list(&mut self, at: &At<'_>, part: &str, values: &[i64]) -> String {
        self.table(at, part, &[length(values)], values)
    }

    /// A constant list of numbers.
    pub(in crate::export) fn floats(&mut self, at: &At<'_>, part: &str, values: &[f32]) -> String {
        self.constant(at, part, Element::Float, (&[length(values)], bytes(values)))
    }

    /// A constant matrix of numbers, row by row.
    pub(in crate::export) fn matrix(
        &mut self,
        at: &At<'_>,
        part: &str,
        dims: [i64; 2],
        values: &[f32],
    ) -> String {
        self.constant(at, part, Element::Float, (&dims, bytes(values)))
    }

    /// A constant number.
    pub(in crate::export) fn number(&mut self, at: &At<'_>, part: &str, value: f32) -> String {
        self.constant(at, part, Element::Float, (&[], value.to_le_bytes().to_vec()))
    }

    fn constant(
        &mut self,
        at: &At<'_>,
        part: &str,
        element: Element,
        (dims, bytes): (&[i64], Vec<u8>),
    ) -> String {
        let name = format!("{}/{part}", at.name);
        self.tensor(Tensor { name: &name, element, dims, bytes: Cow::Owned(bytes) });
        name
    }

    /// A value in another shape; 0 keeps a dimension.
    pub(in crate::export) fn shaped(
        &mut self,
        at: &At<'_>,
        part: &str,
        value: &str,
        shape: &[i64],
    ) -> String {
        let shape = self.list(at, &format!("{part}_shape"), shape);
        self.part(at, part, "Reshape", &[value, &shape], vec![])
    }

    /// A value with its dimensions in another order.
    pub(in crate::export) fn turned(
        &mut self,
        at: &At<'_>,
        part: &str,
        value: &str,
        order: &[i64],
    ) -> String {
        self.part(at, part, "Transpose", &[value], vec![Attribute::integers("perm", order)])
    }

    /// A matrix with rows and columns exchanged.
    pub(in crate::export) fn transposed(&mut self, at: &At<'_>, matrix: &str) -> String {
        self.turned(at, "transposed", matrix, &[1, 0])
    }

    /// A part of a value along one axis, from its first to before its last entry.
    pub(in crate::export) fn slice(
        &mut self,
        at: &At<'_>,
        part: &str,
        value: &str,
        (axis, first, last): (i64, i64, i64),
    ) -> String {
        let first = self.list(at, &format!("{part}_first"), &[first]);
        let last = self.list(at, &format!("{part}_last"), &[last]);
        let axis = self.list(at, &format!("{part}_axis"), &[axis]);
        self.part(at, part, "Slice", &[value, &first, &last, &axis], vec![])
    }

    /// The sum over one axis, which stays with size 1 if it is `kept`.
    pub(in crate::export) fn sum(
        &mut self,
        at: &At<'_>,
        part: &str,
        value: &str,
        axis: i64,
        kept: bool,
    ) -> String {
        let axis = self.list(at, &format!("{part}_axis"), &[axis]);
        let kept = vec![Attribute::integer("keepdims", i64::from(kept))];
        self.part(at, part, "ReduceSum", &[value, &axis], kept)
    }

    /// A shape behind the size of the batch that the node reads.
    pub(in crate::export) fn shape_of_batch(&mut self, at: &At<'_>, shape: &[i64]) -> String {
        let bounds = vec![Attribute::integer("end", 1), Attribute::integer("start", 0)];
        let batch = self.part(at, "batch", "Shape", &[at.x()], bounds);
        let rest = self.list(at, "rest", shape);
        let axis = vec![Attribute::integer("axis", 0)];
        self.part(at, "shape", "Concat", &[&batch, &rest], axis)
    }

    /// The number of tokens that the node reads, as a list of one.
    pub(in crate::export) fn tokens(&mut self, at: &At<'_>) -> String {
        let bounds = vec![Attribute::integer("end", 2), Attribute::integer("start", 1)];
        self.part(at, "length", "Shape", &[at.x()], bounds)
    }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn length<T>(values: &[T]) -> i64 {
    i64::try_from(values.len()).unwrap_or(i64::MAX)
}
