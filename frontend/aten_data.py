"""ATen rows: results whose sizes depend on data. Each waits for the device."""

from __future__ import annotations

from typing import Any

from ..ir import Builder, DType, Value
from ..ir.dims import data_decides
from .aten_common import Row, axis, expand_dims, need, reshaped, sliced
from .aten_elementwise import truth
from .aten_shape import broadcast_tensors, flatten
from .data_sizes import nonzero, places
from .promotion import cast


def _nonzero(b: Builder, self: Value) -> Value:
    need(bool(self.tensor.rank), "nonzero of a number", "compare the number instead")
    return b.op("transpose", nonzero(b, self), axes=(1, 0))


def _nonzero_numpy(b: Builder, self: Value) -> tuple[Value, ...]:
    need(bool(self.tensor.rank), "nonzero of a number", "compare the number instead")
    return tuple(places(b, self))


def _masked_select(b: Builder, self: Value, mask: Value) -> Value:
    x, chosen = broadcast_tensors(b, [self, truth(b, mask)])
    return b.op("take", flatten(b, x), places(b, flatten(b, chosen))[0], axis=0)


def _unique(
    b: Builder, self: Value, sorted: bool = True, return_inverse: bool = False,
    return_counts: bool = False,
) -> tuple[Value, ...]:  # fmt: skip
    """Ascending in any case: without `sorted`, torch promises no order."""
    values, _, inverse, counts = b.op("unique", flatten(b, self), size=b.found.fresh("N"))
    return values, reshaped(b, inverse, self.tensor.shape), counts


def _unique_dim(
    b: Builder, self: Value, dim: int, sorted: bool = True, return_inverse: bool = False,
    return_counts: bool = False,
) -> tuple[Value, ...]:  # fmt: skip
    values, _, inverse, counts = b.op("unique", self, axis=axis(self, dim), size=b.found.fresh("N"))
    return values, inverse, counts


def _unique_consecutive(
    b: Builder, self: Value, return_inverse: bool = False, return_counts: bool = False,
    dim: int | None = None,
) -> tuple[Value, ...]:  # fmt: skip
    """The first element of each run."""
    need(dim is None or self.tensor.rank == 1, "unique_consecutive along an axis",
         "flatten the tensor first")  # fmt: skip
    x = flatten(b, self)
    count = x.tensor.shape[0]
    changes = b.op("not_equal", sliced(b, x, 0, 1, None), sliced(b, x, 0, 0, count - 1))
    first = b.op("full", shape=(1,), value=True, dtype=DType.bool)
    starts = b.op("concatenate", first, changes, axis=0)
    at = places(b, starts)[0]
    runs = b.op("cumsum", b.op("cast", starts, dtype=DType.i64), axis=0)
    end = b.op("full", shape=(1,), value=count, dtype=DType.i64)
    ends = b.op("concatenate", sliced(b, at, 0, 1, None), end, axis=0)
    ends = reshaped(b, ends, at.tensor.shape)
    inverse = reshaped(b, b.op("subtract", runs, 1), self.tensor.shape)
    return b.op("take", x, at, axis=0), inverse, b.op("subtract", ends, at)


def _largest(b: Builder, x: Value) -> Value:
    """The largest element; -1 where there may be none."""
    flat = flatten(b, x)
    if data_decides(*flat.tensor.shape):
        least = b.op("full", shape=(1,), value=-1, dtype=x.tensor.dtype)
        flat = b.op("concatenate", flat, least, axis=0)
    return b.op("max", flat, axes=(0,))


def _bincount(b: Builder, self: Value, weights: Value | None = None, minlength: int = 0) -> Value:
    x = cast(b, self, DType.i64)
    size = b.size(b.op("maximum", b.op("add", _largest(b, x), 1), minlength))
    dtype = DType.i64 if weights is None else DType.f64
    if weights is not None and weights.tensor.dtype is DType.f32:
        dtype = DType.f32
    zeros = b.op("full", shape=(size,), value=0, dtype=dtype)
    ones = b.op("full", shape=x.tensor.shape, value=1, dtype=dtype)
    each = ones if weights is None else cast(b, weights, dtype)
    return b.op("index_put", zeros, each, x, axes=(0,), accumulate=True)


def _one_hot(b: Builder, self: Value, num_classes: Any = -1) -> Value:
    if num_classes == -1:
        num_classes = b.size(b.op("add", _largest(b, cast(b, self, DType.i64)), 1))
    indices = expand_dims(b, self, self.tensor.rank)
    classes = b.op("arange", stop=num_classes, dtype=self.tensor.dtype)
    return b.op("cast", b.op("equal", indices, classes), dtype=DType.i64)


def _repeat_interleave(
    b: Builder, self: Value, repeats: Any, dim: int | None = None, *, output_size: Any = None
) -> Value:
    """Each element repeated; the axis is the flattened one by default."""
    if dim is None:
        self, dim = flatten(b, self), 0
    at = axis(self, dim)
    if not isinstance(repeats, Value):
        return self if repeats == 1 else b.op("repeat", self, repeats=repeats, axis=at)
    size = self.tensor.shape[at]
    repeats = reshaped(b, repeats, (1,)) if repeats.tensor.rank == 0 else repeats
    if repeats.tensor.shape != (size,):
        repeats = b.op("broadcast_to", repeats, shape=(size,))
    return b.op("repeat_each", self, repeats, axis=at, total=_total(b, repeats, output_size))


def _total(b: Builder, repeats: Value, output_size: Any) -> Any:
    if output_size is not None:
        return output_size
    total = b.found.once(
        ("sum", repeats), lambda: b.op("sum", cast(b, repeats, DType.i64), axes=(0,))
    )
    return b.size(total)


def _repeated_places(b: Builder, repeats: Value, *, output_size: Any = None) -> Value:
    """How often each index appears."""
    along = b.op("arange", stop=repeats.tensor.shape[0], dtype=DType.i64)
    return _repeat_interleave(b, along, repeats, 0, output_size=output_size)


ROWS: dict[str, Row] = {
    "nonzero": _nonzero,
    "argwhere": _nonzero,
    "nonzero_numpy": _nonzero_numpy,
    "masked_select": _masked_select,
    "_unique2": _unique,
    "_unique": lambda b, self, *options: _unique(b, self)[:2],
    "unique_dim": _unique_dim,
    "unique_consecutive": _unique_consecutive,
    "bincount": _bincount,
    "one_hot": _one_hot,
    "repeat_interleave": _repeat_interleave,
    "repeat_interleave.Tensor": _repeated_places,
}
