"""Sizes that depend on data: the elements of an integer tensor, as far as they are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import TranspileError
from ..ir import Node, Value
from ..ir.dims import Expr

if TYPE_CHECKING:
    from .onnx_values import Call

_SAME = ("reshape", "expand_dims", "squeeze", "cast", "broadcast_to")


def scalars(c: Call, x: Value, what: str) -> list[Any]:
    """The elements in order: ints and dims where the graph says them, else values of rank 0."""
    kind = x.tensor
    if (
        kind.rank > 1
        or not kind.dtype.is_integer
        or not all(isinstance(d, int) for d in kind.shape)
    ):
        raise TranspileError(
            f"{what} is {kind}, computed from data: a list of integers of known length is expected",
            hint="compute it from sizes or constants",
        )
    return _scalars(c, x)


def _scalars(c: Call, x: Value) -> list[Any]:
    node, rank = x.node, x.tensor.rank
    if x in c.state.stored:
        return [int(v) for v in c.state.stored[x].array.reshape(-1)]
    if node is not None and (known := _stated(c, node)) is not None:
        return known
    if rank == 0:
        return [x]
    count = x.tensor.shape[0]
    assert isinstance(count, int)
    places = range(count)
    found = c.b.found.once(
        ("elements", x), lambda: [c.b.op("select", x, axis=0, index=i) for i in places]
    )
    return list(found)


def _stated(c: Call, node: Node) -> list[Any] | None:
    """The elements of the node's result, where its op says which they are."""
    kind = node.out.tensor
    count = kind.shape[0] if kind.rank else 1
    if kind.rank > 1 or not kind.dtype.is_integer or not isinstance(count, int):
        return None
    if node.op == "full" and isinstance(node["value"], int | Expr):
        return [node["value"]] * count
    if node.op == "literal":
        return [int(v) for v in node["values"]]
    if node.op in ("stack", "concatenate"):
        return [v for part in node.values for v in _scalars(c, part)]
    if node.op in _SAME and node.type(0).dtype.is_integer and _size(node) == count:
        return _scalars(c, node.values[0])
    return None


def _size(node: Node) -> Any:
    shape = node.type(0).shape
    return 1 if not shape else shape[0] if len(shape) == 1 else None
