"""torch's rules for result types, and the casts that make them explicit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..ir import Builder, DType, Param, Value
from ..ir.dims import Expr
from ..ir.recipe import Constant

FLOAT = DType.f32  # torch.get_default_dtype()
_SIGNED = ("i8", "i16", "i32", "i64")
_FLOATS = ("f16", "bf16", "f32", "f64")


def category(dtype: DType) -> int:
    """0 boolean, 1 integer, 2 floating point, 3 complex: the higher one wins, however narrow."""
    return 3 if dtype.is_complex else 2 if dtype.is_float else 1 if dtype.is_integer else 0


def promote(a: DType, b: DType) -> DType:
    """`torch.promote_types`."""
    if a is b:
        return a
    low, high = sorted((a, b), key=category)
    if category(low) != category(high):
        return _complex_of(high, low) if category(high) == 3 and category(low) == 2 else high
    if category(a) == 3:
        return DType.c128
    if category(a) == 2:
        mixed_halves = {a, b} == {DType.f16, DType.bf16}
        return DType.f32 if mixed_halves else max(a, b, key=lambda d: _FLOATS.index(d.value))
    return _promote_integers(a, b)


def _complex_of(high: DType, low: DType) -> DType:
    return DType.c128 if DType.f64 in (low,) else high


def _promote_integers(a: DType, b: DType) -> DType:
    if a.value in _SIGNED and b.value in _SIGNED:
        return max(a, b, key=lambda d: _SIGNED.index(d.value))
    unsigned, signed = (a, b) if a.value[0] == "u" else (b, a)
    if signed.value[0] == "u":
        return max(a, b, key=lambda d: int(d.value[1:]))
    width = max(int(unsigned.value[1:]) * 2, int(signed.value[1:]))
    return DType(f"i{min(width, 64)}")


def is_host(x: Any) -> bool:
    """Whether the operand is a host scalar: a Python number or a dim."""
    return not isinstance(x, Value)


def scalar_type(x: Any) -> DType:
    """The type that a Python number has as a tensor of its own."""
    if isinstance(x, bool):
        return DType.bool
    if isinstance(x, int | Expr):
        return DType.i64
    return DType.c64 if isinstance(x, complex) else FLOAT


def result_type(*operands: Any) -> DType:
    """`torch.result_type`: tensors with axes first, then 0-d tensors, then Python scalars."""
    tensors = [o.tensor for o in operands if isinstance(o, Value)]
    groups = [
        _promote_all(t.dtype for t in tensors if t.rank),
        _promote_all(t.dtype for t in tensors if not t.rank),
        _promote_all(scalar_type(o) for o in operands if is_host(o)),
    ]
    result: DType | None = None
    for lower in reversed(groups):
        result = _combine(lower, result)
    if result is None:
        raise ValueError("no operands")
    return result


def _promote_all(dtypes: Iterable[DType]) -> DType | None:
    result = None
    for dtype in dtypes:
        result = dtype if result is None else promote(result, dtype)
    return result


def _combine(higher: DType | None, lower: DType | None) -> DType | None:
    """A lower group counts only where its category is higher; complex takes the float's width."""
    if higher is None or lower is None:
        return higher or lower
    if higher.is_float and lower.is_complex:
        return DType.c128 if higher is DType.f64 else DType.c64
    return promote(higher, lower) if category(lower) > category(higher) else higher


def cast(b: Builder, x: Any, dtype: DType | None) -> Any:
    """`x` at the type; host scalars stay host scalars."""
    if dtype is None or x is None:
        return x
    if isinstance(x, Value):
        return x if x.tensor.dtype is dtype else b.op("cast", x, dtype=dtype)
    return cast_host(x, dtype)


def cast_host(x: Any, dtype: DType) -> Any:
    """A Python number or dim at the type; dims stay dims (weak scalars)."""
    if isinstance(x, Expr):
        return x
    if dtype is DType.bool:
        return bool(x)
    return int(x) if dtype.is_integer else float(x) if dtype.is_float else x


def as_float(b: Builder, x: Value) -> Value:
    """Integers and booleans as float32, as torch's real functions take them."""
    return x if category(x.tensor.dtype) >= 2 else b.op("cast", x, dtype=FLOAT)


def accumulator(dtype: DType) -> DType:
    """The type that sum, prod and cumsum give by default: int64 for integers and booleans."""
    return dtype if category(dtype) >= 2 else DType.i64


def promoted(b: Builder, *operands: Any) -> tuple[Any, ...]:
    """The operands cast to their common type (scalars become numbers of it)."""
    dtype = result_type(*operands)
    numbers = [_imaginary(o) for o in operands]
    if all(is_host(n) for n in numbers):
        numbers = list(operands)
    return tuple(cast(b, n, dtype) for n in numbers)


def _imaginary(x: Any) -> Any:
    """A complex 0-d constant of the code, such as 1j, as a Python number."""
    constant = isinstance(x, Param) and isinstance(x.recipe, Constant)
    if constant and x.tensor.dtype.is_complex and not x.tensor.rank:
        return complex(x.recipe.data.item())
    return x
