"""Indexing by positions that count along whole axes is a view, not a gather."""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Node, Value
from ..ir.dims import bounds
from ..ir.types import Tensor
from .rebuild import Rebuild, producer, walk


def simplify_indexing(graph: Graph) -> bool:
    """`mask[arange(B)[:, None, None], arange(L)[None, None]]` is `mask[:, None]`.

    Every index must be `arange(n)` of the whole axis, spread over one axis of the result; the
    indexed axes come first. `x[full((1,), -1)]` is `x[-1:]`.
    """

    def step(out: Rebuild, node: Node) -> Any:
        if node.op in ("index", "take") and (row := _one_row(node)) is not None:
            axis, start = row
            stop = start + 1 or None
            return out.emit("slice", node.values[0], like=node, axis=axis, start=start, stop=stop)
        places = _places(node) if node.op == "index" else None
        if places is None:
            return None
        return _as_view(out, node, places)

    return walk(graph, step)


def _one_row(node: Node) -> tuple[int, int] | None:
    """The axis and the place that a single number picks a row by, where there is one."""
    axes = node["axes"] if node.op == "index" else (node["axis"],)
    index = producer(node.values[1], "full")
    if len(axes) != 1 or index is None or index["shape"] != (1,):
        return None
    place, least = index["value"], bounds(node.type(0).shape[axes[0]])[0]
    if not isinstance(place, int) or least is None or not -least <= place < least:
        return None
    return axes[0], place


def _places(node: Node) -> list[int] | None:
    """For each index the axis of the broadcast index shape that it counts along."""
    axes = node["axes"]
    if tuple(axes) != tuple(range(len(axes))):
        return None
    rank = max(v.tensor.rank for v in node.values[1:])
    places = []
    for axis, index in zip(axes, node.values[1:], strict=True):
        found = _counted_axis(index)
        if found is None or index.tensor.shape[found] != node.type(0).shape[axis]:
            return None
        places.append(found + rank - index.tensor.rank)
    return places if len(set(places)) == len(places) else None


def _counted_axis(value: Value) -> int | None:
    """The one axis along which the value is 0, 1, 2, ..., all other axes having size 1."""
    source = value
    while source.node is not None and source.node.op in (
        "expand_dims",
        "reshape",
        "cast",
        "squeeze",
    ):
        source = source.node.values[0]
        if not isinstance(source.type, Tensor) or source.tensor.rank > value.tensor.rank:
            return None
    node = source.node
    if node is None or node.op != "arange" or node["start"] != 0 or node["step"] != 1:
        return None
    long = [i for i, d in enumerate(value.tensor.shape) if d != 1]
    return long[0] if len(long) == 1 and value.tensor.shape[long[0]] == node["stop"] else None


def _as_view(out: Rebuild, node: Node, places: list[int]) -> Value:
    """The indexed axes in the order of their places, with new axes of size 1 between them."""
    x = node.values[0]
    count = len(places)
    order = sorted(range(count), key=lambda i: places[i])
    if order != list(range(count)):
        x = out.emit("transpose", x, axes=(*order, *range(count, x.tensor.rank)), like=node)
    rank = max(v.tensor.rank for v in node.values[1:])
    new = tuple(i for i in range(rank) if i not in places)
    return out.emit("expand_dims", x, axes=new, like=node) if new else x
