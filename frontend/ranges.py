"""Bounds of index arithmetic: positions that count up to a size must stay inside the axis they
index.

MLX checks no bounds: an index past the end reads other memory. Positions built from `arange` are
compared with the axis while the graph is made, so that the limit becomes one of the model's dims (a
learned position table of 512 rows bounds the length), or a tie (a batch index over another input's
batch).
"""

from __future__ import annotations

from typing import Any

from ..ir import Builder, Unequal, Value
from ..ir.dims import (
    Expr,
    bounds,
    data_decides,
    minimum,
    provably_le,
    substitute,
    symbol,
    symbols,
)

_VIEWS = {"reshape", "transpose", "expand_dims", "squeeze", "broadcast_to", "cast", "slice"}


def stop_of(value: Any) -> int | Expr | None:
    """One more than the largest value of an `arange`, seen through views and added constants; None
    if unknown.
    """
    offset: Any = 0
    while isinstance(value, Value) and value.node is not None:
        node = value.node
        if node.op == "arange":
            counts = node["step"] == 1 and isinstance(node["stop"], int | Expr)
            return node["stop"] + offset if counts else None
        if node.op == "add" and isinstance(node.operands[1], int | Expr):
            offset = offset + node.operands[1]
        elif node.op not in _VIEWS:
            return None
        value = node.operands[0]
    return None


def check_positions(index: Any, size: int | Expr) -> None:
    """Unequal where an index that counts along one size is not known to stay below `size`.

    Two free sizes are tied; a fixed axis bounds the free size. What data decides is not checked.
    """
    stop = stop_of(index)
    if stop is None or minimum(stop, size) == stop or data_decides(stop, size):
        return
    if isinstance(size, Expr) and symbols(size) and isinstance(stop, Expr):
        raise Unequal(stop, size)
    raise Unequal(minimum(stop, size), stop)


def check_place(index: Any, size: int | Expr) -> None:
    """Unequal where a fixed index is not known to lie in an axis of a free size."""
    if isinstance(index, int) and isinstance(size, Expr) and not data_decides(size):
        least = index + 1 if index >= 0 else -index
        if not provably_le(least, size):
            raise Unequal(minimum(least, size), least)


def counted(b: Builder, start: Any, stop: Any, size: int | Expr) -> int | None:
    """The length of `[start:stop]` where a loop counts the start, and it is the same in all turns.

    None where it is not known to lie within the axis in every turn.
    """
    if not isinstance(start, Expr) or not isinstance(stop, int | Expr):
        return None
    length = stop - start
    last = {s.name: b.found.counters[s.name] - 1 for s in symbols(start) if _counts(b, s.name)}
    if not last or not isinstance(length, int) or length < 1:
        return None
    low = bounds(start)[0]
    within = provably_le(substitute(start, last) + length, size)
    rising = all(provably_le(start, substitute(start, {n: symbol(n, 0) + 1})) for n in last)
    return length if low is not None and low >= 0 and within and rising else None


def _counts(b: Builder, name: str) -> bool:
    return name in b.found.counters
