"""Slices that cut one axis into consecutive parts become one split."""

from __future__ import annotations

from ..ir import Graph, Node, Value
from ..ir.dims import Expr
from ..ir.graph import joined
from ..ir.ops_shape import slice_range
from .record import applies


def split_slices(graph: Graph) -> bool:
    """`x[..., :h]` and `x[..., h:]` are `split(x)`: sizes are read from x, no constant is left.

    The slices must cover the axis without a gap and stand in one scope.
    """
    groups: dict[tuple[Value, int, object], list[Node]] = {}
    for node in graph.nodes:
        if node.op == "slice" and node["step"] == 1:
            groups.setdefault((node.values[0], node["axis"], node.scope), []).append(node)
    splits: dict[Node, Node] = {}  # by the first slice of each group
    gone: dict[Value, Value] = {}
    for (value, axis, _), nodes in groups.items():
        parts = _tiling(nodes)
        if parts and applies("split_slices", nodes[0]):
            splits[nodes[0]] = split = _split(value, axis, parts, nodes[0])
            gone.update(zip((p.out for p in parts), split.results, strict=True))
    if splits:
        kept = [n for n in graph.nodes if n in splits or not n.results or n.out not in gone]
        graph.nodes = [splits.get(n, n) for n in kept]
        graph.replace(gone)
    return bool(splits)


def _bounds(node: Node) -> tuple[int | Expr, int | Expr]:
    first, end, _ = slice_range(node.type(0).shape[node["axis"]], node["start"], node["stop"], 1)
    return first, end


def _tiling(nodes: list[Node]) -> list[Node] | None:
    """The slices in the order in which they tile the axis; None when they do not."""
    by_start = {_bounds(n)[0]: n for n in nodes}
    size = nodes[0].type(0).shape[nodes[0]["axis"]]
    at: int | Expr = 0
    parts: list[Node] = []
    while at in by_start and len(parts) < len(nodes):
        parts.append(by_start[at])
        at = _bounds(parts[-1])[1]
    return parts if len(parts) > 1 and at == size and len(parts) == len(nodes) else None


def _split(value: Value, axis: int, parts: list[Node], first: Node) -> Node:
    sizes = tuple(p.out.tensor.shape[axis] for p in parts)
    types = [p.out.type for p in parts]
    source = joined(p.source for p in [first, *parts])
    node = Node("split", [value], {"sizes": sizes, "axis": axis}, types, first.scope, source)
    for result, part in zip(node.results, parts, strict=True):
        result.hint = part.out.hint
    node.by, node.via = (*first.by, "split_slices"), first.via
    return node
