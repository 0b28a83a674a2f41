"""ONNX rows: reductions, scans, order."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..errors import TranspileError
from ..ir import Builder, DType, Value
from ..ir.dims import Expr
from .onnx_math import to_dtype
from .onnx_shape import axes_of, axis
from .onnx_values import Call, Row, Source

_NARROW = (DType.bool, DType.u8, DType.u16, DType.i8, DType.i16)
Body = Callable[..., Value]


def _reduce(body: Body, axes_since: int = 18) -> Row:
    """`body(b, x, axes, keepdims)`; no axes mean all, or none where the node says so."""

    def row(c: Call, x: Source, axes: Source = None) -> Value:
        value = c.value(x)
        listed = axes_of(c, value, axes, axes_since)
        if not listed:
            if c.attr("noop_with_empty_axes", 0):
                return body(c.b, value, (), True)
            listed = list(range(value.tensor.rank))
        return body(c.b, value, tuple(sorted(listed)), bool(c.attr("keepdims", 1)))

    return row


def _accumulated(op: str) -> Body:
    """sum, prod; narrow integers are accumulated in 32 bits."""

    def body(b: Builder, x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
        if not axes:
            return x
        dtype = x.tensor.dtype
        wide = to_dtype(b, x, DType.i32) if dtype in _NARROW else x
        return to_dtype(b, b.op(op, wide, axes=axes, keepdims=keepdims), dtype)

    return body


total = _accumulated("sum")


def _mean(b: Builder, x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    if not axes:
        return x
    if not x.tensor.dtype.is_float:
        raise TranspileError(f"the mean of {x.tensor.dtype}")
    return b.op("mean", x, axes=axes, keepdims=keepdims)


def _extreme(op: str) -> Body:
    """max, min; of no elements: the type's end."""

    def body(b: Builder, x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
        dtype = x.tensor.dtype
        if not axes:
            return x
        if dtype is DType.bool:
            return b.op("any" if op == "max" else "all", x, axes=axes, keepdims=keepdims)
        if any(x.tensor.shape[a] == 0 for a in axes):
            return _of_nothing(b, x, axes, keepdims, op)
        return b.op(op, x, axes=axes, keepdims=keepdims)

    return body


def _of_nothing(b: Builder, x: Value, axes: tuple[int, ...], keepdims: bool, op: str) -> Value:
    import numpy as np

    shape = [1 if i in axes else d for i, d in enumerate(x.tensor.shape)]
    if not keepdims:
        shape = [d for i, d in enumerate(x.tensor.shape) if i not in axes]
    dtype = x.tensor.dtype
    if dtype.is_float:
        value: Any = -math.inf if op == "max" else math.inf
    else:
        limits = np.iinfo(dtype.numpy)
        value = int(limits.min if op == "max" else limits.max)
    return b.op("full", shape=tuple(shape), value=value, dtype=dtype)


def _l1(b: Builder, x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    return total(b, b.op("abs", x), axes, keepdims)


def _l2(b: Builder, x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    squares = total(b, b.op("square", x), axes, keepdims)
    dtype = squares.tensor.dtype
    return to_dtype(b, b.op("sqrt", to_dtype(b, squares, _real(dtype))), dtype)


def _real(dtype: DType) -> DType:
    return dtype if dtype.is_float else DType.f32


def _sum_square(b: Builder, x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    return total(b, b.op("square", x), axes, keepdims)


def _log_sum(b: Builder, x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    return b.op("log", total(b, x, axes, keepdims))


def _log_sum_exp(b: Builder, x: Value, axes: tuple[int, ...], keepdims: bool) -> Value:
    if not axes:
        return x
    if any(x.tensor.shape[a] == 0 for a in axes):
        return b.op("log", b.op("sum", b.op("exp", x), axes=axes, keepdims=keepdims))
    return b.op("logsumexp", x, axes=axes, keepdims=keepdims)


def _arg(op: str) -> Row:
    def row(c: Call, x: Source) -> Value:
        value = c.value(x)
        at, keep = axis(value, c.attr("axis", 0)), bool(c.attr("keepdims", 1))
        if not c.attr("select_last_index", 0):
            return c.b.op(op, value, axis=at, keepdims=keep)
        last = value.tensor.shape[at] - 1
        turned = c.b.op("flip", value, axes=(at,))
        place = c.b.op(op, turned, axis=at, keepdims=keep)
        return c.b.op("subtract", last, place)

    return row


def _scan(op: str) -> Row:
    def row(c: Call, x: Source, along: Source) -> Value:
        value = c.value(x)
        at = axis(value, c.ints(along, "the axis")[0])
        back, before = bool(c.attr("reverse", 0)), bool(c.attr("exclusive", 0))
        if back:
            value = c.b.op("flip", value, axes=(at,))
        if before:
            value = _shifted(c.b, value, at, 0 if op == "cumsum" else 1)
        out = c.b.op(op, value, axis=at)
        return c.b.op("flip", out, axes=(at,)) if back else out

    return row


def _shifted(b: Builder, x: Value, at: int, fill: int) -> Value:
    """Without the last element, and a neutral one in front."""
    size, rank = x.tensor.shape[at], x.tensor.rank
    rest = b.op("slice", x, axis=at, start=0, stop=size - 1)
    low = tuple(1 if i == at else 0 for i in range(rank))
    return b.op("pad", rest, low=low, high=(0,) * rank, value=fill)


def _topk(c: Call, x: Source, count: Source = None) -> Any:
    value = c.value(x)
    k = c.required("k") if c.opset < 10 else c.dims(count, "k")[0]
    at = axis(value, c.attr("axis", -1))
    return c.b.op("topk", value, k=k, axis=at, largest=bool(c.attr("largest", 1)))


def _hardmax(c: Call, x: Source) -> Value:
    """1 at the first largest element of an axis."""
    value = c.value(x)
    if c.opset < 13:
        return _flattened(c, value, _hardmax_axis)
    return _hardmax_axis(c, value, axis(value, c.attr("axis", -1)))


def _hardmax_axis(c: Call, x: Value, at: int) -> Value:
    place = c.b.op("argmax", x, axis=at, keepdims=True)
    shape: list[int | Expr] = [1] * x.tensor.rank
    shape[at] = x.tensor.shape[at]
    along = c.b.op("arange", start=0, stop=x.tensor.shape[at], dtype=place.tensor.dtype)
    along = c.b.op("reshape", along, shape=tuple(shape))
    return to_dtype(c.b, c.b.op("equal", place, along), x.tensor.dtype)


def _flattened(c: Call, x: Value, body: Callable[[Call, Value, int], Value]) -> Value:
    """Before opset 13 the axes from `axis` on are one."""
    from ..ir.dims import product
    from .aten_common import reshaped

    shape, at = x.tensor.shape, axis(x, c.attr("axis", 1))
    if at == x.tensor.rank - 1:
        return body(c, x, at)
    flat = reshaped(c.b, x, (product(shape[:at]), product(shape[at:])))
    return reshaped(c.b, body(c, flat, 1), shape)


def _softmax(op: str) -> Row:
    def on_axis(c: Call, x: Value, at: int) -> Value:
        return c.b.op(op, x, axis=at)

    def row(c: Call, x: Source) -> Value:
        value = c.value(x)
        if c.opset < 13:
            return _flattened(c, value, on_axis)
        return on_axis(c, value, axis(value, c.attr("axis", -1)))

    return row


ROWS: dict[str, Any] = {
    "ReduceSum": _reduce(total, axes_since=13),
    "ReduceProd": _reduce(_accumulated("prod")),
    "ReduceMean": _reduce(_mean),
    "ReduceMax": _reduce(_extreme("max")),
    "ReduceMin": _reduce(_extreme("min")),
    "ReduceL1": _reduce(_l1),
    "ReduceL2": _reduce(_l2),
    "ReduceSumSquare": _reduce(_sum_square),
    "ReduceLogSum": _reduce(_log_sum),
    "ReduceLogSumExp": _reduce(_log_sum_exp),
    "ArgMax": _arg("argmax"),
    "ArgMin": _arg("argmin"),
    "CumSum": _scan("cumsum"),
    "CumProd": _scan("cumprod"),
    "TopK": _topk,
    "Hardmax": _hardmax,
    "Softmax": _softmax("softmax"),
    "LogSoftmax": _softmax("log_softmax"),
}
