"""Integers that a graph itself states: lengths that a source makes of a size are no data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .dims import Expr, floordiv, maximum, minimum

if TYPE_CHECKING:
    from .graph import Value

# Ops whose result holds elements of the first operand, and no others.
_SELECTS = frozenset(
    {"cast", "reshape", "expand_dims", "squeeze", "transpose", "broadcast_to", "slice", "select",
     "max", "min", "flip", "tile", "take", "gather", "sort"}
)  # fmt: skip
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "floor_divide": lambda a, b: floordiv(a, b) if isinstance(b, int) and b > 0 else None,
    "maximum": maximum,
    "minimum": minimum,
}


def stated(value: Value, depth: int = 12) -> int | Expr | None:
    """The integer that each element of the value is, where the graph says so."""
    node = value.node
    if node is None or not depth or len(node.results) > 1 or not value.tensor.dtype.is_integer:
        return None
    if node.op == "full":
        return _integer(node["value"])
    if node.op in _SELECTS:
        return _operand(node.operands[0], depth)
    if node.op in _ARITHMETIC:
        left, right = (_operand(o, depth) for o in node.operands)
        return None if left is None or right is None else _ARITHMETIC[node.op](left, right)
    return None


def _operand(x: Any, depth: int) -> int | Expr | None:
    return stated(x, depth - 1) if hasattr(x, "node") else _integer(x)


def _integer(x: Any) -> int | Expr | None:
    return x if isinstance(x, int | Expr) and not isinstance(x, bool) else None
