"""Rules of the index analysis: how an op's elements follow from its operands' elements.

A rule is `(analysis, node, result) -> Term | None`; None says that the elements are data.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir import DType, Node, Value
from ..ir.dims import Expr, symbols
from ..ir.graph import Param
from ..ir.recipe import Constant
from .index_arithmetic import ARITHMETIC, Rule
from .index_terms import at_least_zero, choose, either, index, is_zero, own
from .index_views import VIEWS

# ---- sources, scans


def _arange(analysis: Any, node: Node, _: int) -> Any:
    start, step = (
        int(v) if isinstance(v, float) and v.is_integer() else v
        for v in (node["start"], node["step"])
    )
    if isinstance(start, float) or isinstance(step, float):
        return None
    if node["dtype"] not in (DType.i32, DType.i64, DType.f32, DType.f64):
        return None
    term = own(node.out.tensor.shape)[0] * step + start
    return float(term) if isinstance(term, int) and node["dtype"].is_float else term


def _full(analysis: Any, node: Node, _: int) -> Any:
    value, dtype = node["value"], node["dtype"]
    if dtype.is_complex:
        return None
    if isinstance(value, Expr):
        return value if dtype in (DType.i32, DType.i64, DType.f32, DType.f64) else None
    return _scalar(np.asarray(value).astype(dtype.numpy))


def _scalar(number: Any) -> bool | int | float:
    value = number.item()
    return value if isinstance(value, bool | int) else float(value)


def _eye(analysis: Any, node: Node, _: int) -> Any:
    shape = node.out.tensor.shape
    on = is_zero(index(0, shape[0]) - index(1, shape[1]), shape)
    dtype = node["dtype"]
    return on if dtype is DType.bool else choose(on, *((1.0, 0.0) if dtype.is_float else (1, 0)))


def _literal(analysis: Any, node: Node, _: int) -> Any:
    return fitted(np.array(node["values"], node["dtype"].numpy))


def _cumsum(analysis: Any, node: Node, _: int) -> Any:
    """The running sum of what is the same all along the axis."""
    if node.out.tensor.dtype not in (DType.i32, DType.i64):
        return None
    shape, axis = node.out.tensor.shape, node["axis"]
    term = analysis.read(node.values[0], own(shape), shape)
    if not isinstance(term, int | Expr) or _varies(term, axis):
        return None
    return (index(axis, shape[axis]) + 1) * term


def _varies(term: int | Expr, axis: int) -> bool:
    return any(s.name == f"${axis}" for s in symbols(term))


# ---- parameters

_LARGEST_TABLE = 2**22


def parameter(value: Value) -> Any:
    """The elements of a tensor that stands in the source's code, where they follow a rule."""
    recipe = value.recipe if isinstance(value, Param) else None
    if not isinstance(recipe, Constant) or recipe.data.size > _LARGEST_TABLE:
        return None
    return fitted(recipe.data)


def fitted(data: np.ndarray) -> Any:
    """All elements one number; positions times steps; or two numbers, parted along a diagonal."""
    if not data.size or data.dtype.kind == "c":
        return None
    if np.all(data == data.flat[0]):
        return _scalar(data.flat[0])
    if data.dtype.kind == "i" and data.itemsize >= 4:
        linear = _linear(data)
        if linear is not None:
            return linear
    return _diagonal(data)


def _linear(data: np.ndarray) -> Expr | None:
    total: Any = int(data.flat[0])
    expected = np.full(data.shape, total, np.int64)
    for axis, size in enumerate(data.shape):
        if size > 1:
            step = int(data[tuple(1 if a == axis else 0 for a in range(data.ndim))]) - int(
                data.flat[0]
            )
            total = total + step * index(axis, size)
            grown = step * np.arange(size).reshape(
                [-1 if a == axis else 1 for a in range(data.ndim)]
            )
            expected = expected + grown
    return total if np.array_equal(expected, data) else None


def _diagonal(data: np.ndarray) -> Any:
    """`yes` on and below a diagonal of the last two axes, `no` above it."""
    if data.ndim < 2 or any(d != 1 for d in data.shape[:-2]):
        return None
    table = data.reshape(data.shape[-2:])
    yes, no = table[-1, 0], table[0, -1]
    offset = int((table[0] == yes).sum()) - 1
    below = np.tri(*table.shape, offset, dtype=bool)
    if yes == no or not np.array_equal(np.where(below, yes, no), table):
        return None
    row, column = (index(data.ndim - 2 + i, table.shape[i]) for i in (0, 1))
    condition = at_least_zero(row + offset - column, data.shape)
    return either(condition, _scalar(yes), _scalar(no))


RULES: dict[str, Rule] = {
    **ARITHMETIC,
    **VIEWS,
    "arange": _arange,
    "full": _full,
    "eye": _eye,
    "literal": _literal,
    "cumsum": _cumsum,
}
