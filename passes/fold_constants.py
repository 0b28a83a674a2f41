"""Constants: uniform arrays become scalars, arithmetic on them is done here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..ir import DType, Graph, InferError, Node, Value
from ..ir.dims import Expr
from ..ir.graph import Operand, Param
from ..ir.recipe import Constant
from .rebuild import Rebuild, producer, walk

_VIEWS = {
    "reshape",
    "transpose",
    "expand_dims",
    "squeeze",
    "broadcast_to",
    "slice",
    "select",
    "tile",
    "flip",
    "gather",
    "take",
}


def fold_constants(graph: Graph) -> bool:
    """Turn uniform constants into scalars; evaluate arithmetic, views and choices on them."""
    return walk(graph, _step)


def _step(out: Rebuild, node: Node) -> Any:
    if node.op in _VIEWS:
        return _view(out, node)
    if node.op == "where":
        chosen = _choice(node)
        if chosen is not None:
            return chosen
    if node.row.elementwise:
        folded = _evaluate(out, node)
        return folded if folded is not None else _with_scalars(out, node)
    return None


def uniform(operand: Operand) -> Any:
    """The one value of all elements, as a Python scalar or a dim; None where it is unknown."""
    if isinstance(operand, Param):
        data = operand.recipe.data if isinstance(operand.recipe, Constant) else None
        if data is None or not _is_uniform(data):
            return None
        return _scalar(data.flat[0], operand.tensor.dtype)
    node = producer(operand, "full")
    if node is None or node["dtype"].is_complex:
        return None
    value = node["value"]
    return value if isinstance(value, Expr) else _scalar(value, node["dtype"])


def _is_uniform(data: np.ndarray) -> bool:
    if data.size == 0 or data.dtype.kind == "c" or data.flat[0] != data.flat[-1]:
        return False
    return bool(np.all(data == data.flat[0]))


def _scalar(value: Any, dtype: DType) -> bool | int | float:
    if dtype is DType.bool:
        return bool(value)
    return int(value) if dtype.is_integer else float(value)


def _view(out: Rebuild, node: Node) -> Any:
    full = producer(node.operands[0], "full")
    if full is None:
        return None
    return out.emit(
        "full", like=node, shape=node.out.tensor.shape, value=full["value"], dtype=full["dtype"]
    )


def _choice(node: Node) -> Any:
    """`where` with a constant condition."""
    condition = uniform(node.operands[0])
    if not isinstance(condition, bool):
        return None
    chosen = node.operands[1 if condition else 2]
    return chosen if isinstance(chosen, Value) and chosen.type == node.out.type else None


def _evaluate(out: Rebuild, node: Node) -> Any:
    """All operands uniform: the result is uniform as well."""
    values = [uniform(o) if isinstance(o, Value) else o for o in node.operands]
    if any(v is None or isinstance(v, Expr) for v in values) or node.out.tensor.dtype.is_complex:
        return None
    arrays = [
        np.asarray(v, o.tensor.dtype.numpy) if isinstance(o, Value) else v
        for v, o in zip(values, node.operands)
    ]
    with np.errstate(all="ignore"):
        result = _scalar(node.row.evaluate(arrays, node.attrs)[0], node.out.tensor.dtype)
    if isinstance(result, float) and math.isnan(result):
        return None
    return out.emit(
        "full", like=node, shape=node.out.tensor.shape, value=result, dtype=node.out.tensor.dtype
    )


def _with_scalars(out: Rebuild, node: Node) -> Any:
    """Uniform operands as scalars, where the others alone give the result its type."""
    operands = list(node.operands)
    for i, operand in enumerate(node.operands):
        value = uniform(operand) if isinstance(operand, Value) and len(operands) > 1 else None
        if value is None or node.row.operand_names[i] == "x":
            continue
        trial = [*operands[:i], value, *operands[i + 1 :]]
        if _types(node, trial) == [node.out.type]:
            operands = trial
    if operands == node.operands:
        return None
    return out.emit(node.op, *operands, like=node, **node.attrs)


def _types(node: Node, operands: list[Operand]) -> Any:
    try:
        return node.row.infer_types(
            [o.type if isinstance(o, Value) else o for o in operands], node.attrs
        )
    except InferError:
        return None
