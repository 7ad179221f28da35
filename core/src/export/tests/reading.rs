//! Reads an ONNX file back, as far as these tests look at it.

use std::collections::BTreeSet;
use std::fmt::{self, Display};

/// A field's number with its number or bytes.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let end = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap();
        let (own, rest) = bytes.split_at(end + 1);
        *bytes = rest;
        own.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f))
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).unwrap();
                let (own, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(own)
            }
            5 => {
                let (own, rest) = bytes.split_at(4);
                bytes = rest;
                Field::Bytes(own)
            }
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, field));
    }
    found
}

fn texts(bytes: &[u8], number: u64) -> Vec<String> {
    let all = fields(bytes).into_iter().filter(|(field, _)| *field == number);
    all.map(|(_, field)| match field {
        Field::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Field::Number(number) => number.to_string(),
    })
    .collect()
}

fn parts(bytes: &[u8], number: u64) -> Vec<&[u8]> {
    let all = fields(bytes).into_iter().filter(|(field, _)| *field == number);
    all.filter_map(|(_, field)| match field {
        Field::Bytes(bytes) => Some(bytes),
        Field::Number(_) => None,
    })
    .collect()
}

fn numbers(bytes: &[u8], number: u64) -> Vec<i64> {
    let all = fields(bytes).into_iter().filter(|(field, _)| *field == number);
    all.filter_map(|(_, field)| match field {
        Field::Number(number) => Some(number.cast_signed()),
        Field::Bytes(_) => None,
    })
    .collect()
}

pub(super) struct Stored {
    pub(super) name: String,
    pub(super) dims: Vec<i64>,
    pub(super) bytes: usize,
    /// The numbers of a short list of integers.
    values: Option<Vec<i64>>,
}

struct Node {
    op: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    attributes: Vec<String>,
}

pub(super) struct Model {
    head: String,
    pub(super) tensors: Vec<Stored>,
    nodes: Vec<Node>,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

impl Model {
    pub(super) fn read(bytes: &[u8]) -> Self {
        let graph = parts(bytes, 7)[0];
        let operators = parts(bytes, 8)[0];
        let head = format!(
            "ir {:?}, opset {:?}, by {:?}: {:?}",
            numbers(bytes, 1),
            numbers(operators, 2),
            texts(bytes, 2),
            texts(bytes, 6)
        );
        Self {
            head,
            tensors: parts(graph, 5).into_iter().map(stored).collect(),
            nodes: parts(graph, 1).into_iter().map(node).collect(),
            inputs: parts(graph, 11).into_iter().map(value).collect(),
            outputs: parts(graph, 12).into_iter().map(value).collect(),
        }
    }

    /// Every value has one source, which stands before what reads it; nothing is idle.
    pub(super) fn check(&self) {
        let name = |value: &String| value.split(' ').next().unwrap_or_default().to_owned();
        let mut known: BTreeSet<String> = self.inputs.iter().map(name).collect();
        for tensor in &self.tensors {
            assert!(known.insert(tensor.name.clone()), "{} twice", tensor.name);
            let count = tensor.dims.iter().product::<i64>();
            let size = if tensor.values.is_some() { 8 } else { 4 };
            assert_eq!(tensor.bytes, usize::try_from(size * count).unwrap(), "{}", tensor.name);
        }
        let mut idle = known.clone();
        for node in &self.nodes {
            for input in node.inputs.iter().filter(|input| !input.is_empty()) {
                assert!(known.contains(input), "{input} is read before it is there");
                idle.remove(input);
            }
            for output in &node.outputs {
                assert!(known.insert(output.clone()), "{output} twice");
                idle.insert(output.clone());
            }
        }
        let outputs: BTreeSet<String> = self.outputs.iter().map(name).collect();
        // Behind zeros nothing is read.
        if !self.nodes.iter().any(|node| node.op == "ConstantOfShape") {
            assert_eq!(idle, outputs);
        }
        assert!(outputs.is_subset(&known));
    }
}

fn stored(bytes: &[u8]) -> Stored {
    let data = parts(bytes, 9)[0];
    let integers = numbers(bytes, 2) == [7];
    let list = || data.chunks(8).map(|part| i64::from_le_bytes(part.try_into().unwrap()));
    Stored {
        name: texts(bytes, 8).remove(0),
        dims: numbers(bytes, 1),
        bytes: data.len(),
        values: integers.then(|| list().collect()),
    }
}

fn node(bytes: &[u8]) -> Node {
    Node {
        op: texts(bytes, 4).remove(0),
        inputs: texts(bytes, 1),
        outputs: texts(bytes, 2),
        attributes: parts(bytes, 5).into_iter().map(attribute).collect(),
    }
}

fn attribute(bytes: &[u8]) -> String {
    let name = texts(bytes, 1).remove(0);
    let value = match numbers(bytes, 20)[0] {
        1 => f32::from_le_bytes(parts(bytes, 2)[0].try_into().unwrap()).to_string(),
        2 => numbers(bytes, 3)[0].to_string(),
        3 => texts(bytes, 4).remove(0),
        4 => {
            let tensor = parts(bytes, 5)[0];
            assert_eq!(numbers(tensor, 2), [1], "the number is not in single precision");
            let number = parts(tensor, 9)[0].try_into().unwrap();
            format!("{:?} of {}", numbers(tensor, 1), f32::from_le_bytes(number))
        }
        7 => format!("{:?}", numbers(bytes, 8)),
        other => panic!("attribute of type {other}"),
    };
    format!("{name}={value}")
}

fn value(bytes: &[u8]) -> String {
    let tensor = parts(parts(bytes, 2)[0], 1)[0];
    let dims = parts(parts(tensor, 2)[0], 1);
    let dims: Vec<String> =
        dims.into_iter().map(|dim| [texts(dim, 1), texts(dim, 2)].concat().join("")).collect();
    let element = if numbers(tensor, 1) == [1] { "float" } else { "int64" };
    format!("{} {element}[{}]", texts(bytes, 1)[0], dims.join(", "))
}

impl Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.head)?;
        writeln!(f, "reads {}, gives {}", self.inputs.join(", "), self.outputs.join(", "))?;
        for Stored { name, dims, values, .. } in &self.tensors {
            match values {
                Some(values) => writeln!(f, "{name}: int64{dims:?} = {values:?}")?,
                None => writeln!(f, "{name}: float{dims:?}")?,
            }
        }
        for Node { op, inputs, outputs, attributes } in &self.nodes {
            let (inputs, outputs) = (inputs.join(", "), outputs.join(", "));
            writeln!(f, "{outputs} = {op}({inputs}) {}", attributes.join(" "))?;
        }
        Ok(())
    }
}
