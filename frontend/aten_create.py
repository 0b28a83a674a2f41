"""ATen rows: tensors made from sizes and numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..ir import Builder, DType, Value
from ..ir.dims import Expr, maximum
from .aten_common import Dims, Row, need, tensor
from .data_sizes import span
from .promotion import FLOAT, cast, scalar_type


def _arange(
    b: Builder, start: Any, end: Any, step: Any = 1, *, dtype: DType | None = None, **unused: Any
) -> Value:
    found = [v for v in (start, end, step) if isinstance(v, Value)]
    floating = any(isinstance(v, float) for v in (start, end, step)) or any(
        v.tensor.dtype.is_float for v in found
    )
    if found:
        need(not isinstance(step, Value), "arange by steps of data", "a fixed step works")
        return span(b, start, end, step, dtype or (FLOAT if floating else DType.i64))
    return b.op(
        "arange",
        start=start,
        stop=end,
        step=step,
        dtype=dtype or (FLOAT if floating else DType.i64),
    )


def _range(
    b: Builder, start: Any, end: Any, step: Any = 1, *, dtype: DType | None = None, **unused: Any
) -> Value:
    """The end counts, and numbers are floats by default."""
    return _arange(b, start, end + step * 0.5, step, dtype=dtype or FLOAT)


def _arange_end(b: Builder, end: Any, *, dtype: DType | None = None, **unused: Any) -> Value:
    return _arange(b, 0, end, 1, dtype=dtype)


def _full(
    b: Builder, size: Dims, fill_value: Any, *, dtype: DType | None = None, **unused: Any
) -> Value:
    return _filled(
        b,
        tuple(size),
        fill_value,
        dtype
        or (fill_value.tensor.dtype if isinstance(fill_value, Value) else scalar_type(fill_value)),
    )


def _filled(b: Builder, shape: tuple[Any, ...], value: Any, dtype: DType) -> Value:
    if isinstance(value, Value):
        value = tensor(b, value, dtype)
        return value if value.tensor.shape == shape else b.op("broadcast_to", value, shape=shape)
    if dtype.is_float and isinstance(value, int):
        value = float(value)
    elif dtype is DType.bool and isinstance(value, int | float):
        value = bool(value)
    elif dtype.is_integer and isinstance(value, bool | float):
        value = int(value)
    return b.op("full", shape=shape, value=value, dtype=dtype)


def _constant(value: int) -> Row:
    """zeros, ones, empty."""
    return lambda b, size, *, dtype=None, **unused: _filled(b, tuple(size), value, dtype or FLOAT)


def _like(value: int) -> Row:
    def row(b: Builder, self: Any, *, dtype: DType | None = None, **unused: Any) -> Value:
        self = tensor(b, self)
        return _filled(b, self.tensor.shape, value, dtype or self.tensor.dtype)

    return row


def _new(value: int) -> Row:
    def row(
        b: Builder, self: Value, size: Dims, *, dtype: DType | None = None, **unused: Any
    ) -> Value:
        return _filled(b, tuple(size), value, dtype or self.tensor.dtype)

    return row


def _full_like(
    b: Builder, self: Value, fill_value: Any, *, dtype: DType | None = None, **unused: Any
) -> Value:
    return _filled(b, self.tensor.shape, fill_value, dtype or self.tensor.dtype)


def _new_full(
    b: Builder,
    self: Value,
    size: Dims,
    fill_value: Any,
    *,
    dtype: DType | None = None,
    **unused: Any,
) -> Value:
    return _filled(b, tuple(size), fill_value, dtype or self.tensor.dtype)


def _scalar_tensor(b: Builder, s: Any, *, dtype: DType | None = None, **unused: Any) -> Value:
    return _filled(b, (), s, dtype or FLOAT)


def _linspace(
    b: Builder, start: Any, end: Any, steps: Any, *, dtype: DType | None = None, **unused: Any
) -> Value:
    dtype = dtype or FLOAT
    if isinstance(start, int | float) and isinstance(end, int | float):
        return b.op("linspace", start=float(start), stop=float(end), count=steps, dtype=dtype)
    kind = dtype if dtype.is_float else FLOAT
    low, high = (_number(b, x, kind) for x in (start, end))
    step = b.op("divide", b.op("subtract", high, low), maximum(steps - 1, 1))
    places = b.op("arange", stop=steps, dtype=kind)
    return cast(b, b.op("add", b.op("multiply", places, step), low), dtype)


def _number(b: Builder, value: Any, dtype: DType) -> Any:
    """A size as a 0-d tensor, a tensor in the type, a plain number as it is."""
    if isinstance(value, Value):
        return cast(b, value, dtype)
    return _filled(b, (), value, dtype) if isinstance(value, Expr) else float(value)


def _logspace(
    b: Builder,
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: DType | None = None,
    **unused: Any,
) -> Value:
    return b.op("power", float(base), _linspace(b, start, end, steps, dtype=dtype))


def _eye(b: Builder, n: Any, m: Any = None, *, dtype: DType | None = None, **unused: Any) -> Value:
    return b.op("eye", rows=n, columns=n if m is None else m, dtype=dtype or FLOAT)


def _triangle(op: str) -> Row:
    return lambda b, self, diagonal=0: b.op(op, self, offset=diagonal)


def _indices(lower: bool) -> Row:
    """tril_indices and triu_indices: the coordinates are known, so they stand in the code."""

    def row(
        b: Builder,
        row: int,
        col: int,
        offset: int = 0,
        *,
        dtype: DType | None = None,
        **unused: Any,
    ) -> Value:
        pairs = [
            (i, j)
            for i in range(row)
            for j in range(col)
            if (j - i <= offset if lower else j - i >= offset)
        ]
        return constant_table(b, [[i for i, _ in pairs], [j for _, j in pairs]], dtype or DType.i64)

    return row


def constant_table(b: Builder, rows: Sequence[Sequence[int]], dtype: DType) -> Value:
    """A small constant table of numbers, as it stands in code."""
    flat = tuple(v for row in rows for v in row)
    values = b.op("literal", values=flat, dtype=dtype)
    return b.op("reshape", values, shape=(len(rows), len(rows[0])))


def _window(coefficients: Sequence[float]) -> Row:
    """A sum of cosines: hann, hamming and blackman windows."""

    def row(
        b: Builder,
        window_length: int,
        periodic: bool = True,
        *unused: Any,
        dtype: DType | None = None,
        **options: Any,
    ) -> Value:
        steps = window_length if periodic else window_length - 1
        values = [
            sum(
                c * math.cos(2 * math.pi * k * n / max(steps, 1))
                for k, c in enumerate(coefficients)
            )
            for n in range(window_length)
        ]
        return b.op("literal", values=tuple(values), dtype=dtype or FLOAT)

    return row


ROWS: dict[str, Row] = {
    "arange": _arange_end,
    "arange.start": _arange,
    "arange.start_step": _arange,
    "range": _range,
    "zeros": _constant(0),
    "ones": _constant(1),
    "empty": _constant(0),
    "full": _full,
    "empty_strided": lambda b, size, stride, **o: _constant(0)(b, size, **o),
    "empty_permuted": lambda b, size, physical_layout, **o: _constant(0)(b, size, **o),
    "zeros_like": _like(0),
    "ones_like": _like(1),
    "empty_like": _like(0),
    "full_like": _full_like,
    "new_zeros": _new(0),
    "new_ones": _new(1),
    "new_empty": _new(0),
    "new_full": _new_full,
    "new_empty_strided": lambda b, self, size, stride, **o: _new(0)(b, self, size, **o),
    "zero": lambda b, self: _like(0)(b, self),
    "scalar_tensor": _scalar_tensor,
    "linspace": _linspace,
    "logspace": _logspace,
    "eye": _eye,
    "eye.m": _eye,
    "tril": _triangle("tril"),
    "triu": _triangle("triu"),
    "tril_indices": _indices(True),
    "triu_indices": _indices(False),
    "hann_window": _window((0.5, -0.5)),
    "hamming_window": _window((0.54, -0.46)),
    "blackman_window": _window((0.42, -0.5, 0.08)),
}
