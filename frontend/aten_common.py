"""What rows of the ATen table share: axes, host scalars, errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import TranspileError
from ..ir import Builder, DType, Value
from ..ir.dims import Expr, maximum, provably_le
from ..ir.op import axis_of
from .promotion import as_float, cast, scalar_type

Row = Callable[..., Any]
Dims = Sequence[int | Expr]


def need(condition: bool, what: str, hint: str = "") -> None:
    """TranspileError unless the condition holds."""
    if not condition:
        raise TranspileError(what, hint=hint)


def refuse(what: str, hint: str) -> Row:
    """A row for an op that has no translation: the error says why, and what would work."""

    def row(b: Builder, *args: Any, **options: Any) -> Any:
        raise TranspileError(what, hint=hint)

    return row


def tensor(b: Builder, x: Any, dtype: DType | None = None) -> Value:
    """The operand as a tensor: host scalars become 0-d tensors."""
    if isinstance(x, Value):
        return cast(b, x, dtype)
    return b.op("full", shape=(), value=x, dtype=dtype or scalar_type(x))


def floats(b: Builder, x: Any) -> Value:
    """The operand as a tensor of a floating point type."""
    return as_float(b, tensor(b, x))


def axis(x: Value, dim: int) -> int:
    """The axis counted from the front (0-d tensors act as if they had one)."""
    return axis_of(dim, max(x.tensor.rank, 1))


def axes(x: Value, dims: int | Sequence[int] | None) -> tuple[int, ...]:
    """The axes counted from the front, ascending; None and [] mean all."""
    if dims is None or (not isinstance(dims, int) and len(dims) == 0):
        return tuple(range(x.tensor.rank))
    listed = [dims] if isinstance(dims, int) else dims
    return tuple(sorted(axis(x, d) for d in listed)) if x.tensor.rank else ()


def static(dim: int | Expr, what: str) -> int:
    """The dim as a number; an error where it is symbolic."""
    if not isinstance(dim, int):
        raise TranspileError(
            f"{what} is {dim}, it must be a fixed size",
            hint="capture the model with this size fixed",
        )
    return dim


def spread(value: int | Sequence[int], count: int) -> tuple[int, ...]:
    """One int for each spatial axis; a single one is repeated."""
    items = (value,) if isinstance(value, int) else tuple(value)
    return items * count if len(items) == 1 else items


def swapped(b: Builder, x: Value, first: int, second: int) -> Value:
    """Two axes exchanged."""
    order = list(range(x.tensor.rank))
    order[first], order[second] = order[second], order[first]
    return permuted(b, x, order)


def permuted(b: Builder, x: Value, order: Sequence[int]) -> Value:
    return x if list(order) == sorted(order) else b.op("transpose", x, axes=tuple(order))


def channels_last(b: Builder, x: Value, spatial: int) -> Value:
    """[N, C, *spatial] to [N, *spatial, C]."""
    rank = x.tensor.rank
    return permuted(
        b, x, [*range(rank - spatial - 1), *range(rank - spatial, rank), rank - spatial - 1]
    )


def channels_first(b: Builder, x: Value, spatial: int) -> Value:
    """[N, *spatial, C] to [N, C, *spatial]."""
    rank = x.tensor.rank
    return permuted(
        b, x, [*range(rank - spatial - 1), rank - 1, *range(rank - spatial - 1, rank - 1)]
    )


def reshaped(b: Builder, x: Value, shape: Sequence[int | Expr], free: int | None = None) -> Value:
    """A row-major view; the value itself where the shape is the same."""
    return (
        x if tuple(shape) == x.tensor.shape else b.op("reshape", x, shape=tuple(shape), free=free)
    )


def expand_dims(b: Builder, x: Value, *places: int) -> Value:
    return b.op("expand_dims", x, axes=tuple(places)) if places else x


def squeeze(b: Builder, x: Value, *places: int) -> Value:
    return b.op("squeeze", x, axes=tuple(places)) if places else x


def sliced(b: Builder, x: Value, at: int, start: Any, stop: Any) -> Value:
    """`x[start:stop]` along an axis; the value itself where that is everything."""
    whole = start == 0 and (stop is None or stop == x.tensor.shape[at])
    return x if whole else b.op("slice", x, axis=at, start=start, stop=stop)


def fitted(b: Builder, x: Value, at: int, n: int | Expr) -> Value:
    """Cut or filled with zeros at the end to `n` along an axis."""
    size = x.tensor.shape[at]
    if provably_le(n, size):
        return sliced(b, x, at, 0, n)
    missing = n - size if provably_le(size, n) else maximum(n - size, 0)
    high = tuple(missing if i == at else 0 for i in range(x.tensor.rank))
    padded = b.op("pad", x, low=(0,) * x.tensor.rank, high=high, value=0)
    return sliced(b, padded, at, 0, n)


def batched(b: Builder, x: Value, spatial: int, body: Callable[[Value], Any]) -> Any:
    """Runs `body` on [N, *spatial, C]; a missing batch axis is added and taken away again."""
    single = x.tensor.rank == spatial + 1
    out = body(channels_last(b, expand_dims(b, x, 0) if single else x, spatial))

    def back(y: Value) -> Value:
        y = channels_first(b, y, spatial)
        return squeeze(b, y, 0) if single else y

    return tuple(map(back, out)) if isinstance(out, tuple) else back(out)
