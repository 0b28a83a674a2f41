"""Loops over a dim of an input that were unrolled at capture: indices are read one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..ir import Graph, Node


def unrolled(graph: Graph, captured: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Symbols of which a value's every index is picked by number, and where that is.

    Such a program also runs at larger sizes, and leaves the rest of its input out there; nobody
    wrote that. At a captured size of 1 a loop looks like a first index: nothing is said then.
    """
    picked: dict[tuple[str, int], set[int]] = {}
    for node in graph.nodes:
        pick = _pick(node)
        if pick is None or captured.get(pick[0], 1) == 1:
            continue
        name, index = pick
        seen = picked.setdefault((name, id(node.operands[0])), set())
        seen.add(index)
        if len(seen) == captured[name] and max(seen) == captured[name] - 1:
            at = f" at {node.source.at}" if node.source else ""
            yield name, f"each index up to {max(seen)} is picked by number{at}"


def _pick(node: Node) -> tuple[str, int] | None:
    """The size of the axis as text, and the one index that the node picks."""
    if node.op == "select":
        index = node["index"]
    elif node.op == "slice" and node["stop"] == node["start"] + 1:
        index = node["start"]
    else:
        return None
    if not isinstance(index, int) or index < 0:
        return None
    return str(node.type(0).shape[node["axis"]]), index
