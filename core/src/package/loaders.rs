//! Short programs that run the network of a package on its own example.

use super::{ONNX, WEIGHTS};
use crate::export::onnx::OUTPUT;

/// Name of the example's file.
pub const EXAMPLE: &str = "example.npz";

/// `load_pytorch.py`; `input` is the network's.
#[must_use]
pub fn pytorch(input: &str) -> String {
    format!(
        r#""""Runs the network in PyTorch on the example beside it (needs numpy and torch)."""
import numpy
import torch

from model import load

example = numpy.load("{EXAMPLE}")
with torch.no_grad():
    logits = load("{WEIGHTS}")(torch.from_numpy(example["{input}"]))
print("largest difference:", abs(logits.numpy() - example["{OUTPUT}"]).max())
print("answers:", logits.argmax(-1).tolist())
"#
    )
}

/// `load_onnx.py`; likewise.
#[must_use]
pub fn onnx(input: &str) -> String {
    format!(
        r#""""Runs the network in ONNX Runtime on the example beside it (needs numpy and onnxruntime)."""
import numpy
import onnxruntime

example = numpy.load("{EXAMPLE}")
session = onnxruntime.InferenceSession("{ONNX}", providers=["CPUExecutionProvider"])
(logits,) = session.run(["{OUTPUT}"], {{"{input}": example["{input}"]}})
print("largest difference:", abs(logits - example["{OUTPUT}"]).max())
print("answers:", logits.argmax(-1).tolist())
"#
    )
}
