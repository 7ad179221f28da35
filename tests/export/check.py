#!/usr/bin/env python3
"""Runs exported networks in PyTorch and in ONNX Runtime and compares what they compute.

`check.py FOLDER` reads the folders that `core/examples/export.rs` wrote. For each of them:
`model.py` loads `model.safetensors`, strictly, has the names and the number of parameters of the
graph, and in training mode gives gradients to every parameter; `model.onnx` passes ONNX's checker
and gives PyTorch's logits at batches of 1 and 8; texts are also read at half their context.
Both are float32, so a difference of a few units in the last place a layer is expected.
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

RELATIVE, ABSOLUTE = 1e-4, 1e-5
BATCHES = (1, 8)


def module_of(folder):
    spec = importlib.util.spec_from_file_location("model", folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def example(facts, batch, length=None):
    """Normal images, or random tokens; a text may be shorter than the context."""
    generator = torch.Generator().manual_seed(batch)
    shape = facts["input_shape"]
    if len(shape) == 1:
        size = (batch, length or shape[0])
        return torch.randint(facts["classes"], size, generator=generator)
    return torch.randn(batch, *shape, generator=generator)


def check_names(network, facts):
    names = set(facts["names"])
    norms = {name.removesuffix("running_var") for name in names if name.endswith("running_var")}
    expected = names | {f"{norm}num_batches_tracked" for norm in norms}
    found = set(network.state_dict())
    assert found == expected, f"names differ: {sorted(found ^ expected)[:8]}"
    params = sum(parameter.numel() for parameter in network.parameters())
    assert params == facts["params"], f"{params} parameters, the graph has {facts['params']}"


def check_training(network, facts):
    network.train()
    network(example(facts, 2)).square().mean().backward()
    idle = [name for name, value in network.named_parameters() if value.grad is None]
    assert facts["zeros"] or not idle, f"no gradient for {idle[:8]}"
    network.eval()


def check_onnx(path, facts):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    stored = {tensor.name for tensor in model.graph.initializer}
    missing = set(facts["names"]) - stored
    assert not missing, f"not in the ONNX model: {sorted(missing)[:8]}"
    return model.opset_import[0].version


def difference(expected, got):
    """The largest difference as a multiple of what is tolerated."""
    assert expected.shape == got.shape, f"{got.shape} instead of {expected.shape}"
    allowed = ABSOLUTE * np.abs(expected).max() + RELATIVE * np.abs(expected)
    return float((np.abs(expected - got) / allowed).max())


def spread_of(logits):
    """The largest difference between two examples, over the largest logit."""
    return float(np.ptp(logits, axis=0).max() / np.abs(logits).max())


def check(folder):
    facts = json.loads((folder / "facts.json").read_text())
    network = module_of(folder).load(folder / "model.safetensors")
    assert not network.training
    check_names(network, facts)
    opset = check_onnx(folder / "model.onnx", facts)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        folder / "model.onnx", options, providers=["CPUExecutionProvider"]
    )
    (read,), (given,) = session.get_inputs(), session.get_outputs()
    text = len(facts["input_shape"]) == 1
    assert (read.name, given.name) == ("tokens" if text else "images", "logits")
    lengths = [None, facts["input_shape"][0] // 2] if text else [None]
    worst, spread = 0.0, np.inf
    for batch in BATCHES:
        for length in lengths:
            x = example(facts, batch, length)
            with torch.no_grad():
                expected = network(x).numpy()
            (got,) = session.run(["logits"], {read.name: x.numpy()})
            assert np.isfinite(expected).all()
            worst = max(worst, difference(expected, got))
            if batch > 1:
                spread = min(spread, spread_of(expected))
    # Logits that hardly depend on what is read would show nothing.
    assert facts["zeros"] or spread > 0.02, f"logits differ by {spread:.4f} of the largest"
    assert worst <= 1.0, f"differs by {worst:.2f} times the tolerance"
    check_training(network, facts)
    said = f"opset {opset}, {facts['params']:>10,} parameters, {worst:.3f} of the tolerance"
    return f"{said}, logits {spread:.2f} apart"


def main():
    torch.set_num_threads(2)
    folders = sorted(path.parent for path in Path(sys.argv[1]).glob("*/facts.json"))
    assert folders, f"nothing to check in {sys.argv[1]}"
    failed = 0
    for folder in folders:
        try:
            print(f"{folder.name:24} {check(folder)}", flush=True)
        except Exception as error:
            failed += 1
            print(f"{folder.name:24} FAILED: {error}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
