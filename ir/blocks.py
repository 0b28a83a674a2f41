"""Nodes with blocks, and the sizes that nodes find out from data: who binds them, who reads them.

A size is no operand. A node that binds one must stay before all nodes that read it, and lives as
long as one of them does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .dims import Expr, symbols
from .graph import Graph, Node
from .types import Integer, Tensor


def blocks(node: Node) -> list[Graph]:
    """The graphs inside the node."""
    return [node.attrs[name] for name in node.row.blocks]


def all_nodes(graph: Graph) -> Iterator[Node]:
    """The nodes of the graph and of its blocks, a node before its blocks."""
    for node in graph.nodes:
        yield node
        for block in blocks(node):
            yield from all_nodes(block)


def binds(node: Node) -> tuple[str, ...]:
    """The names of the sizes that the node finds out from data."""
    if not node.row.binds:
        return ()
    found = node.attrs[node.row.binds]
    return (found,) if isinstance(found, str) else tuple(found)


def data_sizes(graph: Graph) -> list[str]:
    """The names of all sizes that the inputs' shapes do not give, in order."""
    found: dict[str, None] = {}
    for node in graph.nodes:
        found.update(dict.fromkeys(binds(node)))
        for block in blocks(node):
            found.update(dict.fromkeys(own_sizes(node)))
            found.update(dict.fromkeys(data_sizes(block)))
    return list(found)


def computed_sizes(graph: Graph) -> set[str]:
    """The names of the sizes from data that a node computes with."""
    known = set(data_sizes(graph))
    return known and known & {n for node in all_nodes(graph) for n in reads(node, types=False)}


def waits(graph: Graph) -> list[Node]:
    """The nodes at which the host waits for what the device computes."""
    return [n for n in all_nodes(graph) if n.row.binds and _waits(n)]


def _waits(node: Node) -> bool:
    return node.op != "loop" or bool(node["conditional"])


def own_sizes(node: Node) -> list[str]:
    """The names of the sizes that the node gives its blocks: turn, sizes of carried values."""
    found: dict[str, None] = {}
    if node.op == "loop":
        found[node["counter"]] = None
    for block in blocks(node):
        first = len(node.operands) - len(block.inputs)
        for outer, inner in zip(node.operands[first:], block.inputs, strict=True):
            outside = _names(getattr(outer, "type", None))
            found.update(dict.fromkeys(n for n in _names(inner.type) if n not in outside))
    return list(found)


def reads(node: Node, types: bool = True) -> set[str]:
    """The names of all sizes that the node computes with, or (with `types`) its results have."""
    found = {n for item in (*node.operands, *node.attrs.values()) for n in _names(item)}
    if types:
        found |= {n for r in node.results for n in _names(r.type)}
    for block in blocks(node):
        inside = {n for inner in block.nodes for n in reads(inner, types)}
        if types or node.op == "loop":  # the shape of no row at all
            inside |= {n for v in block.outputs for n in _names(v.type)}
        found |= inside - set(data_sizes(block)) - set(own_sizes(node))
    return found - set(binds(node))


def _names(item: Any) -> Iterator[str]:
    match item:
        case tuple():
            for part in item:
                yield from _names(part)
        case Expr():
            yield from sorted(s.name for s in symbols(item))
        case Tensor():
            yield from _names(item.shape)
        case Integer():
            yield from _names(item.value)
