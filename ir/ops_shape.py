"""Ops that move, view, join and create: no arithmetic."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np

from .dims import Expr, bounds, data_decides, floordiv, maximum, minimum, product
from .op import Attr, InferError, Op, Unequal, broadcast, equal, tensor
from .tree import NEW_AXIS, Index, Slice, Tree, arrays, call, infix, method
from .types import Tensor


def last(axis: int, rank: int) -> int:
    """The axis as people write it: -1 for the last one."""
    return -1 if axis == rank - 1 else axis


def _infer_reshape(x: Any, shape: tuple[int | Expr, ...], free: int | None = None) -> Tensor:
    before, after = product(tensor(x).shape), product(shape)
    if before != after and not data_decides(before, after):
        raise Unequal(before, after)
    return x.with_shape(*shape)


def _reshape_tree(node: Any, x: Tree) -> Tree:
    shape = [-1 if i == node["free"] else d for i, d in enumerate(node["shape"])]
    if not shape:  # MLX does not survive a reshape to nothing
        return method(x, "squeeze")
    return method(x, "reshape", *shape)


def _infer_transpose(x: Any, axes: tuple[int, ...]) -> Tensor:
    if sorted(axes) != list(range(tensor(x).rank)):
        raise InferError(f"{axes} is no permutation of the axes of {x}")
    return x.with_shape(*(x.shape[a] for a in axes))


def _transpose_tree(node: Any, x: Tree) -> Tree:
    axes, rank = node["axes"], len(node["axes"])
    moved = [i for i, a in enumerate(axes) if a != i]
    if rank == 2:
        return method(x, "T")
    if len(moved) == 2 and moved[1] - moved[0] == 1 and moved[1] == rank - 1:
        return method(x, "swapaxes", -1, -2)
    return method(x, "transpose", *axes)


def _infer_expand_dims(x: Any, axes: tuple[int, ...]) -> Tensor:
    shape = list(tensor(x).shape)
    for axis in sorted(axes):
        shape.insert(axis, 1)
    return x.with_shape(*shape)


def _expand_dims_tree(node: Any, x: Tree) -> Tree:
    """`x[:, None]` where the new axes lie near the front or the end, else `mx.expand_dims`."""
    axes, rank = sorted(node["axes"]), node.out.tensor.rank
    tail = 0
    while rank - 1 - tail in axes:
        tail += 1
    if tail == len(axes):
        return Index(x, (*([_ellipsis()] if rank > tail else []), *[NEW_AXIS] * tail))
    if axes[-1] <= 3:
        return Index(x, tuple(NEW_AXIS if i in axes else Slice() for i in range(axes[-1] + 1)))
    return call("mx.expand_dims", x, axis=axes[0] if len(axes) == 1 else tuple(axes))


def _ellipsis() -> Tree:
    from .tree import ELLIPSIS

    return ELLIPSIS


def _infer_squeeze(x: Any, axes: tuple[int, ...]) -> Tensor:
    for axis in axes:
        equal(tensor(x).shape[axis], 1)
    return x.with_shape(*(d for i, d in enumerate(x.shape) if i not in axes))


def _squeeze_tree(node: Any, x: Tree) -> Tree:
    axes, rank = node["axes"], node.type(0).rank
    return method(x, "squeeze", last(axes[0], rank) if len(axes) == 1 else axes)


def _infer_broadcast_to(x: Any, shape: tuple[int | Expr, ...]) -> Tensor:
    joint = broadcast(tensor(x).shape, shape)
    for a, b in zip(joint, shape, strict=True):
        equal(a, b)
    return x.with_shape(*shape)


def slice_range(
    size: int | Expr, start: int | Expr | None, stop: int | Expr | None, step: int
) -> tuple[Any, Any, Any]:
    """Start, stop, length of `[start:stop:step]`, clamped as Python does (step > 0)."""

    def place(index: int | Expr | None, default: int | Expr) -> int | Expr:
        if index is None:
            return default
        negative = (bounds(index)[1] or 0) < 0
        return maximum(index + size, 0) if negative else minimum(index, size)

    first, end = place(start, 0), place(stop, size)
    length = maximum(end - first, 0)
    return first, end, length if step == 1 else floordiv(length + step - 1, step)


def _infer_slice(x: Any, axis: int, start: Any, stop: Any, step: int) -> Tensor:
    *_, length = slice_range(tensor(x).shape[axis], start, stop, step)
    return x.with_shape(*(length if i == axis else d for i, d in enumerate(x.shape)))


def _slice_tree(node: Any, x: Tree) -> Tree:
    return axis_index(
        x,
        node["axis"],
        node.type(0).rank,
        Slice(_bound(node["start"], 0), _bound(node["stop"], None), node["step"]),
    )


def _bound(value: Any, default: Any) -> Any:
    return None if value == default else value


def axis_index(x: Tree, axis: int, rank: int, item: Any) -> Tree:
    """`x[:, item]` or `x[..., item]`, whichever is shorter."""
    from .tree import ELLIPSIS

    if axis > 0 and axis == rank - 1:
        return Index(x, (ELLIPSIS, item))
    return Index(x, (*[Slice()] * axis, item))


def _slice(x: np.ndarray, axis: int, start: Any, stop: Any, step: int) -> np.ndarray:
    return x[(slice(None),) * axis + (slice(start, stop, step),)]


def _infer_select(x: Any, axis: int, index: int | Expr) -> Tensor:
    return tensor(x).with_shape(*(d for i, d in enumerate(x.shape) if i != axis))


def _infer_concatenate(*xs: Any, axis: int) -> Tensor:
    first = tensor(xs[0])
    if len({tensor(x).dtype for x in xs}) > 1 or len({x.rank for x in xs}) > 1:
        raise InferError(f"concatenate needs one dtype and one rank, got {', '.join(map(str, xs))}")
    for x in xs[1:]:
        for i, (a, b) in enumerate(zip(first.shape, x.shape, strict=True)):
            if i != axis:
                equal(a, b)
    total = sum((x.shape[axis] for x in xs[1:]), start=first.shape[axis])
    return first.with_shape(*(total if i == axis else d for i, d in enumerate(first.shape)))


def _infer_stack(*xs: Any, axis: int) -> Tensor:
    first = tensor(xs[0])
    for x in xs[1:]:
        for a, b in zip(first.shape, x.shape, strict=True):
            equal(a, b)
    return first.with_shape(*first.shape[:axis], len(xs), *first.shape[axis:])


def _infer_split(x: Any, sizes: tuple[int | Expr, ...], axis: int) -> tuple[Tensor, ...]:
    equal(sum(sizes[1:], start=sizes[0]), tensor(x).shape[axis])
    return tuple(
        x.with_shape(*(s if i == axis else d for i, d in enumerate(x.shape))) for s in sizes
    )


def _split_tree(node: Any, x: Tree) -> Tree:
    sizes, axis = node["sizes"], last(node["axis"], node.type(0).rank)
    if all(s == sizes[0] for s in sizes):
        return call("mx.split", x, len(sizes), axis=axis)
    symbolic = any(isinstance(s, Expr) for s in sizes)
    points = itertools.accumulate(sizes[:-1], operator.add if symbolic else _plus)
    return call("mx.split", x, list(points), axis=axis)


def _plus(a: Any, b: Any) -> Any:
    """The sum; of two constant sizes that each have a name it is a tree."""
    return a + b if type(a) is int or type(b) is int else infix("+", a, b)


def _split(x: np.ndarray, sizes: tuple[int, ...], axis: int) -> list[np.ndarray]:
    return np.split(x, np.cumsum(sizes)[:-1], axis)


def _infer_pad(
    x: Any, low: tuple[Any, ...], high: tuple[Any, ...], value: Any = 0, mode: str = "constant"
) -> Tensor:
    return tensor(x).with_shape(*(d + a + b for d, a, b in zip(x.shape, low, high, strict=True)))


def _pad_tree(node: Any, x: Tree) -> Tree:
    widths = tuple(zip(node["low"], node["high"], strict=True))
    if node["mode"] == "wrap":
        return call("runtime.pad_circular", x, widths)
    if node["mode"] != "constant":
        return call("mx.pad", x, widths, mode=node["mode"])
    extra = {} if node["value"] == 0 else {"constant_values": node["value"]}
    return call("mx.pad", x, widths, **extra)


def _pad(x: np.ndarray, low: Any, high: Any, value: Any, mode: str) -> np.ndarray:
    widths = list(zip(low, high, strict=True))
    kind: Any = mode
    return np.pad(x, widths, kind, **({"constant_values": value} if mode == "constant" else {}))


ROWS = [
    Op(
        "reshape",
        "x",
        _infer_reshape,
        _reshape_tree,
        lambda x, shape, free: x.reshape(shape),
        {"shape": Attr("dims"), "free": Attr("axis", None)},
        doc="Row-major view. `free` is the axis that is written -1.",
    ),
    Op(
        "transpose",
        "x",
        _infer_transpose,
        _transpose_tree,
        lambda x, axes: x.transpose(axes),
        {"axes": Attr("axes")},
        doc="Axes in a new order.",
    ),
    Op(
        "expand_dims",
        "x",
        _infer_expand_dims,
        _expand_dims_tree,
        lambda x, axes: np.expand_dims(x, axes),
        {"axes": Attr("axes")},
        doc="New axes of size 1 at these places of the result.",
    ),
    Op(
        "squeeze",
        "x",
        _infer_squeeze,
        _squeeze_tree,
        lambda x, axes: np.squeeze(x, axes),
        {"axes": Attr("axes")},
        doc="Drops axes of size 1.",
    ),
    Op(
        "broadcast_to",
        "x",
        _infer_broadcast_to,
        lambda n, x: call("mx.broadcast_to", x, n["shape"]),
        lambda x, shape: np.broadcast_to(x, shape),
        {"shape": Attr("dims")},
        doc="Axes of size 1 repeated, new ones in front; NumPy's rule.",
    ),
    Op(
        "slice",
        "x",
        _infer_slice,
        _slice_tree,
        _slice,
        {
            "axis": Attr("axis"),
            "start": Attr("dim", 0),
            "stop": Attr("dim", None),
            "step": Attr("int", 1),
        },
        doc="`x[start:stop:step]` along one axis, Python's rules.",
    ),
    Op(
        "select",
        "x",
        _infer_select,
        lambda n, x: axis_index(x, n["axis"], n.type(0).rank, n["index"]),
        lambda x, axis, index: np.take(x, index, axis),
        {"axis": Attr("axis"), "index": Attr("dim")},
        doc="One index of an axis; the axis goes away.",
    ),
    Op(
        "concatenate",
        "*arrays",
        _infer_concatenate,
        lambda n, *xs: call("mx.concatenate", arrays(xs), axis=last(n["axis"], n.out.tensor.rank)),
        lambda *xs, axis: np.concatenate(xs, axis),
        {"axis": Attr("axis")},
        doc="Joined along an axis.",
    ),
    Op(
        "stack",
        "*arrays",
        _infer_stack,
        lambda n, *xs: call("mx.stack", arrays(xs), axis=last(n["axis"], n.out.tensor.rank)),
        lambda *xs, axis: np.stack(xs, axis),
        {"axis": Attr("axis")},
        doc="Joined along a new axis.",
    ),
    Op(
        "split",
        "x",
        _infer_split,
        _split_tree,
        _split,
        {"sizes": Attr("dims"), "axis": Attr("axis")},
        several=True,
        doc="Consecutive parts of the given sizes.",
    ),
    Op(
        "pad",
        "x",
        _infer_pad,
        _pad_tree,
        _pad,
        {
            "low": Attr("dims"),
            "high": Attr("dims"),
            "value": Attr("number", 0),
            "mode": Attr("str", "constant"),
        },
        doc="Padding on every axis, none negative; `mode` is constant, edge, reflect or wrap.",
    ),
    Op(
        "flip",
        "x",
        lambda x, axes: tensor(x),
        lambda n, x: call("mx.flip", x, n["axes"]),
        lambda x, axes: np.flip(x, axes),
        {"axes": Attr("axes")},
        doc="Axes backwards.",
    ),
    Op(
        "tile",
        "x",
        lambda x, repeats: x.with_shape(*(d * r for d, r in zip(x.shape, repeats, strict=True))),
        lambda n, x: call("mx.tile", x, n["repeats"]),
        lambda x, repeats: np.tile(x, repeats),
        {"repeats": Attr("dims")},
        doc="The whole array repeated along each axis.",
    ),
    Op(
        "roll",
        "x",
        lambda x, shifts, axes: tensor(x),
        lambda n, x: call("mx.roll", x, n["shifts"], axis=n["axes"]),
        lambda x, shifts, axes: np.roll(x, shifts, axes),
        {"shifts": Attr("dims"), "axes": Attr("axes")},
        doc="Elements moved along axes; those that leave come back in front.",
    ),
]
