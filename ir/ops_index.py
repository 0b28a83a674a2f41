"""Ops that read and write through index arrays and masks, and matrices by their diagonals."""

from __future__ import annotations

from typing import Any

import numpy as np

from .dims import Expr, floordiv, maximum, minimum
from .op import Attr, InferError, Op, broadcast, equal, tensor
from .ops_shape import last
from .tree import Index, Literal, Sequence, Slice, Tree, call, method
from .types import I64, DType, Tensor


def _indices(x: Any) -> Tensor:
    if not tensor(x).dtype.is_integer:
        raise InferError(f"needs integer indices, got {x}")
    return x


# ---- reading


def _infer_take(x: Any, indices: Any, axis: int) -> Tensor:
    return tensor(x).with_shape(*x.shape[:axis], *_indices(indices).shape, *x.shape[axis + 1 :])


def _take_tree(node: Any, x: Tree, indices: Tree) -> Tree:
    if node["axis"] == 0:
        return Index(x, (indices,))
    return call("mx.take", x, indices, axis=last(node["axis"], node.type(0).rank))


def _infer_gather(x: Any, indices: Any, axis: int) -> Tensor:
    for i, (a, b) in enumerate(zip(tensor(x).shape, _indices(indices).shape, strict=True)):
        if i != axis:
            equal(a, b)
    return x.with_shape(*indices.shape)


def _infer_index(x: Any, *indices: Any, axes: tuple[int, ...]) -> Tensor:
    shape = broadcast(*(_indices(i).shape for i in indices))
    rest = [d for i, d in enumerate(tensor(x).shape) if i not in axes]
    adjacent = list(axes) == list(range(axes[0], axes[0] + len(axes)))
    at = axes[0] if adjacent else 0
    return x.with_shape(*rest[:at], *shape, *rest[at:])


def _places(axes: tuple[int, ...], indices: Any, whole: Any) -> tuple[Any, ...]:
    at = dict(zip(axes, indices, strict=True))
    return tuple(at.get(i, whole) for i in range(max(axes) + 1))


def _index_tree(node: Any, x: Tree, *indices: Tree) -> Tree:
    return Index(x, _places(node["axes"], indices, Slice()))


# ---- writing


def _infer_put(
    x: Any, values: Any, *indices: Any, axes: tuple[int, ...], accumulate: bool
) -> Tensor:
    target = _infer_index(x, *indices, axes=axes)
    if isinstance(values, Tensor):
        for a, b in zip(broadcast(target.shape, values.shape), target.shape, strict=True):
            equal(a, b)
    return x


def _put_tree(node: Any, x: Tree, values: Tree, *indices: Tree) -> Tree:
    places = Sequence(_places(node["axes"], indices, Literal(None)))
    return call(
        "runtime.index_put",
        x,
        places,
        values,
        **({"accumulate": True} if node["accumulate"] else {}),
    )


def _put(
    x: np.ndarray, values: Any, *indices: np.ndarray, axes: tuple[int, ...], accumulate: bool
) -> np.ndarray:
    out, places = x.copy(), _places(axes, indices, slice(None))
    if accumulate:
        np.add.at(out, places, values)
    else:
        out[places] = values
    return out


def _infer_scatter(x: Any, indices: Any, values: Any, axis: int, **attrs: Any) -> Tensor:
    if _indices(indices).rank != tensor(x).rank:
        raise InferError(f"scatter into {x} by indices of another rank: {indices}")
    if isinstance(values, Tensor) and values.dtype is not x.dtype:
        raise InferError(f"scatter of {values.dtype} values into {x}")
    return x


def _grid(indices: np.ndarray, axis: int) -> tuple[np.ndarray, ...]:
    grid = list(np.ogrid[tuple(slice(n) for n in indices.shape)])
    grid[axis] = indices
    return tuple(grid)


def _cut(values: Any, indices: np.ndarray) -> Any:
    return (
        values[tuple(slice(n) for n in indices.shape)]
        if isinstance(values, np.ndarray) and values.ndim
        else values
    )


def _scatter(x: np.ndarray, indices: np.ndarray, values: Any, axis: int) -> np.ndarray:
    out = x.copy()
    out[_grid(indices, axis)] = _cut(values, indices)
    return out


_UFUNCS: dict[str, Any] = {
    "sum": np.add,
    "mean": np.add,
    "prod": np.multiply,
    "amax": np.maximum,
    "amin": np.minimum,
}


def _scatter_reduce(
    x: np.ndarray, indices: np.ndarray, values: Any, axis: int, reduce: str, include_self: bool
) -> np.ndarray:
    out, grid = x.copy(), _grid(indices, axis)
    values = np.broadcast_to(_cut(values, indices), indices.shape)
    count = np.zeros(x.shape, np.int64)
    np.add.at(count, grid, 1)
    if not include_self:
        low, high = _extremes(x.dtype)
        neutral = {"prod": 1, "amax": low, "amin": high}.get(reduce, 0)
        out[count > 0] = neutral
    _UFUNCS[reduce].at(out, grid, values)
    if reduce == "mean":
        total = np.maximum(count + include_self, 1)
        out = (out // total if x.dtype.kind in "iu" else out / total).astype(x.dtype)
    return out


def _extremes(dtype: np.dtype) -> tuple[Any, Any]:
    if dtype.kind in "iu":
        return np.iinfo(dtype).min, np.iinfo(dtype).max
    return -np.inf, np.inf


def _reduce_tree(node: Any, x: Tree, indices: Tree, values: Tree) -> Tree:
    if node["reduce"] == "sum" and node["include_self"]:
        return call("runtime.scatter_add", x, node["axis"], indices, values)
    extra = {} if node["include_self"] else {"include_self": False}
    return call("runtime.scatter_reduce", x, node["axis"], indices, values, node["reduce"], **extra)


def _infer_update(x: Any, src: Any, axis: int, start: Any, stop: Any, step: int) -> Tensor:
    from .ops_shape import slice_range

    *_, length = slice_range(tensor(x).shape[axis], start, stop, step)
    for i, (a, b) in enumerate(zip(x.shape, tensor(src).shape, strict=True)):
        equal(length if i == axis else a, b)
    return x


def _update_tree(node: Any, x: Tree, src: Tree) -> Tree:
    step = {"step": node["step"]} if node["step"] != 1 else {}
    return call("runtime.slice_scatter", x, src, node["axis"], node["start"], node["stop"], **step)


def _infer_block(x: Any, src: Any, axes: Any, starts: Any, stops: Any) -> Tensor:
    from .ops_shape import slice_range

    shape = list(tensor(x).shape)
    for axis, start, stop in zip(axes, starts, stops, strict=True):
        *_, shape[axis] = slice_range(shape[axis], start, stop, 1)
    if isinstance(src, Tensor):
        for a, b in zip(shape, src.shape, strict=True):
            equal(a, b)
    return x


def _block_tree(node: Any, x: Tree, src: Tree) -> Tree:
    axes, starts, stops = node["axes"], node["starts"], node["stops"]
    return call("runtime.block_update", x, src, axes, starts, stops)


def _block(x: np.ndarray, src: Any, axes: Any, starts: Any, stops: Any) -> np.ndarray:
    out, places = x.copy(), [slice(None)] * x.ndim
    for axis, start, stop in zip(axes, starts, stops, strict=True):
        places[axis] = slice(start, stop)
    out[tuple(places)] = src
    return out


def _update(
    x: np.ndarray, src: np.ndarray, axis: int, start: Any, stop: Any, step: int
) -> np.ndarray:
    out = x.copy()
    out[(slice(None),) * axis + (slice(start, stop, step),)] = src
    return out


def _infer_select_update(x: Any, src: Any, axis: int, index: Any) -> Tensor:
    rest = [d for i, d in enumerate(tensor(x).shape) if i != axis]
    for a, b in zip(rest, tensor(src).shape, strict=True):
        equal(a, b)
    return x


def _select_update(x: np.ndarray, src: np.ndarray, axis: int, index: int) -> np.ndarray:
    out = x.copy()
    out[(slice(None),) * axis + (index,)] = src
    return out


def _masked_scatter(x: np.ndarray, mask: np.ndarray, src: np.ndarray) -> np.ndarray:
    mask = np.broadcast_to(mask, x.shape)
    out = x.copy()
    out[mask] = src.ravel()[: mask.sum()]
    return out


# ---- diagonals


def diagonal_length(rows: int | Expr, columns: int | Expr, offset: int) -> int | Expr:
    length = minimum(rows, columns - offset) if offset >= 0 else minimum(rows + offset, columns)
    return maximum(length, 0)


def _infer_diagonal(x: Any, offset: int, axis1: int, axis2: int) -> Tensor:
    rest = [d for i, d in enumerate(tensor(x).shape) if i not in (axis1, axis2)]
    return x.with_shape(*rest, diagonal_length(x.shape[axis1], x.shape[axis2], offset))


def _diagonal_tree(node: Any, x: Tree) -> Tree:
    rank = node.type(0).rank
    options = {"offset": node["offset"]} if node["offset"] else {}
    if (node["axis1"], node["axis2"]) != (0, 1):
        options |= {"axis1": last(node["axis1"], rank), "axis2": last(node["axis2"], rank)}
    return call("mx.diagonal", x, **options)


def _infer_diagonal_update(x: Any, src: Any, offset: int, axis1: int, axis2: int) -> Tensor:
    for a, b in zip(_infer_diagonal(x, offset, axis1, axis2).shape, tensor(src).shape, strict=True):
        equal(a, b)
    return x


def _diagonal_update(
    x: np.ndarray, src: np.ndarray, offset: int, axis1: int, axis2: int
) -> np.ndarray:
    out = x.copy()
    view = np.moveaxis(out, (axis1, axis2), (-2, -1))
    i = np.arange(src.shape[-1])
    view[..., i + max(-offset, 0), i + max(offset, 0)] = src
    return out


def _infer_diag_embed(x: Any, offset: int, axis1: int, axis2: int) -> Tensor:
    size = tensor(x).shape[-1] + abs(offset)
    shape = list(x.shape[:-1])
    for axis in sorted((axis1, axis2)):
        shape.insert(axis, size)
    return x.with_shape(*shape)


def _diag_embed(x: np.ndarray, offset: int, axis1: int, axis2: int) -> np.ndarray:
    size = x.shape[-1] + abs(offset)
    out = np.zeros((*x.shape[:-1], size, size), x.dtype)
    i = np.arange(x.shape[-1])
    out[..., i + max(-offset, 0), i + max(offset, 0)] = x
    return np.moveaxis(out, (-2, -1), (axis1, axis2))


def _triangle(name: str, doc: str) -> Op:
    return Op(
        name,
        "x",
        lambda x, offset: tensor(x),
        lambda n, x: call(f"mx.{name}", x, *([n["offset"]] if n["offset"] != 0 else [])),
        lambda x, offset: getattr(np, name)(x, offset),
        {"offset": Attr("dim", 0)},
        doc=doc,
    )


# ---- windows, repetition, search


def _infer_windows(x: Any, axis: int, size: int, step: int) -> Tensor:
    count = floordiv(tensor(x).shape[axis] - size, step) + 1
    return x.with_shape(*(count if i == axis else d for i, d in enumerate(x.shape)), size)


def _windows(x: np.ndarray, axis: int, size: int, step: int) -> np.ndarray:
    view = np.lib.stride_tricks.sliding_window_view(x, size, axis)
    return view[(slice(None),) * axis + (slice(None, None, step),)]


def _infer_searchsorted(edges: Any, values: Any, right: bool, dtype: DType) -> Tensor:
    if tensor(edges).rank != 1:
        for a, b in zip(edges.shape[:-1], tensor(values).shape[:-1], strict=True):
            equal(a, b)
    return tensor(values).with_dtype(dtype)


def _searchsorted_tree(node: Any, edges: Tree, values: Tree) -> Tree:
    if node.type(0).rank != 1:
        out = call(
            "runtime.searchsorted", edges, values, **({"right": True} if node["right"] else {})
        )
        return out if node["dtype"] is I64 else method(out, "astype", node["dtype"])
    out = call("mx.searchsorted", edges, values, **({"side": "right"} if node["right"] else {}))
    return method(out, "astype", node["dtype"])


def _searchsorted(edges: np.ndarray, values: np.ndarray, right: bool, dtype: DType) -> np.ndarray:
    side: Any = "right" if right else "left"
    if edges.ndim == 1:
        return np.searchsorted(edges, values, side).astype(dtype.numpy)
    rows = [
        np.searchsorted(e, v, side)
        for e, v in zip(
            edges.reshape(-1, edges.shape[-1]), values.reshape(-1, values.shape[-1]), strict=True
        )
    ]
    return np.stack(rows).reshape(values.shape).astype(dtype.numpy)


_DIAGONAL = {"offset": Attr("int", 0), "axis1": Attr("axis", 0), "axis2": Attr("axis", 1)}

ROWS = [
    Op(
        "take",
        "x indices",
        _infer_take,
        _take_tree,
        lambda x, indices, axis: np.take(x, indices, axis),
        {"axis": Attr("axis")},
        doc="Slices along an axis; the indices' axes take its place.",
    ),
    Op(
        "gather",
        "x indices",
        _infer_gather,
        lambda n, x, i: call("mx.take_along_axis", x, i, axis=last(n["axis"], n.type(0).rank)),
        lambda x, indices, axis: np.take_along_axis(x, indices, axis),
        {"axis": Attr("axis")},
        doc="Elements along an axis, by an index for each place of the other axes.",
    ),
    Op(
        "index",
        "x *indices",
        _infer_index,
        _index_tree,
        lambda x, *indices, axes: x[_places(axes, indices, slice(None))],
        {"axes": Attr("axes")},
        doc="Elements by index arrays that broadcast together, one for each axis; NumPy's rules.",
    ),
    Op(
        "index_put",
        "x values *indices",
        _infer_put,
        _put_tree,
        _put,
        {"axes": Attr("axes"), "accumulate": Attr("bool", False)},
        doc="x with values written, or added, at the indexed places.",
    ),
    Op(
        "scatter",
        "x indices values",
        _infer_scatter,
        lambda n, x, i, v: call("runtime.scatter", x, n["axis"], i, v),
        _scatter,
        {"axis": Attr("axis")},
        doc="x with values written along an axis, by an index for each place of the other axes.",
    ),
    Op(
        "scatter_reduce",
        "x indices values",
        _infer_scatter,
        _reduce_tree,
        _scatter_reduce,
        {"axis": Attr("axis"), "reduce": Attr("str", "sum"), "include_self": Attr("bool", True)},
        doc="Like scatter, but values that meet are combined: sum, prod, mean, amax or amin.",
    ),
    Op(
        "slice_update",
        "x src",
        _infer_update,
        _update_tree,
        _update,
        {
            "axis": Attr("axis"),
            "start": Attr("dim", 0),
            "stop": Attr("dim", None),
            "step": Attr("int", 1),
        },
        doc="x with src in place of `x[start:stop:step]` along an axis.",
    ),
    Op(
        "block_update",
        "x src",
        _infer_block,
        _block_tree,
        _block,
        {"axes": Attr("axes"), "starts": Attr("dims"), "stops": Attr("dims")},
        doc="x with src, or one number, in place of `x[start:stop, ...]` along the axes.",
    ),
    Op(
        "select_update",
        "x src",
        _infer_select_update,
        lambda n, x, s: call("runtime.select_scatter", x, s, n["axis"], n["index"]),
        _select_update,
        {"axis": Attr("axis"), "index": Attr("dim")},
        doc="x with src in place of one index of an axis.",
    ),
    Op(
        "masked_scatter",
        "x mask src",
        lambda x, mask, src: tensor(x),
        lambda n, x, m, s: call("runtime.masked_scatter", x, m, s),
        _masked_scatter,
        doc="x with the elements of src, in order, where the mask holds.",
    ),
    Op(
        "diagonal",
        "x",
        _infer_diagonal,
        _diagonal_tree,
        lambda x, offset, axis1, axis2: np.diagonal(x, offset, axis1, axis2),
        _DIAGONAL,
        doc="A diagonal of two axes, as the last axis.",
    ),
    Op(
        "diagonal_update",
        "x src",
        _infer_diagonal_update,
        lambda n, x, s: call("runtime.diagonal_scatter", x, s, n["offset"], n["axis1"], n["axis2"]),
        _diagonal_update,
        _DIAGONAL,
        doc="x with src in place of a diagonal.",
    ),
    Op(
        "diag_embed",
        "x",
        _infer_diag_embed,
        lambda n, x: call("runtime.diag_embed", x, n["offset"], n["axis1"], n["axis2"]),
        _diag_embed,
        {"offset": Attr("int", 0), "axis1": Attr("axis"), "axis2": Attr("axis")},
        doc="Matrices with x on a diagonal.",
    ),
    _triangle("tril", "The lower triangle, zero elsewhere."),
    _triangle("triu", "The upper triangle, zero elsewhere."),
    Op(
        "windows",
        "x",
        _infer_windows,
        lambda n, x: call("runtime.unfold", x, n["axis"], n["size"], n["step"]),
        _windows,
        {"axis": Attr("axis"), "size": Attr("int"), "step": Attr("int", 1)},
        doc="Windows along an axis; their elements on a new last axis.",
    ),
    Op(
        "repeat",
        "x",
        lambda x, repeats, axis: x.with_shape(
            *(d * repeats if i == axis else d for i, d in enumerate(x.shape))
        ),
        lambda n, x: call("mx.repeat", x, n["repeats"], axis=last(n["axis"], n.type(0).rank)),
        lambda x, repeats, axis: np.repeat(x, repeats, axis),
        {"repeats": Attr("dim"), "axis": Attr("axis")},
        doc="Each element of an axis repeated.",
    ),
    Op(
        "repeat_each",
        "x repeats",
        lambda x, repeats, axis, total: x.with_shape(
            *(total if i == axis else d for i, d in enumerate(tensor(x).shape))
        ),
        lambda n, x, r: call("runtime.repeat_interleave", x, r, n["axis"], n["total"]),
        lambda x, repeats, axis, total: np.repeat(x, repeats, axis),
        {"axis": Attr("axis"), "total": Attr("dim")},
        doc="Each element of an axis repeated as often as its count says; `total` is their sum.",
    ),
    Op(
        "searchsorted",
        "edges values",
        _infer_searchsorted,
        _searchsorted_tree,
        _searchsorted,
        {"right": Attr("bool", False), "dtype": Attr("dtype", I64)},
        doc="Where values go in a sorted sequence: before equal ones, or after them (`right`).",
    ),
]
