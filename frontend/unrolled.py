"""Loops over a dim of an input that were unrolled at capture: indices are read one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..ir import Graph, Node
from ..ir.dims import Expr, evaluate, symbols

Dim = int | Expr


def unrolled(graph: Graph, captured: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Symbols of which a value's every index is picked by number, and where that is.

    Such a program also runs at larger sizes, and leaves the rest of its input out there; nobody
    wrote that. At a captured size of 1 a loop looks like a first index: nothing is said then.
    """
    picked: dict[tuple[Dim, int], set[int]] = {}
    for node in graph.nodes:
        index = _picked(node)
        if index is None:
            continue
        dim = node.type(0).shape[node["axis"]]
        names = [s.name for s in symbols(dim)]
        if not names or not all(n in captured for n in names):
            continue
        seen = picked.setdefault((dim, id(node.operands[0])), set())
        seen.add(index)
        size = evaluate(dim, captured)
        if size > 1 and seen >= set(range(size)):
            at = f" at {node.source.at}" if node.source else ""
            yield from ((n, f"each index up to {size - 1} is picked by number{at}") for n in names)


def _picked(node: Node) -> int | None:
    """The one index that the node picks of an axis."""
    if node.op == "select":
        index = node["index"]
    elif node.op == "slice" and node["stop"] == node["start"] + 1:
        index = node["start"]
    else:
        return None
    return index if isinstance(index, int) and index >= 0 else None
