"""What the tests of the export frontend share."""

import io

import numpy as np
import torch
from torch import nn

from mlx_transpile.frontend import capture
from mlx_transpile.frontend.random_inputs import random_inputs
from mlx_transpile.ir.graph import leaves
from mlx_transpile.ir.interpret import interpret
from mlx_transpile.ir.text import constants_of, parse_graph, print_graph
from mlx_transpile.ir.verify import verify

AUTO = torch.export.Dim.AUTO


def exported(module, args=(), kwargs=None):
    """The module exported with every dim automatic, as users do it."""
    shapes = torch.export.ShapesCollection()
    for tensor in torch.utils._pytree.tree_leaves((args, kwargs)):
        if isinstance(tensor, torch.Tensor):
            shapes[tensor] = dict.fromkeys(range(tensor.dim()), AUTO)
    dims = shapes.dynamic_shapes(module, args, kwargs or {})
    return torch.export.export(module.eval(), args, kwargs or {}, dynamic_shapes=dims)


def saved(path, program):
    """The path of the program saved as a .pt2 archive."""
    stream = io.BytesIO()
    torch.export.save(program, stream)
    path.write_bytes(stream.getvalue())
    return path


def captured(module, *args, **kwargs):
    return capture(module.eval(), example_inputs=(args, kwargs))


def error(a, b):
    """The largest difference, relative to the largest value where that is above 1."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape and a.dtype == b.dtype
    if not a.size:
        return 0.0
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(np.abs(a - b).max() / max(1.0, np.abs(b).max()))


def sizes_for(graph, size):
    """Different sizes for the symbols, near `size` (all 1 where it is 1)."""
    out = {}
    for i, symbol in enumerate(graph.symbols()):
        wanted = size if size == 1 else size + i
        out[symbol.name] = max(symbol.low, min(wanted, symbol.high or wanted))
    return out


def check(found, sizes=(3, 17, 1), tolerance=1e-5):
    """The IR is sound, survives its text, and computes what the source computes at these sizes."""
    graph = found.program.forward
    verify(graph)
    text = print_graph(graph)
    assert print_graph(parse_graph(text, constants_of(graph))) == text
    trials = [found.example_inputs]
    for seed, size in enumerate(sizes):
        rng = np.random.default_rng(seed)
        trials.append(random_inputs(graph, sizes_for(graph, size), rng))
    for inputs in trials:
        ours = list(leaves(interpret(graph, inputs, found.tensors)))
        theirs = list(leaves(found.run(inputs)))
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert (a is None and b is None) or error(a, b) < tolerance
    return graph


def shapes(found):
    """The input types, for a glance."""
    return [str(v.type) for v in found.program.forward.inputs]


class Twice(nn.Module):
    """A child under two names, called through both; a constant; a buffer that is not saved."""

    def __init__(self):
        super().__init__()
        self.first = Scaled()
        self.second = self.first

    def forward(self, x):
        h = self.first(x)
        return self.second(h)


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(4, 4)
        self.register_buffer("gain", torch.tensor([0.5, 1.0, 2.0, 4.0]), persistent=False)

    def forward(self, x):
        shift = torch.tensor([1.0, 2.0, 3.0, 4.0])
        low, high = (self.proj(x) * self.gain + shift).chunk(2, -1)
        return torch.cat([high, low], -1) + torch.tensor(2.0)
