//! The messages of `onnx.proto` that a model needs, in protobuf's wire format.
//!
//! They are written by hand: nothing is ever read, eight messages have thirty fields in all, and
//! three of protobuf's wire types suffice, so a crate with its derives would be no smaller than
//! this file. Weights stay where they are until the file is put together. Numbers of fields are
//! those of <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>.

use std::borrow::Cow;

/// A message under way, in pieces of which the large ones are borrowed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Message<'a>(Vec<Cow<'a, [u8]>>);

impl<'a> Message<'a> {
    /// Where small things are written.
    fn end(&mut self) -> &mut Vec<u8> {
        if !matches!(self.0.last(), Some(Cow::Owned(_))) {
            self.0.push(Cow::Owned(vec![]));
        }
        let last = self.0.len() - 1;
        self.0[last].to_mut()
    }

    fn length(&self) -> usize {
        self.0.iter().map(|piece| piece.len()).sum()
    }

    fn append(&mut self, pieces: impl IntoIterator<Item = Cow<'a, [u8]>>) {
        for piece in pieces {
            match piece {
                Cow::Owned(bytes) => self.end().extend(bytes),
                Cow::Borrowed(bytes) => self.0.push(Cow::Borrowed(bytes)),
            }
        }
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.end().push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.end().push(value.to_le_bytes()[0]);
    }

    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    fn integer(&mut self, field: u64, value: i64) {
        self.key(field, 0);
        self.varint(value.cast_unsigned());
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.end().extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: Cow<'a, [u8]>) {
        self.message(field, Self(vec![value]));
    }

    fn text(&mut self, field: u64, value: &str) {
        self.bytes(field, Cow::Owned(value.as_bytes().to_vec()));
    }

    fn message(&mut self, field: u64, value: Self) {
        self.key(field, 2);
        self.varint(value.length() as u64);
        self.append(value.0);
    }

    fn integers(&mut self, field: u64, values: &[i64]) {
        for value in values {
            self.integer(field, *value);
        }
    }
}

/// Type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    /// `float32`.
    Float,
    /// `int64`.
    Integer,
}

impl Element {
    fn code(self) -> i64 {
        match self {
            Self::Float => 1,
            Self::Integer => 7,
        }
    }
}

/// A tensor of the file.
#[derive(Debug)]
pub(super) struct Tensor<'s, 'a> {
    pub(super) name: &'s str,
    pub(super) element: Element,
    pub(super) dims: &'s [i64],
    pub(super) bytes: Cow<'a, [u8]>,
}

/// What a model reads or gives; an open size has a name.
#[derive(Debug)]
pub(super) struct Value<'a> {
    pub(super) name: &'a str,
    pub(super) element: Element,
    pub(super) dims: Vec<Result<i64, &'static str>>,
}

/// A setting of a node (`AttributeProto`).
#[derive(Debug, Clone, PartialEq)]
pub(in crate::export) struct Attribute(Message<'static>);

impl Attribute {
    fn new(name: &str, kind: i64, set: impl FnOnce(&mut Message<'static>)) -> Self {
        let mut message = Message::default();
        message.text(1, name);
        set(&mut message);
        message.integer(20, kind);
        Self(message)
    }

    pub(in crate::export) fn integer(name: &str, value: i64) -> Self {
        Self::new(name, 2, |message| message.integer(3, value))
    }

    pub(in crate::export) fn integers(name: &str, values: &[i64]) -> Self {
        Self::new(name, 7, |message| message.integers(8, values))
    }

    /// A tensor of one number in single precision.
    pub(in crate::export) fn number(name: &str, value: f32) -> Self {
        let bytes = Cow::Owned(value.to_le_bytes().to_vec());
        let number = tensor(Tensor { name, element: Element::Float, dims: &[1], bytes });
        Self::new(name, 4, |message| message.message(5, number))
    }

    #[expect(clippy::cast_possible_truncation, reason = "ONNX has no others")]
    pub(in crate::export) fn float(name: &str, value: f64) -> Self {
        Self::new(name, 1, |message| message.float(2, value as f32))
    }
}

/// `NodeProto`.
pub(super) fn node(
    (name, op): (&str, &str),
    inputs: &[&str],
    outputs: &[&str],
    attributes: Vec<Attribute>,
) -> Message<'static> {
    let mut message = Message::default();
    inputs.iter().for_each(|input| message.text(1, input));
    outputs.iter().for_each(|output| message.text(2, output));
    message.text(3, name);
    message.text(4, op);
    attributes.into_iter().for_each(|attribute| message.message(5, attribute.0));
    message
}

/// `TensorProto`.
pub(super) fn tensor<'a>(tensor: Tensor<'_, 'a>) -> Message<'a> {
    let mut message = Message::default();
    message.integers(1, tensor.dims);
    message.integer(2, tensor.element.code());
    message.text(8, tensor.name);
    message.bytes(9, tensor.bytes);
    message
}

/// `ValueInfoProto` with its `TypeProto` and `TensorShapeProto`.
fn value(value: &Value<'_>) -> Message<'static> {
    let mut shape = Message::default();
    for dim in &value.dims {
        let mut message = Message::default();
        match dim {
            Ok(size) => message.integer(1, *size),
            Err(name) => message.text(2, name),
        }
        shape.message(1, message);
    }
    let (mut tensor, mut kind) = (Message::default(), Message::default());
    tensor.integer(1, value.element.code());
    tensor.message(2, shape);
    kind.message(1, tensor);
    let mut message = Message::default();
    message.text(1, value.name);
    message.message(2, kind);
    message
}

/// `GraphProto`.
pub(super) fn graph<'a>(
    nodes: Vec<Message<'a>>,
    tensors: Vec<Message<'a>>,
    inputs: &[Value<'_>],
    outputs: &[Value<'_>],
) -> Message<'a> {
    let mut message = Message::default();
    nodes.into_iter().for_each(|node| message.message(1, node));
    message.text(2, "network");
    tensors.into_iter().for_each(|tensor| message.message(5, tensor));
    inputs.iter().for_each(|input| message.message(11, value(input)));
    outputs.iter().for_each(|output| message.message(12, value(output)));
    message
}

/// `ModelProto`.
pub(super) fn model((ir_version, opset): (i64, i64), said: &str, graph: Message<'_>) -> Vec<u8> {
    let mut operators = Message::default();
    operators.text(1, "");
    operators.integer(2, opset);
    let mut message = Message::default();
    message.integer(1, ir_version);
    message.text(2, "Skein");
    message.text(6, said);
    message.message(7, graph);
    message.message(8, operators);
    message.0.concat()
}
