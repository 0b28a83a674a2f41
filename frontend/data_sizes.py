"""Sizes that the emitted code finds out from data: shared by all frontends.

Each waits for the device. A question that was asked before has the same answer: `x[mask]` and
`y[mask]` have one size.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from ..ir import Builder, DType, Value
from ..ir.dims import Expr
from .aten_common import reshaped
from .promotion import cast


def read_size(b: Builder, x: Any) -> int | Expr:
    """An integer tensor of one element as a size; numbers and dims as they are."""
    return b.size(reshaped(b, cast(b, x, DType.i64), ())) if isinstance(x, Value) else x


def nonzero(b: Builder, x: Value) -> Value:
    """Where x is not 0: a row of indices for each axis."""
    found: Value = b.found.once(("nonzero", x), lambda: b.op("nonzero", x, size=b.found.fresh("N")))
    return found


_PURE = frozenset(
    {"cast", "reshape", "expand_dims", "squeeze", "transpose", "broadcast_to", "slice", "select"}
)


def alike(x: Any, depth: int = 6) -> Hashable:
    """What two values have in common that are computed alike: `x > 0`, written twice."""
    node = x.node if isinstance(x, Value) else None
    if node is None or not depth or not (node.row.elementwise or node.op in _PURE):
        return x
    attrs = tuple(sorted((k, str(v)) for k, v in node.attrs.items()))
    return node.op, attrs, *(alike(o, depth - 1) for o in node.operands)


def places(b: Builder, mask: Value) -> list[Value]:
    """The indices along each axis where the mask holds."""
    rows = nonzero(b, mask)
    found: list[Value] = b.found.once(
        ("places", alike(mask)),
        lambda: [b.op("select", rows, axis=0, index=i) for i in range(mask.tensor.rank)],
    )
    return found


def place(b: Builder, bound: Any, size: int | Expr) -> Any:
    """A bound of a slice, counted from the front and within the axis before it is read."""
    if not isinstance(bound, Value):
        return bound
    wide = reshaped(b, cast(b, bound, DType.i64), ())
    wide = b.op("where", b.op("less", wide, 0), b.op("add", wide, size), wide)
    return b.size(b.op("minimum", b.op("maximum", wide, 0), size))


def span(b: Builder, first: Any, end: Any, step: Any, dtype: DType) -> Value:
    """`arange` by bounds of which some are values: their number is computed, and read."""
    if any(isinstance(v, Value) for v in (first, end)) and first != 0:
        count = b.op("subtract", end, first)
    else:
        count = end if first == 0 else end - first
    if step != 1 and dtype.is_integer:
        count = b.op("negative", b.op("floor_divide", negative(b, count), step))
    elif step != 1:
        count = b.op("divide", count, step)
    count = cast(b, count if dtype.is_integer else b.op("ceil", count), DType.i64)
    found = b.op("arange", start=0, stop=b.size(b.op("maximum", count, 0)), dtype=dtype)
    found = found if step == 1 else b.op("multiply", found, step)
    return found if first == 0 else b.op("add", found, first)


def negative(b: Builder, x: Any) -> Any:
    return b.op("negative", x) if isinstance(x, Value) else -x
