//! Short programs that run the network of a package on its own example.

use crate::dataset::DataKind;

/// Name of the example's file.
pub const EXAMPLE: &str = "example.npz";
/// Name of the expected output within it.
pub const EXPECTED: &str = "logits";

/// Name of the network's input, in the example and in `model.onnx`.
#[must_use]
pub fn input_name(kind: DataKind) -> &'static str {
    match kind {
        DataKind::Images => "images",
        DataKind::Text => "tokens",
    }
}

/// `load_pytorch.py`.
#[must_use]
pub fn pytorch(kind: DataKind) -> String {
    let input = input_name(kind);
    format!(
        r#""""Runs the network in PyTorch on the example beside it (needs numpy and torch)."""
import numpy
import torch

from model import load

example = numpy.load("{EXAMPLE}")
with torch.no_grad():
    logits = load("model.safetensors")(torch.from_numpy(example["{input}"]))
print("largest difference:", abs(logits.numpy() - example["{EXPECTED}"]).max())
print("answers:", logits.argmax(-1).tolist())
"#
    )
}

/// `load_onnx.py`.
#[must_use]
pub fn onnx(kind: DataKind) -> String {
    let input = input_name(kind);
    format!(
        r#""""Runs the network in ONNX Runtime on the example beside it (needs numpy and onnxruntime)."""
import numpy
import onnxruntime

example = numpy.load("{EXAMPLE}")
session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
(logits,) = session.run(["{EXPECTED}"], {{"{input}": example["{input}"]}})
print("largest difference:", abs(logits - example["{EXPECTED}"]).max())
print("answers:", logits.argmax(-1).tolist())
"#
    )
}
