"""ONNX rows: quantized arithmetic, computed in float or in whole numbers as the standard says."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import TranspileError
from ..ir import Builder, DType, Value
from ..ir.dims import floordiv, product
from .aten_common import reshaped
from .onnx_conv import conv
from .onnx_dequantize import dequantized
from .onnx_math import to_dtype
from .onnx_matrix import integer_matmul
from .onnx_shape import axis
from .onnx_values import Call, Host, Source


def _aligned(c: Call, x: Value, param: Value, at: int) -> Value:
    """A scale for each slice of an axis, or for blocks of it, shaped to meet x."""
    rank, shape = x.tensor.rank, param.tensor.shape
    if not shape or (len(shape) == 1 and shape[0] == 1 and rank != 1):
        return reshaped(c.b, param, ())
    if len(shape) == 1:
        return reshaped(c.b, param, tuple(shape[0] if i == at else 1 for i in range(rank)))
    if shape == x.tensor.shape:
        return param
    block = int(c.attr("block_size", 0)) or floordiv(x.tensor.shape[at] + shape[at] - 1, shape[at])
    spread = c.b.op("repeat", param, repeats=block, axis=at)
    extra = spread.tensor.shape[at] != x.tensor.shape[at]
    return c.b.op("slice", spread, axis=at, start=0, stop=x.tensor.shape[at]) if extra else spread


def _axis_of(c: Call, x: Value) -> int:
    return axis(x, c.attr("axis", 1)) if x.tensor.rank > 1 else 0


def _limits(dtype: DType) -> tuple[int, int]:
    info = np.iinfo(dtype.numpy)
    return int(info.min), int(info.max)


def quantized(b: Builder, x: Value, scale: Any, zero: Any, dtype: DType) -> Value:
    """clip(round(x / scale) + zero)."""
    low, high = _limits(dtype)
    out = b.op("round", b.op("divide", x, scale))
    if zero is not None:
        negative = isinstance(zero, float) and zero < 0
        out = b.op("subtract", out, -zero) if negative else b.op("add", out, zero)
    return to_dtype(b, b.op("clip", out, float(low), float(high)), dtype)


def _quantize(c: Call, x: Source, scale: Source, zero: Source = None) -> Value:
    from .onnx_read import dtype_of

    value = c.value(x)
    kind = c.attr("output_dtype", 0)
    dtype = DType.u8
    if zero is not None:
        if isinstance(zero, Host) and zero.narrow:
            raise TranspileError(f"QuantizeLinear to {zero.bits} bits")
        dtype = zero.dtype if isinstance(zero, Host) else c.value(zero).tensor.dtype
    elif kind:
        dtype = dtype_of(kind, "QuantizeLinear")
    if not dtype.is_integer:
        raise TranspileError(f"QuantizeLinear to {dtype}")
    at = _axis_of(c, value)
    wide = to_dtype(c.b, value, DType.f32)
    steps, offset = _step(c, value, scale, at), _step(c, value, zero, at)
    return quantized(c.b, wide, steps, offset or None, dtype)


def _step(c: Call, x: Value, step: Source, at: int) -> Any:
    """A scale or zero point in float32: a number where the file holds a single one."""
    if step is None:
        return None
    if isinstance(step, Host) and step.size == 1 and not step.symbolic:
        return float(step.number)
    return _aligned(c, x, to_dtype(c.b, c.value(step), DType.f32), at)


def _dequantize(c: Call, x: Source, scale: Source, zero: Source = None) -> Value:
    if _is_weight(c, x, scale, zero):
        assert isinstance(x, Host)
        at = c.attr("axis", 1) % len(x.shape) if len(x.shape) > 1 else 0
        return dequantized(c, x, scale, zero, at, _role(c, x))
    value = c.value(x)
    dtype = scale.dtype if isinstance(scale, Host) else c.value(scale).tensor.dtype
    at = _axis_of(c, value)
    wide = c.b.op("cast", value, dtype=DType.f32)
    offset = _step(c, value, zero, at)
    if isinstance(offset, float) and offset < 0:
        wide = c.b.op("add", wide, -offset)
    elif offset:
        wide = c.b.op("subtract", wide, offset)
    return to_dtype(c.b, c.b.op("multiply", wide, _step(c, value, scale, at)), dtype)


def _is_weight(c: Call, x: Source, scale: Source, zero: Source) -> bool:
    """Whether all of it is in the file: then the target's weights hold the floats."""
    known = [p for p in (scale, zero) if p is not None]
    if not isinstance(x, Host) or not x.initializer:
        return False
    return all(isinstance(p, Host) and not p.symbolic and p.rank in (0, 1, x.rank) for p in known)


def _role(c: Call, x: Host) -> str:
    """What the floats are called in their module."""
    return c.state.readable(x.initializer).rpartition(".")[2] or "weight"


def _dynamic_quantize(c: Call, x: Source) -> list[Value]:
    """To u8 over the range of the data, which holds 0."""
    b, value = c.b, c.value(x)
    axes = tuple(range(value.tensor.rank))
    low = b.op("minimum", b.op("min", value, axes=axes, keepdims=False), 0.0)
    high = b.op("maximum", b.op("max", value, axes=axes, keepdims=False), 0.0)
    scale = b.op("divide", b.op("subtract", high, low), 255.0)
    zero = b.op("round", b.op("clip", b.op("divide", b.op("negative", low), scale), 0.0, 255.0))
    return [quantized(b, value, scale, zero, DType.u8), scale, to_dtype(b, zero, DType.u8)]


def _shifted(c: Call, x: Source, zero: Source, at: int | None = None) -> Value:
    """x - zero in 32-bit whole numbers."""
    value = c.value(x)
    wide = to_dtype(c.b, value, DType.i32)
    if zero is None:
        return wide
    offset = to_dtype(c.b, c.value(zero), DType.i32)
    if offset.tensor.rank == 1 and offset.tensor.shape != (1,) and at is not None:
        rank = value.tensor.rank
        offset = reshaped(
            c.b, offset, tuple(offset.tensor.shape[0] if i == at else 1 for i in range(rank))
        )
    elif product(offset.tensor.shape) == 1:
        offset = reshaped(c.b, offset, ())
    return c.b.op("subtract", wide, offset)


def _matmul_integer(
    c: Call, a: Source, b: Source, a_zero: Source = None, b_zero: Source = None
) -> Value:
    left = c.value(a)
    rows = _shifted(c, left, a_zero, left.tensor.rank - 2)
    right = c.value(b)
    columns = _shifted(c, right, b_zero, right.tensor.rank - 1)
    return integer_matmul(c, rows, columns, DType.i32)


def _conv_integer(
    c: Call, x: Source, w: Source, x_zero: Source = None, w_zero: Source = None
) -> Value:
    """In float32: exact up to 2^24."""
    data = to_dtype(c.b, _shifted(c, x, x_zero), DType.f32)
    weight = to_dtype(c.b, _shifted(c, w, w_zero, 0), DType.f32)
    return to_dtype(c.b, c.b.op("round", conv(c, data, weight, None)), DType.i32)


def _scale(c: Call, x: Source, rank: int, at: int) -> Value:
    value = to_dtype(c.b, c.value(x), DType.f32)
    if value.tensor.rank == 1 and value.tensor.shape != (1,):
        return reshaped(
            c.b, value, tuple(value.tensor.shape[0] if i == at else 1 for i in range(rank))
        )
    return reshaped(c.b, value, ()) if product(value.tensor.shape) == 1 else value


def _requantized(c: Call, total: Value, factor: Value, scale: Source, zero: Source) -> Value:
    dtype = zero.dtype if isinstance(zero, Host) else c.value(zero).tensor.dtype
    wide = c.b.op("multiply", to_dtype(c.b, total, DType.f32), factor)
    steps = reshaped(c.b, to_dtype(c.b, c.value(scale), DType.f32), ())
    offset = reshaped(c.b, to_dtype(c.b, c.value(zero), DType.f32), ())
    return quantized(c.b, wide, steps, offset, dtype)


def _qlinear_matmul(
    c: Call, a: Source, a_scale: Source, a_zero: Source, b: Source, b_scale: Source,
    b_zero: Source, y_scale: Source, y_zero: Source,
) -> Value:  # fmt: skip
    total = _matmul_integer(c, a, b, a_zero, b_zero)
    rank = total.tensor.rank
    factor = c.b.op(
        "multiply", _scale(c, a_scale, rank, rank - 2), _scale(c, b_scale, rank, rank - 1)
    )
    return _requantized(c, total, factor, y_scale, y_zero)


def _qlinear_conv(
    c: Call, x: Source, x_scale: Source, x_zero: Source, w: Source, w_scale: Source,
    w_zero: Source, y_scale: Source, y_zero: Source, bias: Source = None,
) -> Value:  # fmt: skip
    data = to_dtype(c.b, _shifted(c, x, x_zero), DType.f32)
    weight = to_dtype(c.b, _shifted(c, w, w_zero, 0), DType.f32)
    offset = None if bias is None else to_dtype(c.b, c.value(bias), DType.f32)
    total = conv(c, data, weight, offset)
    rank = total.tensor.rank
    factor = c.b.op("multiply", _scale(c, x_scale, rank, 0), _scale(c, w_scale, rank, 1))
    return _requantized(c, total, factor, y_scale, y_zero)


ROWS: dict[str, Any] = {
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "DynamicQuantizeLinear": _dynamic_quantize,
    "MatMulInteger": _matmul_integer,
    "ConvInteger": _conv_integer,
    "QLinearMatMul": _qlinear_matmul,
    "QLinearConv": _qlinear_conv,
}
