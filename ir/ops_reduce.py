"""Reductions, scans, sorting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .op import Attr, InferError, Op, tensor
from .ops_shape import last
from .tree import Tree, call, method
from .types import I64, DType, Tensor

_AXES = {"axes": Attr("axes"), "keepdims": Attr("bool", False)}
_NARROW = (DType.bool, DType.u8, DType.u16, DType.i8, DType.i16)


def axis_option(axes: tuple[int, ...], rank: int) -> dict[str, Any]:
    """How axes print: nothing for all, -1 for the last one."""
    if len(axes) == rank:
        return {}
    return {"axis": last(axes[0], rank) if len(axes) == 1 else axes}


def reduced(x: Tensor, axes: tuple[int, ...], keepdims: bool) -> tuple[Any, ...]:
    """The shape without the axes, or with 1 in their place."""
    if any(not 0 <= a < x.rank for a in axes):
        raise InferError(f"axes {axes} are out of range for {x}")
    if keepdims:
        return tuple(1 if i in axes else d for i, d in enumerate(x.shape))
    return tuple(d for i, d in enumerate(x.shape) if i not in axes)


def _infer(x: Any, axes: tuple[int, ...], keepdims: bool, **attrs: Any) -> Tensor:
    return tensor(x).with_shape(*reduced(x, axes, keepdims))


def _infer_wide(x: Any, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    if tensor(x).dtype in _NARROW:
        raise InferError(f"sums of {x.dtype} overflow: cast to a wider type first")
    return _infer(x, axes, keepdims)


def _infer_float(x: Any, axes: tuple[int, ...], keepdims: bool, **attrs: Any) -> Tensor:
    if not tensor(x).dtype.is_float and not x.dtype.is_complex:
        raise InferError(f"needs a floating point operand, got {x}")
    return _infer(x, axes, keepdims)


def _infer_bool(x: Any, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    if tensor(x).dtype is not DType.bool:
        raise InferError(f"needs a boolean operand, got {x}")
    return _infer(x, axes, keepdims)


def _options(node: Any) -> dict[str, Any]:
    keep = {"keepdims": True} if node["keepdims"] else {}
    return {**axis_option(node["axes"], node.type(0).rank), **keep}


def _wide(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Floats accumulate in float64."""

    def run(x: np.ndarray, axes: tuple[int, ...], keepdims: bool, **attrs: Any) -> np.ndarray:
        real = x.dtype.kind not in "biuc"
        out = function(x.astype(np.float64) if real else x, axis=axes, keepdims=keepdims, **attrs)
        return np.asarray(out).astype(x.dtype)

    return run


def _reduction(
    name: str, function: Callable[..., Any], infer: Callable[..., Tensor] = _infer, doc: str = ""
) -> Op:
    return Op(
        name,
        "x",
        infer,
        lambda n, x: call(f"mx.{name}", x, **_options(n)),
        _wide(function),
        _AXES,
        doc=doc,
    )


def _spread(name: str, function: Callable[..., Any]) -> Op:
    def emit(node: Any, x: Tree) -> Tree:
        ddof = {"ddof": node["ddof"]} if node["ddof"] else {}
        return call(f"mx.{name}", x, **_options(node), **ddof)

    return Op(
        name,
        "x",
        _infer_float,
        emit,
        _wide(function),
        {**_AXES, "ddof": Attr("int", 0)},
        doc={"var": "Variance", "std": "Standard deviation"}[name]
        + ", divided by the count less `ddof`.",
    )


def _logsumexp(x: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> np.ndarray:
    top = x.max(axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    out = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top
    return out if keepdims else out.reshape([d for i, d in enumerate(x.shape) if i not in axis])


def _norm(x: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> np.ndarray:
    return np.sqrt(np.square(np.abs(x)).sum(axis=axis, keepdims=keepdims))


# ---- places


def _infer_place(x: Any, axis: int, keepdims: bool, dtype: DType) -> Tensor:
    return Tensor(dtype, reduced(tensor(x), (axis,), keepdims))


def _arg(name: str, function: Callable[..., Any]) -> Op:
    def emit(node: Any, x: Tree) -> Tree:
        keep = {"keepdims": True} if node["keepdims"] else {}
        out = call(f"mx.{name}", x, axis=last(node["axis"], node.type(0).rank), **keep)
        return out if node["dtype"] is DType.u32 else method(out, "astype", node["dtype"])

    return Op(
        name,
        "x",
        _infer_place,
        emit,
        lambda x, axis, keepdims, dtype: function(x, axis=axis, keepdims=keepdims).astype(
            dtype.numpy
        ),
        {"axis": Attr("axis"), "keepdims": Attr("bool", False), "dtype": Attr("dtype", I64)},
        doc="The place of the first extreme along an axis.",
    )


def _argsort_tree(node: Any, x: Tree) -> Tree:
    out = call("mx.argsort", x, axis=last(node["axis"], node.type(0).rank))
    return out if node["dtype"] is DType.u32 else method(out, "astype", node["dtype"])


def order(x: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    """Stable order along an axis, NaN largest."""
    if not descending:
        return np.argsort(x, axis, kind="stable")
    backward = np.argsort(np.flip(x, axis), axis, kind="stable")
    return x.shape[axis] - 1 - np.flip(backward, axis)


def _infer_sort(x: Any, axis: int, descending: bool) -> tuple[Tensor, Tensor]:
    return tensor(x), x.with_dtype(I64)


def _sort(x: np.ndarray, axis: int, descending: bool) -> tuple[np.ndarray, np.ndarray]:
    places = order(x, axis, descending)
    return np.take_along_axis(x, places, axis), places.astype(np.int64)


def _sort_tree(node: Any, x: Tree) -> Tree:
    down = {"descending": True} if node["descending"] else {}
    return call("runtime.sort", x, axis=last(node["axis"], node.type(0).rank), **down)


def _infer_topk(x: Any, k: Any, axis: int, largest: bool) -> tuple[Tensor, Tensor]:
    out = tensor(x).with_shape(*(k if i == axis else d for i, d in enumerate(x.shape)))
    return out, out.with_dtype(I64)


def _topk(x: np.ndarray, k: int, axis: int, largest: bool) -> tuple[np.ndarray, np.ndarray]:
    values, places = _sort(x, axis, largest)
    return values.take(range(k), axis), places.take(range(k), axis)


def _topk_tree(node: Any, x: Tree) -> Tree:
    smallest = {} if node["largest"] else {"largest": False}
    return call(
        "runtime.topk", x, node["k"], axis=last(node["axis"], node.type(0).rank), **smallest
    )


# ---- scans


def _infer_scan(x: Any, axis: int) -> Tensor:
    if tensor(x).dtype in _NARROW:
        raise InferError(f"running sums of {x.dtype} overflow: cast to a wider type first")
    return x


def _scan(name: str, function: Callable[..., Any], doc: str) -> Op:
    def reference(x: np.ndarray, axis: int) -> np.ndarray:
        return function(x.astype(np.float64) if x.dtype.kind == "f" else x, axis).astype(x.dtype)

    return Op(
        name,
        "x",
        _infer_scan,
        lambda n, x: call(f"mx.{name}", x, axis=last(n["axis"], n.type(0).rank)),
        reference,
        {"axis": Attr("axis")},
        doc=doc,
    )


def _logcumsumexp(x: np.ndarray, axis: int) -> np.ndarray:
    return np.logaddexp.accumulate(x, axis)


def _running(name: str, keep: Callable[[Any, Any], Any]) -> Op:
    """cummax and cummin: values and the last place that attains each."""

    def reference(x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
        moved = np.moveaxis(x, axis, 0)
        values, places = moved.copy(), np.zeros(moved.shape, np.int64)
        for i in range(1, len(moved)):
            new = keep(moved[i], values[i - 1]) | np.isnan(moved[i])
            values[i] = np.where(new, moved[i], values[i - 1])
            places[i] = np.where(new, i, places[i - 1])
        return np.moveaxis(values, 0, axis), np.moveaxis(places, 0, axis)

    return Op(
        name,
        "x",
        lambda x, axis: (tensor(x), x.with_dtype(I64)),
        lambda n, x: call(f"runtime.{name}", x, n["axis"]),
        reference,
        {"axis": Attr("axis")},
        several=True,
        doc="Running extreme: values and places.",
    )


ROWS = [
    _reduction("sum", np.sum, _infer_wide, "Sum; narrow integers must be cast first."),
    _reduction("prod", np.prod, _infer_wide, "Product; narrow integers must be cast first."),
    _reduction("mean", np.mean, _infer_float, "Mean of floats."),
    _reduction("max", np.max, doc="Largest; NaN wins."),
    _reduction("min", np.min, doc="Smallest; NaN wins."),
    _reduction("any", np.any, _infer_bool, "Whether any is true."),
    _reduction("all", np.all, _infer_bool, "Whether all are true."),
    _reduction("logsumexp", _logsumexp, _infer_float, "log(sum(exp(x)))."),
    _spread("var", np.var),
    _spread("std", np.std),
    Op(
        "norm",
        "x",
        _infer_float,
        lambda n, x: call("mx.linalg.norm", x, **_options(n)),
        _wide(_norm),
        _AXES,
        doc="Euclidean norm along one axis, or of all elements.",
    ),
    _arg("argmax", np.argmax),
    _arg("argmin", np.argmin),
    Op(
        "argsort",
        "x",
        lambda x, axis, dtype: tensor(x).with_dtype(dtype),
        _argsort_tree,
        lambda x, axis, dtype: order(x, axis, False).astype(dtype.numpy),
        {"axis": Attr("axis"), "dtype": Attr("dtype", I64)},
        doc="The stable ascending order.",
    ),
    Op(
        "sort",
        "x",
        _infer_sort,
        _sort_tree,
        _sort,
        {"axis": Attr("axis"), "descending": Attr("bool", False)},
        several=True,
        doc="Stable: values and places.",
    ),
    Op(
        "topk",
        "x",
        _infer_topk,
        _topk_tree,
        _topk,
        {"k": Attr("dim"), "axis": Attr("axis"), "largest": Attr("bool", True)},
        several=True,
        doc="The k first of the sorted values, and their places.",
    ),
    _scan("cumsum", np.cumsum, "Running sum."),
    _scan("cumprod", np.cumprod, "Running product."),
    _scan("logcumsumexp", _logcumsumexp, "log of the running sum of exponentials."),
    _running("cummax", np.greater_equal),
    _running("cummin", np.less_equal),
]
