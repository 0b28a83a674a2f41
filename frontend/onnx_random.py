"""ONNX rows: random numbers.

The numbers are those of MLX's generator: a `seed` of the file fixes nothing, which is noted. What
the source draws is read from its own runs (see onnx_run.py), where the file's main graph draws it.
"""

from __future__ import annotations

from typing import Any

from ..errors import TranspileError
from ..ir import DType, Value
from .follows import followed
from .onnx_read import dtype_of
from .onnx_values import Call, Row, Source


def _dtype(c: Call, default: DType) -> DType:
    """The element type that the attribute states by its number in the standard."""
    number = c.attr("dtype")
    return default if number is None else dtype_of(number, f"the result of {c.op}")


def _drawn(c: Call, op: str, shape: Any, dtype: DType, like: Value | None, **options: Any) -> Value:
    c.state.note_seed(c.op, c.attr("seed"))
    if not dtype.is_float:
        raise TranspileError(f"{c.op} of the type {dtype}")
    wide = dtype is DType.f64  # MLX draws nothing in double precision
    like = None if wide else followed(like, dtype)
    kind = DType.f32 if wide else dtype
    out: Value = c.b.op(op, like, shape=tuple(shape), dtype=kind, **options)
    return c.b.op("cast", out, dtype=dtype) if wide else out


def _normal(c: Call, shape: Any, dtype: DType, like: Value | None = None) -> Value:
    mean, std = float(c.attr("mean", 0.0)), float(c.attr("scale", 1.0))
    return _drawn(c, "random_normal", shape, dtype, like, mean=mean, std=std)


def _uniform(c: Call, shape: Any, dtype: DType, like: Value | None = None) -> Value:
    low, high = float(c.attr("low", 0.0)), float(c.attr("high", 1.0))
    return _drawn(c, "random_uniform", shape, dtype, like, low=low, high=high)


def _sized(row: Any) -> Row:
    return lambda c: row(c, [int(d) for d in c.required("shape")], _dtype(c, DType.f32))


def _like(row: Any) -> Row:
    def of(c: Call, x: Source) -> Value:
        if x is None:
            raise TranspileError("a required input is missing")
        kind = x.tensor if isinstance(x, Value) else x
        like = x if isinstance(x, Value) and c.attr("dtype") is None else None
        out: Value = row(c, kind.shape, _dtype(c, kind.dtype), like)
        return out

    return of


def _bernoulli(c: Call, x: Source) -> Value:
    c.state.note_seed(c.op, c.attr("seed"))
    p = c.value(x)
    dtype = _dtype(c, p.tensor.dtype)
    if p.tensor.dtype is DType.f64:
        p = c.b.op("cast", p, dtype=DType.f32)
    out: Value = c.b.op("random_bernoulli", p, shape=p.tensor.shape)
    return out if dtype is DType.bool else c.b.op("cast", out, dtype=dtype)


def _multinomial(c: Call, x: Source) -> Value:
    """Indices by logarithms of probabilities, which need not add up to 1."""
    c.state.note_seed(c.op, c.attr("seed"))
    logits, dtype = c.value(x), _dtype(c, DType.i32)
    out: Value = c.b.op("random_categorical", logits, count=int(c.attr("sample_size", 1)))
    return out if dtype is DType.i64 else c.b.op("cast", out, dtype=dtype)


ROWS: dict[str, Any] = {
    "RandomNormal": _sized(_normal),
    "RandomNormalLike": _like(_normal),
    "RandomUniform": _sized(_uniform),
    "RandomUniformLike": _like(_uniform),
    "Bernoulli": _bernoulli,
    "Multinomial": _multinomial,
}
