"""ONNX rows: gathering, scattering, one-hot."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import TranspileError
from ..ir import Builder, DType, Value
from ..ir.dims import Expr, product
from .aten_common import reshaped
from .data_sizes import nonzero, places
from .onnx_math import to_dtype
from .onnx_shape import axis
from .onnx_values import Call, Host, Source
from .ranges import check_place, check_positions


def _nonnegative(b: Builder, index: Value, size: Any) -> Value:
    """Indices count from the end where they are negative."""
    if index.tensor.dtype.value[0] == "u":
        return index
    return b.op("where", b.op("less", index, 0), b.op("add", index, size), index)


def _gather(c: Call, x: Source, indices: Source) -> Value:
    if not c.attr("axis", 0) and isinstance(x, Host) and x.rank == 2 and x.dtype.is_float:
        c.adopt(x, "weight")
    value = c.value(x, role="weight")
    at = axis(value, c.attr("axis", 0))
    if isinstance(indices, Host) and indices.rank == 0:
        index = indices.number
        size = value.tensor.shape[at]
        if isinstance(index, int) and index < 0 and isinstance(size, int):
            index += size
        check_place(index, size)
        return c.b.op("select", value, axis=at, index=index)
    if isinstance(indices, Host) and indices.size and not indices.symbolic:
        for index in (int(indices.array.min()), int(indices.array.max())):
            check_place(index, value.tensor.shape[at])
    index_value = c.value(indices, role="index")
    check_positions(index_value, value.tensor.shape[at])
    if at == 0 and value.tensor.rank == 2 and not index_value.tensor.dtype.is_float:
        from ..ir import Param

        if isinstance(value, Param) and value.tensor.dtype.is_float:
            return c.b.op("embedding", value, index_value)
    return c.b.op("take", value, index_value, axis=at)


def _gather_elements(c: Call, x: Source, indices: Source) -> Value:
    value, index = c.value(x), c.value(indices)
    at = axis(value, c.attr("axis", 0))
    value = _cut_to(c.b, value, index, at)
    return c.b.op("gather", value, index, axis=at)


def _cut_to(b: Builder, x: Value, index: Value, at: int) -> Value:
    """The indices may cover less than the whole of the other axes."""
    for i, (a, n) in enumerate(zip(x.tensor.shape, index.tensor.shape, strict=True)):
        if i != at and a != n:
            x = b.op("slice", x, axis=i, start=0, stop=n)
    return x


def _gather_nd(c: Call, x: Source, indices: Source) -> Value:
    b, value, index = c.b, c.value(x), c.value(indices)
    batch, depth = c.attr("batch_dims", 0), index.tensor.shape[-1]
    if not isinstance(depth, int):
        raise TranspileError(f"GatherND by indices of {depth} axes")
    lead = index.tensor.shape[:-1]
    parts = _coordinates(b, index, depth, value, batch)
    if batch:
        parts = [_batch_index(b, index, i, lead) for i in range(batch)] + parts
    return b.op("index", value, *parts, axes=tuple(range(batch + depth)))


def _coordinates(b: Builder, index: Value, depth: int, x: Value, skipped: int) -> list[Value]:
    last = index.tensor.rank - 1
    return [
        _nonnegative(b, b.op("select", index, axis=last, index=i), x.tensor.shape[skipped + i])
        for i in range(depth)
    ]


def _batch_index(b: Builder, index: Value, at: int, lead: tuple[Any, ...]) -> Value:
    count = b.op("arange", start=0, stop=lead[at], dtype=index.tensor.dtype)
    return reshaped(b, count, tuple(lead[at] if i == at else 1 for i in range(len(lead))))


_REDUCE = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def _scatter_elements(c: Call, x: Source, indices: Source, updates: Source) -> Value:
    b, value, index, new = c.b, c.value(x), c.value(indices), c.value(updates)
    at = axis(value, c.attr("axis", 0))
    index = _nonnegative(b, index, value.tensor.shape[at])
    how = c.attr("reduction", "none")
    if how == "none":
        return b.op("scatter", value, index, new, axis=at)
    return b.op("scatter_reduce", value, index, new, axis=at, reduce=_REDUCE[how])


def _scatter_nd(c: Call, x: Source, indices: Source, updates: Source) -> Value:
    b, value, index, new = c.b, c.value(x), c.value(indices), c.value(updates)
    depth = index.tensor.shape[-1]
    if not isinstance(depth, int):
        raise TranspileError(f"ScatterND by indices of {depth} axes")
    how = c.attr("reduction", "none")
    if how in ("none", "add"):
        parts = _coordinates(b, index, depth, value, 0)
        axes = tuple(range(depth))
        return b.op("index_put", value, new, *parts, axes=axes, accumulate=how == "add")
    return _scatter_rows(b, value, index, new, depth, _REDUCE[how])


def _scatter_rows(b: Builder, x: Value, index: Value, new: Value, depth: int, how: str) -> Value:
    """Rows combined at their flat place."""
    shape = x.tensor.shape
    lead, tail = shape[:depth], product(shape[depth:])
    count = product(index.tensor.shape[:-1])
    place: Any = 0
    for i, part in enumerate(_coordinates(b, index, depth, x, 0)):
        step = b.op("multiply", part, product(lead[i + 1 :]))
        place = step if isinstance(place, int) else b.op("add", place, step)
    flat = reshaped(b, place, (count, 1))
    flat = b.op("broadcast_to", flat, shape=(count, tail)) if tail != 1 else flat
    rows = reshaped(b, x, (product(lead), tail))
    out = b.op("scatter_reduce", rows, flat, reshaped(b, new, (count, tail)), axis=0, reduce=how)
    return reshaped(b, out, shape)


def _one_hot(c: Call, indices: Source, depth: Source, values: Source) -> Value:
    b, index = c.b, c.value(indices)
    count = c.dims(depth, "the depth")[0]
    pair = c.value(values)
    at = c.attr("axis", -1)
    rank = index.tensor.rank
    at = at + rank + 1 if at < 0 else at
    index = to_dtype(b, index, DType.i64)
    place = _nonnegative(b, index, count)
    along = b.op("arange", start=0, stop=count, dtype=DType.i64)
    along = reshaped(b, along, tuple(count if i == at else 1 for i in range(rank + 1)))
    hot = b.op("equal", b.op("expand_dims", place, axes=(at,)), along)
    off, on = (b.op("select", pair, axis=0, index=i) for i in (0, 1))
    return b.op("where", hot, on, off)


def _array_feature(c: Call, x: Source, indices: Source) -> Value:
    value, index = c.value(x), c.value(indices)
    flat = reshaped(c.b, index, (product(index.tensor.shape),))
    out = c.b.op("take", value, flat, axis=value.tensor.rank - 1)
    return out if out.tensor.rank > 1 else c.b.op("expand_dims", out, axes=(0,))


def _reverse_sequence(c: Call, x: Source, lengths: Source) -> Value:
    """The first `length` elements along the time axis, backwards, for each batch."""
    b, value, counts = c.b, c.value(x), c.value(lengths)
    batch, time = c.attr("batch_axis", 1), c.attr("time_axis", 0)
    rank, steps = value.tensor.rank, value.tensor.shape[time]
    along = [1] * rank
    along[time] = steps
    t = reshaped(b, b.op("arange", start=0, stop=steps, dtype=DType.i64), along)
    each = [1] * rank
    each[batch] = value.tensor.shape[batch]
    n = reshaped(b, to_dtype(b, counts, DType.i64), each)
    back = b.op("subtract", b.op("subtract", n, 1), t)
    place = b.op("where", b.op("less", t, n), back, t)
    place = b.op("broadcast_to", place, shape=value.tensor.shape)
    return b.op("gather", value, place, axis=time)


def _tensor_scatter(c: Call, past: Source, update: Source, at: Source = None) -> Value:
    """New rows written into a cache from a place on; circular: modulo its length."""
    b, cache, new = c.b, c.value(past), c.value(update)
    along = axis(cache, c.attr("axis", -2))
    size, count = cache.tensor.shape[along], new.tensor.shape[along]
    shape: list[int | Expr] = [1] * cache.tensor.rank
    shape[along] = count
    place = reshaped(b, b.op("arange", start=0, stop=count, dtype=DType.i64), shape)
    if at is not None:
        starts = to_dtype(b, c.value(at), DType.i64)
        lead = (cache.tensor.shape[0], *[1] * (cache.tensor.rank - 1))
        place = b.op("add", place, reshaped(b, starts, lead))
    if c.attr("mode", "linear") == "circular":
        place = b.op("remainder", place, size)
    place = b.op("broadcast_to", place, shape=new.tensor.shape)
    return b.op("scatter", cache, place, new, axis=along)


def _compress(c: Call, x: Source, condition: Source) -> Value:
    """The slices that a condition selects."""
    value = c.value(x)
    at = c.attr("axis")
    if at is None:
        value, at = reshaped(c.b, value, (product(value.tensor.shape),)), 0
    if isinstance(condition, Value):
        c.found(condition, "the condition")
        index = places(c.b, condition)[0]
    else:
        known = c.static(condition, "the condition").reshape(-1)
        index = c.constant(np.flatnonzero(known).astype(np.int32), DType.i32, "places")
    return c.b.op("take", value, index, axis=axis(value, at))


# ---- results whose shapes depend on data


def _nonzero(c: Call, x: Source) -> Value:
    return nonzero(c.b, c.value(x))


def _unique(c: Call, x: Source) -> Any:
    value, at = c.value(x), c.attr("axis")
    at = None if at is None else axis(value, at)
    sort = bool(c.attr("sorted", 1))
    return c.b.op("unique", value, axis=at, sort=sort, size=c.b.found.fresh("N"))


def _non_max_suppression(
    c: Call, boxes: Source, scores: Source, most: Source = None, overlap: Source = None,
    least: Source = None,
) -> Value:  # fmt: skip
    count = 0 if most is None else c.dims(most, "the number of boxes")[0]
    return c.b.op(
        "non_max_suppression", c.value(boxes), c.value(scores),
        most=min(count, 2**31 - 1) if isinstance(count, int) else count,
        overlap=0.0 if overlap is None else float(c.scalar(overlap, "the overlap")),
        least=None if least is None else float(c.scalar(least, "the least score")),
        centered=bool(c.attr("center_point_box", 0)), size=c.b.found.fresh("N"),
    )  # fmt: skip


ROWS: dict[str, Any] = {
    "Compress": _compress,
    "NonMaxSuppression": _non_max_suppression,
    "NonZero": _nonzero,
    "Unique": _unique,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Scatter": _scatter_elements,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "TensorScatter": _tensor_scatter,
    "OneHot": _one_hot,
    "ReverseSequence": _reverse_sequence,
    "ai.onnx.ml.ArrayFeatureExtractor": _array_feature,
}
