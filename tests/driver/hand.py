"""A captured model without a frontend: IR text, tensors by seed, and the interpreter as the source."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlx_transpile.frontend.source import Captured, DimEvidence
from mlx_transpile.ir import Graph, Program, Scope
from mlx_transpile.ir import recipe as rcp
from mlx_transpile.ir.interpret import interpret, steps
from mlx_transpile.ir.text import parse_graph
from mlx_transpile.ir.verify import verify

WIDTH = 8


def text(layers: int = 2, name: str = "Net") -> str:
    """Embedding, a layer with a transposed weight, blocks in a list, a tied head."""
    lines = [
        f"@graph({name!r}, L=(2, 64))",
        "def forward(ids: i64[B, L]):",
        "    with module('embed', 'Embedding'):",
        "        h: f32[B, L, 8] = embedding(param('embed.weight', f32[11, 8]), ids)",
        "    with module('mix', 'Mix'):",
        "        weight: f32[8, 8] = transpose(param('mix.weight', f32[8, 8]), axes=(1, 0))",
        "        h__2: f32[B, L, 8] = linear(h, weight, param('mix.bias', f32[8]))",
    ]
    x = "h__2"
    for i in range(layers):
        at = f"blocks.{i}"
        lines += [
            f"    with module('{at}', 'Block'):",
            f"        with module('{at}.fc', 'Linear'):",
            f"            y__{2 * i + 2}: f32[B, L, 8] = linear({x}, param('{at}.fc.weight', f32[8, 8]), param('{at}.fc.bias', f32[8]))",
            f"        z__{2 * i + 2}: f32[B, L, 8] = multiply(y__{2 * i + 2}, param('{at}.gain', f32[8], recipe=constant('gain'), buffer=True))",
            f"        h__{i + 3}: f32[B, L, 8] = add({x}, z__{2 * i + 2})",
        ]
        x = f"h__{i + 3}"
    lines += [
        "    with module('head', 'Linear'):",
        f"        logits: f32[B, L, 11] = linear({x}, param('embed.weight', f32[11, 8]), None)",
        "    return {'logits': logits}",
    ]
    return "\n".join(lines) + "\n"


GAIN = np.linspace(0.5, 1.5, WIDTH, dtype=np.float32)


def graph(source: str) -> Graph:
    out = parse_graph(source, {"gain": GAIN})
    verify(out)
    return out


def tensors(g: Graph, seed: int = 0) -> dict[str, np.ndarray]:
    """A tensor for every one that a recipe reads, before any pass: each of its parameter's shape."""
    rng = np.random.default_rng(seed)
    return {
        p.recipe.name: (rng.standard_normal(p.tensor.shape) / 4).astype(p.tensor.dtype.numpy)
        for p in g.params.values()
        if isinstance(p.recipe, rcp.Read)
    }


def captured(source: str | None = None, **changes: Any) -> Captured:
    """A Captured of the graph; `changes` replaces fields."""
    source = source or text()
    g, own = graph(source), graph(source)
    data = {**tensors(g), "unused.0.counter": np.array(3), "heads": np.array(4)}
    data["places"] = np.arange(5)[None]
    fields: dict[str, Any] = {
        "program": Program({"forward": g}),
        "format": "hand",
        "tensors": data,
        "run": lambda inputs: interpret(own, inputs, data),
        "module_outputs": lambda inputs: _module_outputs(own, inputs, data),
        "example_inputs": [np.arange(10).reshape(2, 5)],
        "dims": [
            DimEvidence("ids", 0, "free", 2, "B", "by hand"),
            DimEvidence("ids", 1, "free", 5, "L", "by hand"),
        ],
        "details": {
            "aliases": {"head.weight": "embed.weight"},
            "baked_buffers": {"heads": 4, "places": range(5)},
        },
    }
    return Captured(**{**fields, **changes})


def _module_outputs(
    g: Graph, inputs: Sequence[np.ndarray], data: Mapping[str, np.ndarray]
) -> dict[tuple[str, int], list[np.ndarray]]:
    """The last results computed in each scope: what these modules return."""
    last: dict[Scope, list[np.ndarray]] = {}
    for node, results, _ in steps(g, inputs, data):
        for scope in node.scope.chain():
            last.pop(scope, None)  # the order is that in which calls end
            last[scope] = results
    return {(scope.path, scope.call): arrays for scope, arrays in last.items()}


def checkpoint(c: Captured) -> dict[str, np.ndarray]:
    """The tensors under their own names."""
    return {name: c.tensors[name] for name in c.tensors}
