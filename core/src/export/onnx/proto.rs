//! The messages of `onnx.proto` that a model needs, in protobuf's wire format.
//!
//! They are written by hand: nothing is ever read, six messages have thirty fields in all, and
//! three of protobuf's wire types suffice, so a crate with its derives would be larger than this
//! file, and would copy every weight once more. Numbers of fields are those of
//! <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>.

/// A message under way.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
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
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn text(&mut self, field: u64, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    fn message(&mut self, field: u64, value: &Self) {
        self.bytes(field, &value.0);
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
#[derive(Debug, Clone, Copy)]
pub(super) struct Tensor<'a> {
    pub(super) name: &'a str,
    pub(super) element: Element,
    pub(super) dims: &'a [i64],
    pub(super) bytes: &'a [u8],
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
pub(in crate::export) struct Attribute(Message);

impl Attribute {
    fn new(name: &str, kind: i64, set: impl FnOnce(&mut Message)) -> Self {
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

    #[expect(clippy::cast_possible_truncation, reason = "ONNX has no others")]
    pub(in crate::export) fn float(name: &str, value: f64) -> Self {
        Self::new(name, 1, |message| message.float(2, value as f32))
    }

    pub(in crate::export) fn text(name: &str, value: &str) -> Self {
        Self::new(name, 3, |message| message.text(4, value))
    }
}

/// `NodeProto`.
pub(super) fn node(
    (name, op): (&str, &str),
    inputs: &[&str],
    outputs: &[&str],
    attributes: &[Attribute],
) -> Message {
    let mut message = Message::default();
    inputs.iter().for_each(|input| message.text(1, input));
    outputs.iter().for_each(|output| message.text(2, output));
    message.text(3, name);
    message.text(4, op);
    attributes.iter().for_each(|attribute| message.message(5, &attribute.0));
    message
}

/// `TensorProto`.
pub(super) fn tensor(tensor: &Tensor<'_>) -> Message {
    let mut message = Message::default();
    message.integers(1, tensor.dims);
    message.integer(2, tensor.element.code());
    message.text(8, tensor.name);
    message.bytes(9, tensor.bytes);
    message
}

/// `ValueInfoProto` with its `TypeProto` and `TensorShapeProto`.
fn value(value: &Value<'_>) -> Message {
    let mut shape = Message::default();
    for dim in &value.dims {
        let mut message = Message::default();
        match dim {
            Ok(size) => message.integer(1, *size),
            Err(name) => message.text(2, name),
        }
        shape.message(1, &message);
    }
    let (mut tensor, mut kind) = (Message::default(), Message::default());
    tensor.integer(1, value.element.code());
    tensor.message(2, &shape);
    kind.message(1, &tensor);
    let mut message = Message::default();
    message.text(1, value.name);
    message.message(2, &kind);
    message
}

/// `GraphProto`.
pub(super) fn graph(
    nodes: &[Message],
    tensors: &[Message],
    inputs: &[Value<'_>],
    outputs: &[Value<'_>],
) -> Message {
    let mut message = Message::default();
    nodes.iter().for_each(|node| message.message(1, node));
    message.text(2, "network");
    tensors.iter().for_each(|tensor| message.message(5, tensor));
    inputs.iter().for_each(|input| message.message(11, &value(input)));
    outputs.iter().for_each(|output| message.message(12, &value(output)));
    message
}

/// `ModelProto`.
pub(super) fn model((ir_version, opset): (i64, i64), said: &str, graph: &Message) -> Vec<u8> {
    let mut operators = Message::default();
    operators.text(1, "");
    operators.integer(2, opset);
    let mut message = Message::default();
    message.integer(1, ir_version);
    message.text(2, "Skein");
    message.text(6, said);
    message.message(7, graph);
    message.message(8, &operators);
    message.0
}
