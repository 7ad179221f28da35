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
from pathlib import Path

import numpy
import torch

from model import load

here = Path(__file__).resolve().parent
example = numpy.load(here / "{EXAMPLE}")
with torch.no_grad():
    logits = load(here / "{WEIGHTS}")(torch.from_numpy(example["{input}"]))
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
from pathlib import Path

import numpy
import onnxruntime

here = Path(__file__).resolve().parent
example = numpy.load(here / "{EXAMPLE}")
session = onnxruntime.InferenceSession(str(here / "{ONNX}"), providers=["CPUExecutionProvider"])
(logits,) = session.run(["{OUTPUT}"], {{"{input}": example["{input}"]}})
print("largest difference:", abs(logits - example["{OUTPUT}"]).max())
print("answers:", logits.argmax(-1).tolist())
"#
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    /// Stands in for the libraries: whatever is opened must be there, and all else is let pass.
    const STAND_IN: &str = r#"
class Anything:
    def __getattr__(self, name): return self
    def __call__(self, *arguments, **named): return self
    def __getitem__(self, index): return self
    def __iter__(self): return iter([self])
    def __sub__(self, other): return self
    def __rsub__(self, other): return self
    def __abs__(self): return self
    def __enter__(self): return self
    def __exit__(self, *arguments): return None

def load(path):
    open(path).close()
    return Anything()

no_grad = from_numpy = Anything()

def InferenceSession(path, providers):
    assert isinstance(path, str)
    return load(path)
"#;

    #[test]
    fn a_program_finds_its_files_beside_itself() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in ["numpy.py", "torch.py", "onnxruntime.py", "model.py"] {
            fs::write(folder.path().join(name), STAND_IN).unwrap();
        }
        for name in [EXAMPLE, WEIGHTS, ONNX] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        for (name, text) in [("p.py", pytorch("images")), ("o.py", onnx("images"))] {
            let program = folder.path().join(name);
            fs::write(&program, text).unwrap();
            let mut python = Command::new("python3");
            python.arg("-B").arg(&program).current_dir(elsewhere.path());
            // Where there is no Python, there is nothing to run.
            let Ok(said) = python.output() else { return };
            assert!(said.status.success(), "{name}: {}", String::from_utf8_lossy(&said.stderr));
        }
    }
}
