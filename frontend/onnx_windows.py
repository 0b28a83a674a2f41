"""The smallest sizes at which every convolution and every pooling of a model has a window.

So has every padding that reflects: it needs more elements than it adds on a side.

Below them nothing is left to compute: runtimes refuse such inputs, and so does the emitted code.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..ir import Graph, Node
from ..ir.dims import Expr, bounds, evaluate, symbols
from ..ir.ops_conv import ROWS as CONVOLUTIONS
from ..ir.ops_pool import ROWS as POOLING

_WINDOWED = {row.name for row in (*CONVOLUTIONS, *POOLING)}
_LARGEST = 2**24


def smallest_sizes(graph: Graph) -> dict[str, tuple[int, str]]:
    """For each free size that has to be larger than its bound: the least that works, and why.

    Sizes of results grow with the input's, so that the least one is found by halving.
    """
    found: dict[str, tuple[int, str]] = {}
    for node, dim in _sizes_of_results(graph):
        (sym,) = symbols(dim)
        low = found.get(sym.name, (sym.low, ""))[0]
        if evaluate(dim, {sym.name: low}) >= 1:
            continue
        least = _least(dim, sym.name, low)
        if least is not None and (sym.high is None or least <= sym.high):
            found[sym.name] = least, f"{dim} >= 1: {node.op} in {node.scope.path or graph.name}"
    return found


def _sizes_of_results(graph: Graph) -> Iterator[tuple[Node, Expr]]:
    for node in graph.nodes:
        for dim in _needed(node):
            if isinstance(dim, Expr) and len(list(symbols(dim))) == 1 and not _positive(dim):
                yield node, dim


def _needed(node: Node) -> list[int | Expr]:
    """Dims that must be at least 1 for the node to compute anything."""
    if node.op == "pad" and node["mode"] == "reflect":
        sizes = node.type(0).shape
        return [size - n for part in (node["low"], node["high"]) for size, n in zip(sizes, part)]
    return list(node.out.tensor.shape) if node.op in _WINDOWED else []


def _positive(dim: Expr) -> bool:
    low, _ = bounds(dim)
    return low is not None and low >= 1


def _least(dim: Expr, name: str, low: int) -> int | None:
    high = max(low, 1)
    while evaluate(dim, {name: high}) < 1:
        high *= 2
        if high > _LARGEST:
            return None
    while low + 1 < high:
        middle = (low + high) // 2
        if evaluate(dim, {name: middle}) >= 1:
            high = middle
        else:
            low = middle
    return high
