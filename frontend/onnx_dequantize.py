"""Integers with a scale and a zero point as floats, and back.

Weights are turned into floats by their recipe, when the target's weights are written; everything
else by ops in the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import TranspileError
from ..ir import DType, Tensor, Value
from ..ir.recipe import Dequantize, Number, Read, Recipe, Reshape, Slice, Unpack
from .aten_common import reshaped
from .onnx_math import to_dtype
from .onnx_values import Call, Host, Source

LIMITS = {
    DType.u8: (0, 255), DType.i8: (-128, 127), DType.u16: (0, 65535), DType.i16: (-32768, 32767),
    DType.i32: (-(2**31), 2**31 - 1),
}  # fmt: skip


def along(shape: Sequence[Any], count: Any, axis: int) -> tuple[Any, ...]:
    """The shape of a vector that stands along one axis."""
    return tuple(count if i == axis else 1 for i in range(len(shape)))


def dequantized(
    c: Call, x: Source, scale: Source, zero: Source = None, axis: int | None = None,
    role: str = "weight",
) -> Value:  # fmt: skip
    """(x - zero) * scale; scale and zero are numbers, or vectors along the axis."""
    parts = (x, scale, zero)
    if isinstance(x, Host) and x.initializer and all(p is None or _stored(p) for p in parts):
        return _by_recipe(c, x, scale, zero, axis, role)
    value = c.value(x)
    shape = value.tensor.shape
    factor = _placed(c, scale, shape, axis)
    dtype = factor.tensor.dtype if isinstance(factor, Value) else DType.f32
    out = to_dtype(c.b, value, dtype)
    offset = None if zero is None else _placed(c, zero, shape, axis)
    if isinstance(offset, Value):
        out = c.b.op("subtract", out, to_dtype(c.b, offset, dtype))
    elif offset:
        out = c.b.op("subtract", out, float(offset))
    return c.b.op("multiply", out, factor)


def _stored(x: Source) -> bool:
    return isinstance(x, Host) and not x.symbolic


def _placed(c: Call, x: Source, shape: Sequence[Any], axis: int | None) -> Any:
    """A number, or a vector with axes of size one around it."""
    if isinstance(x, Host) and x.size == 1:
        return x.number
    value = c.value(x)
    if value.tensor.rank == 0:
        return value
    if value.tensor.rank == 1 and value.tensor.shape[0] == 1:
        return reshaped(c.b, value, ())
    at = len(shape) - 1 if axis is None else axis
    if value.tensor.rank == 1:
        return reshaped(c.b, value, along(shape, value.tensor.shape[0], at))
    return value


def _by_recipe(c: Call, x: Host, scale: Source, zero: Source, axis: int | None, role: str) -> Value:
    """A parameter that is dequantized by its recipe; blocks along the axis where scales say so."""
    assert isinstance(scale, Host)
    at = len(x.shape) - 1 if axis is None else axis
    whole = scale.size == 1
    steps = (1,) * x.rank if whole else along(x.shape, scale.size, at)
    steps = scale.shape if scale.rank == x.rank and not whole else steps
    block = 0
    if steps[at : at + 1] not in ((1,), x.shape[at : at + 1]):
        block = int(c.attr("block_size", 0)) or -(-x.shape[at] // steps[at])
    zeros: Recipe = Number(0.0)
    if isinstance(zero, Host):
        zeros = Number(float(zero.number)) if zero.size == 1 else _shaped(zero, steps)
    recipe = Dequantize(
        Read(x.initializer), _shaped(scale, steps), zeros, x.bits, _low(x), steps, at, block
    )
    return derived(c, x, recipe, x.shape, scale.dtype, role)


def _low(x: Host) -> int:
    """The least number that the type of its elements can hold."""
    return -(2 ** (x.bits - 1)) if x.dtype.value[0] == "i" else 0


def _shaped(x: Host, shape: tuple[int, ...]) -> Recipe:
    return source(x) if x.shape == shape else Reshape(source(x), shape)


def source(x: Host) -> Recipe:
    """The tensor of the file, or the constant of the graph."""
    from ..ir.recipe import Constant
    from .arrays import digest

    if x.initializer:
        return Read(x.initializer)
    return Constant(x.array, digest(x.array))


def derived(
    c: Call, x: Host, recipe: Recipe, shape: tuple[int, ...], dtype: DType, role: str,
    home: str = "",
) -> Value:  # fmt: skip
    """A parameter computed from an initializer, named after it where its name means something.

    A matrix is one parameter, whatever reads it.
    """
    matrices = c.state.names.matrices
    if recipe in matrices:
        return matrices[recipe]
    path = "" if home else c.state.readable(x.initializer)
    scope = path.rpartition(".")[0] if path else home or c.b.scope.path
    name = c.state.names.free(scope, role, f"{recipe}")
    param = c.b.graph.param(name, Tensor(dtype, shape), recipe)
    if len(shape) > 1:
        matrices[recipe] = param
    return param


def quantized(
    c: Call, x: Value, scale: Source, zero: Source, dtype: DType, axis: int | None = None
) -> Value:
    """round(x / scale) + zero within the type's range, half to even."""
    b, shape = c.b, x.tensor.shape
    factor = _placed(c, scale, shape, axis)
    out = b.op("round", b.op("divide", x, factor))
    offset = None if zero is None else _placed(c, zero, shape, axis)
    if isinstance(offset, Value):
        out = b.op("add", out, to_dtype(b, offset, x.tensor.dtype))
    elif offset:
        out = b.op("add", out, float(offset))
    low, high = LIMITS[dtype]
    return b.op("cast", b.op("clip", out, float(low), float(high)), dtype=dtype)


def type_of(x: Source, default: DType = DType.u8) -> DType:
    if x is None:
        return default
    return x.dtype if isinstance(x, Host) else x.tensor.dtype


# ---- packed integers


PACKED_BITS = (2, 4, 8)


def unpacked(packed: Recipe, bits: int) -> Recipe:
    """Bytes along the last axis as whole numbers, the lowest bits first."""
    return packed if bits == 8 else Unpack(packed, bits)


def blocks(
    c: Call, x: Host, scale: Host, zero: Host | None, rows: int, columns: int, size: int, bits: int,
    home: str = "",
) -> Value:  # fmt: skip
    """Packed weights [rows, blocks, bytes] with a scale for each block, as [rows, columns].

    `home` is the module that they are a weight of, where their name is another one's.
    """
    if bits not in PACKED_BITS:
        raise TranspileError(f"weights of {bits} bits", hint="2, 4 and 8 bits work")
    count = -(-columns // size)
    values = unpacked(Reshape(Read(x.initializer), (rows, count * (size * bits // 8))), bits)
    if count * size != columns:
        values = Slice(values, 1, 0, columns)
    steps, block = (rows, count), size if count > 1 else 0
    zeros = _block_zeros(zero, rows, count, bits)
    recipe = Dequantize(values, _shaped(scale, steps), zeros, bits, 0, steps, 1, block)
    return derived(c, x, recipe, (rows, columns), scale.dtype, "weight", home)


def _block_zeros(zero: Host | None, rows: int, count: int, bits: int) -> Recipe:
    if zero is None:
        return Number(float(2 ** (bits - 1)))
    if zero.dtype is not DType.u8 or zero.bits != 8:
        return _shaped(zero, (rows, count))
    width = -(-count * bits // 8)
    flat = unpacked(_shaped(zero, (rows, width)), bits)
    return flat if width * (8 // bits) == count else Slice(flat, 1, 0, count)
