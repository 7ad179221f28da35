#!/usr/bin/env python3
"""Says what an exported `model.py` stores, without PyTorch: names and shapes as JSON.

`names.py MODEL.py` puts a small stand-in for PyTorch's modules in place, makes the network and
lists what `state_dict` would hold. Nothing is computed; `check.py` does that with the real PyTorch.
"""

import importlib.util
import json
import sys
import types


class Tensor:
    """A shape; every operation gives another one."""

    def __init__(self, *shape):
        self.shape = shape

    def __getattr__(self, _name):
        return lambda *_arguments, **_keywords: Tensor()

    def __getitem__(self, _key):
        return Tensor()

    def __add__(self, _other):
        return Tensor()

    __sub__ = __add__


class Module:
    def __init__(self):
        self.buffers = {}

    def register_buffer(self, name, tensor, persistent=True):
        setattr(self, name, None)
        if persistent:
            self.buffers[name] = tensor.shape

    def state(self, prefix=""):
        found = {prefix + name: shape for name, shape in self.buffers.items()}
        for name, value in vars(self).items():
            if isinstance(value, Module):
                found |= value.state(f"{prefix}{name}.")
            elif isinstance(value, Parameter):
                found[prefix + name] = value.shape
        return found


class Parameter(Tensor):
    def __init__(self, tensor):
        super().__init__(*tensor.shape)


class ModuleDict(Module):
    def __init__(self, modules):
        super().__init__()
        for name, module in modules.items():
            assert not hasattr(dict, name), f"{name} cannot be a key"
            setattr(self, name, module)


class Layer(Module):
    """A weight and perhaps a bias."""

    def __init__(self, weight, bias):
        super().__init__()
        self.weight = Parameter(Tensor(*weight))
        if bias:
            self.bias = Parameter(Tensor(weight[0]))


class Conv2d(Layer):
    def __init__(
        self, read, written, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True
    ):
        assert read % groups == 0 and written % groups == 0
        super().__init__((written, read // groups, kernel_size, kernel_size), bias)


class Linear(Layer):
    def __init__(self, read, written, bias=True):
        super().__init__((written, read), bias)


class LayerNorm(Layer):
    def __init__(self, features, bias=True):
        super().__init__((features,), bias)


class Embedding(Layer):
    def __init__(self, count, width):
        super().__init__((count, width), False)


class BatchNorm(Module):
    def __init__(self, channels, affine=True):
        super().__init__()
        if affine:
            self.weight = self.bias = Parameter(Tensor(channels))
        self.buffers = {"running_mean": (channels,), "running_var": (channels,)}
        self.buffers["num_batches_tracked"] = ()


class Dropout(Module):
    def __init__(self, p):
        super().__init__()
        assert 0.0 <= p < 1.0


def stand_in():
    torch, nn, functional = (types.ModuleType(name) for name in ("torch", "nn", "functional"))
    for item in (Module, ModuleDict, Parameter, Conv2d, Linear, LayerNorm, Embedding, Dropout):
        setattr(nn, item.__name__, item)
    nn.BatchNorm1d = nn.BatchNorm2d = BatchNorm
    nn.Dropout2d = Dropout
    torch.nn, nn.functional = nn, functional
    torch.zeros, torch.arange = Tensor, Tensor
    sys.modules |= {"torch": torch, "torch.nn": nn, "torch.nn.functional": functional}


def main():
    stand_in()
    spec = importlib.util.spec_from_file_location("model", sys.argv[1])
    model = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(model)
    json.dump(model.Network().state(), sys.stdout)


if __name__ == "__main__":
    main()
