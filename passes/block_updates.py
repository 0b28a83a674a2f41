"""Writes into parts of parts are one write into a block, and what is written may be a number.

`mask[:-4, -4:-2] = 1` is traced as a slice of rows, a write into its columns, and a write of the
rows into the mask.
"""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Node, Value
from ..ir.dims import Expr, bounds
from ..ir.graph import Operand
from ..ir.ops_shape import slice_range
from .rebuild import Rebuild, producer, walk

_WRITES = ("slice_update", "block_update")
Place = dict[int, tuple[Any, Any]]  # start and stop by axis


def block_updates(graph: Graph) -> bool:
    """Join such writes; drop those that write what is there already."""
    if not any(node.op in _WRITES for node in graph.nodes):
        return False
    return walk(graph, _join) | walk(graph, _concatenated) | walk(graph, _with_number)


def _join(out: Rebuild, node: Node) -> Any:
    """A write of what a part becomes by a write into it."""
    place = _place(node)
    inner = producer(node.operands[1], *_WRITES, scope=node.scope) if place else None
    if not inner or not place or not out.used_once(inner.out):
        return None
    within, x = _place(inner), node.values[0]
    if not within or set(within) & set(place) or not _is_part(inner, x, place):
        return None
    return _write(out, node, x, inner.operands[1], {**place, **within})


def _concatenated(out: Rebuild, node: Node) -> Any:
    """Writes that fill an axis from end to end are one concatenation: the base is gone."""
    parts: dict[Any, Value] = {}
    place, last = _place(node), node
    axis, size = _axis(place, node)
    if axis is None:
        return None
    while place is not None:
        src = last.operands[1]
        if list(place) != [axis] or not isinstance(src, Value):
            return None
        start = _from_start(place[axis][0], size)
        if start in parts:
            return None
        parts[start] = src
        inner = producer(last.operands[0], *_WRITES, scope=node.scope)
        if inner is None or not out.used_once(inner.out):
            break
        place, last = _place(inner), inner
    ordered: list[Value] = []
    at: Any = 0
    while at in parts:
        ordered.append(parts.pop(at))
        at = at + ordered[-1].tensor.shape[axis]
    if parts or at != size or len(ordered) < 2:
        return None
    return out.emit("concatenate", *ordered, like=node, axis=axis)


def _axis(place: Place | None, node: Node) -> tuple[int | None, Any]:
    """The one axis along which a node writes, and its size."""
    if place is None or len(place) != 1:
        return None, 0
    (axis,) = place
    return axis, node.type(0).shape[axis]


def _from_start(place: Any, size: Any) -> Any:
    return place + size if isinstance(place, int) and place < 0 else place


def _with_number(out: Rebuild, node: Node) -> Any:
    place = _place(node)
    if not place or not isinstance(node.operands[1], Value) or _number(node.operands[1]) is None:
        return None
    return _write(out, node, node.values[0], node.operands[1], place)


def _write(out: Rebuild, like: Node, x: Value, src: Operand, place: Place) -> Value:
    axes = tuple(sorted(place))
    starts, stops = zip(*(place[axis] for axis in axes), strict=True)
    number = _number(src)
    if number is not None and number == _number(x):
        return x
    made: Value = out.emit(
        "block_update", x, src if number is None else number, like=like, hint=like.out.hint,
        axes=axes, starts=starts, stops=stops,
    )  # fmt: skip
    return made


def _place(node: Node) -> Place | None:
    """Where the node writes, with ends counted from the end where that is a number."""
    if node.op not in _WRITES:
        return None
    if node.op == "block_update":
        return dict(zip(node["axes"], zip(node["starts"], node["stops"], strict=True), strict=True))
    if node["step"] != 1:
        return None
    size = node.type(0).shape[node["axis"]]
    first, end, _ = slice_range(size, node["start"], node["stop"], 1)
    return {node["axis"]: (_from_end(first, size), _from_end(end, size))}


def _from_end(place: Any, size: Any) -> Any:
    """`L - 4` of a size L is -4, where L is never less."""
    behind, least = place - size, bounds(size)[0]
    if not isinstance(behind, int) or not isinstance(size, Expr) or least is None:
        return place
    return behind if -least <= behind < 0 else place


def _is_part(inner: Node, x: Value, place: Place) -> bool:
    """Whether the inner write is into that part of x."""
    base = inner.values[0]
    if _number(base) is not None and _number(base) == _number(x):
        return True
    cut = producer(base, "slice")
    if cut is None or cut.operands[0] is not x or len(place) != 1 or cut["step"] != 1:
        return False
    ((axis, (start, stop)),) = place.items()
    size = x.tensor.shape[axis]
    there = slice_range(size, cut["start"], cut["stop"], 1)
    return cut["axis"] == axis and there == slice_range(size, start, stop, 1)


def _number(value: Any) -> Any:
    """The number that all elements are, where that is one; a scalar is itself."""
    if not isinstance(value, Value):
        return value
    full = producer(value, "full")
    return full["value"] if full and isinstance(full["value"], int | float) else None
