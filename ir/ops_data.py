"""Rows: results whose sizes depend on data. The emitted code counts, waits for it, and goes on.

`size` names the size that is found out; it may be 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .dims import Expr, product, symbol
from .op import Attr, InferError, Op, axis_of, tensor
from .tree import Tree, call
from .types import DType, Tensor


def data_size(name: str) -> Expr:
    """The symbol of a size that depends on data: it may be 0."""
    return symbol(name, 0)


def _nonzero(x: Any, size: str) -> Tensor:
    if not tensor(x).rank:
        raise InferError("nonzero of a number")
    return Tensor(DType.i64, (x.rank, data_size(size)))


def _unique(x: Any, axis: int | None, sort: bool, size: str) -> tuple[Tensor, ...]:
    count = data_size(size)
    if axis is None:
        shape: tuple[int | Expr, ...] = (count,)
        length = product(tensor(x).shape)
    else:
        at = axis_of(axis, tensor(x).rank)
        shape = tuple(count if i == at else d for i, d in enumerate(x.shape))
        length = x.shape[at]
    places = Tensor(DType.i64, (count,))
    return x.with_shape(*shape), places, Tensor(DType.i64, (length,)), places


def _unique_tree(node: Any, x: Tree) -> Tree:
    options = {} if node["sort"] else {"sort": False}
    axis = {} if node["axis"] is None else {"axis": node["axis"]}
    return call("runtime.unique", x, **axis, **options)


def _unique_reference(x: Any, axis: int | None, sort: bool, size: str) -> Any:
    values, first, inverse, counts = np.unique(
        x, return_index=True, return_inverse=True, return_counts=True, axis=axis
    )
    inverse = inverse.reshape(-1)
    if not sort:
        order = np.argsort(first)
        values = np.take(values, order, 0 if axis is None else axis)
        first, counts, inverse = first[order], counts[order], np.argsort(order)[inverse]
    return values, *(v.astype(np.int64) for v in (first, inverse, counts))


def _suppressed(
    boxes: Any, scores: Any, most: int | Expr, overlap: float, least: float | None,
    centered: bool, size: str,
) -> Tensor:  # fmt: skip
    if (tensor(boxes).rank, tensor(scores).rank) != (3, 3) or boxes.shape[2] != 4:
        raise InferError(f"boxes of {boxes} and scores of {scores}")
    return Tensor(DType.i64, (data_size(size), 3))


def _suppressed_tree(node: Any, boxes: Tree, scores: Tree) -> Tree:
    options = {} if node["least"] is None else {"least": float(node["least"])}
    form = {"centered": True} if node["centered"] else {}
    limits = (node["most"], float(node["overlap"]))
    return call("runtime.non_max_suppression", boxes, scores, *limits, **options, **form)


def _corners(boxes: np.ndarray, centered: bool) -> np.ndarray:
    """The lower and the upper corner of each box."""
    a, b = boxes[..., :2], boxes[..., 2:]
    if centered:
        a, b = a - b / 2, a + b / 2
    return np.concatenate([np.minimum(a, b), np.maximum(a, b)], -1)


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    joint = float(np.prod(np.maximum(sides, 0)))
    both = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - joint
    return joint / both if both > 0 else 0.0


def _suppressed_reference(
    boxes: Any, scores: Any, most: int, overlap: float, least: float | None, centered: bool,
    size: str,
) -> np.ndarray:  # fmt: skip
    corners = _corners(boxes.astype(np.float64), centered)
    found = []
    for batch in range(scores.shape[0]):
        for group in range(scores.shape[1]):
            kept: list[int] = []
            for i in np.argsort(-scores[batch, group], kind="stable"):
                if least is not None and scores[batch, group, i] <= least:
                    break
                if len(kept) == most:
                    break
                own = corners[batch]
                if all(_overlap(own[i], own[k]) <= overlap for k in kept):
                    kept.append(int(i))
            found += [(batch, group, i) for i in kept]
    return np.asarray(found, np.int64).reshape(-1, 3)


_SIZE = Attr("str")

ROWS = [
    Op(
        "nonzero", "x", _nonzero, lambda n, x: call("runtime.nonzero", x),
        lambda x, size: np.stack(np.nonzero(x)).astype(np.int64), {"size": _SIZE}, binds="size",
        doc="Where elements are not 0: a row of indices for each axis, in order.",
    ),
    Op(
        "unique", "x", _unique, _unique_tree, _unique_reference,
        {"axis": Attr("axis", None), "sort": Attr("bool", True), "size": _SIZE}, several=True,
        binds="size",
        doc="Distinct elements, or slices of an axis: in ascending order, or in that of the first "
        "ones. The place of each first one, which one each of `x` is, and how many there are.",
    ),
    Op(
        "non_max_suppression", "boxes scores", _suppressed, _suppressed_tree,
        _suppressed_reference,
        {
            "most": Attr("dim"), "overlap": Attr("float"), "least": Attr("float", None),
            "centered": Attr("bool", False), "size": _SIZE,
        },
        binds="size",
        doc="Boxes `[batch, boxes, 4]` by falling score `[batch, classes, boxes]`, at the most "
        "`most` a class, without those that overlap a better one by more than `overlap`: "
        "`[N, 3]` of batch, class, box.",
    ),
]  # fmt: skip
