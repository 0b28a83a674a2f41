"""Arrays made from sizes and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .dims import Expr, floordiv, maximum
from .op import Attr, InferError, Op
from .tree import Tree, arrays, call, lift, method
from .types import DType, Tensor


def _linspace_tree(node: Any) -> Tree:
    kind = {} if node["dtype"] is DType.f32 else {"dtype": node["dtype"]}
    return call("mx.linspace", node["start"], node["stop"], node["count"], **kind)


def _linspace(start: float, stop: float, count: int, dtype: DType) -> np.ndarray:
    values = np.linspace(start, stop, count)
    return (np.trunc(values) if dtype.is_integer else values).astype(dtype.numpy)


def _eye_tree(node: Any) -> Tree:
    kind = {} if node["dtype"] is DType.f32 else {"dtype": node["dtype"]}
    sizes = [node["rows"]] if node["rows"] == node["columns"] else [node["rows"], node["columns"]]
    return call("mx.eye", *sizes, **kind)


def _literal_tree(node: Any) -> Tree:
    natural = node["dtype"] is DType.f32 and any(isinstance(v, float) for v in node["values"])
    kind = {} if natural else {"dtype": node["dtype"]}
    return call("mx.array", arrays(map(lift, node["values"])), **kind)


def float_is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def _infer_arange(start: Any, stop: Any, step: Any, dtype: DType) -> Tensor:
    if not isinstance(step, Expr) and step == 0:
        raise InferError("arange needs a step other than 0")
    start, stop, step = (int(v) if float_is_whole(v) else v for v in (start, stop, step))
    if not any(isinstance(v, float) for v in (start, stop, step)):
        length = maximum(-floordiv(start - stop, step), 0)
    elif any(isinstance(v, Expr) for v in (start, stop, step)):
        raise InferError(f"arange from {start} to {stop} by {step} mixes sizes and fractions")
    else:
        length = max(0, int(np.ceil((stop - start) / step)))
    return Tensor(dtype, (length,))


def _arange_tree(node: Any, *_: Tree) -> Tree:
    start, stop, step, dtype = (node[k] for k in ("start", "stop", "step", "dtype"))
    args = (
        [stop] if start == 0 and step == 1 else [start, stop] if step == 1 else [start, stop, step]
    )
    natural = DType.f32 if any(isinstance(v, float) for v in args) else DType.i32
    return call("mx.arange", *args, **({} if dtype is natural else {"dtype": dtype}))


def _full_tree(node: Any, *_: Tree) -> Tree:
    value, shape, dtype = node["value"], node["shape"], node["dtype"]
    kind = {} if dtype is DType.f32 and value in (0, 1) else {"dtype": dtype}
    if value in (0, 1) and not isinstance(value, Expr):
        return call("mx.ones" if value else "mx.zeros", shape, **kind)
    if dtype.is_complex and shape != ():  # mx.full would make it float32
        return method(call("mx.full", shape, value), "astype", dtype)
    return call("mx.array", value, **kind) if shape == () else call("mx.full", shape, value, **kind)


ROWS = [
    Op(
        "arange",
        "",
        _infer_arange,
        _arange_tree,
        lambda start, stop, step, dtype: np.arange(start, stop, step).astype(dtype.numpy),
        {
            "start": Attr("number", 0),
            "stop": Attr("number"),
            "step": Attr("number", 1),
            "dtype": Attr("dtype"),
        },
        doc="start, start + step ... before stop.",
    ),
    Op(
        "full",
        "",
        lambda shape, value, dtype: Tensor(dtype, shape),
        _full_tree,
        lambda shape, value, dtype: np.full(shape, value, dtype.numpy),
        {"shape": Attr("dims"), "value": Attr("number"), "dtype": Attr("dtype")},
        doc="An array of one value.",
    ),
    Op(
        "linspace",
        "",
        lambda start, stop, count, dtype: Tensor(dtype, (count,)),
        _linspace_tree,
        _linspace,
        {
            "start": Attr("float"),
            "stop": Attr("float"),
            "count": Attr("dim"),
            "dtype": Attr("dtype"),
        },
        doc="`count` numbers from start to stop, both included.",
    ),
    Op(
        "eye",
        "",
        lambda rows, columns, dtype: Tensor(dtype, (rows, columns)),
        _eye_tree,
        lambda rows, columns, dtype: np.eye(rows, columns, dtype=dtype.numpy),
        {"rows": Attr("dim"), "columns": Attr("dim"), "dtype": Attr("dtype")},
        doc="Ones on the diagonal, zeros elsewhere.",
    ),
    Op(
        "literal",
        "",
        lambda values, dtype: Tensor(dtype, (len(values),)),
        _literal_tree,
        lambda values, dtype: np.array(values, dtype.numpy),
        {"values": Attr("numbers"), "dtype": Attr("dtype")},
        doc="A short list of numbers that stands in the code.",
    ),
]
