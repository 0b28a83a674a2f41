"""Arrays that a method makes and then writes into: `mask[:-4, -2:] = 1.0`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..ir import Node, Value
from ..ir.tree import Call, Index, Infix, Method, Prefix, Slice
from .bound import Bound, Local, untyped
from .statements import Assign, Write

if TYPE_CHECKING:
    from .body import BodyBuilder

WRITES = ("block_update", "slice_update", "select_update")


def print_write(b: BodyBuilder, node: Node) -> None:
    """The statement, on a variable whose array nothing else has: a copy where others may."""
    x, result = node.values[0], node.out
    shadow = b.marked(node)
    base = b.value(x)
    single = b.only_here(x) and isinstance(base, Local) and base.index in b.owned
    if not single:
        new = base if is_new(base) else Call("mx.array", (base,), ())
        b.body.add(Assign(b.own(result), new), b.computed)
    else:
        b.take(result, base)
    target = Local(b.ids[result])
    value = node.operands[1]
    written = b.value(value) if isinstance(value, Value) else b.number(shadow.operands[1])
    call = b.update(shadow, target, written)
    b.body.add(Write(target, _places(b, shadow), written, call), b.computed)


def is_new(tree: Bound) -> bool:
    """Whether Python makes a new array for the expression, which no other variable has."""
    tree = untyped(tree)
    if isinstance(tree, Call):
        return tree.function.startswith("mx.")
    return isinstance(tree, Infix | Prefix | Method | Index)


def _places(b: BodyBuilder, node: Node) -> tuple[Bound, ...]:
    """The subscripts, up to the last axis that has one."""
    shape = node.type(0).shape
    if node.op == "block_update":
        bounds = zip(node["starts"], node["stops"], strict=True)
        found: dict[int, Any] = {
            axis: Slice(_start(b, start), _stop(b, stop, shape[axis]))
            for axis, (start, stop) in zip(node["axes"], bounds, strict=True)
        }
    elif node.op == "slice_update":
        axis = node["axis"]
        start, stop = _start(b, node["start"]), _stop(b, node["stop"], shape[axis])
        found = {axis: Slice(start, stop, node["step"])}
    else:
        found = {node["axis"]: b.number(node["index"])}
    return tuple(found.get(axis, Slice()) for axis in range(max(found) + 1))


def _start(b: BodyBuilder, start: Any) -> Bound:
    return None if start in (None, 0) else b.number(start)


def _stop(b: BodyBuilder, stop: Any, size: Any) -> Bound:
    return None if stop is None or stop == size else b.number(stop)
