#!/usr/bin/env python3
"""Runs the programs of real result packages as a user would.

`packages.py FOLDER` reads the folders that the worker's tests keep with `SKEIN_KEEP_PACKAGES`. In
each of them `load_pytorch.py` and `load_onnx.py` must say that the example's output is met, and the
TorchScript must give it too, in a Python that knows nothing of Skein.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

LARGEST = 1e-4

SCRIPT = """
import sys
from pathlib import Path

import numpy, torch
folder = Path(sys.argv[1])
example = numpy.load(folder / "example.npz")
(name,) = [name for name in example.files if name != "logits"]
x, expected = torch.from_numpy(example[name]), example["logits"]
network = torch.jit.load(str(folder / "model.torchscript.pt"))
cases = [(x, expected)]
if name == "tokens":  # No token sees a later one.
    cases.append((x[:, : x.shape[1] // 3], expected[:, : x.shape[1] // 3]))
with torch.no_grad():
    found = [abs(network(x).numpy() - expected).max() for x, expected in cases]
print("largest difference:", max(found))
"""


def difference(folder, *arguments):
    """Runs a program in another folder than its own."""
    command = [sys.executable, *arguments]
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True)
    assert done.returncode == 0, f"{folder.name} {arguments[0]}: {done.stderr}"
    return float(re.search(r"largest difference: (\S+)", done.stdout).group(1))


def main():
    packages = Path(sys.argv[1]).resolve()
    folders = sorted(path for path in packages.iterdir() if path.is_dir())
    assert len(folders) >= 8, f"{len(folders)} packages in {sys.argv[1]}"
    for folder in folders:
        found = {
            "PyTorch": difference(folder, str(folder / "load_pytorch.py")),
            "ONNX Runtime": difference(folder, str(folder / "load_onnx.py")),
            "TorchScript": difference(folder, "-c", SCRIPT, str(folder)),
        }
        print(f"{folder.name}: " + ", ".join(f"{name} {value:.1e}" for name, value in found.items()))
        assert max(found.values()) <= LARGEST, folder.name


main()
