"""What the tests of the torch frontends share: saving, capturing, and comparing a graph with its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlx_transpile.cases import captured_sizes
from mlx_transpile.frontend.random_inputs import random_inputs
from mlx_transpile.frontend.source import Captured
from mlx_transpile.frontend.torchscript import capture_archive
from mlx_transpile.ir.graph import leaves
from mlx_transpile.ir.interpret import interpret
from mlx_transpile.ir.verify import verify

torch.set_num_threads(1)


def save(module: torch.nn.Module, path: Path, inputs: tuple[Any, ...] = (), **named: Any) -> Path:
    """The module as a TorchScript archive: traced on the inputs, or as it is where it is scripted."""
    if not isinstance(module, torch.jit.ScriptModule):
        given = {"example_kwarg_inputs": named} if named else {"example_inputs": inputs}
        with torch.no_grad():
            module = torch.jit.trace(module, strict=False, check_trace=False, **given)
    torch.jit.save(module, str(path))
    return path


def capture(module: torch.nn.Module, folder: Path, *inputs: Any, **named: Any) -> Captured:
    return capture_archive(save(module, folder / "model.pt", inputs, **named))


def sizes_to_try(captured: Captured) -> list[dict[str, int]]:
    """The captured sizes, and two others, within the bounds of the symbols."""
    free = captured_sizes(captured)
    symbols = {s.name: s for s in captured.program.forward.symbols()}

    def within(name: str, size: int) -> int:
        low, high = symbols[name].low, symbols[name].high
        return max(low, size if high is None else min(size, high))

    plans = (lambda size, i: size, lambda size, i: 3 + i, lambda size, i: 17 + i)
    return [
        {n: within(n, plan(size, i)) for i, (n, size) in enumerate(free.items())} for plan in plans
    ]


def assert_same_as_source(captured: Captured, tolerance: float = 1e-4) -> None:
    """The graph is well-formed, and gives what the source gives at several sizes."""
    graph = captured.program.forward
    verify(graph)
    for seed, sizes in enumerate(sizes_to_try(captured)):
        inputs = random_inputs(graph, sizes, np.random.default_rng(seed))
        expected = captured.run([x.copy() for x in inputs])
        found = interpret(graph, inputs, captured.tensors)
        assert same_nesting(found, expected), (found, expected)
        for a, b in zip(arrays(found), arrays(expected), strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype), sizes
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=str(sizes))


def arrays(structure: Any) -> list[np.ndarray]:
    return [np.asarray(v) for v in leaves(structure)]


def same_nesting(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return (
            isinstance(b, dict) and list(a) == list(b) and all(same_nesting(a[k], b[k]) for k in a)
        )
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same_nesting, a, b))
    return not isinstance(b, dict | list | tuple)


def kinds(captured: Captured) -> list[str]:
    """Every dim as `name.axis=symbol` or `name.axis=size`."""
    return [f"{d.input}.{d.axis}={d.symbol or d.size}" for d in captured.dims]
