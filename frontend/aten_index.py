"""ATen rows: reading and writing through indices and masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import TranspileError
from ..ir import Builder, DType, Unequal, Value
from ..ir.dims import product, provably_le
from .aten_common import Row, axis, expand_dims, need, reshaped, sliced, tensor
from .aten_elementwise import add, scaled, truth
from .aten_shape import END, flatten
from .data_sizes import places
from .promotion import cast, is_host
from .ranges import check_positions

_MASK_HINT = "use torch.where with the mask instead: its result has a fixed size"


def _embedding(b: Builder, weight: Value, indices: Value, *unused: Any) -> Value:
    check_positions(indices, weight.tensor.shape[0])
    return b.op("embedding", weight, indices)


def _embedding_renorm(b: Builder, *args: Any) -> Value:
    raise TranspileError(
        "an embedding with max_norm changes its weights",
        hint="normalise the weights before the capture",
    )


def _index_select(b: Builder, self: Value, dim: int, index: Value) -> Value:
    at = axis(self, dim)
    index = expand_dims(b, index, 0) if index.tensor.rank == 0 else index
    check_positions(index, self.tensor.shape[at])
    return b.op("take", self, index, axis=at)


def _take(b: Builder, self: Value, index: Value) -> Value:
    return b.op("take", flatten(b, self), index, axis=0)


def _gather(b: Builder, self: Value, dim: int, index: Value, *, sparse_grad: bool = False) -> Value:
    """Axes other than `dim` are cut to the index's, which may be smaller."""
    if not self.tensor.rank:
        return self
    at = axis(self, dim)
    for i, size in enumerate(index.tensor.shape):
        own = self.tensor.shape[i]
        if i != at and size != own and provably_le(size, own):
            self = b.op("slice", self, axis=i, start=0, stop=size)
    return b.op("gather", self, index, axis=at)


def _take_along_dim(b: Builder, self: Value, indices: Value, dim: int | None = None) -> Value:
    if dim is None:
        return b.op("gather", flatten(b, self), flatten(b, indices), axis=0)
    return _gather(b, self, dim, indices)


# ---- x[i, j]


def _index(b: Builder, self: Value, indices: Sequence[Value | None]) -> Value:
    given = [(i, _as_index(b, v)) for i, v in enumerate(indices) if v is not None]
    if not given:
        return self
    masks = [v for _, v in given if v.tensor.dtype is DType.bool]
    if len(given) == 1 and masks and masks[0].tensor.rank:
        return _selected(b, self, *given[0])
    given = _unmasked(b, self, given)
    for at, index in given:
        check_positions(index, self.tensor.shape[at])
    if len(given) == 1:
        return b.op("take", self, given[0][1], axis=given[0][0])
    return b.op("index", self, *(v for _, v in given), axes=tuple(i for i, _ in given))


def _selected(b: Builder, self: Value, at: int, mask: Value) -> Value:
    """The slices that a mask selects; a mask of several axes counts along all of them."""
    _check_mask(self, at, mask)
    shape, rank = self.tensor.shape, mask.tensor.rank
    if rank > 1:
        self = reshaped(b, self, (*shape[:at], product(shape[at : at + rank]), *shape[at + rank :]))
        mask = flatten(b, mask)
    return b.op("take", self, places(b, mask)[0], axis=at)


def _check_mask(self: Value, at: int, mask: Value) -> None:
    for own, size in zip(self.tensor.shape[at:], mask.tensor.shape):
        if own != size:
            raise Unequal(own, size)


def _unmasked(b: Builder, self: Value, given: list[tuple[int, Value]]) -> list[tuple[int, Value]]:
    """Masks as the indices of the axes that they cover; what follows one moves back."""
    out, moved = [], 0
    for at, index in given:
        if index.tensor.dtype is not DType.bool:
            out.append((at + moved, index))
            continue
        need(bool(index.tensor.rank), "indexing by a mask without axes", _MASK_HINT)
        _check_mask(self, at + moved, index)
        out += [(at + moved + i, v) for i, v in enumerate(places(b, index))]
        moved += index.tensor.rank - 1
    return out


def _as_index(b: Builder, index: Any) -> Value:
    """u8 masks are booleans to torch, too."""
    index = tensor(b, index)
    return truth(b, index) if index.tensor.dtype is DType.u8 else index


def _index_put(
    b: Builder,
    self: Value,
    indices: Sequence[Value | None],
    values: Any,
    accumulate: bool = False,
    *unused: Any,
) -> Value:
    given = [(i, _as_index(b, v)) for i, v in enumerate(indices) if v is not None]
    values = cast(b, values, self.tensor.dtype)
    if not given:
        return _whole(b, self, values, accumulate)
    masked = [v.tensor.dtype is DType.bool for _, v in given]
    if masked == [True] and given[0][0] == 0:
        return _masked_put(b, self, given[0][1], values, accumulate)
    given = _unmasked(b, self, given)
    places = tuple(i for i, _ in given)
    return b.op(
        "index_put", self, values, *(v for _, v in given), axes=places, accumulate=accumulate
    )


def _whole(b: Builder, self: Value, values: Any, accumulate: bool) -> Value:
    if accumulate:
        return add(b, self, values)
    values = tensor(b, values, self.tensor.dtype)
    return (
        values
        if values.tensor.shape == self.tensor.shape
        else b.op("broadcast_to", values, shape=self.tensor.shape)
    )


def _masked_put(b: Builder, self: Value, mask: Value, values: Any, accumulate: bool) -> Value:
    rank, covered = self.tensor.rank, mask.tensor.rank
    single = is_host(values) or all(
        d == 1 for d in values.tensor.shape[: max(values.tensor.rank - (rank - covered), 0)]
    )
    mask = expand_dims(b, mask, *range(covered, rank))
    if not single:
        need(not accumulate, "adding a list of values through a mask", _MASK_HINT)
        return b.op("masked_scatter", self, mask, values)
    if isinstance(values, Value) and values.tensor.rank > rank - covered:
        values = reshaped(b, values, values.tensor.shape[values.tensor.rank - (rank - covered) :])
    return b.op("where", mask, add(b, self, values) if accumulate else values, self)


def _index_add(
    b: Builder, self: Value, dim: int, index: Value, source: Value, *, alpha: Any = 1
) -> Value:
    values = scaled(b, cast(b, source, self.tensor.dtype), alpha)
    return b.op("index_put", self, values, index, axes=(axis(self, dim),), accumulate=True)


def _index_copy(b: Builder, self: Value, dim: int, index: Value, source: Any) -> Value:
    return b.op(
        "index_put", self, cast(b, source, self.tensor.dtype), index, axes=(axis(self, dim),)
    )


def _index_fill(b: Builder, self: Value, dim: int, index: Value, value: Any) -> Value:
    return _index_copy(b, self, dim, index, value)


# ---- scatter


def _scatter(
    b: Builder, self: Value, dim: int, index: Value, src: Any, *, reduce: str | None = None
) -> Value:
    if reduce is not None:
        return _scatter_reduce(b, self, dim, index, src, {"add": "sum", "multiply": "prod"}[reduce])
    return b.op("scatter", self, index, cast(b, src, self.tensor.dtype), axis=axis(self, dim))


def _scatter_add(b: Builder, self: Value, dim: int, index: Value, src: Value) -> Value:
    return _scatter_reduce(b, self, dim, index, src, "sum")


def _scatter_reduce(
    b: Builder,
    self: Value,
    dim: int,
    index: Value,
    src: Any,
    reduce: str,
    *,
    include_self: bool = True,
) -> Value:
    values = tensor(b, src, self.tensor.dtype)
    if values.tensor.rank < index.tensor.rank:
        values = b.op("broadcast_to", values, shape=index.tensor.shape)
    return b.op(
        "scatter_reduce",
        self,
        index,
        values,
        axis=axis(self, dim),
        reduce=reduce,
        include_self=include_self,
    )


def _index_reduce(
    b: Builder,
    self: Value,
    dim: int,
    index: Value,
    source: Value,
    reduce: str,
    *,
    include_self: bool = True,
) -> Value:
    at = axis(self, dim)
    grown = b.op("expand_dims", index, axes=tuple(a for a in range(source.tensor.rank) if a != at))
    places = b.op("broadcast_to", grown, shape=source.tensor.shape)
    return _scatter_reduce(b, self, dim, places, source, reduce, include_self=include_self)


def _slice_scatter(
    b: Builder,
    self: Value,
    src: Value,
    dim: int = 0,
    start: Any = None,
    end: Any = None,
    step: int = 1,
) -> Value:
    """x with src in a slice; consecutive parts are joined, which reads better than a write."""
    at = axis(self, dim)
    size = self.tensor.shape[at]
    start = 0 if start is None else start
    if (
        end is None
        or (isinstance(end, int) and end >= END)
        or (not (isinstance(end, int) and end < 0) and provably_le(size, end))
    ):
        end = None
    src = cast(b, src, self.tensor.dtype)
    if start == 0 and end is None and step == 1:
        return src
    return b.op("slice_update", self, src, axis=at, start=start, stop=end, step=step)


def _select_scatter(b: Builder, self: Value, src: Value, dim: int, index: Any) -> Value:
    return b.op(
        "select_update", self, cast(b, src, self.tensor.dtype), axis=axis(self, dim), index=index
    )


def _diagonal_scatter(
    b: Builder, self: Value, src: Value, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Value:
    return b.op(
        "diagonal_update",
        self,
        cast(b, src, self.tensor.dtype),
        offset=offset,
        axis1=axis(self, dim1),
        axis2=axis(self, dim2),
    )


def _masked_scatter(b: Builder, self: Value, mask: Value, source: Value) -> Value:
    return b.op("masked_scatter", self, truth(b, mask), cast(b, source, self.tensor.dtype))


def _put(b: Builder, self: Value, index: Value, source: Value, accumulate: bool = False) -> Value:
    flat = b.op(
        "index_put",
        flatten(b, self),
        flatten(b, source),
        flatten(b, index),
        axes=(0,),
        accumulate=accumulate,
    )
    return reshaped(b, flat, self.tensor.shape)


# ---- diagonals, bags


def _diag(b: Builder, self: Value, diagonal: int = 0) -> Value:
    if self.tensor.rank == 1:
        return b.op("diag_embed", self, offset=diagonal, axis1=0, axis2=1)
    return b.op("diagonal", self, offset=diagonal, axis1=0, axis2=1)


def _diag_embed(b: Builder, self: Value, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Value:
    rank = self.tensor.rank + 1
    return b.op("diag_embed", self, offset=offset, axis1=dim1 % rank, axis2=dim2 % rank)


def _embedding_bag(
    b: Builder,
    weight: Value,
    indices: Value,
    offsets: Value,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Value | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = -1,
) -> tuple[Value, None, None, None]:
    """Rows of the weight, combined by bag; each index's bag is found among the offsets."""
    starts = (
        sliced(b, offsets, 0, 0, offsets.tensor.shape[0] - 1) if include_last_offset else offsets
    )
    count, length = starts.tensor.shape[0], indices.tensor.shape[0]
    places = b.op("arange", stop=length, dtype=starts.tensor.dtype)
    bags = b.op("subtract", b.op("searchsorted", starts, places, right=True), 1)
    rows = b.op("embedding", weight, indices)
    if per_sample_weights is not None:
        rows = b.op("multiply", rows, expand_dims(b, per_sample_weights, 1))
    padded = padding_idx is not None and padding_idx >= 0
    if padded:  # what is padding goes to a bag of its own, behind the others
        bags = b.op("where", b.op("equal", indices, padding_idx), count, bags)
    bags = b.op("broadcast_to", expand_dims(b, bags, 1), shape=rows.tensor.shape)
    shape = (count + padded, weight.tensor.shape[1])
    zeros = b.op("full", shape=shape, value=0.0, dtype=weight.tensor.dtype)
    reduce = ("sum", "mean", "amax")[mode]
    out = b.op("scatter_reduce", zeros, bags, rows, axis=0, reduce=reduce, include_self=False)
    return sliced(b, out, 0, 0, count) if padded else out, None, None, None


ROWS: dict[str, Row] = {
    "embedding": _embedding,
    "embedding_renorm": _embedding_renorm,
    "index_select": _index_select,
    "take": _take,
    "gather": _gather,
    "take_along_dim": _take_along_dim,
    "index": _index,
    "_unsafe_index": _index,
    "index_put": _index_put,
    "_unsafe_index_put": _index_put,
    "_index_put_impl": _index_put,
    "index_add": _index_add,
    "index_copy": _index_copy,
    "index_fill": _index_fill,
    "scatter": _scatter,
    "scatter_add": _scatter_add,
    "scatter_reduce": _scatter_reduce,
    "index_reduce": _index_reduce,
    "slice_scatter": _slice_scatter,
    "select_scatter": _select_scatter,
    "diagonal_scatter": _diagonal_scatter,
    "masked_scatter": _masked_scatter,
    "put": _put,
    "diag": _diag,
    "diag_embed": _diag_embed,
    "embedding_bag": _embedding_bag,
    "_embedding_bag": _embedding_bag,
    "_embedding_bag_forward_only": _embedding_bag,
}
